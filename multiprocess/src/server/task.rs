//! A call of the peer's on its way through a thread of this process.

use std::any::Any;
use std::sync::Arc;

use super::current::enter_call;
use super::job::Run;
use super::{CancelToken, Token};
use crate::codec::EncodeFn;
use crate::connection::{ArcConn, RunningId, WeakConn};
use crate::guard::catch_panic;
use crate::{Error, Result};

/// What a task does outside the lock.
pub(crate) enum Work {
    /// Runs the user's method, and then lets go of the object that it was kept from ending.
    Call(Run, Option<Arc<dyn Any + Send + Sync>>),
    /// Drops the user's object: its destructor and cleanup hooks run here.
    Destroy(Option<Box<dyn Any + Send>>),
}

/// A decoded call with what is needed to answer it. Dropped unrun, it answers with an error.
pub(crate) struct Task(Option<Parts>);

struct Parts {
    conn: ArcConn,
    id: RunningId,
    token: Arc<Token>,
    work: Work,
}

impl Task {
    pub(crate) fn new(conn: ArcConn, id: RunningId, token: Arc<Token>, work: Work) -> Task {
        Task(Some(Parts { conn, id, token, work }))
    }

    /// The connection that the call came over.
    pub(crate) fn connection(&self) -> WeakConn {
        self.0.as_ref().map(|parts| ArcConn::downgrade(&parts.conn)).unwrap_or_default()
    }

    /// Runs the method on this thread and sends its results.
    pub(crate) fn run(mut self) {
        let Some(parts) = self.0.take() else { return };
        let Parts { conn, id, token, work } = parts;
        let outcome = if token.is_fired() {
            // Cancelled before it started: nobody waits for what it would do.
            Err(Error::Cancelled)
        } else {
            let _call = enter_call(&conn, id, CancelToken::new(Arc::clone(&token)));
            catch_panic(|| work.run())
        };
        crate::guard::run_hook("a cancel hook's destructor", || token.retire());
        conn.finish(id, outcome);
    }

    /// Answers with an error without running the method.
    pub(crate) fn refuse(mut self, error: Error) {
        if let Some(parts) = self.0.take() {
            parts.abandon(error);
        }
    }
}

impl Parts {
    /// Ends the call without running it. That may be under the lock of its connection, where
    /// nothing of the user's may be dropped.
    fn abandon(self, error: Error) {
        let Parts { conn, id, work, .. } = self;
        crate::thread::pool::run(move || drop(work));
        conn.abandon(id, error);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(parts) = self.0.take() {
            parts.abandon(Error::failed("the thread that was to run this call has ended"));
        }
    }
}

impl Work {
    fn run(self) -> Result<EncodeFn> {
        match self {
            Work::Call(run, object) => {
                let outcome = catch_panic(run);
                drop(object);
                outcome
            }
            Work::Destroy(object) => {
                drop(object);
                Ok(Box::new(|_, _| Ok(())))
            }
        }
    }
}
