//! Calls that came together are answered together: the answers of all but the last wait for it, so
//! that one write sends them.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::task::Task;
use crate::connection::{ArcConn, WeakConn};

/// The answer of one call waits for another only where the last one took no longer.
const QUICK: Duration = Duration::from_micros(50);
/// And of so many at once only.
const MOST: u32 = 32;
/// So many in a row that are not quick take long.
const SLOW: u8 = 2;

thread_local! {
    /// The connection of the call that this thread runs, where another of its calls follows at once.
    static FOLLOWS: RefCell<Option<WeakConn>> = const { RefCell::new(None) };
}

/// Whether this thread is about to answer another call of the connection.
pub(crate) fn more_follows(conn: &ArcConn) -> bool {
    FOLLOWS.with_borrow(|follows| {
        follows
            .as_ref()
            .is_some_and(|follows| std::ptr::eq(follows.as_ptr(), ArcConn::as_ptr(conn)))
    })
}

/// A thread gives up for a while what it does, and what it was about to do.
pub(super) fn none_follows() {
    FOLLOWS.set(None);
}

/// The calls that one thread runs one after the other.
#[derive(Default)]
pub(super) struct Batch {
    /// The last call was quick.
    quick: bool,
    /// How many in a row were not.
    slow: u8,
    count: u32,
    /// When the next call begins, where it is there already.
    next_begins: Option<Instant>,
}

impl Batch {
    /// For calls that come after others that were quick or not.
    pub(super) fn after(quick: bool) -> Batch {
        Batch { quick, slow: if quick { 0 } else { SLOW }, ..Batch::default() }
    }

    /// Whether the calls take long. One that did may have lost its processor to another thread.
    pub(super) fn is_slow(&self) -> bool {
        self.slow >= SLOW
    }

    /// Runs a call. `next`: another is there already, of the same connection as far as is known.
    pub(super) fn run(&mut self, task: Task, next: bool) {
        let waits = next && self.quick && self.count < MOST;
        self.count = if waits { self.count + 1 } else { 0 };
        FOLLOWS.set(waits.then(|| task.connection()));
        let began = self.next_begins.take().unwrap_or_else(Instant::now);
        task.run();
        let ended = Instant::now();
        self.next_begins = next.then_some(ended);
        self.quick = ended.saturating_duration_since(began) < QUICK;
        self.slow = if self.quick { 0 } else { self.slow.saturating_add(1) };
        FOLLOWS.set(None);
    }
}
