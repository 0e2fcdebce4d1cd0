//! What the node tells a wallet of, until the wallet's thread gets to it.
//!
//! The queue is bounded. When it is full, what is in it is dropped and the wallet looks at the chain itself instead,
//! from its own tip, which finds the same and more.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bitcoin_ipc::bitcoin::{Block, BlockHash, Transaction};
use bitcoin_ipc_draft::values::RemovalReason;

use crate::vault::BlockId;

/// Events in a queue at most.
const MOST_EVENTS: usize = 10_000;
/// Bytes of the blocks and transactions in a queue at most.
const MOST_BYTES: usize = 32 << 20;

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
    /// Follow the chain from the wallet's own tip to the chain's. `rescan`: first go back to this block. `mempool`:
    /// look at the whole memory pool afterwards.
    CatchUp { rescan: Option<BlockId>, mempool: bool },
    /// Take in what the node has told.
    Event(Event),
    /// Nothing until this moment.
    Time,
    /// End.
    Stop,
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
    /// The memory pool is to be looked at after that.
    mempool: bool,
    /// The number of what the thread is doing.
    under_way: Option<u64>,
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
        [self.under_way, self.catch_up, waiting].into_iter().flatten().min().unwrap_or(self.next)
    }

    fn want_catch_up(&mut self, from: u64) {
        self.catch_up = Some(self.catch_up.map_or(from, |wanted| wanted.min(from)));
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
            state.next += 1;
            state.want_catch_up(oldest);
            state.mempool = true;
        } else {
            let number = state.next;
            state.next += 1;
            state.bytes += size;
            state.events.push_back((number, event));
        }
        self.changed.notify_all();
    }

    /// Has the thread follow the chain from the wallet's own tip; and look at the memory pool then, if that is said.
    pub(super) fn catch_up(&self, mempool: bool) {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.want_catch_up(number);
        state.mempool |= mempool;
        self.changed.notify_all();
    }

    /// Has the thread go back to this block and follow the chain from there.
    pub(super) fn rescan(&self, from: BlockId) {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.want_catch_up(number);
        // Of several the lowest: it has the others in it.
        if state.rescan.is_none_or(|other| from.height < other.height) {
            state.rescan = Some(from);
        }
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

    /// What is next for the thread, which has done what it got before. Waits for it until `until`.
    pub(super) fn next(&self, until: Instant) -> Work {
        let mut state = self.lock();
        state.under_way = None;
        self.changed.notify_all();
        loop {
            if state.stopped {
                return Work::Stop;
            }
            if std::mem::take(&mut state.hurry) {
                return Work::Time;
            }
            if let Some(number) = state.catch_up.take() {
                state.under_way = Some(number);
                let (rescan, mempool) = (state.rescan.take(), std::mem::take(&mut state.mempool));
                return Work::CatchUp { rescan, mempool };
            }
            if let Some((number, event)) = state.events.pop_front() {
                state.bytes -= event.size();
                state.under_way = Some(number);
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

    /// Waits until all that is in the queue now is done, or the queue was stopped, or `enough`, which is asked again
    /// after each [`wake`](Queue::wake).
    pub(super) fn wait_done(&self, enough: impl Fn() -> bool) {
        let mut state = self.lock();
        let before = state.next;
        while state.oldest() < before && !state.stopped && !enough() {
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
mod tests {
    use super::*;
    use bitcoin_ipc::bitcoin::Network;
    use bitcoin_ipc::bitcoin::constants::genesis_block;
    use bitcoin_ipc::bitcoin::hashes::Hash;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    fn disconnected() -> Event {
        Event::Disconnected { hash: BlockHash::all_zeros(), previous: BlockHash::all_zeros() }
    }

    fn now(queue: &Queue) -> Work {
        queue.next(Instant::now())
    }

    #[test]
    fn events_come_out_in_order_and_catching_up_first() {
        let queue = Queue::default();
        assert!(matches!(now(&queue), Work::Time));
        queue.push(Event::Connected { block: genesis_block(Network::Regtest), height: 0 });
        queue.push(disconnected());
        queue.catch_up(false);
        queue.catch_up(true);
        assert!(matches!(now(&queue), Work::CatchUp { mempool: true, rescan: None }));
        assert!(matches!(now(&queue), Work::Event(Event::Connected { height: 0, .. })));
        queue.hurry();
        assert!(matches!(now(&queue), Work::Time));
        assert!(matches!(now(&queue), Work::Event(Event::Disconnected { .. })));
        assert!(matches!(now(&queue), Work::Time));
        queue.stop();
        queue.push(disconnected());
        assert!(matches!(now(&queue), Work::Stop));
    }

    #[test]
    fn what_does_not_fit_becomes_catching_up() {
        let queue = Queue::default();
        for _ in 0..=MOST_EVENTS {
            queue.push(disconnected());
        }
        assert!(queue.lock().events.is_empty());
        queue.push(disconnected());
        assert!(matches!(now(&queue), Work::CatchUp { mempool: true, rescan: None }));
        assert!(matches!(now(&queue), Work::Event(_)));
        assert!(matches!(now(&queue), Work::Time));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut block = genesis_block(Network::Regtest);
        let tx = block.txdata[0].clone();
        block.txdata = vec![tx; 50_000];
        let size = block.total_size();
        let queue = Queue::default();
        for _ in 0..=MOST_BYTES / size {
            queue.push(Event::Connected { block: block.clone(), height: 1 });
        }
        assert!(queue.lock().bytes <= MOST_BYTES);
        assert!(matches!(now(&queue), Work::CatchUp { mempool: true, rescan: None }));
    }

    #[test]
    fn only_the_end_of_the_last_subscription_counts() {
        let queue = Queue::default();
        let (first, second) = (queue.new_subscription(), queue.new_subscription());
        queue.unsubscribed(first);
        assert!(!queue.take_unsubscribed());
        assert!(matches!(now(&queue), Work::Time));
        queue.unsubscribed(second);
        assert!(matches!(now(&queue), Work::CatchUp { mempool: true, rescan: None }));
        assert!(queue.take_unsubscribed() && !queue.take_unsubscribed());
        queue.unsubscribed(second);
        assert_eq!(queue.new_subscription(), 3);
        assert!(!queue.take_unsubscribed(), "another has taken its place");
    }

    #[test]
    fn who_waits_is_woken_when_what_was_there_is_done() {
        let queue = Arc::new(Queue::default());
        queue.wait_done(|| false);
        queue.push(disconnected());
        queue.push(disconnected());
        let waiting = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                queue.wait_done(|| false);
                queue.lock().oldest()
            }
        });
        assert!(matches!(now(&queue), Work::Event(_)));
        assert!(matches!(now(&queue), Work::Event(_)));
        // The second is under way: it ends with the next question.
        assert_eq!(queue.lock().oldest(), 1);
        assert!(matches!(now(&queue), Work::Time));
        assert_eq!(waiting.join().unwrap(), 2);
        assert!(queue.pause(Instant::now()));
        queue.stop();
        assert!(!queue.pause(Instant::now() + Duration::from_secs(60)));
        queue.wait_done(|| false);
    }
}
