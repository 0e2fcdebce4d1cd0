//! What the node tells a wallet of, until the wallet's thread gets to it.
//!
//! The queue is bounded. When it is full, what is in it is dropped and the wallet looks at the chain itself instead,
//! from its own tip, which finds the same and more.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bitcoin_ipc::bitcoin::{Block, BlockHash, Transaction};
use bitcoin_ipc_draft::values::RemovalReason;

use crate::vault::BlockId;

/// Events in a queue at most.
const MOST_EVENTS: usize = 10_000;
/// Bytes of the blocks and transactions in a queue at most.
const MOST_BYTES: usize = 32 << 20;
/// So often the same may fail, one time after the other, until nobody waits for it any more.
const MOST_FAILURES: u32 = 4;

/// Something that the node tells a wallet of.
#[derive(Debug)]
pub(super) enum Event {
    /// The block is the chain's tip, at this height.
    Connected { block: Block, height: i32 },
    /// The block was the tip, and is not in the chain any more.
    Disconnected { hash: BlockHash, previous: BlockHash },
    /// The transaction is in the memory pool.
    Added(Transaction),
    /// It is not there any more.
    Removed(Transaction, RemovalReason),
}

impl Event {
    fn size(&self) -> usize {
        match self {
            Event::Connected { block, .. } => block.total_size(),
            Event::Disconnected { .. } => size_of::<Event>(),
            Event::Added(tx) | Event::Removed(tx, _) => tx.total_size(),
        }
    }
}

/// What a wallet's thread has to do next.
#[derive(Debug)]
pub(super) enum Work {
    /// Follow the chain from the wallet's own tip to the chain's. `rescan`: first go back to this block.
    CatchUp { rescan: Option<BlockId> },
    /// Look at the whole memory pool.
    Mempool,
    /// Take in what the node has told.
    Event(Event),
    /// Nothing until this moment.
    Time,
    /// End.
    Stop,
}

/// What the thread is doing, to be done again if it fails.
#[derive(Debug, Clone, Copy)]
enum Doing {
    CatchUp { rescan: Option<BlockId> },
    Mempool,
    Event,
}

/// Why something that is waited for is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotDone {
    /// The thread has ended.
    Stopped,
    /// It fails again and again, the last time for this reason. It is still tried again.
    Failing(String),
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotDone::Stopped => {
                f.write_str("the wallet does not follow the chain any more: load it again")
            }
            NotDone::Failing(problem) => {
                write!(f, "the wallet does not get on with the chain, and tries again: {problem}")
            }
        }
    }
}

/// A wallet's queue. Whoever puts something in never waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<(u64, Event)>,
    bytes: usize,
    /// Catching up is wanted, and is for everything from this number on.
    catch_up: Option<u64>,
    /// It is to begin with this block.
    rescan: Option<BlockId>,
    /// The memory pool is to be looked at after that, for everything from this number on.
    mempool: Option<u64>,
    /// What the thread is doing, and its number.
    under_way: Option<(u64, Doing)>,
    /// How often something has failed, until it was done: its number, and why the last time.
    failures: u32,
    failed: u64,
    problem: String,
    /// The number of what comes next.
    next: u64,
    hurry: bool,
    /// The number of the last subscription to the node's notifications.
    subscription: u64,
    /// The node has ended that.
    unsubscribed: bool,
    stopped: bool,
}

impl State {
    /// The number of the oldest that is not done.
    fn oldest(&self) -> u64 {
        let waiting = self.events.front().map(|(number, _)| *number);
        let under_way = self.under_way.map(|(number, _)| number);
        let all = [under_way, self.catch_up, self.mempool, waiting];
        all.into_iter().flatten().min().unwrap_or(self.next)
    }

    fn new_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn want_catch_up(&mut self, from: u64) {
        self.catch_up = Some(self.catch_up.map_or(from, |wanted| wanted.min(from)));
    }

    fn want_rescan(&mut self, from: BlockId) {
        // Of several the lowest: it has the others in it.
        if self.rescan.is_none_or(|other| from.height < other.height) {
            self.rescan = Some(from);
        }
    }

    fn want_mempool(&mut self, from: u64) {
        self.mempool = Some(self.mempool.map_or(from, |wanted| wanted.min(from)));
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event in.
    pub(super) fn push(&self, event: Event) {
        let mut state = self.lock();
        if state.stopped {
            return;
        }
        let size = event.size();
        if state.events.len() >= MOST_EVENTS || state.bytes.saturating_add(size) > MOST_BYTES {
            let oldest = state.oldest();
            tracing::debug!(
                events = state.events.len(),
                "a wallet falls behind: it looks at the chain itself"
            );
            state.events.clear();
            state.bytes = 0;
            state.new_number();
            state.want_catch_up(oldest);
            state.want_mempool(oldest);
        } else {
            let number = state.new_number();
            state.bytes += size;
            state.events.push_back((number, event));
        }
        self.changed.notify_all();
    }

    /// Has the thread follow the chain from the wallet's own tip; and look at the memory pool then, if that is said.
    pub(super) fn catch_up(&self, mempool: bool) {
        let mut state = self.lock();
        let number = state.new_number();
        state.want_catch_up(number);
        if mempool {
            state.want_mempool(number);
        }
        self.changed.notify_all();
    }

    /// Has the thread go back to this block and follow the chain from there.
    pub(super) fn rescan(&self, from: BlockId) {
        let mut state = self.lock();
        let number = state.new_number();
        state.want_catch_up(number);
        state.want_rescan(from);
        self.changed.notify_all();
    }

    /// The number of a subscription that is made now. What becomes of those before it does not matter any more.
    pub(super) fn new_subscription(&self) -> u64 {
        let mut state = self.lock();
        state.subscription += 1;
        state.unsubscribed = false;
        state.subscription
    }

    /// The node tells nothing more for this subscription. If it is the last, the thread has to make another, and to
    /// look at what it was not told of.
    pub(super) fn unsubscribed(&self, subscription: u64) {
        let is_last = {
            let mut state = self.lock();
            let is_last = state.subscription == subscription && !state.stopped;
            state.unsubscribed |= is_last;
            is_last
        };
        if is_last {
            self.catch_up(true);
        }
    }

    /// Whether the node has ended the last subscription, said once.
    pub(super) fn take_unsubscribed(&self) -> bool {
        std::mem::take(&mut self.lock().unsubscribed)
    }

    /// Has the thread do now what is due later.
    pub(super) fn hurry(&self) {
        self.lock().hurry = true;
        self.changed.notify_all();
    }

    /// What the thread is doing has failed: it is to be done again. It keeps its number, so that those who wait for it
    /// wait on. What an event told is found by looking at the chain and the memory pool. Returns how often that has failed
    /// until now; 0 for what is not to be done again.
    pub(super) fn failed(&self, problem: &str) -> u32 {
        let mut state = self.lock();
        let Some((number, doing)) = state.under_way.take() else { return 0 };
        match doing {
            Doing::CatchUp { rescan } => {
                state.want_catch_up(number);
                if let Some(from) = rescan {
                    state.want_rescan(from);
                }
            }
            Doing::Mempool => state.want_mempool(number),
            Doing::Event => {
                state.want_catch_up(number);
                state.want_mempool(number);
            }
        }
        state.failures = state.failures.saturating_add(1);
        (state.failed, state.problem) = (number, problem.to_owned());
        self.changed.notify_all();
        state.failures
    }

    /// The rescan that the thread was to do cannot begin: it is to follow the chain from the wallet's own tip instead.
    pub(super) fn refused(&self) {
        let mut state = self.lock();
        if let Some((number, _)) = state.under_way.take() {
            state.want_catch_up(number);
        }
    }

    /// What is next for the thread, which has done what it got before, unless it said otherwise. Waits for it until
    /// `until`.
    pub(super) fn next(&self, until: Instant) -> Work {
        let mut state = self.lock();
        state.under_way = None;
        if state.oldest() > state.failed {
            state.failures = 0;
        }
        self.changed.notify_all();
        loop {
            if state.stopped {
                return Work::Stop;
            }
            if std::mem::take(&mut state.hurry) {
                return Work::Time;
            }
            if let Some(number) = state.catch_up.take() {
                let rescan = state.rescan.take();
                state.under_way = Some((number, Doing::CatchUp { rescan }));
                return Work::CatchUp { rescan };
            }
            // Where something fails it does not hold up what the node tells.
            if (state.failures == 0 || state.events.is_empty())
                && let Some(number) = state.mempool.take()
            {
                state.under_way = Some((number, Doing::Mempool));
                return Work::Mempool;
            }
            if let Some((number, event)) = state.events.pop_front() {
                state.bytes -= event.size();
                state.under_way = Some((number, Doing::Event));
                return Work::Event(event);
            }
            let Some(left) =
                until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                return Work::Time;
            };
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until all that is in the queue now is done, or `enough`, which is asked again after each
    /// [`wake`](Queue::wake).
    ///
    /// # Errors
    /// The queue was stopped, or what is waited for fails again and again.
    pub(super) fn wait_done(&self, enough: impl Fn() -> bool) -> Result<(), NotDone> {
        let mut state = self.lock();
        let before = state.next;
        loop {
            if state.stopped {
                return Err(NotDone::Stopped);
            }
            if state.oldest() >= before || enough() {
                return Ok(());
            }
            if state.failures >= MOST_FAILURES {
                return Err(NotDone::Failing(state.problem.clone()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has those who wait ask again.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Waits until `until`, or the queue was stopped: true if it was not.
    pub(super) fn pause(&self, until: Instant) -> bool {
        let mut state = self.lock();
        while !state.stopped {
            let Some(left) =
                until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                return true;
            };
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Ends it: nothing more is taken in, and the thread is told to end.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        state.events.clear();
        state.bytes = 0;
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }
}

#[cfg(test)]
mod tests;
