//! A call of the peer's on its way through a thread of this process.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::current::enter_call;
use super::job::{EncodeResults, Run};
use super::{CancelToken, Token};
use crate::connection::{ArcConn, RunningId, panic_text};
use crate::{Error, Result};

/// What a task does outside the lock.
pub(crate) enum Work {
    /// Runs the user's method.
    Call(Run),
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

    /// Runs the method on this thread and sends its results.
    pub(crate) fn run(mut self) {
        let Some(parts) = self.0.take() else { return };
        let Parts { conn, id, token, work } = parts;
        let outcome = if token.is_fired() {
            // Cancelled before it started: nobody waits for what it would do.
            Err(Error::Cancelled)
        } else {
            let _call = enter_call(&conn, id, CancelToken::new(Arc::clone(&token)));
            catch_unwind(AssertUnwindSafe(|| work.run())).unwrap_or_else(|panic| {
                Err(Error::Remote { message: format!("the method panicked: {}", panic_text(&*panic)) })
            })
        };
        token.retire();
        conn.finish(id, outcome);
    }

    /// Answers with an error without running the method.
    pub(crate) fn refuse(mut self, error: Error) {
        if let Some(parts) = self.0.take() {
            parts.conn.finish(parts.id, Err(error));
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(parts) = self.0.take() {
            parts.conn.finish(parts.id, Err(Error::failed("the thread that was to run this call has ended")));
        }
    }
}

impl Work {
    fn run(self) -> Result<EncodeResults> {
        match self {
            Work::Call(run) => run(),
            Work::Destroy(object) => {
                drop(object);
                Ok(Box::new(|_, _| Ok(())))
            }
        }
    }
}
