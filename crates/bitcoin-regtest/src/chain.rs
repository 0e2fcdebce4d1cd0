//! The chain: its blocks and its tip.
//!
//! One mutex guards all of it; one condition variable wakes everybody who waits. Blocks of other branches are
//! kept; which branch is the chain is decided in [`branches`](super::branches).

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bitcoin::blockdata::constants::genesis_block;
use bitcoin::{Amount, Block, BlockHash, Network, Transaction, Txid, Work, Wtxid};

use super::branches::State;
use super::check::{self, NextBlock};
use super::events::{Event, Removal, Subscription};
use super::mempool::MempoolEntry;
use super::policy;
use super::rejection::{Rejection, ensure, reject};
use super::store::{OpenError, Record, Store};
use super::template::TemplateTx;
use super::view::View;

/// The newest block of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its hash.
    pub hash: BlockHash,
    /// Its height; the genesis block has 0.
    pub height: u32,
}

/// A regtest chain. See [the module above](super) for what it checks and what it does not.
#[derive(Debug)]
pub struct Chain {
    state: Mutex<State>,
    /// Where it is kept on disk. Locked after the state, and used under its lock: who reads the chain waits while a block
    /// is written.
    store: Option<Mutex<Store>>,
    pub(super) changed: Condvar,
    started: Instant,
}

impl Chain {
    /// A chain that holds the regtest genesis block only, in memory.
    pub fn regtest() -> Arc<Chain> {
        Chain::of(State::new(genesis_block(Network::Regtest)), None)
    }

    /// A chain that is kept in a file, which is made if it is not there (for this user only). A block is there before
    /// [`submit_block`](Chain::submit_block) returns: the chain is the same again after the process was killed. The
    /// memory pool and the time that was set are not kept. The file is locked until the chain is dropped.
    ///
    /// ```
    /// use bitcoin_regtest::{Chain, anyone_can_spend, mine_block};
    ///
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let file = dir.path().join("chain");
    /// let chain = Chain::open(&file).unwrap();
    /// let hash = mine_block(&chain, anyone_can_spend()).unwrap();
    /// assert!(Chain::open(&file).is_err(), "one node at a time");
    /// drop(chain);
    /// assert_eq!(Chain::open(&file).unwrap().tip().hash, hash);
    /// ```
    ///
    /// # Errors
    /// Another node has it, it cannot be read or written, or it is damaged; the text says what to do. A last block that
    /// was not written to its end is no error: it was never accepted.
    pub fn open(file: &Path) -> Result<Arc<Chain>, OpenError> {
        let mut state = State::new(genesis_block(Network::Regtest));
        let store = Store::open(file, |record| replay(&mut state, record))?;
        Ok(Chain::of(state, Some(Mutex::new(store))))
    }

    fn of(state: State, store: Option<Mutex<Store>>) -> Arc<Chain> {
        let (changed, started) = (Condvar::new(), Instant::now());
        Arc::new(Chain { state: Mutex::new(state), store, changed, started })
    }

    /// Whether the chain is kept in a file.
    pub fn is_on_disk(&self) -> bool {
        self.store.is_some()
    }

    /// Puts this in the chain's file, if it has one.
    fn write(&self, record: &Record) -> Result<(), Rejection> {
        let Some(store) = &self.store else { return Ok(()) };
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        store.add(record).map_err(|problem| {
            let path = store.path().display();
            let text = format!("the chain's file {path} cannot be written ({problem}): make room there and try again");
            tracing::error!("{text}");
            reject("disk-failed", text)
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

    /// Whether the node behaves as one that still catches up: until a block is not older than a day, as in
    /// Bitcoin Core. On a fresh chain that is until the first block is mined.
    pub fn is_initial_block_download(&self) -> bool {
        self.lock().is_initial_block_download()
    }

    /// Sets the time that blocks are made and checked by, in Unix seconds, as Bitcoin Core's `setmocktime`
    /// does; none for this machine's clock. How long a wait takes does not follow it.
    pub fn set_time(&self, time: Option<u64>) {
        self.lock().clock.set(time);
    }

    /// The time that was [set](Chain::set_time).
    pub(super) fn scripted_time(&self) -> Option<u64> {
        self.lock().clock.was_set()
    }

    /// The time that blocks are made and checked by, in Unix seconds.
    pub fn time(&self) -> u64 {
        self.lock().clock.now()
    }

    /// Checks a block and keeps it. It becomes the tip if its branch has more work than the chain; blocks of
    /// the chain that are not in its branch leave it, and their transactions come back to the memory pool.
    ///
    /// # Errors
    /// The reason it was refused; the chain is then as before. A block whose branch has no more work than the
    /// chain is kept, and `inconclusive`, as in Bitcoin Core. `disk-failed`: it could not be put in the chain's file.
    pub fn submit_block(&self, block: &Block) -> Result<(), Rejection> {
        let hash = block.block_hash();
        check::check_alone(block, true, true)?;
        let mut state = self.lock();
        let before = state.tip();
        let now = state.clock.now();
        let kept = state.keep(block, now, || self.write(&Record::Block(block.clone())));
        let kept = kept.and_then(|()| state.activate(hash));
        state.tell(before);
        let tip = state.tip();
        drop(state);
        if tip != before {
            self.changed.notify_all();
        }
        kept?;
        ensure(tip != before, "inconclusive", "")
    }

    /// Checks whether a block could be the next one, without accepting it; proof of work and merkle
    /// root only if asked for, so that a template can be checked before it is solved.
    ///
    /// # Errors
    /// As [`submit_block`](Chain::submit_block), save that a block that does not build on the tip
    /// is always `inconclusive-not-best-prevblk`, as in Bitcoin Core.
    pub fn check_block(
        &self,
        block: &Block,
        check_merkle_root: bool,
        check_pow: bool,
    ) -> Result<(), Rejection> {
        let state = self.lock();
        let on_tip = block.header.prev_blockhash == state.tip().hash;
        ensure(on_tip, "inconclusive-not-best-prevblk", "")?;
        check::check_alone(block, check_merkle_root, check_pow)?;
        let next = state.next_block();
        check::check_on_tip(block, &next, state.clock.now())?;
        state.coins.check(block, next.height)
    }

    /// Treats a block and all that build on it as bad, as Bitcoin Core's `invalidateblock` does: the best of
    /// the other branches becomes the chain, which may be a shorter one. False if the block is not known, is
    /// the genesis block, or the chain's file cannot be written (the log says so).
    pub fn invalidate_block(&self, hash: &BlockHash) -> bool {
        let state = self.lock();
        let can = state.can_invalidate(hash) && self.write(&Record::Invalidated(*hash)).is_ok();
        self.change(state, |state| can && state.invalidate(hash))
    }

    /// Takes that back, also for blocks that it builds on. False if the block is not known, or the chain's file cannot
    /// be written (the log says so).
    pub fn reconsider_block(&self, hash: &BlockHash) -> bool {
        let state = self.lock();
        let can = state.known(hash).is_some() && self.write(&Record::Reconsidered(*hash)).is_ok();
        self.change(state, |state| can && state.reconsider(hash))
    }

    /// Does this, tells what has happened by it, and wakes those who wait.
    fn change(
        &self,
        mut state: MutexGuard<'_, State>,
        change: impl FnOnce(&mut State) -> bool,
    ) -> bool {
        let before = state.tip();
        let done = change(&mut state);
        state.tell(before);
        drop(state);
        self.changed.notify_all();
        done
    }

    /// Puts a transaction in the memory pool, from which templates take it. Its script and signatures are not
    /// checked. One that spends the same as others takes their place if it pays more than they do, as BIP 125 says.
    ///
    /// # Errors
    /// The reason it was refused, in Bitcoin Core's words.
    pub fn submit_transaction(&self, transaction: Transaction) -> Result<(), Rejection> {
        self.submit(transaction, 0, None)
    }

    /// The same for one that is to be relayed: it is also refused if it pays less than
    /// [`MIN_RELAY_FEE`](super::MIN_RELAY_FEE), or its fee is above `max_fee` where there is one.
    ///
    /// # Errors
    /// As [`submit_transaction`](Chain::submit_transaction).
    pub fn broadcast(
        &self,
        transaction: Transaction,
        max_fee: Option<Amount>,
    ) -> Result<(), Rejection> {
        self.submit(transaction, policy::MIN_RELAY_FEE, max_fee)
    }

    /// `rate`: satoshis for 1,000 virtual bytes that it has to pay.
    fn submit(
        &self,
        transaction: Transaction,
        rate: u64,
        max_fee: Option<Amount>,
    ) -> Result<(), Rejection> {
        let state = &mut *self.lock();
        let next = state.next_block();
        let accepted = state.mempool.check(&transaction, &state.coins, &next)?;
        let (fee, least) = (accepted.fee, policy::fee_at(rate, transaction.vsize() as u64));
        ensure(fee >= least, "min relay fee not met", format!("{fee} < {least}"))?;
        ensure(
            max_fee.is_none_or(|most| fee <= most),
            "max-fee-exceeded",
            "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)",
        )?;
        let transaction = Arc::new(transaction);
        let replaced = state.mempool.add(Arc::clone(&transaction), accepted);
        state.note_removed(replaced, Removal::Replaced);
        state.note([Event::TransactionAdded(transaction)]);
        state.tell(state.tip());
        Ok(())
    }

    /// What happens from now on, and the tip and the memory pool of this moment: nothing is lacking in between, and
    /// nothing is there twice. `limit`: the bytes that unread events may hold; a subscriber that is further behind is let
    /// go. [`Subscription::LIMIT`] is right for most.
    ///
    /// ```
    /// use bitcoin_regtest::{Chain, Event, Subscription, anyone_can_spend, mine_block};
    ///
    /// let chain = Chain::regtest();
    /// let (tip, mempool, events) = chain.subscribe(Subscription::LIMIT);
    /// assert_eq!((tip.height, mempool.len()), (0, 0));
    /// let hash = mine_block(&chain, anyone_can_spend()).unwrap();
    /// let Some(Event::BlockConnected(block)) = events.next() else { unreachable!() };
    /// assert_eq!((block.hash, block.height), (hash, 1));
    /// assert_eq!(events.next(), Some(Event::TipChanged(chain.tip())));
    /// ```
    pub fn subscribe(&self, limit: usize) -> (Tip, Vec<MempoolEntry>, Subscription) {
        let mut state = self.lock();
        let mempool = state.mempool.all().cloned().collect();
        (state.tip(), mempool, state.subscribers.add(limit))
    }

    /// Look-ups that are of one moment. The chain cannot change, and no other thread can read it, while there is such a
    /// view; its thread must not call the chain.
    pub fn view(&self) -> View<'_> {
        View::new(self.lock())
    }

    /// The transactions of the memory pool, each after those that it needs.
    pub fn mempool(&self) -> Vec<Transaction> {
        self.lock().mempool.all().map(|entry| Transaction::clone(&entry.transaction)).collect()
    }

    /// The transaction of the memory pool with this id.
    pub fn mempool_transaction(&self, txid: &Txid) -> Option<Transaction> {
        let state = self.lock();
        state.mempool.entry(txid).map(|entry| Transaction::clone(&entry.transaction))
    }

    /// The same by its witness id.
    pub fn mempool_transaction_by_wtxid(&self, wtxid: &Wtxid) -> Option<Transaction> {
        let state = self.lock();
        state.mempool.by_wtxid(wtxid).map(|entry| Transaction::clone(&entry.transaction))
    }

    /// The value of a coin of the chain that is not spent there.
    pub fn coin(&self, outpoint: &bitcoin::OutPoint) -> Option<Amount> {
        self.lock().coins.value(outpoint)
    }

    /// What the next block has to contain, the time, and transactions for it, all of one moment. `weight`: of
    /// the transactions at most; none are wanted without it.
    pub(super) fn for_template(&self, weight: Option<u64>) -> (NextBlock, u64, Vec<TemplateTx>) {
        let state = self.lock();
        let selected = weight.map(|weight| state.mempool.select(weight));
        (state.next_block(), state.clock.now(), selected.unwrap_or_default())
    }

    /// The block with this hash, also of another branch.
    pub fn block_by_hash(&self, hash: &BlockHash) -> Option<Arc<Block>> {
        self.lock().stored(hash)
    }

    /// The block at this height of the chain.
    pub fn block_by_height(&self, height: u32) -> Option<Arc<Block>> {
        self.lock().entry(height).map(|entry| entry.block.clone())
    }

    /// The hash of the block at this height of the chain.
    pub fn hash_at(&self, height: u32) -> Option<BlockHash> {
        self.lock().entry(height).map(|entry| entry.hash)
    }

    /// The height of the block with this hash, if it is in the chain.
    pub fn height_of(&self, hash: &BlockHash) -> Option<u32> {
        self.lock().height_of(hash)
    }

    /// The work of all blocks up to this height of the chain.
    pub fn work_at(&self, height: u32) -> Option<Work> {
        self.lock().entry(height).map(|entry| entry.work)
    }

    /// The median of the times of the (up to) 11 blocks that end at this height, Unix seconds (BIP
    /// 113).
    pub fn median_time_past(&self, height: u32) -> Option<u32> {
        let state = self.lock();
        let hash = state.entry(height)?.hash;
        Some(state.median_time_past(&hash))
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

/// Does again what is in the chain's file.
fn replay(state: &mut State, record: Record) -> Result<(), String> {
    match record {
        Record::Block(block) => {
            let hash = block.block_hash();
            check::check_alone(&block, true, true)
                // Its time was right when it came.
                .and_then(|()| state.keep(&block, u64::MAX, || Ok(())))
                .map_err(|why| format!("the block {hash} does not fit: {why}"))?;
            // Refused now as it was then.
            let _ = state.activate(hash);
            Ok(())
        }
        // False for a block that was refused and so is not in the file: nothing changed then, either.
        Record::Invalidated(hash) => {
            state.invalidate(&hash);
            Ok(())
        }
        Record::Reconsidered(hash) => {
            state.reconsider(&hash);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
