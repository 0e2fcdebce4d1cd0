//! The streaming calls of one served object: one at a time, and after one that failed no call runs.
//!
//! Their callers do not wait for answers, and so may have sent more, and what ends the stream, before
//! they learn that a call failed. Whoever stores what is streamed must not be called with a hole in it.
//! And calls that arrive in order do not run in order by themselves: methods that are futures run side
//! by side, and a thread whose method waits runs other calls meanwhile. So while a streaming call runs,
//! the object's later calls wait here, whichever threads they name.
//!
//! This is what the C++ implementation's servers do; here it is for one connection only, so that a peer
//! does not break an object for others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::job::Run;
use super::polled::Spawned;
use crate::connection::{ArcConn, Core, WeakConn};
use crate::panics::{catch_panic, catch_panics};
use crate::session::{CallThreads, Schedule};
use crate::{Error, Result};

/// The streaming calls of one object over one connection.
#[derive(Default)]
pub(super) struct Streams {
    /// Whether there has been one: most objects never have any.
    used: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether one is on its way to its thread, or runs.
    running: bool,
    waiting: VecDeque<Waiting>,
    /// The first error of one.
    failed: Option<Error>,
}

/// A call that arrived behind a streaming call that has not ended.
struct Waiting {
    streaming: bool,
    context: Option<CallThreads>,
    call: Box<dyn Schedule>,
}

impl Streams {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> Result<()> {
        self.state().failed.clone().map_or(Ok(()), Err)
    }

    /// A call was refused, which may have been a streaming one.
    pub(super) fn refused(&self, error: &Error) {
        if self.used.load(Ordering::Relaxed) {
            self.state().failed.get_or_insert_with(|| error.clone());
        }
    }

    /// What a call of the object does in its turn. It is to [arrive](Self::arrive) next.
    pub(super) fn run(self: &Arc<Self>, conn: &ArcConn, streaming: bool, method: Run) -> Run {
        match self.turn(conn, streaming) {
            Some(turn) => Box::new(move || {
                turn.streams.failed()?;
                turn.end(catch_panic(method))
            }),
            None => method,
        }
    }

    /// The same where the method is a future.
    pub(super) fn spawn(
        self: &Arc<Self>,
        conn: &ArcConn,
        streaming: bool,
        method: Spawned,
    ) -> Spawned {
        match self.turn(conn, streaming) {
            Some(turn) => method.wrapped(|method| {
                Box::pin(async move {
                    turn.streams.failed()?;
                    turn.end(catch_panics(method).await)
                })
            }),
            None => method,
        }
    }

    /// None where nothing has to be in order.
    fn turn(self: &Arc<Self>, conn: &ArcConn, streaming: bool) -> Option<Turn> {
        if streaming {
            self.used.store(true, Ordering::Relaxed);
        }
        self.used.load(Ordering::Relaxed).then(|| Turn {
            streams: Arc::clone(self),
            conn: ArcConn::downgrade(conn),
            streaming,
        })
    }

    /// Leaves a call for its thread, or until the streaming call before it has ended.
    pub(super) fn arrive(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        streaming: bool,
        context: Option<CallThreads>,
        call: Box<dyn Schedule>,
    ) {
        if self.used.load(Ordering::Relaxed) {
            let mut state = self.state();
            if state.running {
                state.waiting.push_back(Waiting { streaming, context, call });
                return;
            }
            state.running = streaming;
        }
        core.schedule(conn, context, call);
    }

    /// A streaming call has ended: the calls behind it go on, up to the next streaming one.
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
}

impl Turn {
    fn end<T>(self, outcome: Result<T>) -> Result<T> {
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
