//! What happens to the chain and the memory pool, told to those who have subscribed.
//!
//! Each subscriber has a queue of its own. It is filled under the chain's lock, so the events are in order and without
//! gaps; it is emptied by the subscriber's thread, which may take its time and call the chain.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bitcoin::{Block, BlockHash, Transaction};

use super::chain::Tip;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A transaction is in the memory pool.
    TransactionAdded(Arc<Transaction>),
    /// It is not there any more.
    TransactionRemoved(Arc<Transaction>, Removal),
    /// The block is the tip.
    BlockConnected(BlockEntry),
    /// The block was the tip, and is not in the chain any more.
    BlockDisconnected(BlockEntry),
    /// The tip is another one, after all blocks that have left and joined the chain at once.
    TipChanged(Tip),
}

/// Why a transaction left the memory pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removal {
    /// It is in a block.
    Block,
    /// A block has one that spends the same, or something that it needs.
    Conflict,
    /// Another one that pays more took its place, or that of one that it needs.
    Replaced,
    /// After blocks have left the chain it cannot be in the next block.
    Reorg,
}

/// A block that was kept, of any branch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BlockEntry {
    /// The block.
    pub block: Arc<Block>,
    /// Its hash.
    pub hash: BlockHash,
    /// Its height.
    pub height: u32,
    /// The latest time of it and those before it, Unix seconds.
    pub max_time: u32,
    /// How many transactions it and those before it have.
    pub transactions: u64,
}

/// All queues.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Vec<Arc<Queue>>);

impl Subscribers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, limit: usize) -> Subscription {
        let state = Mutex::new(State { limit, ..State::default() });
        let queue = Arc::new(Queue { state, changed: Condvar::new() });
        self.0.push(Arc::clone(&queue));
        Subscription { queue }
    }

    /// Tells all of them.
    pub(super) fn tell(&mut self, events: &[Event]) {
        self.0.retain(|queue| queue.push(events));
    }
}

/// The chain is gone: nothing will happen any more.
impl Drop for Subscribers {
    fn drop(&mut self) {
        self.0.iter().for_each(|queue| queue.close());
    }
}

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    /// What they hold in memory.
    bytes: usize,
    limit: usize,
    /// How many have come, and with how many the subscriber has finished.
    come: u64,
    finished: u64,
    /// The subscriber works on one.
    under_way: bool,
    /// Nothing comes any more: what is there is still read.
    closed: bool,
    let_go: bool,
    /// Counts `wake()`: a wait asks its `cancelled` again when this changes.
    wakes: u64,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to it. False if the subscriber gets no more.
    fn push(&self, events: &[Event]) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.bytes += events.iter().map(size_of_event).sum::<usize>();
        if state.bytes > state.limit {
            tracing::warn!(
                "a subscriber to the chain is {} events behind, and is let go",
                state.events.len()
            );
            (state.events, state.bytes) = (VecDeque::new(), 0);
            (state.closed, state.let_go) = (true, true);
        } else {
            state.come += events.len() as u64;
            state.events.extend(events.iter().cloned());
        }
        self.changed.notify_all();
        !state.closed
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn end(&self) {
        let mut state = self.lock();
        (state.events, state.bytes) = (VecDeque::new(), 0);
        state.closed = true;
        self.changed.notify_all();
    }
}

/// What an event holds in memory until it is read. Blocks are the chain's own.
fn size_of_event(event: &Event) -> usize {
    let transaction = match event {
        Event::TransactionAdded(transaction) | Event::TransactionRemoved(transaction, _) => {
            transaction.total_size()
        }
        Event::BlockConnected(_) | Event::BlockDisconnected(_) | Event::TipChanged(_) => 0,
    };
    size_of::<Event>() + transaction
}

/// The events of a chain since [`Chain::subscribe`](super::Chain::subscribe), for one thread to read. Dropped, it ends.
#[derive(Debug)]
pub struct Subscription {
    queue: Arc<Queue>,
}

impl Subscription {
    /// What most subscribers need as the limit of [`Chain::subscribe`](super::Chain::subscribe): 32 MiB, some 100,000
    /// events.
    pub const LIMIT: usize = 32 << 20;

    /// The next event: waits for it on the calling thread. By the call the subscriber has also finished with the one
    /// before it. None when there will be no more: it was ended, was let go, or the chain is gone.
    pub fn next(&self) -> Option<Event> {
        let mut state = self.queue.lock();
        if std::mem::take(&mut state.under_way) {
            state.finished += 1;
            self.queue.changed.notify_all();
        }
        loop {
            if let Some(event) = state.events.pop_front() {
                state.bytes -= size_of_event(&event);
                state.under_way = true;
                return Some(event);
            }
            if state.closed {
                return None;
            }
            state = self.queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether it got no more because it was too far behind. Then it has missed events.
    pub fn was_let_go(&self) -> bool {
        self.queue.lock().let_go
    }

    /// What other threads may do with it.
    pub fn control(&self) -> SubscriptionControl {
        SubscriptionControl { queue: Arc::clone(&self.queue) }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.queue.end();
        let mut state = self.queue.lock();
        state.under_way = false;
        drop(state);
        self.queue.changed.notify_all();
    }
}

/// Ends a [`Subscription`], or waits for its thread.
#[derive(Clone, Debug)]
pub struct SubscriptionControl {
    queue: Arc<Queue>,
}

impl SubscriptionControl {
    /// Ends it: its thread gets no event any more, also none of those that wait for it.
    pub fn end(&self) {
        self.queue.end();
    }

    /// Whether nothing comes any more.
    pub fn is_ended(&self) -> bool {
        self.queue.lock().closed
    }

    /// Waits until the subscriber has finished with all that has happened before this call, or it gets no more events
    /// and does nothing; for `timeout` at most. `cancelled` ends the wait, too: it is asked at the start and after each
    /// [`wake`](SubscriptionControl::wake), with no lock held. False if one of these ended it.
    pub fn wait_finished(&self, timeout: Option<Duration>, cancelled: &dyn Fn() -> bool) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let changed = &self.queue.changed;
        let mut state = self.queue.lock();
        let target = state.come;
        loop {
            // Read before `cancelled` is called, so that a wake between that call and the wait is not lost.
            let wakes = state.wakes;
            drop(state);
            if cancelled() {
                return false;
            }
            state = self.queue.lock();
            while state.wakes == wakes {
                let idle = state.closed && state.events.is_empty() && !state.under_way;
                if state.finished >= target || idle {
                    return true;
                }
                let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
                state = match left {
                    Some(Duration::ZERO) => return false,
                    Some(left) => {
                        let waited = changed.wait_timeout(state, left);
                        waited.unwrap_or_else(PoisonError::into_inner).0
                    }
                    None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                };
            }
        }
    }

    /// Has those who wait ask again whether they were cancelled.
    pub fn wake(&self) {
        self.queue.lock().wakes += 1;
        self.queue.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
