//! Following the chain and the memory pool.

use std::collections::HashSet;

use bdk_wallet::Wallet;
use bdk_wallet::chain::local_chain::ChangeSet;
use bdk_wallet::chain::{BlockId, Indexer};
use bitcoin::hashes::Hash;
use bitcoin::{Amount, Block, BlockHash, Transaction, Txid};
use bitcoin_ipc_draft::values::{ChangeType, RemovalReason};
use rusqlite::{Connection, params};

use super::blocks::Blocks;
use super::state::{Event, Events, State, now};
use super::view::View;
use super::{Result, TxState, Vault, VaultError, amounts, records};

impl Vault {
    /// The last block that was looked at.
    pub fn tip(&self) -> BlockId {
        self.read(|state| state.blocks.tip())
    }

    /// The block after which the wallet's history begins: the chain's tip when it was made.
    pub fn birthday(&self) -> BlockId {
        self.read(|state| state.blocks.birthday())
    }

    /// Hashes of blocks that were looked at, for a locator: from the tip downwards, the last ten, then ever fewer,
    /// and the genesis block.
    pub fn locator_hashes(&self) -> Vec<BlockHash> {
        self.read(|state| state.blocks.locator())
    }

    /// The height of a block that was looked at. None if it was not, or is too far back: the last thousand are all
    /// known, and those of the locator.
    pub fn height_of(&self, hash: BlockHash) -> Option<u32> {
        self.read(|state| state.blocks.height_of(hash))
    }

    /// The next block. Nothing happens if it is one that was connected already.
    ///
    /// A block that has something of the wallet's is on the disk when this returns. Others are not written for
    /// themselves, so that some may have to be connected again after a restart: see [`flush`](Vault::flush).
    ///
    /// # Errors
    /// It does not follow the tip, has a transaction that pays more than all bitcoin there are, or cannot be written.
    pub fn connect_block(&self, block: &Block, height: u32) -> Result<()> {
        self.connect_blocks([(block, height)])
    }

    /// The next blocks, with one write for all.
    ///
    /// # Errors
    /// One does not follow the one before, or has a transaction that pays more than all bitcoin there are; or they
    /// cannot be written. Then none of them is connected.
    pub fn connect_blocks<'a>(
        &self,
        blocks: impl IntoIterator<Item = (&'a Block, u32)>,
    ) -> Result<()> {
        self.with(|state, events| {
            let mut blocks = blocks.into_iter().peekable();
            // A first block that does not fit is no reason to read the wallet again.
            if let Some((block, height)) = blocks.peek() {
                is_new(&state.blocks, block, *height)?;
            }
            let mut gone = HashSet::new();
            state.write(|bdk, followed, db| {
                for (block, height) in blocks {
                    if is_new(followed, block, height)? {
                        connect(bdk, followed, db, block, height, &mut gone, events)?;
                    }
                }
                Ok(())
            })?;
            state.mempool.retain(|txid| !gone.contains(txid));
            Ok(())
        })
    }

    /// A block leaves the chain, and with it those above it; `prev` is the one before it. Nothing happens if it is
    /// none that was connected.
    ///
    /// # Errors
    /// The wallet has another block before it, or it cannot be written.
    pub fn disconnect_block(&self, hash: BlockHash, height: u32, prev: BlockHash) -> Result<()> {
        self.with(|state, events| {
            if height == 0 || state.blocks.at(height) != Some(hash) {
                return Ok(());
            }
            rewind(state, BlockId { height: height - 1, hash: prev }, events)
        })
    }

    /// All blocks above this one leave the chain: it is where the node's chain forks from the wallet's. To look at
    /// blocks again, as a rescan does, go back and connect them.
    ///
    /// # Errors
    /// It is above the tip, or another than the wallet's at its height; or it cannot be written.
    pub fn rewind_to(&self, block: BlockId) -> Result<()> {
        self.with(|state, events| rewind(state, block, events))
    }

    /// Writes the blocks that were not worth a write of their own. That happens by itself when the wallet is closed,
    /// and after some thousand.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn flush(&self) -> Result<()> {
        self.with(|state, _| state.flush())
    }

    /// A transaction that is in the node's memory pool now. Most are none of the wallet's, and nothing happens. Also
    /// to be called with an own one as soon as the node took it. One that pays more than all bitcoin there are is left
    /// out, with a warning in the log: a node has made it up.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn transaction_added(&self, tx: &Transaction) -> Result<()> {
        self.with(|state, events| {
            if tx.is_coinbase() || !is_relevant(&state.bdk, tx) {
                return Ok(());
            }
            if let Err(error) = amounts::check(tx) {
                tracing::warn!("a transaction of the memory pool is ignored: {error}");
                return Ok(());
            }
            let txid = tx.compute_txid();
            let known = state.bdk.get_tx(txid).map(|tx| tx.chain_position.is_confirmed());
            match known {
                // In a block that the node told of before.
                Some(true) => return Ok(()),
                Some(false) if state.mempool.contains(&txid) => return Ok(()),
                // As after a restart: in memory only.
                Some(false) => events.push(Event::Transaction(txid, ChangeType::Updated)),
                None => {
                    let conflicts = conflicts(&state.bdk, tx);
                    let time = state.next_time();
                    state.write(|bdk, _, db| {
                        bdk.apply_unconfirmed_txs([(tx.clone(), time)]);
                        if bdk.spk_index().is_tx_relevant(tx) {
                            events.push(Event::Transaction(txid, note(db, txid, now())?));
                        }
                        Ok(())
                    })?;
                    let changed = |txid| Event::Transaction(txid, ChangeType::Updated);
                    events.extend(conflicts.into_iter().map(changed));
                }
            }
            state.mempool.insert(txid);
            Ok(())
        })
    }

    /// A transaction that is not in the node's memory pool any more; nothing happens if that is because of a block,
    /// which is told of, too. An own one keeps what it spends until it is abandoned. The memory pool is never on the
    /// disk.
    ///
    /// # Errors
    /// The wallet cannot be used any more.
    pub fn transaction_removed(&self, txid: Txid, reason: RemovalReason) -> Result<()> {
        self.with(|state, events| {
            if reason != RemovalReason::Block && state.mempool.remove(&txid) {
                events.push(Event::Transaction(txid, ChangeType::Updated));
            }
            Ok(())
        })
    }

    /// Own transactions that are neither in the chain nor in the memory pool, as far as that is known, and not given
    /// up: each after those that it spends from.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub fn unconfirmed_to_rebroadcast(&self) -> Result<Vec<Transaction>> {
        self.with(|state, _| {
            let view = View::new(state);
            let mut left = Vec::new();
            for record in records::all(&state.db)? {
                if let Some(tx) = view.transaction(record)
                    && tx.state == TxState::Inactive
                    && view.is_valid(tx.txid)
                    && tx.debit > Amount::ZERO
                {
                    left.push(tx);
                }
            }
            let mut sorted = Vec::new();
            let mut waiting: HashSet<Txid> = left.iter().map(|tx| tx.txid).collect();
            while !left.is_empty() {
                let ready = |tx: &super::WalletTransaction| {
                    !tx.tx.input.iter().any(|txin| waiting.contains(&txin.previous_output.txid))
                };
                let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(ready);
                left = later;
                for tx in now {
                    waiting.remove(&tx.txid);
                    sorted.push(tx.tx.as_ref().clone());
                }
            }
            Ok(sorted)
        })
    }
}

/// Whether a block is the next one; false if it was connected already. An error if it is neither, or cannot be valid.
fn is_new(blocks: &Blocks, block: &Block, height: u32) -> Result<bool> {
    let tip = blocks.tip();
    if tip.height.checked_add(1) == Some(height) && block.header.prev_blockhash == tip.hash {
        return match block.txdata.iter().find(|tx| amounts::check(tx).is_err()) {
            Some(tx) => Err(VaultError::BadBlock { height, txid: tx.compute_txid() }),
            None => Ok(true),
        };
    }
    match blocks.at(height) == Some(block.block_hash()) {
        true => Ok(false),
        false => Err(VaultError::NotNext { height, tip: tip.height }),
    }
}

/// Whether a transaction pays the wallet, spends from it, or spends the same as one that does.
fn is_relevant(bdk: &Wallet, tx: &Transaction) -> bool {
    bdk.spk_index().is_tx_relevant(tx) || bdk.tx_graph().direct_conflicts(tx).next().is_some()
}

/// The wallet's transactions that spend the same as this one.
fn conflicts(bdk: &Wallet, tx: &Transaction) -> Vec<Txid> {
    let graph = bdk.tx_graph();
    let other = graph.direct_conflicts(tx).map(|(_, txid)| txid);
    let own = other
        .filter(|txid| graph.get_tx(*txid).is_some_and(|tx| bdk.spk_index().is_tx_relevant(&tx)));
    own.collect()
}

/// Takes in the next block. `gone` gets the transactions that cannot be in the memory pool any more.
fn connect(
    bdk: &mut Wallet,
    followed: &mut Blocks,
    db: &Connection,
    block: &Block,
    height: u32,
    gone: &mut HashSet<Txid>,
    events: &mut Events,
) -> Result<()> {
    if block.txdata.iter().any(|tx| is_relevant(bdk, tx)) {
        let own_tip = bdk.latest_checkpoint().block_id();
        bdk.apply_block_connected_to(block, height, own_tip)
            .map_err(|error| VaultError::Damaged(error.to_string()))?;
        let time = now().min(block.header.time.into());
        for tx in &block.txdata {
            let txid = tx.compute_txid();
            if bdk.tx_graph().get_tx(txid).is_none() {
                continue;
            }
            gone.insert(txid);
            if bdk.spk_index().is_tx_relevant(tx) {
                events.push(Event::Transaction(txid, note(db, txid, time)?));
            }
            for conflict in conflicts(bdk, tx) {
                gone.insert(conflict);
                events.push(Event::Transaction(conflict, ChangeType::Updated));
            }
        }
    }
    followed.push(block.block_hash());
    Ok(())
}

/// Goes back to this block.
fn rewind(state: &mut State, block: BlockId, events: &mut Events) -> Result<()> {
    let tip = state.blocks.tip();
    if block.height > tip.height {
        return Err(VaultError::NotNext { height: block.height, tip: tip.height });
    }
    let own = state.bdk.local_chain().get(block.height).map(|block| block.hash());
    if own.or(state.blocks.at(block.height)).is_some_and(|hash| hash != block.hash) {
        return Err(VaultError::BadRequest(format!(
            "block {} is not the wallet's at height {}: look for the fork further down",
            block.hash, block.height
        )));
    }
    if block == tip {
        return Ok(());
    }
    let (graph, index) = (state.bdk.tx_graph(), state.bdk.spk_index());
    for (txid, blocks) in graph.all_anchors() {
        if blocks.iter().any(|anchor| anchor.block_id.height > block.height)
            && graph.get_tx(*txid).is_some_and(|tx| index.is_tx_relevant(&tx))
        {
            events.push(Event::Transaction(*txid, ChangeType::Updated));
        }
    }
    state.write(|_, followed, db| {
        followed.rewind_to(block);
        let table = ChangeSet::BLOCKS_TABLE_NAME;
        db.execute(&format!("DELETE FROM {table} WHERE block_height > ?1"), [block.height])?;
        Ok(())
    })?;
    // bdk's chain only grows, or is replaced by a longer one: so it is read again.
    state.reload_or_break()?;
    super::history::settle(state)
}

/// Notes a transaction of the wallet's, if it is not known.
fn note(db: &Connection, txid: Txid, time: u64) -> Result<ChangeType> {
    let sql = "INSERT INTO transactions (txid, time) VALUES (?1, ?2)
               ON CONFLICT (txid) DO UPDATE SET abandoned = 0";
    let known = records::get(db, txid)?.is_some();
    db.prepare_cached(sql)?.execute(params![txid.as_byte_array(), time])?;
    Ok(if known { ChangeType::Updated } else { ChangeType::New })
}
