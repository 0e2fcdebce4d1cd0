//! A call of the peer's on its way through this process.

use std::any::Any;
use std::sync::Arc;

use super::answer::Answer;
use super::ending::{RunningCalls, Use};
use super::job::{Pool, Run};
use super::life::Kept;
use super::polled::Spawned;
use crate::cleanup::Cleanup;
use crate::connection::{ArcConn, WeakConn};
use crate::panics::{catch_panic, run_hook};
use crate::session::{EncodeFn, Schedule, ThreadAddress};
use crate::threads::RunCall;
use crate::{Error, Result};

/// What a call does outside the lock.
pub(super) enum Work {
    /// Runs the user's method, and then drops `Kept`, which kept the object from ending. On the call's thread, or
    /// in a pool.
    Call(Run, Kept, Option<Pool>),
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
        let elsewhere = |work: &Work| matches!(work, Work::Spawn(..) | Work::Call(_, _, Some(_)));
        self.parts.as_ref().is_some_and(|parts| elsewhere(&parts.work))
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
        if let Some(Parts { work: Work::Call(_, _, pool @ Some(_)), .. }) = &mut self.parts
            && let Some(pool) = pool.take()
        {
            // A task that the pool drops answers its call as this is dropped.
            return run_hook("a pool of threads", move || pool(Box::new(move || self.run())));
        }
        let Some(Parts { mut answer, work, counted, relayed }) = self.parts.take() else { return };
        let Some(conn) = self.conn.take() else { return };
        match work {
            Work::Call(method, mut object, _) => {
                if let Some(object) = &mut object {
                    object.on_this_thread();
                }
                // Before the method as well, so that not every thread has results that wait.
                conn.wait_for_room();
                let outcome = answer.run(&conn, relayed, move || {
                    let outcome = catch_panic(method);
                    drop(object);
                    outcome
                });
                drop(counted);
                answer.send_with_room(&conn, outcome);
            }
            Work::Spawn(method, object) => method.start(conn, answer, object, counted),
            Work::Destroy(object) => {
                let (running, thread) = counted.place();
                drop(counted);
                let cleanup = Arc::clone(conn.cleanup());
                let end = move || {
                    let outcome = answer.run(&conn, false, move || -> Result<EncodeFn> {
                        drop(object);
                        Ok(Box::new(|_, _| Ok(())))
                    });
                    answer.send(&conn, outcome);
                };
                running.end(thread, &cleanup, Box::new(end));
            }
        }
    }

    fn refuse(mut self: Box<Self>, error: Error) {
        if let Some(parts) = self.parts.take() {
            parts.abandon(error);
        }
    }

    /// The end of an object is none of those: it takes place in its turn.
    fn is_cancelled(&self) -> bool {
        let ends = |parts: &Parts| matches!(parts.work, Work::Destroy(_));
        self.parts.as_ref().is_some_and(|parts| !ends(parts) && parts.answer.token.is_fired())
    }

    fn connection(&self) -> WeakConn {
        self.conn.as_ref().map(ArcConn::downgrade).unwrap_or_default()
    }
}

impl Parts {
    /// Ends the call without running it. The connection's lock may be held, so no user value is
    /// dropped here.
    fn abandon(self, error: Error) {
        let Parts { answer, work, counted, .. } = self;
        let conn = answer.conn.upgrade();
        let cleanup = conn.as_ref().map_or(Cleanup::unconnected(), |conn| conn.cleanup());
        cleanup.run("the destructor of a call's arguments", move || drop((work, counted)));
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
