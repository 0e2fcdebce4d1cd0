//! Look-ups that are of one moment.

use std::sync::MutexGuard;

use bitcoin::{BlockHash, OutPoint, Transaction, Txid};

use super::branches::State;
use super::chain::Tip;
use super::coins::Coin;
use super::events::BlockEntry;
use super::mempool::{Acceptance, MempoolEntry};
use super::rejection::Rejection;

/// The chain and the memory pool at one moment, made by [`Chain::view`](super::Chain::view). It holds the chain's lock.
#[derive(Debug)]
pub struct View<'a> {
    state: MutexGuard<'a, State>,
}

impl<'a> View<'a> {
    pub(super) fn new(state: MutexGuard<'a, State>) -> View<'a> {
        View { state }
    }

    /// The newest block.
    pub fn tip(&self) -> Tip {
        self.state.tip()
    }

    /// The hash of the block at this height of the chain.
    pub fn hash_at(&self, height: u32) -> Option<BlockHash> {
        self.state.entry(height).map(|entry| entry.hash)
    }

    /// A block, also of another branch.
    pub fn block(&self, hash: &BlockHash) -> Option<&BlockEntry> {
        self.state.known(hash)
    }

    /// Whether the block is in the chain.
    pub fn is_in_chain(&self, hash: &BlockHash) -> bool {
        self.state.height_of(hash).is_some()
    }

    /// The block at this height of the branch that ends with a block, itself included. None if the block is not known, or
    /// lower than that.
    pub fn ancestor(&self, hash: &BlockHash, height: u32) -> Option<BlockHash> {
        let mut block = self.block(hash)?;
        while block.height > height && !self.is_in_chain(&block.hash) {
            block = self.block(&block.block.header.prev_blockhash)?;
        }
        match block.height {
            at if at == height => Some(block.hash),
            at if at > height => self.hash_at(height),
            _ => None,
        }
    }

    /// The last block that the branches of both have in common. None if one of them is not known.
    pub fn common_ancestor(&self, first: &BlockHash, second: &BlockHash) -> Option<BlockHash> {
        let height = self.block(first)?.height.min(self.block(second)?.height);
        let (mut first, mut second) =
            (self.ancestor(first, height)?, self.ancestor(second, height)?);
        while first != second {
            first = self.block(&first)?.block.header.prev_blockhash;
            second = self.block(&second)?.block.header.prev_blockhash;
        }
        Some(first)
    }

    /// The median of the times of a block and the (up to) ten before it, Unix seconds (BIP 113). 0 if it is not known.
    pub fn median_time_past(&self, hash: &BlockHash) -> u32 {
        self.state.median_time_past(hash)
    }

    /// A coin of the chain, also if the memory pool spends it.
    pub fn coin(&self, outpoint: &OutPoint) -> Option<&Coin> {
        self.state.coins.get(outpoint)
    }

    /// An output of a transaction in the memory pool, also if another one there spends it.
    pub fn mempool_coin(&self, outpoint: &OutPoint) -> Option<&Coin> {
        self.state.mempool.coin(outpoint)
    }

    /// The transaction of the memory pool that spends an output.
    pub fn mempool_spender(&self, outpoint: &OutPoint) -> Option<Txid> {
        self.state.mempool.spender(outpoint)
    }

    /// A transaction of the memory pool.
    pub fn mempool_entry(&self, txid: &Txid) -> Option<&MempoolEntry> {
        self.state.mempool.entry(txid)
    }

    /// All of them, each after those that it needs.
    pub fn mempool(&self) -> impl Iterator<Item = &MempoolEntry> {
        self.state.mempool.all()
    }

    /// The transactions of the memory pool that this one there needs, and itself; each after those that it needs.
    pub fn mempool_ancestors(&self, txid: &Txid) -> Option<Vec<&MempoolEntry>> {
        self.state.mempool.relatives(txid).map(|[ancestors, _]| ancestors)
    }

    /// The transactions of the memory pool that need this one there, and itself; each after those that it needs.
    pub fn mempool_descendants(&self, txid: &Txid) -> Option<Vec<&MempoolEntry>> {
        self.state.mempool.relatives(txid).map(|[_, descendants]| descendants)
    }

    /// What would become of a transaction that is put in the memory pool.
    ///
    /// # Errors
    /// As [`Chain::submit_transaction`](super::Chain::submit_transaction).
    pub fn check_transaction(&self, transaction: &Transaction) -> Result<Acceptance, Rejection> {
        self.state.mempool.check(transaction, &self.state.coins, &self.state.next_block())
    }
}
