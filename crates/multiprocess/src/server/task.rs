//! A call of the peer's on its way through a thread of this process.

use std::any::Any;
use std::sync::Arc;

use super::current::enter_call;
use super::job::Run;
use super::uses::{ThreadAddress, Use, Uses};
use super::{Spawned, Token};
use crate::codec::EncodeFn;
use crate::connection::{ArcConn, RunningId, WeakConn};
use crate::guard::{catch_panic, run_hook};
use crate::{Error, Result};

/// What a running call holds so that its object and the object's cleanup hooks wait for its end.
pub(crate) type Kept = Option<Arc<dyn Any + Send + Sync>>;

/// What a task does outside the lock.
pub(crate) enum Work {
    /// Runs the user's method, and then lets go of the object that it was kept from ending.
    Call(Run, Kept),
    /// The same where the method is a future: gives it to its executor.
    Spawn(Spawned, Kept),
    /// Drops the user's object: its destructor and cleanup hooks run here, when the other calls of
    /// the object have ended.
    Destroy(Option<Box<dyn Any + Send>>),
}

/// A decoded call with what is needed to answer it. Dropped unrun, it answers with an error.
pub(crate) struct Task(Option<Parts>);

struct Parts {
    answer: Answer,
    work: Work,
    counted: Use,
}

/// What it takes to answer a call of the peer's.
pub(super) struct Answer {
    pub(super) conn: ArcConn,
    pub(super) id: RunningId,
    pub(super) token: Arc<Token>,
}

impl Task {
    pub(crate) fn new(
        conn: ArcConn,
        id: RunningId,
        token: Arc<Token>,
        work: Work,
        object: &Arc<Uses>,
    ) -> Task {
        let answer = Answer { conn, id, token };
        Task(Some(Parts { answer, work, counted: Use::new(object) }))
    }

    /// The connection that the call came over.
    pub(crate) fn connection(&self) -> WeakConn {
        self.0.as_ref().map(|parts| ArcConn::downgrade(&parts.answer.conn)).unwrap_or_default()
    }

    /// Whether it takes no thread to run.
    pub(crate) fn is_spawned(&self) -> bool {
        self.0.as_ref().is_some_and(|parts| matches!(parts.work, Work::Spawn(..)))
    }

    /// Notes the thread that the call was sent to.
    pub(crate) fn sent_to(&mut self, thread: ThreadAddress) {
        if let Some(parts) = &mut self.0 {
            parts.counted.count(thread);
        }
    }

    /// Runs the method on this thread and sends its results; or hands it over, to be run and
    /// answered elsewhere.
    pub(crate) fn run(mut self) {
        let Some(Parts { answer, work, counted }) = self.0.take() else { return };
        match work {
            Work::Call(method, object) => {
                let outcome = answer.run(move || {
                    let outcome = catch_panic(method);
                    drop(object);
                    outcome
                });
                drop(counted);
                answer.send(outcome);
            }
            Work::Spawn(method, object) => method.start(answer, object, counted),
            Work::Destroy(object) => {
                let (uses, thread) = counted.place();
                drop(counted);
                let end = move || {
                    let outcome = answer.run(move || -> Result<EncodeFn> {
                        drop(object);
                        Ok(Box::new(|_, _| Ok(())))
                    });
                    answer.send(outcome);
                };
                uses.end(thread, Box::new(end));
            }
        }
    }

    /// Answers with an error without running the method.
    pub(crate) fn refuse(mut self, error: Error) {
        if let Some(parts) = self.0.take() {
            parts.abandon(error);
        }
    }
}

impl Answer {
    /// Runs a method here. One that was cancelled before it started is not: nobody waits for what
    /// it would do.
    fn run(&self, method: impl FnOnce() -> Result<EncodeFn>) -> Result<EncodeFn> {
        let _call = enter_call(&self.conn, self.id, &self.token);
        if self.token.is_fired() {
            run_hook("an argument's destructor", || drop(method));
            return Err(Error::Cancelled);
        }
        catch_panic(method)
    }

    /// Sends the outcome. Not under the lock.
    pub(super) fn send(self, outcome: Result<EncodeFn>) {
        let Answer { conn, id, token } = self;
        run_hook("a cancel hook's destructor", || token.retire());
        conn.finish(id, outcome);
    }

    /// Sends an error, wherever this is.
    pub(super) fn abandon(self, error: Error) {
        self.conn.abandon(self.id, error);
    }
}

impl Parts {
    /// Ends the call without running it. That may be under the lock of its connection, where
    /// nothing of the user's may be dropped.
    fn abandon(self, error: Error) {
        let Parts { answer, work, counted } = self;
        crate::thread::pool::clean_up(move || drop((work, counted)));
        answer.abandon(error);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(parts) = self.0.take() {
            parts.abandon(Error::failed("the thread that was to run this call has ended"));
        }
    }
}
