//! What an open wallet has in memory, and how it is written.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use bdk_wallet::{ChangeSet, LoadParams, Wallet};
use bitcoin::{OutPoint, Txid};
use bitcoin_ipc_draft::values::ChangeType;
use rusqlite::{Connection, Transaction};

use super::blocks::Blocks;
use super::keys::Keys;
use super::{AddressBookChange, VaultError};

/// So many addresses beyond the last one that was given out are looked for in blocks: an older backup finds what was
/// paid to addresses that were given out after it was made.
pub(super) const LOOKAHEAD: u32 = 1000;

/// What an open wallet has. bdk's part is in memory; the tables of `store` are read when they are needed.
#[derive(Debug)]
pub(super) struct State {
    pub(super) db: Connection,
    pub(super) bdk: Wallet,
    pub(super) blocks: Blocks,
    pub(super) keys: Keys,
    /// The wallet's transactions that are in the node's memory pool, as far as the node has told.
    pub(super) mempool: HashSet<Txid>,
    /// The outputs that are locked until the wallet is closed. bdk has the others.
    pub(super) locked: HashSet<OutPoint>,
    /// When something was last seen or given up; see `next_time`.
    last_time: u64,
    /// Memory and disk may differ: nothing may be done any more.
    broken: bool,
}

/// What a listener is told when it is done.
#[derive(Debug)]
pub(super) enum Event {
    AddressBook(AddressBookChange),
    Transaction(Txid, ChangeType),
    Status,
}

pub(super) type Events = Vec<Event>;

impl State {
    pub(super) fn new(db: Connection, bdk: Wallet, blocks: Blocks, keys: Keys) -> State {
        let graph = bdk.tx_graph();
        let last_time = graph
            .full_txs()
            .flat_map(|tx| [tx.last_seen, graph.get_last_evicted(tx.txid)])
            .flatten()
            .max()
            .unwrap_or(0);
        State {
            db,
            bdk,
            blocks,
            keys,
            mempool: HashSet::new(),
            locked: HashSet::new(),
            last_time,
            broken: false,
        }
    }

    /// An error if memory and disk may differ.
    pub(super) fn check(&self) -> Result<(), VaultError> {
        match self.broken {
            false => Ok(()),
            true => Err(VaultError::Storage("an earlier write failed: load it again".to_owned())),
        }
    }

    /// A time in seconds since 1970 that is later than all before, also if there were several in this second: bdk
    /// takes the later of two conflicting transactions as the valid one.
    pub(super) fn next_time(&mut self) -> u64 {
        self.last_time = now().max(self.last_time + 1);
        self.last_time
    }

    /// Changes bdk's part, the blocks and the tables in one transaction, which is on the disk when this returns. If it
    /// fails, all are as they were. Blocks that change nothing else are not written for themselves.
    pub(super) fn write<T>(
        &mut self,
        run: impl FnOnce(&mut Wallet, &mut Blocks, &Transaction<'_>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        // Also if `run` panics.
        self.broken = true;
        let State { db, bdk, blocks, .. } = self;
        let done = (|| {
            let transaction = db.transaction()?;
            let result = run(bdk, blocks, &transaction)?;
            let staged = bdk.take_staged();
            let save = staged.is_some() || blocks.is_due();
            if let Some(staged) = staged {
                staged.persist_to_sqlite(&transaction)?;
            }
            if save {
                blocks.save(&transaction)?;
            }
            transaction.commit()?;
            Ok((result, save))
        })();
        match done {
            Ok((result, save)) => {
                if save {
                    self.blocks.saved();
                }
                self.broken = false;
                Ok(result)
            }
            Err(error) => {
                self.broken = self.reload().is_err();
                Err(error)
            }
        }
    }

    /// Writes the blocks that were not worth a write of their own.
    pub(super) fn flush(&mut self) -> Result<(), VaultError> {
        self.check()?;
        self.write(|_, blocks, _| {
            blocks.make_due();
            Ok(())
        })
    }

    /// Reads everything from the disk again.
    pub(super) fn reload(&mut self) -> Result<(), VaultError> {
        self.bdk = load(&mut self.db)?;
        self.blocks = Blocks::load(&self.db)?;
        Ok(())
    }
}

impl State {
    /// The same. If that fails, nothing may be done any more.
    pub(super) fn reload_or_break(&mut self) -> Result<(), VaultError> {
        let result = self.reload();
        self.broken = result.is_err();
        result
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // Blocks without anything of the wallet's. If it fails they are looked at again.
        let _ = self.flush();
    }
}

/// bdk's part from the disk.
pub(super) fn load(db: &mut Connection) -> Result<Wallet, VaultError> {
    let transaction = db.transaction()?;
    let changes = ChangeSet::from_sqlite(&transaction)?;
    transaction.finish()?;
    let params = LoadParams::new().lookahead(LOOKAHEAD).use_spk_cache(true);
    params
        .load_wallet_no_persist(changes)
        .map_err(|error| VaultError::Damaged(error.to_string()))?
        .ok_or_else(|| VaultError::Damaged("it is empty".to_owned()))
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
