//! What the chain's lock guards: all blocks that were kept, which of them are the chain, its coins, and the
//! memory pool.

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::{Block, BlockHash, CompactTarget, Transaction, Work};

use super::chain::Tip;
use super::check::{self, NextBlock, REGTEST_BITS};
use super::clock::Clock;
use super::coins::{Coins, Spent};
use super::events::{BlockEntry, Event, Removal, Subscribers};
use super::mempool::Mempool;
use super::rejection::{Rejection, ensure, reject};

/// A tip that is older than this is one of a node that still catches up, in seconds.
const MAX_TIP_AGE: u64 = 24 * 60 * 60;
/// Reasons that concern what a block's hash does not cover: another block with this hash may be good.
const NOT_IN_THE_HASH: [&str; 3] =
    ["bad-witness-nonce-size", "bad-witness-merkle-match", "unexpected-witness"];

#[derive(Debug)]
pub(super) struct State {
    /// All blocks that were kept, of all branches.
    known: HashMap<BlockHash, Known>,
    /// The chain, by height; never empty.
    chain: Vec<Entry>,
    pub(super) coins: Coins,
    pub(super) mempool: Mempool,
    pub(super) clock: Clock,
    pub(super) subscribers: Subscribers,
    /// What has happened and is not told yet.
    happened: Vec<Event>,
    /// Once a block was not too old the node has caught up for good.
    caught_up: bool,
    /// Counts `wake_waiters()`: a wait asks its `cancelled` again when this changes.
    pub(super) wakes: u64,
    pub(super) waiters: usize,
    pub(super) shut_down: bool,
}

#[derive(Debug)]
struct Known {
    entry: BlockEntry,
    /// The work of this block and all before it.
    work: Work,
    /// It, or one before it, was refused or invalidated.
    bad: bool,
    /// It was refused for what is in it: that does not change.
    refused: bool,
    /// How many were kept before it: of two with the same work the first one counts.
    order: usize,
}

impl Known {
    fn previous(&self) -> BlockHash {
        self.entry.block.header.prev_blockhash
    }
}

/// A block of the chain.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) block: Arc<Block>,
    pub(super) hash: BlockHash,
    pub(super) work: Work,
    spent: Spent,
}

impl State {
    pub(super) fn new(genesis: Block) -> State {
        let (hash, work) = (genesis.block_hash(), genesis.header.work());
        let (max_time, transactions) = (genesis.header.time, genesis.txdata.len() as u64);
        let block = Arc::new(genesis);
        let entry =
            BlockEntry { block: Arc::clone(&block), hash, height: 0, max_time, transactions };
        let known = Known { entry, work, bad: false, refused: false, order: 0 };
        // Core never puts the genesis coinbase in its coins: nobody can spend it.
        State {
            known: HashMap::from([(hash, known)]),
            chain: vec![Entry { block, hash, work, spent: Spent::default() }],
            coins: Coins::default(),
            mempool: Mempool::default(),
            clock: Clock::default(),
            subscribers: Subscribers::default(),
            happened: Vec::new(),
            caught_up: false,
            wakes: 0,
            waiters: 0,
            shut_down: false,
        }
    }

    pub(super) fn entry(&self, height: u32) -> Option<&Entry> {
        self.chain.get(usize::try_from(height).ok()?)
    }

    fn last(&self) -> &Entry {
        self.chain.last().unwrap_or_else(|| unreachable!("the genesis block stays"))
    }

    pub(super) fn tip(&self) -> Tip {
        let height = u32::try_from(self.chain.len() - 1).unwrap_or(u32::MAX);
        Tip { hash: self.last().hash, height }
    }

    pub(super) fn stored(&self, hash: &BlockHash) -> Option<Arc<Block>> {
        Some(Arc::clone(&self.known(hash)?.block))
    }

    /// A block that was kept, also of another branch.
    pub(super) fn known(&self, hash: &BlockHash) -> Option<&BlockEntry> {
        Some(&self.known.get(hash)?.entry)
    }

    pub(super) fn height_of(&self, hash: &BlockHash) -> Option<u32> {
        let height = self.known(hash)?.height;
        self.entry(height).filter(|entry| entry.hash == *hash).map(|_| height)
    }

    pub(super) fn is_initial_block_download(&self) -> bool {
        !self.caught_up
    }

    pub(super) fn next_block(&self) -> NextBlock {
        let tip = self.tip();
        self.next_after(tip.hash, tip.height)
    }

    /// What a block has to contain that builds on this one.
    fn next_after(&self, previous: BlockHash, height: u32) -> NextBlock {
        NextBlock {
            previous,
            height: height + 1,
            bits: CompactTarget::from_consensus(REGTEST_BITS),
            min_time: self.median_time_past(&previous) + 1,
        }
    }

    pub(super) fn median_time_past(&self, last: &BlockHash) -> u32 {
        let mut times = Vec::new();
        let mut next = self.known(last);
        while let Some(known) = next.filter(|_| times.len() < 11) {
            times.push(known.block.header.time);
            next = self.known(&known.block.header.prev_blockhash);
        }
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(0)
    }

    /// Keeps a block whose own contents were checked, after it was checked against those before it, and `write` has
    /// put it on disk. `now`: Unix seconds.
    pub(super) fn keep(
        &mut self,
        block: &Block,
        now: u64,
        write: impl FnOnce() -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let hash = block.block_hash();
        if let Some(known) = self.known.get(&hash) {
            return Err(reject(if known.bad { "duplicate-invalid" } else { "duplicate" }, ""));
        }
        let previous = block.header.prev_blockhash;
        let parent = self.known.get(&previous);
        let parent = parent.ok_or_else(|| reject("prev-blk-not-found", ""))?;
        ensure(!parent.bad, "bad-prevblk", "")?;
        let work = parent.work + block.header.work();
        let entry = BlockEntry {
            block: Arc::new(block.clone()),
            hash,
            height: parent.entry.height + 1,
            max_time: parent.entry.max_time.max(block.header.time),
            transactions: parent.entry.transactions + block.txdata.len() as u64,
        };
        let next = self.next_after(previous, parent.entry.height);
        check::check_header(block, &next, now)?;
        let checked = check::check_body(block, &next);
        let bad = match &checked {
            Ok(()) => {
                write()?;
                false
            }
            Err(why) if NOT_IN_THE_HASH.contains(&&*why.reason) => return checked,
            Err(_) => true,
        };
        let order = self.known.len();
        self.known.insert(hash, Known { entry, work, bad, refused: bad, order });
        checked
    }

    /// Makes a block that was kept the tip if it has more work than that.
    ///
    /// # Errors
    /// Why it, or one before it, cannot be in the chain.
    pub(super) fn activate(&mut self, hash: BlockHash) -> Result<(), Rejection> {
        let Some(known) = self.known.get(&hash) else { return Ok(()) };
        if known.work <= self.last().work {
            return Ok(());
        }
        self.switch_to(hash)
    }

    /// Makes this block the tip.
    fn switch_to(&mut self, hash: BlockHash) -> Result<(), Rejection> {
        let mut path = Vec::new();
        let mut next = hash;
        while self.height_of(&next).is_none() {
            let Some(block) = self.stored(&next) else { return Ok(()) };
            next = block.header.prev_blockhash;
            path.push(block);
        }
        let fork = self.height_of(&next).unwrap_or(0);
        let left = self.disconnect_above(fork);
        for block in path.iter().rev() {
            let next = self.next_block();
            // Its contents were right when it was kept, and depend only on what is before it; its coins are looked at now.
            if let Err(why) = self.coins.check(block, next.height) {
                self.mark_bad(&block.block_hash());
                // Back to where it was.
                self.disconnect_above(fork);
                left.iter().rev().for_each(|block| self.connect(Arc::clone(block)));
                return Err(why);
            }
            self.connect(Arc::clone(block));
        }
        self.follow(&left, path.iter().rev());
        Ok(())
    }

    fn connect(&mut self, block: Arc<Block>) {
        let height = self.tip().height + 1;
        let spent = self.coins.connect(&block, height);
        let work = self.last().work + block.header.work();
        let age = self.clock.now().saturating_sub(u64::from(block.header.time));
        self.caught_up |= age <= MAX_TIP_AGE;
        self.chain.push(Entry { hash: block.block_hash(), block, work, spent });
    }

    /// Takes blocks above this height out of the chain. Returns them, the highest first.
    fn disconnect_above(&mut self, height: u32) -> Vec<Arc<Block>> {
        let mut left = Vec::new();
        while self.tip().height > height {
            let Some(Entry { block, spent, .. }) = self.chain.pop() else { break };
            self.coins.disconnect(&block, spent);
            left.push(block);
        }
        left
    }

    /// Has the memory pool follow the chain, and notes what has happened. `left`: the blocks that have left the chain, the
    /// highest first; `joined`: those that have joined it, the lowest first.
    fn follow<'a>(&mut self, left: &[Arc<Block>], joined: impl Iterator<Item = &'a Arc<Block>>) {
        for block in left {
            self.note_block(block, Event::BlockDisconnected);
        }
        for block in joined {
            let (in_block, conflicts) = self.mempool.remove_for_block(block);
            self.note_removed(in_block, Removal::Block);
            self.note_removed(conflicts, Removal::Conflict);
            self.note_block(block, Event::BlockConnected);
        }
        if left.is_empty() {
            return;
        }
        let returned = left.iter().rev().flat_map(|block| block.txdata.iter().skip(1));
        let returned: Vec<Arc<Transaction>> = returned.cloned().map(Arc::new).collect();
        let next = self.next_block();
        let (added, lost) = self.mempool.renew(returned, &self.coins, &next);
        self.note_removed(lost, Removal::Reorg);
        self.note(added.into_iter().map(Event::TransactionAdded));
    }

    fn note_block(&mut self, block: &Arc<Block>, event: fn(BlockEntry) -> Event) {
        let entry = self.known(&block.block_hash()).cloned();
        self.note(entry.map(event));
    }

    pub(super) fn note_removed(&mut self, transactions: Vec<Arc<Transaction>>, why: Removal) {
        self.note(transactions.into_iter().map(|tx| Event::TransactionRemoved(tx, why)));
    }

    /// Notes what has happened, for those who have subscribed.
    pub(super) fn note(&mut self, events: impl IntoIterator<Item = Event>) {
        if !self.subscribers.is_empty() {
            self.happened.extend(events);
        }
    }

    /// Tells what has happened since the tip was this.
    pub(super) fn tell(&mut self, before: Tip) {
        if self.tip() != before {
            self.note([Event::TipChanged(self.tip())]);
        }
        let happened = std::mem::take(&mut self.happened);
        if !happened.is_empty() {
            self.subscribers.tell(&happened);
        }
    }

    /// Marks a block and those that build on it.
    fn mark_bad(&mut self, hash: &BlockHash) {
        let mut bad = vec![*hash];
        while let Some(hash) = bad.pop() {
            if let Some(known) = self.known.get_mut(&hash) {
                known.bad = true;
            }
            let children = self.known.iter().filter(|(_, known)| known.previous() == hash);
            bad.extend(children.map(|(child, _)| *child));
        }
    }

    pub(super) fn invalidate(&mut self, hash: &BlockHash) -> bool {
        if !self.can_invalidate(hash) {
            return false;
        }
        self.mark_bad(hash);
        if let Some(height) = self.height_of(hash) {
            let left = self.disconnect_above(height - 1);
            self.follow(&left, std::iter::empty());
        }
        self.activate_best();
        true
    }

    /// Whether the block is known and not the genesis block.
    pub(super) fn can_invalidate(&self, hash: &BlockHash) -> bool {
        self.known(hash).is_some_and(|known| known.height > 0)
    }

    pub(super) fn reconsider(&mut self, hash: &BlockHash) -> bool {
        // One that was refused is in no file, so that nothing may build on it.
        if self.known.get(hash).is_none_or(|known| known.refused) {
            return false;
        }
        // Those before it, and those that build on it.
        let mut before = *hash;
        while let Some(known) = self.known.get_mut(&before).filter(|known| known.bad) {
            known.bad = false;
            before = known.previous();
        }
        let mut good = vec![*hash];
        while let Some(hash) = good.pop() {
            for (child, known) in &mut self.known {
                if known.previous() == hash && known.bad && !known.refused {
                    known.bad = false;
                    good.push(*child);
                }
            }
        }
        self.activate_best();
        true
    }

    /// Makes the good block with the most work the tip.
    fn activate_best(&mut self) {
        loop {
            let good = self.known.iter().filter(|(_, known)| !known.bad);
            let best = good
                .max_by_key(|(_, known)| (known.work, std::cmp::Reverse(known.order)))
                .map(|(hash, _)| *hash);
            match best.map(|best| self.activate(best)) {
                // That one is marked now.
                Some(Err(_)) => {}
                _ => return,
            }
        }
    }
}

#[cfg(test)]
impl State {
    /// A block that was kept, of any branch.
    pub(super) fn some_block(&self, number: usize) -> BlockHash {
        let order = number % self.known.len();
        let (hash, _) = self.known.iter().find(|(_, known)| known.order == order).unwrap();
        *hash
    }
}

#[cfg(test)]
mod tests;
