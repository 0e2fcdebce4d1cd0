//! The blocks that a wallet has looked at.

use std::collections::BTreeMap;

use bdk_wallet::chain::BlockId;
use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use rusqlite::{Connection, Transaction, params};

use super::{VaultError, store};

/// So many of the last blocks are all remembered, and of the older ones each of the heights that this divides.
const STEP: u32 = 1000;
/// So many blocks that change nothing are looked at again after a restart, at most.
const UNSAVED: u32 = 2000;

/// The chain as the wallet has followed it: the genesis block, the birthday, some blocks, the last ones. bdk has
/// those only in which something of the wallet's is, so that its own chain stays small.
#[derive(Debug)]
pub(super) struct Blocks {
    hashes: BTreeMap<u32, BlockHash>,
    birthday: BlockId,
    /// The lowest height from which on the database has others.
    unsaved: Option<u32>,
    /// Whether that has to be written with the next write.
    due: bool,
}

impl Blocks {
    /// Those of a new wallet.
    pub(super) fn new(genesis: BlockHash, birthday: Option<BlockId>) -> Blocks {
        let birthday = birthday.unwrap_or(BlockId { height: 0, hash: genesis });
        let hashes = BTreeMap::from([(0, genesis), (birthday.height, birthday.hash)]);
        Blocks { hashes, birthday, unsaved: Some(0), due: true }
    }

    /// Reads them.
    pub(super) fn load(db: &Connection) -> Result<Blocks, VaultError> {
        let mut statement = db.prepare("SELECT height, hash FROM blocks")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, u32>(0)?, BlockHash::from_byte_array(row.get(1)?)))
        })?;
        let hashes = rows.collect::<Result<BTreeMap<_, _>, _>>()?;
        let damaged = || VaultError::Damaged("it does not have its birthday".to_owned());
        let height = store::number(db, "birthday")?.ok_or_else(damaged)?;
        let height = u32::try_from(height).map_err(|_| damaged())?;
        let hash = *hashes.get(&height).ok_or_else(damaged)?;
        if !hashes.contains_key(&0) {
            return Err(damaged());
        }
        Ok(Blocks { hashes, birthday: BlockId { height, hash }, unsaved: None, due: false })
    }

    /// Writes those that the database does not have.
    pub(super) fn save(&self, transaction: &Transaction<'_>) -> Result<(), VaultError> {
        let Some(from) = self.unsaved else { return Ok(()) };
        store::set_number(transaction, "birthday", self.birthday.height.into())?;
        transaction.execute("DELETE FROM blocks WHERE height >= ?1", [from])?;
        let mut insert =
            transaction.prepare_cached("INSERT INTO blocks (height, hash) VALUES (?1, ?2)")?;
        for (height, hash) in self.hashes.range(from..) {
            insert.execute(params![height, hash.as_byte_array()])?;
        }
        transaction.execute(
            "DELETE FROM blocks WHERE height < ?1 AND height % ?2 <> 0 AND height <> ?3",
            params![self.tip().height.saturating_sub(STEP), STEP, self.birthday.height],
        )?;
        Ok(())
    }

    /// The database has them all.
    pub(super) fn saved(&mut self) {
        self.unsaved = None;
        self.due = false;
    }

    /// Whether they have to be written with the next write, even if that changes nothing else.
    pub(super) fn is_due(&self) -> bool {
        self.due
            || self.unsaved.is_some_and(|from| self.tip().height.saturating_sub(from) >= UNSAVED)
    }

    /// They have to be, if the database does not have them.
    pub(super) fn make_due(&mut self) {
        self.due = self.unsaved.is_some();
    }

    pub(super) fn tip(&self) -> BlockId {
        let (&height, &hash) = self.hashes.last_key_value().expect("the genesis block is there");
        BlockId { height, hash }
    }

    pub(super) fn birthday(&self) -> BlockId {
        self.birthday
    }

    pub(super) fn at(&self, height: u32) -> Option<BlockHash> {
        self.hashes.get(&height).copied()
    }

    pub(super) fn height_of(&self, hash: BlockHash) -> Option<u32> {
        self.hashes.iter().rev().find(|(_, known)| **known == hash).map(|(height, _)| *height)
    }

    /// The next block.
    pub(super) fn push(&mut self, hash: BlockHash) {
        let height = self.tip().height + 1;
        self.hashes.insert(height, hash);
        self.unsaved = Some(self.unsaved.map_or(height, |from| from.min(height)));
        if let Some(old) = height.checked_sub(STEP)
            && old % STEP != 0
            && old != self.birthday.height
        {
            self.hashes.remove(&old);
        }
    }

    /// Forgets all blocks above this one, which is remembered from now on.
    pub(super) fn rewind_to(&mut self, block: BlockId) {
        let _above = self.hashes.split_off(&(block.height + 1));
        self.hashes.insert(block.height, block.hash);
        if self.birthday.height >= block.height {
            // The birthday left the chain: what was before it has nothing of the wallet's either.
            self.birthday = block;
        }
        self.unsaved = Some(self.unsaved.map_or(block.height, |from| from.min(block.height)));
        self.due = true;
    }

    /// Hashes from the tip downwards: the last ten, then ever fewer, and the genesis block.
    pub(super) fn locator(&self) -> Vec<BlockHash> {
        let mut hashes = Vec::new();
        let mut distance = 1;
        let mut next = self.tip().height;
        while let Some((&height, &hash)) = self.hashes.range(..=next).next_back() {
            hashes.push(hash);
            if height == 0 {
                break;
            }
            if hashes.len() >= 10 {
                distance *= 2;
            }
            next = height.saturating_sub(distance);
        }
        hashes
    }
}
