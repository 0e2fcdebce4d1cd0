//! Calls that came together are answered together: the answers of all but the last wait for it, so
//! that one write sends them.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::connection::{ArcConn, WeakConn};
use crate::server::Task;

/// The answer of one call waits for another only where the last one took no longer.
const QUICK: Duration = Duration::from_micros(50);
/// And of so many at once only.
const MOST: u32 = 32;

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
    quick: bool,
    count: u32,
}

impl Batch {
    /// Whether the last call was quick.
    pub(super) fn was_quick(&self) -> bool {
        self.quick
    }

    /// Runs a call. `next`: another is there already, of the same connection as far as is known.
    pub(super) fn run(&mut self, task: Task, next: bool) {
        let waits = next && self.quick && self.count < MOST;
        self.count = if waits { self.count + 1 } else { 0 };
        FOLLOWS.set(waits.then(|| task.connection()));
        let start = Instant::now();
        task.run();
        self.quick = start.elapsed() < QUICK;
        FOLLOWS.set(None);
    }
}
