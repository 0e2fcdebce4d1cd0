//! Calls of the peer's that are being served: their answers, and waiting for their end.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::conn::{ArcConn, Conn, Deferred, Flush};
use super::core::{Core, RunningId};
use crate::Error;
use crate::Result;
use crate::codec::EncodeFn;
use crate::rpc::Outcome;
use crate::server::Streams;

/// Tells those who drain that no call is being served any more.
#[derive(Default)]
pub(super) struct Idle {
    state: Mutex<IdleState>,
    changed: Condvar,
}

#[derive(Default)]
struct IdleState {
    running: usize,
    draining: usize,
}

impl Idle {
    fn state(&self) -> MutexGuard<'_, IdleState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Conn {
    /// Lets the calls of an object go on that waited for a streaming call of it.
    pub(crate) fn go_on(self: &ArcConn, streams: &Arc<Streams>) {
        self.defer(Deferred::GoOn(Arc::clone(streams)));
    }

    /// A served call has begun.
    pub(crate) fn count_running(&self) {
        self.idle.state().running += 1;
    }

    /// A served call has ended; its answer goes out. Not under the lock.
    pub(crate) fn finish(self: &ArcConn, id: RunningId, outcome: Result<EncodeFn>) {
        // Here: an error that was raised is the user's value.
        let mut outcome = outcome.map_err(to_peer);
        let ((), round) = self.within(|core| {
            let outcome = match &mut outcome {
                Ok(encode) => Outcome::Encode(encode),
                Err(error) => Outcome::Error(error.clone()),
            };
            self.answer_running(core, id, outcome);
        });
        // What the method returned goes before the answer does: a caller that destroys the object
        // it got is the last to hold it.
        crate::guard::run_hook("a destructor", || drop(outcome));
        // Calls that came together are answered together.
        let flush = if crate::thread::more_follows(self) { Flush::Later } else { Flush::Now };
        self.leave_and(round, flush);
        self.count_finished();
    }

    /// A served call will not be run. Wherever that is found.
    pub(crate) fn abandon(self: &ArcConn, id: RunningId, error: Error) {
        self.defer(Deferred::Abandon(id, error));
        self.count_finished();
    }

    fn count_finished(&self) {
        let mut idle = self.idle.state();
        idle.running = idle.running.saturating_sub(1);
        if idle.running == 0 && idle.draining > 0 {
            self.idle.changed.notify_all();
        }
    }

    pub(super) fn answer_running(
        self: &ArcConn,
        core: &mut Core,
        id: RunningId,
        outcome: Outcome<'_>,
    ) {
        let Some(call) = core.finish_running(id) else { return };
        core.answer(self, call.destination, outcome);
        core.settle(self);
    }

    /// Waits until no call is being served, for `timeout` at most. Whether that came about.
    pub(crate) fn drain(self: &ArcConn, timeout: Duration) -> bool {
        let mut idle = self.idle.state();
        idle.draining += 1;
        let (mut idle, waited) = self
            .idle
            .changed
            .wait_timeout_while(idle, timeout, |idle| idle.running > 0)
            .unwrap_or_else(PoisonError::into_inner);
        idle.draining -= 1;
        drop(idle);
        // Answers may have been left to be written with the next.
        self.flush();
        !waited.timed_out()
    }
}

/// The error as the peer is told it.
fn to_peer(error: Error) -> Error {
    match error {
        Error::Unimplemented { .. } | Error::Overloaded { .. } | Error::Remote { .. } => error,
        other => Error::failed(other.to_string()),
    }
}
