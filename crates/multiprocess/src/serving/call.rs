//! A call of the peer's on its way through this process.

use std::any::Any;
use std::sync::Arc;

use super::ending::{RunningCalls, Use};
use super::job::Run;
use super::life::InUse;
use super::polled::Spawned;
use crate::connection::{ArcConn, WeakConn};
use crate::panics::{catch_panic, run_hook};
use crate::pool;
use crate::session::{EncodeFn, Schedule, ThreadAddress};
use crate::threads::{RunCall, RunningId, Token, enter_call};
use crate::{Error, Result};

/// Held by a running call, so that its object waits for the end of the call. None if the object is
/// in another process.
pub(crate) type Kept = Option<InUse>;

/// The part of a call that runs outside the lock.
pub(super) enum Work {
    /// Runs the user's method, and then drops `Kept`, which kept the object from ending.
    Call(Run, Kept),
    /// The same where the method is a future: gives it to its executor.
    Spawn(Spawned, Kept),
    /// Drops the user's object: its destructor and cleanup hooks run here, when the other calls of
    /// the object have ended.
    Destroy(Option<Box<dyn Any + Send>>),
}

/// A decoded call with the means to answer it. If it is dropped without having run, it answers with
/// an error.
pub(super) struct ServedCall {
    parts: Option<Parts>,
    /// None until it goes to a thread: a call that waits does not keep its connection.
    conn: Option<ArcConn>,
}

struct Parts {
    answer: Answer,
    work: Work,
    counted: Use,
    /// The method only forwards the call to an object of another process.
    relayed: bool,
}

/// The means to answer a call of the peer.
pub(super) struct Answer {
    pub(super) conn: WeakConn,
    pub(super) id: RunningId,
    pub(super) token: Arc<Token>,
}

impl ServedCall {
    pub(super) fn new(
        answer: Answer,
        work: Work,
        object: &Arc<RunningCalls>,
        relayed: bool,
    ) -> Box<ServedCall> {
        let parts = Parts { answer, work, counted: Use::new(object), relayed };
        Box::new(ServedCall { parts: Some(parts), conn: None })
    }
}

impl Schedule for ServedCall {
    fn sent_to(&mut self, thread: ThreadAddress) {
        if let Some(parts) = &mut self.parts {
            parts.counted.count(thread);
        }
    }

    fn takes_no_thread(&self) -> bool {
        self.parts.as_ref().is_some_and(|parts| matches!(parts.work, Work::Spawn(..)))
    }

    fn refuse(self: Box<Self>, error: Error) {
        RunCall::refuse(self, error);
    }

    fn into_task(mut self: Box<Self>, conn: &ArcConn) -> Box<dyn RunCall> {
        self.conn = Some(ArcConn::clone(conn));
        self
    }
}

impl RunCall for ServedCall {
    fn run(mut self: Box<Self>) {
        let Some(Parts { answer, work, counted, relayed }) = self.parts.take() else { return };
        let Some(conn) = self.conn.take() else { return };
        match work {
            Work::Call(method, mut object) => {
                if let Some(object) = &mut object {
                    object.on_this_thread();
                }
                let outcome = answer.run(&conn, relayed, move || {
                    let outcome = catch_panic(method);
                    drop(object);
                    outcome
                });
                drop(counted);
                answer.send(&conn, outcome);
            }
            Work::Spawn(method, object) => method.start(conn, answer, object, counted),
            Work::Destroy(object) => {
                let (running, thread) = counted.place();
                drop(counted);
                let end = move || {
                    let outcome = answer.run(&conn, false, move || -> Result<EncodeFn> {
                        drop(object);
                        Ok(Box::new(|_, _| Ok(())))
                    });
                    answer.send(&conn, outcome);
                };
                running.end(thread, Box::new(end));
            }
        }
    }

    fn refuse(mut self: Box<Self>, error: Error) {
        if let Some(parts) = self.parts.take() {
            parts.abandon(error);
        }
    }

    fn connection(&self) -> WeakConn {
        self.conn.as_ref().map(ArcConn::downgrade).unwrap_or_default()
    }
}

impl Answer {
    /// Runs a method on this thread, unless the call was cancelled before it started: then nobody
    /// waits for it.
    fn run(
        &self,
        conn: &ArcConn,
        relayed: bool,
        method: impl FnOnce() -> Result<EncodeFn>,
    ) -> Result<EncodeFn> {
        let _call = enter_call(conn, self.id, &self.token, relayed);
        if self.token.is_fired() {
            run_hook("an argument's destructor", || drop(method));
            return Err(Error::Cancelled);
        }
        catch_panic(method)
    }

    /// Sends the outcome. Not under the lock.
    pub(super) fn send(self, conn: &ArcConn, outcome: Result<EncodeFn>) {
        run_hook("a cancel hook's destructor", || self.token.retire());
        conn.finish(self.id, outcome);
    }

    /// Sends an error, with or without the lock held.
    pub(super) fn abandon(self, error: Error) {
        if let Some(conn) = self.conn.upgrade() {
            conn.abandon(self.id, error);
        }
    }
}

impl Parts {
    /// Ends the call without running it. The connection's lock may be held, so no user value is
    /// dropped here.
    fn abandon(self, error: Error) {
        let Parts { answer, work, counted, .. } = self;
        pool::clean_up(move || drop((work, counted)));
        answer.abandon(error);
    }
}

impl Drop for ServedCall {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            parts.abandon(Error::failed("the thread that was to run this call has ended"));
        }
    }
}
