//! A call of the peer's whose method is a future: a task of the object's executor.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::answer::Answer;
use super::ending::Use;
use super::life::Kept;
use crate::connection::ArcConn;
use crate::may_block::allow_waits;
use crate::panics::{catch_panic, run_hook};
use crate::session::EncodeFn;
use crate::threads::enter_poll;
use crate::{Error, Result};

/// A call of an object whose methods are futures, as its executor gets it: what the function given to a
/// handle's `new_async` takes. A function that makes such functions returns `impl Fn(Task) + Send + Sync`.
///
/// The executor polls it to its end. If it is dropped before, the call fails.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Gives a task to an executor.
pub(crate) type Spawn = Arc<dyn Fn(Task) + Send + Sync>;

/// The error of a call whose task will not be polled to its end.
pub(crate) fn dropped() -> Error {
    Error::failed(
        "the runtime that serves the object was shut down, or has dropped the call's task",
    )
}

/// A method of the user, with its arguments and the function that encodes its results.
pub(super) type Method = Pin<Box<dyn Future<Output = Result<EncodeFn>> + Send>>;

/// A method that is a future, and the function that gives it to its executor.
pub(crate) struct Spawned {
    method: Method,
    spawn: Spawn,
}

impl Spawned {
    pub(crate) fn new(
        spawn: Spawn,
        method: impl Future<Output = Result<EncodeFn>> + Send + 'static,
    ) -> Spawned {
        Spawned { method: Box::pin(method), spawn }
    }

    /// The same with something around the method.
    pub(super) fn wrapped(self, wrap: impl FnOnce(Method) -> Method) -> Spawned {
        Spawned { method: wrap(self.method), ..self }
    }

    /// Gives the call to the executor. Not under the lock, because this runs user code.
    pub(super) fn start(self, conn: ArcConn, mut answer: Answer, object: Kept, counted: Use) {
        let Spawned { method, spawn } = self;
        answer.token.is_polled();
        answer.begin_span(&conn);
        let parts = Parts { method, begun: false, object, counted, conn, answer };
        run_hook("an executor", move || spawn(Box::pin(Polled(State::Runs(parts)))));
    }
}

/// The task. It answers the call when the method has ended or the call was cancelled, and with an
/// error when it is dropped before.
struct Polled(State);

enum State {
    Runs(Parts),
    /// The method has ended. Its answer waits for room.
    Answers(ArcConn, Answer, Result<EncodeFn>),
    Over,
}

struct Parts {
    method: Method,
    /// It was polled: it runs to its end unless it is cancelled.
    begun: bool,
    object: Kept,
    counted: Use,
    conn: ArcConn,
    answer: Answer,
}

impl Future for Polled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut self.get_mut().0;
        if let State::Runs(parts) = this {
            let Poll::Ready(outcome) = parts.poll(context) else { return Poll::Pending };
            if let State::Runs(parts) = std::mem::replace(this, State::Over) {
                let (conn, answer) = parts.let_go();
                *this = State::Answers(conn, answer, outcome);
            }
        }
        if let State::Answers(conn, answer, outcome) = std::mem::replace(this, State::Over)
            && let Err(outcome) = answer.poll_send(&conn, outcome, context.waker())
        {
            *this = State::Answers(conn, answer, outcome);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        // Without waiting for the lock: an executor may drop its tasks anywhere.
        match std::mem::replace(&mut self.0, State::Over) {
            State::Runs(parts) => {
                let (_conn, answer) = parts.let_go();
                answer.abandon(dropped());
            }
            State::Answers(conn, answer, outcome) => {
                conn.cleanup().drop_values("a destructor", outcome);
                answer.abandon(dropped());
            }
            State::Over => {}
        }
    }
}

impl Parts {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<EncodeFn>> {
        let Answer { id, token, span, .. } = &self.answer;
        // Registered first, so that a call that is cancelled meanwhile is polled again.
        let begun = std::mem::replace(&mut self.begun, true);
        if token.is_fired_or_wakes(context.waker()) || (!begun && token.is_late()) {
            return Poll::Ready(Err(Error::Cancelled));
        }
        let _span = span.enter();
        let _call = enter_poll(&self.conn, *id, token);
        catch_panic(|| Ok(self.method.as_mut().poll(context)))
            .unwrap_or_else(|panicked| Poll::Ready(Err(panicked)))
    }

    /// Drops the user's values, before the answer is sent.
    fn let_go(self) -> (ArcConn, Answer) {
        let Parts { method, object, counted, conn, answer, .. } = self;
        let call = enter_poll(&conn, answer.id, &answer.token);
        // A destructor cannot await.
        let waits = allow_waits();
        run_hook("a method's destructor", || drop(method));
        conn.cleanup().drop_values("an object's destructor", object);
        drop(waits);
        drop(call);
        drop(counted);
        (conn, answer)
    }
}
