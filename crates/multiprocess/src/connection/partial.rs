//! Long messages that have begun and not ended. A peer can leave one so for a while, and there can be many
//! peers: so all together may hold so many bytes, and beyond that the oldest are given up.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::conn::{ArcConn, Conn, WeakConn};
use crate::limits_met::Limit;
use crate::{Error, ProcessLimits};

/// The connections with such a message, in the order in which those began.
static PARTIAL: Mutex<Vec<Partial>> = Mutex::new(Vec::new());

struct Partial {
    conn: WeakConn,
    bytes: usize,
    /// It is about to end.
    given_up: bool,
}

fn partial() -> MutexGuard<'static, Vec<Partial>> {
    PARTIAL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Conn {
    /// Notes how much memory the message holds that has begun: none if there is none.
    pub(super) fn note_partial(self: &ArcConn, bytes: usize) {
        let before = self.has_partial.swap(bytes > 0, Ordering::Relaxed);
        if bytes == 0 && !before {
            return;
        }
        let weak = ArcConn::downgrade(self);
        let mut partial = partial();
        let place = partial.iter().position(|other| other.conn.ptr_eq(&weak));
        match (place, bytes) {
            (Some(place), 0) => drop(partial.remove(place)),
            (Some(place), bytes) => partial[place].bytes = bytes,
            (None, 0) => {}
            (None, bytes) => partial.push(Partial { conn: weak, bytes, given_up: false }),
        }
        let limit = ProcessLimits::current().partial_bytes;
        let mut all: usize = partial.iter().filter(|one| !one.given_up).map(|one| one.bytes).sum();
        for oldest in partial.iter_mut().filter(|one| !one.given_up) {
            if all <= limit {
                break;
            }
            all -= oldest.bytes;
            oldest.given_up = true;
            self.give_up_partial(oldest.conn.clone(), limit);
        }
    }

    /// Ends a connection for its message, on the driver thread: this one is reading.
    fn give_up_partial(&self, conn: WeakConn, limit: usize) {
        let end = move || {
            let Some(conn) = conn.upgrade() else { return };
            let problem = format!(
                "it began a message long ago and did not send the rest, and such messages hold more than \
                 {limit} bytes in this process (ProcessLimits::partial_bytes)"
            );
            Limit::PartialBytes.met(|| format!("a connection is ended: {problem}"));
            conn.end(Error::PeerMisbehaved { problem });
        };
        self.driver.add_timer(Instant::now(), Box::new(end));
    }

    /// The connection has ended: its message is not waited for.
    pub(super) fn forget_partial(&self) {
        if !self.has_partial.swap(false, Ordering::Relaxed) {
            return;
        }
        let own: *const Conn = self;
        partial().retain(|other| !std::ptr::eq(other.conn.as_ptr(), own));
    }
}
