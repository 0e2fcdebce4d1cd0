//! Response batching: where a thread runs several calls one after the other, and they are quick, their
//! answers wait for that of the last, and one write sends them all.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::task::Task;
use crate::connection::{ArcConn, WeakConn};

/// A call is quick if it took less. Only the answer after a quick call waits for the next one.
const QUICK_CALL: Duration = Duration::from_micros(50);
/// How many answers wait at most.
const MAX_WAITING: u32 = 32;
/// This many calls in a row that are not quick make a batch slow.
const SLOW_CALLS: u8 = 2;

thread_local! {
    /// While this thread runs a call whose answer is to wait for the next call's: their connection.
    static ANSWER_WAITS: RefCell<Option<WeakConn>> = const { RefCell::new(None) };
}

/// Whether this thread is about to answer another call of the connection, so that the answer of the one
/// that it runs now need not be written yet.
pub(crate) fn batch_continues(conn: &ArcConn) -> bool {
    let is_of = |waits: &RefCell<Option<WeakConn>>| {
        let waits = waits.borrow();
        waits.as_ref().is_some_and(|waits| std::ptr::eq(waits.as_ptr(), ArcConn::as_ptr(conn)))
    };
    ANSWER_WAITS.try_with(is_of).unwrap_or_default()
}

/// Ends the batch before the current thread waits: no further answer follows soon.
pub(super) fn end_batch() {
    let _ = ANSWER_WAITS.try_with(RefCell::take);
}

/// The calls that one thread runs one after the other.
#[derive(Default)]
pub(super) struct Batch {
    /// The last call was quick.
    quick: bool,
    /// How many calls in a row were not.
    slow: u8,
    /// How many answers wait.
    waiting: u32,
    /// When the next call begins, where it follows the last one at once: saves a look at the clock.
    next_begins: Option<Instant>,
}

impl Batch {
    /// For calls that follow others, which were quick or not.
    pub(super) fn after(quick: bool) -> Batch {
        Batch { quick, slow: if quick { 0 } else { SLOW_CALLS }, ..Batch::default() }
    }

    /// Whether the calls take long. A single slow one does not count, as the scheduler may have run
    /// another thread meanwhile.
    pub(super) fn is_slow(&self) -> bool {
        self.slow >= SLOW_CALLS
    }

    /// Runs a call. `next`: another call is there already. It is taken to be of the same connection.
    pub(super) fn run(&mut self, task: Task, next: bool) {
        let waits = next && self.quick && self.waiting < MAX_WAITING;
        self.waiting = if waits { self.waiting + 1 } else { 0 };
        ANSWER_WAITS.set(waits.then(|| task.connection()));
        let began = self.next_begins.take().unwrap_or_else(Instant::now);
        task.run();
        let ended = Instant::now();
        self.next_begins = next.then_some(ended);
        self.quick = ended.saturating_duration_since(began) < QUICK_CALL;
        self.slow = if self.quick { 0 } else { self.slow.saturating_add(1) };
        ANSWER_WAITS.set(None);
    }
}
