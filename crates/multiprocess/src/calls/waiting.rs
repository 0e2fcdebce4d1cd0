//! Waiting for an answer: a thread runs callbacks and reads the socket meanwhile. Also deadlines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::slot::Slot;
use crate::connection::{ArcConn, Parker, Pending, WaitingReader};
use crate::driver::{TimerId, driver};
use crate::may_block::check_may_wait_for;
use crate::threads::{Task, depth, enter_wait, relayed, release_slot, this_inbox};
use crate::{Error, Result, TimedOut};

/// How deep calls may be nested on one thread: a callback of a callback is two.
const MAX_DEPTH: usize = 64;

/// Blocks until the slot is filled, running this thread's callbacks meanwhile, and reading the
/// connection where no other thread does.
pub(super) fn wait_for_slot<T: Send + 'static>(
    slot: &Arc<Slot<T>>,
    conn: Option<&ArcConn>,
    deadline: &Deadline,
) -> Result<T> {
    // What was started may have its answer: then this does not wait.
    if let Some(conn) = conn
        && let Err(refused) = check_may_wait_for(conn.number())
        && !slot.is_over()
    {
        return Err(refused);
    }
    let inbox = this_inbox();
    release_slot();
    let _waits = enter_wait(conn);
    let waits: Arc<dyn Pending> = Arc::clone(slot) as Arc<dyn Pending>;
    // A relay's method runs on this thread: when its own caller cancels, this wait ends, too.
    let relayed = relayed();
    if let Some((token, true)) = &relayed {
        let parker = Arc::clone(inbox.parker());
        token.on_fire(move || parker.wake());
    }
    let cancelled = || relayed.as_ref().is_some_and(|(token, _)| token.is_cancelled());
    let mut reader = conn.map(|conn| WaitingReader::new(conn, inbox.parker(), &waits));
    loop {
        if let Some(answer) = slot.take() {
            return deadline.judge(answer, conn);
        }
        if cancelled() {
            return Err(Error::Cancelled);
        }
        // Before another callback begins: what has begun is not interrupted.
        if deadline.passed() {
            return Err(deadline.error(conn));
        }
        if let Some(task) = inbox.pop_allowed() {
            if let Some(reader) = &mut reader {
                reader.release();
            }
            run_within(task);
            continue;
        }
        match reader.as_mut().and_then(|reader| reader.acquire().then_some(reader)) {
            Some(reader) => reader.wait(deadline.at, || inbox.has_allowed() || cancelled()),
            None => Parker::park(deadline.at),
        }
    }
}

/// After the answer of a call that this thread made and waited for: runs the calls of the same connection
/// that were queued for the thread before it saw the answer. Among them is a `destroy` that the peer sent
/// before the answer for what the call's arguments own: it would otherwise wait until the thread waits
/// again. At most as many calls run as were there at first, so that a peer cannot keep the thread.
pub(super) fn run_earlier(conn: &ArcConn) {
    // A lost connection has no answer to run them for.
    if conn.ended().is_some() {
        return;
    }
    let inbox = this_inbox();
    for _ in 0..inbox.count_of(conn) {
        let Some(task) = inbox.pop_of(conn) else { return };
        run_within(task);
    }
}

/// Runs a call on a thread that waits for another.
fn run_within(task: Task) {
    if depth() < MAX_DEPTH {
        task.run();
    } else {
        task.refuse(Error::Overloaded {
            message: format!("more than {MAX_DEPTH} calls within calls on one thread"),
        });
    }
}

/// The deadline of a call.
pub(super) struct Deadline {
    timeout: Duration,
    /// None: never.
    at: Option<Instant>,
    timer: Option<TimerId>,
}

impl Deadline {
    /// None.
    pub(super) fn never() -> Deadline {
        Deadline { timeout: Duration::MAX, at: None, timer: None }
    }

    pub(super) fn new(timeout: Duration, started: Instant) -> Deadline {
        Deadline { timeout, at: started.checked_add(timeout), timer: None }
    }

    /// The same, but no later than this moment.
    #[inline]
    pub(super) fn within(mut self, limit: Option<Instant>, started: Instant) -> Deadline {
        if let Some(limit) = limit
            && self.at.is_none_or(|at| at > limit)
        {
            self.at = Some(limit);
            self.timeout = limit.saturating_duration_since(started);
        }
        self
    }

    /// Wakes the future that waits at `slot` when the time has come.
    pub(super) fn watched<T: Send + 'static>(mut self, slot: &Arc<Slot<T>>) -> Deadline {
        if let (Some(at), Ok(driver)) = (self.at, driver()) {
            let slot = Arc::downgrade(slot);
            self.timer = Some(driver.add_timer(
                at,
                Box::new(move || {
                    if let Some(slot) = slot.upgrade() {
                        slot.wake();
                    }
                }),
            ));
        }
        self
    }

    pub(super) fn passed(&self) -> bool {
        self.at.is_some_and(|at| at <= Instant::now())
    }

    /// An answer that has come. The peer knows the deadline as well, gives up when it has passed, and may say so before
    /// this side has noticed: that is the timeout, and no failure of the peer's.
    pub(super) fn judge<T>(&self, answer: Result<T>, conn: Option<&ArcConn>) -> Result<T> {
        match answer {
            Err(Error::Remote { .. }) if self.passed() => Err(self.error(conn)),
            answer => answer,
        }
    }

    /// The error of a wait for `conn`'s peer.
    #[cold]
    pub(super) fn error(&self, conn: Option<&ArcConn>) -> Error {
        let peer = conn.and_then(|conn| conn.peer_name());
        Error::Timeout(TimedOut::waiting_for(peer, self.timeout))
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let (Some(timer), Ok(driver)) = (self.timer.take(), driver()) {
            driver.remove_timer(timer);
        }
    }
}

#[cfg(all(test, shuttle))]
#[path = "waiting_schedules.rs"]
mod schedules;
