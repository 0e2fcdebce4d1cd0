//! What the chain's lock guards: all blocks that were kept, which of them are the chain, its coins, and the
//! memory pool.

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::{Block, BlockHash, CompactTarget, Transaction, Work};

use super::chain::Tip;
use super::check::{self, NextBlock, REGTEST_BITS};
use super::clock::Clock;
use super::coins::{Coins, Spent};
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
    /// Once a block was not too old the node has caught up for good.
    caught_up: bool,
    /// Counts `wake_waiters()`: a wait asks its `cancelled` again when this changes.
    pub(super) wakes: u64,
    pub(super) waiters: usize,
    pub(super) shut_down: bool,
}

#[derive(Debug)]
struct Known {
    block: Arc<Block>,
    height: u32,
    /// The work of this block and all before it.
    work: Work,
    /// It, or one before it, was refused or invalidated.
    bad: bool,
    /// How many were kept before it: of two with the same work the first one counts.
    order: usize,
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
        let block = Arc::new(genesis);
        let known = Known { block: Arc::clone(&block), height: 0, work, bad: false, order: 0 };
        // Core never puts the genesis coinbase in its coins: nobody can spend it.
        State {
            known: HashMap::from([(hash, known)]),
            chain: vec![Entry { block, hash, work, spent: Spent::default() }],
            coins: Coins::default(),
            mempool: Mempool::default(),
            clock: Clock::default(),
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
        Some(Arc::clone(&self.known.get(hash)?.block))
    }

    pub(super) fn height_of(&self, hash: &BlockHash) -> Option<u32> {
        let height = self.known.get(hash)?.height;
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
        let mut next = self.known.get(last);
        while let Some(known) = next.filter(|_| times.len() < 11) {
            times.push(known.block.header.time);
            next = self.known.get(&known.block.header.prev_blockhash);
        }
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(0)
    }

    /// Keeps a block whose own contents were checked, after it was checked against those before it.
    pub(super) fn keep(&mut self, block: &Block) -> Result<(), Rejection> {
        let hash = block.block_hash();
        if let Some(known) = self.known.get(&hash) {
            return Err(reject(if known.bad { "duplicate-invalid" } else { "duplicate" }, ""));
        }
        let previous = block.header.prev_blockhash;
        let parent = self.known.get(&previous);
        let parent = parent.ok_or_else(|| reject("prev-blk-not-found", ""))?;
        ensure(!parent.bad, "bad-prevblk", "")?;
        let (height, work) = (parent.height + 1, parent.work + block.header.work());
        let next = self.next_after(previous, parent.height);
        check::check_header(block, &next, self.clock.now())?;
        let checked = check::check_body(block, &next);
        let bad = checked.is_err();
        if checked.as_ref().err().is_none_or(|why| !NOT_IN_THE_HASH.contains(&&*why.reason)) {
            let (block, order) = (Arc::new(block.clone()), self.known.len());
            self.known.insert(hash, Known { block, height, work, bad, order });
        }
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
            // Its contents again, because it may have been refused for them and then reconsidered.
            let checked = check::check_body(block, &next);
            if let Err(why) = checked.and_then(|()| self.coins.check(block, next.height)) {
                self.mark_bad(&block.block_hash());
                // Back to where it was.
                self.disconnect_above(fork);
                left.iter().rev().for_each(|block| self.connect(Arc::clone(block)));
                return Err(why);
            }
            self.connect(Arc::clone(block));
        }
        self.renew_mempool(&left);
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

    /// `left`: the blocks that have left the chain, the highest first.
    fn renew_mempool(&mut self, left: &[Arc<Block>]) {
        let returned = left.iter().rev().flat_map(|block| block.txdata.iter().skip(1));
        let returned: Vec<Transaction> = returned.cloned().collect();
        let next = self.next_block();
        self.mempool.renew(returned, &self.coins, next.height, next.min_time - 1);
    }

    /// Marks a block and those that build on it.
    fn mark_bad(&mut self, hash: &BlockHash) {
        let mut bad = vec![*hash];
        while let Some(hash) = bad.pop() {
            if let Some(known) = self.known.get_mut(&hash) {
                known.bad = true;
            }
            let children =
                self.known.iter().filter(|(_, known)| known.block.header.prev_blockhash == hash);
            bad.extend(children.map(|(child, _)| *child));
        }
    }

    pub(super) fn invalidate(&mut self, hash: &BlockHash) -> bool {
        if self.known.get(hash).is_none_or(|known| known.height == 0) {
            return false;
        }
        self.mark_bad(hash);
        if let Some(height) = self.height_of(hash) {
            let left = self.disconnect_above(height - 1);
            self.renew_mempool(&left);
        }
        self.activate_best();
        true
    }

    pub(super) fn reconsider(&mut self, hash: &BlockHash) -> bool {
        if !self.known.contains_key(hash) {
            return false;
        }
        // Those before it, and those that build on it.
        let mut before = *hash;
        while let Some(known) = self.known.get_mut(&before).filter(|known| known.bad) {
            known.bad = false;
            before = known.block.header.prev_blockhash;
        }
        let mut good = vec![*hash];
        while let Some(hash) = good.pop() {
            for (child, known) in &mut self.known {
                if known.block.header.prev_blockhash == hash && known.bad {
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
mod tests {
    use std::sync::Arc;

    use bitcoin::absolute::LockTime;
    use bitcoin::{Amount, Block};

    use crate::Chain;
    use crate::coins::subsidy;
    use crate::template::mine_block;
    use crate::testing::{block_with, coinbase_outpoint, mine, op_true, spend};

    /// The blocks that another node of the same chain mines on the block at this height.
    fn branch(chain: &Arc<Chain>, height: u32, blocks: u32) -> Vec<Arc<Block>> {
        let other = Chain::regtest();
        for height in 1..=height {
            other.submit_block(&chain.block_by_height(height).unwrap()).unwrap();
        }
        // Other blocks than those of the chain, also in the same second.
        let script = bitcoin::ScriptBuf::from_bytes(vec![0x52]);
        for _ in 0..blocks {
            mine_block(&other, script.clone()).unwrap();
        }
        (height + 1..=height + blocks)
            .map(|height| other.block_by_height(height).unwrap())
            .collect()
    }

    #[test]
    fn the_branch_with_the_most_work_is_the_chain() {
        let chain = Chain::regtest();
        mine(&chain, 103);
        let tx = spend(coinbase_outpoint(&chain, 1), subsidy(1) - Amount::ONE_SAT);
        let branch = branch(&chain, 102, 2);
        chain.invalidate_block(&chain.tip().hash);
        chain.submit_transaction(tx.clone()).unwrap();
        mine(&chain, 1);
        let left = chain.tip();
        assert!(chain.mempool().is_empty() && chain.coin(&coinbase_outpoint(&chain, 1)).is_none());

        assert_eq!(chain.submit_block(&branch[0]).unwrap_err().reason, "inconclusive");
        assert_eq!(chain.submit_block(&branch[0]).unwrap_err().reason, "duplicate");
        assert_eq!(chain.tip(), left, "no more work");
        assert_eq!(chain.submit_block(&branch[1]), Ok(()));
        assert_eq!(chain.tip().hash, branch[1].block_hash());
        assert_eq!((chain.tip().height, chain.height_of(&left.hash)), (104, None));
        assert!(chain.block_by_hash(&left.hash).is_some(), "it is kept");
        // Its transaction and the coin that it spends are there again, its coinbase's coin is not.
        assert_eq!(chain.mempool(), [tx]);
        assert_eq!(chain.coin(&coinbase_outpoint(&chain, 1)), Some(subsidy(1)));
        let gone = chain.block_by_hash(&left.hash).unwrap().txdata[0].compute_txid();
        assert!(chain.coin(&bitcoin::OutPoint { txid: gone, vout: 0 }).is_none());
        mine(&chain, 1);
        assert_eq!(chain.block_by_height(105).unwrap().txdata.len(), 2);
    }

    #[test]
    fn a_branch_that_turns_out_to_be_bad_changes_nothing() {
        let chain = Chain::regtest();
        mine(&chain, 3);
        let other = Chain::regtest();
        other.submit_block(&chain.block_by_height(1).unwrap()).unwrap();
        // Pays too much, which only shows when it is to be in the chain.
        let greedy = block_with(&other, |block| {
            block.txdata[0].output[0].value += Amount::ONE_SAT;
        });
        let on = |block: &Block, number: u32| {
            block_with(&chain, |next| {
                next.header.prev_blockhash = block.block_hash();
                next.header.time += number;
                next.txdata[0].lock_time = LockTime::from_consensus(number - 1);
                let script = crate::check::height_script(number);
                next.txdata[0].input[0].script_sig = [script.as_bytes(), &[0]].concat().into();
            })
        };
        let before = chain.tip();
        let (second, third) = (on(&greedy, 3), on(&on(&greedy, 3), 4));
        assert_eq!(chain.submit_block(&greedy).unwrap_err().reason, "inconclusive");
        assert_eq!(chain.submit_block(&second).unwrap_err().reason, "inconclusive");
        assert_eq!(chain.submit_block(&third).unwrap_err().reason, "bad-cb-amount");
        assert_eq!(chain.tip(), before);
        assert_eq!(chain.submit_block(&greedy).unwrap_err().reason, "duplicate-invalid");
        assert_eq!(chain.submit_block(&on(&third, 5)).unwrap_err().reason, "bad-prevblk");
        mine(&chain, 1);
        assert_eq!(chain.tip().height, 4);
    }

    #[test]
    fn blocks_can_be_invalidated_and_come_back() {
        let chain = Chain::regtest();
        mine(&chain, 5);
        let (tip, third) = (chain.tip(), chain.hash_at(3).unwrap());
        assert!(chain.invalidate_block(&third));
        assert_eq!(chain.tip().height, 2);
        let late = chain.block_by_hash(&tip.hash).unwrap();
        assert_eq!(chain.submit_block(&late).unwrap_err().reason, "duplicate-invalid");
        assert!(chain.reconsider_block(&tip.hash));
        assert_eq!(chain.tip(), tip);
        assert!(!chain.invalidate_block(&chain.hash_at(0).unwrap()), "the genesis block stays");
        mine_block(&chain, op_true()).unwrap();
        assert_eq!(chain.tip().height, 6);
    }

    #[test]
    fn the_first_block_of_today_ends_the_initial_download() {
        let chain = Chain::regtest();
        assert!(chain.is_initial_block_download());
        // A node that was away for long.
        let day = 24 * 60 * 60;
        chain.set_time(Some(chain.time() - 10 * day));
        mine(&chain, 1);
        assert!(!chain.is_initial_block_download());
        chain.set_time(None);
        assert!(!chain.is_initial_block_download(), "once is enough");
        let chain = Chain::regtest();
        let old = block_with(&chain, |block| block.header.time -= 2 * day as u32);
        chain.submit_block(&old).unwrap();
        assert!(chain.is_initial_block_download());
        mine(&chain, 1);
        assert!(!chain.is_initial_block_download());
    }
}
