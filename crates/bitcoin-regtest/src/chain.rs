//! The chain: its blocks and its tip.
//!
//! One mutex guards all of it; one condition variable wakes everybody who waits. Blocks are only
//! ever added on top, so the block at a height never changes.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bitcoin::blockdata::constants::genesis_block;
use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, CompactTarget, Network, Work};

use super::check::{self, NextBlock, REGTEST_BITS};
use super::coins::Coins;
use super::rejection::{Rejection, ensure};

/// The newest block of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its hash.
    pub hash: BlockHash,
    /// Its height; the genesis block has 0.
    pub height: u32,
}

/// A regtest chain in memory. See [the module above](super) for what it checks and what it does
/// not.
#[derive(Debug)]
pub struct Chain {
    state: Mutex<State>,
    pub(super) changed: Condvar,
    started: Instant,
}

#[derive(Debug)]
pub(super) struct State {
    /// By height; never empty.
    blocks: Vec<Entry>,
    heights: HashMap<BlockHash, u32>,
    coins: Coins,
    /// Counts `wake_waiters()`: a wait asks its `cancelled` again when this changes.
    pub(super) wakes: u64,
    pub(super) waiters: usize,
    pub(super) shut_down: bool,
}

#[derive(Debug)]
struct Entry {
    block: Arc<Block>,
    hash: BlockHash,
    /// The work of this block and all before it.
    work: Work,
}

impl Chain {
    /// A chain that holds the regtest genesis block only.
    pub fn regtest() -> Arc<Chain> {
        let mut state = State {
            blocks: Vec::new(),
            heights: HashMap::new(),
            coins: Coins::default(),
            wakes: 0,
            waiters: 0,
            shut_down: false,
        };
        state.push(genesis_block(Network::Regtest));
        // Core never puts the genesis coinbase in its coins: nobody can spend it.
        state.coins = Coins::default();
        Arc::new(Chain {
            state: Mutex::new(state),
            changed: Condvar::new(),
            started: Instant::now(),
        })
    }

    /// The newest block.
    pub fn tip(&self) -> Tip {
        self.lock().tip()
    }

    /// The facts on which the next block has to build.
    pub fn next_block(&self) -> NextBlock {
        self.lock().next_block()
    }

    /// Checks a block and makes it the tip.
    ///
    /// # Errors
    /// The reason it was refused; the chain is then as before. A block on an earlier block than the
    /// tip is `inconclusive-not-best-prevblk` whatever its work: there are no reorganizations.
    /// (Core stores such a block and answers `inconclusive`.)
    pub fn submit_block(&self, block: &Block) -> Result<(), Rejection> {
        let hash = block.block_hash();
        let mut state = self.lock();
        ensure(!state.heights.contains_key(&hash), "duplicate", "")?;
        check::check_alone(block, true, true)?;
        let known = state.heights.contains_key(&block.header.prev_blockhash);
        ensure(known, "prev-blk-not-found", "")?;
        state.check_parent(block)?;
        state.check_on_tip(block)?;
        state.push(block.clone());
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Checks whether a block could be the next one, without accepting it; proof of work and merkle
    /// root only if asked for, so that a template can be checked before it is solved.
    ///
    /// # Errors
    /// As [`submit_block`](Chain::submit_block), save that a block that does not build on the tip
    /// is always `inconclusive-not-best-prevblk`, as in Core.
    pub fn check_block(
        &self,
        block: &Block,
        check_merkle_root: bool,
        check_pow: bool,
    ) -> Result<(), Rejection> {
        let state = self.lock();
        state.check_parent(block)?;
        check::check_alone(block, check_merkle_root, check_pow)?;
        state.check_on_tip(block)
    }

    /// The block with this hash.
    pub fn block_by_hash(&self, hash: &BlockHash) -> Option<Arc<Block>> {
        let state = self.lock();
        let height = *state.heights.get(hash)?;
        state.entry(height).map(|entry| entry.block.clone())
    }

    /// The block at this height.
    pub fn block_by_height(&self, height: u32) -> Option<Arc<Block>> {
        self.lock().entry(height).map(|entry| entry.block.clone())
    }

    /// The hash of the block at this height.
    pub fn hash_at(&self, height: u32) -> Option<BlockHash> {
        self.lock().entry(height).map(|entry| entry.hash)
    }

    /// The height of the block with this hash.
    pub fn height_of(&self, hash: &BlockHash) -> Option<u32> {
        self.lock().heights.get(hash).copied()
    }

    /// The work of all blocks up to this height.
    pub fn work_at(&self, height: u32) -> Option<Work> {
        self.lock().entry(height).map(|entry| entry.work)
    }

    /// The median of the times of the (up to) 11 blocks that end at this height, Unix seconds (BIP
    /// 113).
    pub fn median_time_past(&self, height: u32) -> Option<u32> {
        let state = self.lock();
        state.entry(height)?;
        Some(state.median_time_past(height))
    }

    /// How long ago this chain was made.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Locks the chain, also if the lock is poisoned: nothing that runs under it is meant to panic
    /// (`cancelled` runs without it), and a bug elsewhere should not end those who read the chain.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn entry(&self, height: u32) -> Option<&Entry> {
        self.blocks.get(usize::try_from(height).ok()?)
    }

    pub(super) fn tip(&self) -> Tip {
        let height = self.next_height().saturating_sub(1);
        Tip {
            hash: self.blocks.last().map_or_else(BlockHash::all_zeros, |entry| entry.hash),
            height,
        }
    }

    fn next_height(&self) -> u32 {
        u32::try_from(self.blocks.len()).unwrap_or(u32::MAX)
    }

    fn next_block(&self) -> NextBlock {
        let tip = self.tip();
        NextBlock {
            previous: tip.hash,
            height: tip.height + 1,
            bits: CompactTarget::from_consensus(REGTEST_BITS),
            min_time: self.median_time_past(tip.height) + 1,
        }
    }

    fn median_time_past(&self, height: u32) -> u32 {
        let mut times: Vec<u32> = (height.saturating_sub(10)..=height)
            .filter_map(|height| self.entry(height).map(|entry| entry.block.header.time))
            .collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(0)
    }

    fn check_parent(&self, block: &Block) -> Result<(), Rejection> {
        ensure(block.header.prev_blockhash == self.tip().hash, "inconclusive-not-best-prevblk", "")
    }

    fn check_on_tip(&self, block: &Block) -> Result<(), Rejection> {
        let next = self.next_block();
        check::check_on_tip(block, &next)?;
        self.coins.check(block, next.height)
    }

    /// Puts a checked block on top.
    fn push(&mut self, block: Block) {
        let height = self.next_height();
        let hash = block.block_hash();
        self.coins.update(&block, height);
        let own = block.header.work();
        let work = self.blocks.last().map_or(own, |last| last.work + own);
        self.heights.insert(hash, height);
        self.blocks.push(Entry { block: Arc::new(block), hash, work });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::mine_block;
    use crate::testing::{assert_refused, block_with, mine, op_true};
    use std::thread;

    #[test]
    fn starts_at_genesis_and_finds_what_it_holds() {
        let chain = Chain::regtest();
        let genesis = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";
        assert_eq!(chain.tip(), Tip { hash: genesis.parse().unwrap(), height: 0 });
        let hash = mine_block(&chain, op_true()).unwrap();
        assert_eq!(chain.tip(), Tip { hash, height: 1 });
        let block = chain.block_by_hash(&hash).unwrap();
        assert_eq!(chain.block_by_height(1), Some(block.clone()));
        assert_eq!(chain.height_of(&hash), Some(1));
        assert_eq!(chain.hash_at(1), Some(hash));
        assert!(chain.block_by_height(2).is_none());
        assert!(chain.block_by_hash(&BlockHash::all_zeros()).is_none());
    }

    #[test]
    fn refuses_bad_parents() {
        let chain = Chain::regtest();
        let late = block_with(&chain, |b| b.header.time += 1);
        mine(&chain, 2);
        assert_refused(&chain, "inconclusive-not-best-prevblk", |b| {
            b.header.prev_blockhash = late.header.prev_blockhash
        });
        assert!(chain.submit_block(&late).unwrap_err().is_stale());

        let orphan = block_with(&chain, |b| b.header.prev_blockhash = BlockHash::all_zeros());
        assert_eq!(chain.submit_block(&orphan).unwrap_err().reason, "prev-blk-not-found");
        assert_eq!(
            chain.check_block(&orphan, true, true).unwrap_err().reason,
            "inconclusive-not-best-prevblk"
        );

        let tip = chain.block_by_height(2).unwrap();
        assert_eq!(chain.submit_block(&tip).unwrap_err().reason, "duplicate");
    }

    #[test]
    fn many_miners_make_one_chain() {
        let chain = Chain::regtest();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| mine(&chain, 5));
            }
        });
        assert_eq!(chain.tip().height, 20);
    }
}
