//! The streaming calls of one served object: one at a time, and after one that failed no call runs.
//!
//! Their callers do not wait for answers, so they may have sent more calls, and the one that ends the
//! stream, before they learn that a call failed. The object must not get a stream with a gap. Calls
//! that arrive in order also do not run in order without this: methods that are futures run
//! concurrently, and a thread whose method waits runs other calls meanwhile. So while a streaming call
//! runs, the object's later calls wait here, whichever threads they name.
//!
//! Servers of the C++ implementation do the same; here it applies to one connection only, so that one
//! peer cannot break an object for others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::job::Run;
use super::polled::Spawned;
use crate::connection::{ArcConn, Core, WeakConn};
use crate::panics::{catch_panic, catch_panics};
use crate::session::{CallThreads, Schedule};
use crate::{Error, Result};

/// The streaming calls of one object over one connection.
#[derive(Default)]
pub(super) struct Streams(Mutex<State>);

#[derive(Default)]
struct State {
    /// Whether a streaming call is on its way to its thread, or runs.
    running: bool,
    waiting: VecDeque<Waiting>,
    /// The first error of a streaming call.
    failed: Option<Error>,
}

/// A call that arrived after a streaming call that has not ended.
struct Waiting {
    streaming: bool,
    context: Option<CallThreads>,
    call: Box<dyn Schedule>,
}

impl Streams {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> Result<()> {
        self.state().failed.clone().map_or(Ok(()), Err)
    }

    /// Notes that a call was refused, because it may have been a streaming one.
    pub(super) fn refused(&self, error: &Error) {
        self.state().failed.get_or_insert_with(|| error.clone());
    }

    /// The method of a call, run when it is its turn. The call has to [arrive](Self::arrive) next.
    pub(super) fn run(self: &Arc<Self>, conn: &ArcConn, streaming: bool, method: Run) -> Run {
        let mut turn = self.turn(conn, streaming);
        Box::new(move || {
            turn.streams.failed()?;
            turn.end(catch_panic(method))
        })
    }

    /// The same where the method is a future.
    pub(super) fn spawn(
        self: &Arc<Self>,
        conn: &ArcConn,
        streaming: bool,
        method: Spawned,
    ) -> Spawned {
        let mut turn = self.turn(conn, streaming);
        method.wrapped(|method| {
            Box::pin(async move {
                turn.streams.failed()?;
                turn.end(catch_panics(method).await)
            })
        })
    }

    fn turn(self: &Arc<Self>, conn: &ArcConn, streaming: bool) -> Turn {
        Turn {
            streams: Arc::clone(self),
            conn: ArcConn::downgrade(conn),
            streaming,
            returned: false,
        }
    }

    /// Queues a call for its thread, or until the streaming call before it has ended.
    pub(super) fn arrive(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        streaming: bool,
        context: Option<CallThreads>,
        call: Box<dyn Schedule>,
    ) {
        {
            let mut state = self.state();
            if state.running {
                state.waiting.push_back(Waiting { streaming, context, call });
                return;
            }
            state.running = streaming;
        }
        core.schedule(conn, context, call);
    }

    /// A streaming call has ended: starts the calls after it, up to the next streaming one.
    fn go_on(&self, core: &mut Core, conn: &ArcConn) {
        loop {
            let next = {
                let mut state = self.state();
                let next = state.waiting.pop_front();
                state.running = next.as_ref().is_some_and(|next| next.streaming);
                next
            };
            let Some(Waiting { streaming, context, call }) = next else { return };
            core.schedule(conn, context, call);
            if streaming {
                return;
            }
        }
    }
}

/// A call from its arrival to its end.
struct Turn {
    streams: Arc<Streams>,
    conn: WeakConn,
    streaming: bool,
    /// Its method has.
    returned: bool,
}

impl Turn {
    fn end<T>(&mut self, outcome: Result<T>) -> Result<T> {
        self.returned = true;
        if let (true, Err(error)) = (self.streaming, &outcome) {
            self.streams.state().failed.get_or_insert_with(|| error.clone());
        }
        outcome
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.streaming {
            return;
        }
        {
            let mut state = self.streams.state();
            if !self.returned {
                // Cancelled or too late, before it ran or in the middle of it: what comes after it would follow a gap.
                state.failed.get_or_insert_with(|| {
                    Error::failed(
                        "an earlier call of this stream was cancelled, or its deadline had passed",
                    )
                });
            }
            if state.waiting.is_empty() {
                state.running = false;
                return;
            }
        }
        if let Some(conn) = self.conn.upgrade() {
            let streams = Arc::clone(&self.streams);
            conn.defer(move |core, conn| streams.go_on(core, conn));
        }
    }
}
