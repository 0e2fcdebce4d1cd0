//! The end of a session in order.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::Connection;

/// How long the calls that are under way are waited for.
const SETTLE: Duration = Duration::from_secs(1);
/// How long the node's calls of this side are waited for after that.
pub(super) const DRAIN: Duration = Duration::from_millis(900);
/// How often is looked whether calls are under way. Only at the end, so it need not be a wait for an event.
const LOOK: Duration = Duration::from_millis(2);

/// The streams of a session, which end with it.
#[derive(Default)]
pub(super) struct Closing(Mutex<State>);

#[derive(Default)]
struct State {
    closed: bool,
    streams: Vec<Weak<dyn Cut>>,
}

/// A stream that can be ended from outside.
pub(super) trait Cut: Send + Sync {
    /// Ends it, with its wait, and wakes who waits for it.
    fn cut(&self);
}

impl Closing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a stream end with the session; at once if that has ended.
    pub(super) fn add(&self, stream: &Arc<impl Cut + 'static>) {
        let mut state = self.state();
        if state.closed {
            drop(state);
            return stream.cut();
        }
        state.streams.retain(|stream| stream.strong_count() > 0);
        let stream: Weak<dyn Cut> = Arc::downgrade(&(Arc::clone(stream) as Arc<dyn Cut>));
        state.streams.push(stream);
    }

    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let streams = std::mem::take(&mut state.streams);
        drop(state);
        for stream in streams {
            if let Some(stream) = stream.upgrade() {
                stream.cut();
            }
        }
    }
}

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closing").field("closed", &self.state().closed).finish_non_exhaustive()
    }
}

/// Waits until the node has answered all calls, also those that were cancelled, which it ends when they are
/// interrupted. Whether it has.
pub(super) fn settle(connection: &Connection) -> bool {
    let deadline = Instant::now() + SETTLE;
    loop {
        let [calls, ..] = connection.table_sizes();
        if calls == 0 {
            return true;
        }
        if !connection.is_connected() || Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOK);
    }
}
