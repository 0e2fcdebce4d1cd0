//! A call of the peer's whose method is a future: a task of the object's executor.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Async;
use super::current::enter_poll;
use super::executor::{Spawn, dropped};
use super::task::{Answer, Kept};
use super::uses::Use;
use crate::codec::EncodeFn;
use crate::guard::{catch_panic, run_hook};
use crate::{Error, Result};

/// A method of the user's, with its arguments and what makes its answer.
pub(super) type Method = Pin<Box<dyn Future<Output = Result<EncodeFn>> + Send>>;

/// A method that is a future, and what gives it to its executor.
pub(crate) struct Spawned {
    method: Method,
    spawn: Spawn,
}

impl Spawned {
    pub(crate) fn new<T: Send + Sync + 'static>(
        object: &Async<T>,
        method: impl Future<Output = Result<EncodeFn>> + Send + 'static,
    ) -> Spawned {
        Spawned { method: Box::pin(method), spawn: object.spawn() }
    }

    /// The same with something around the method.
    pub(super) fn wrapped(self, wrap: impl FnOnce(Method) -> Method) -> Spawned {
        Spawned { method: wrap(self.method), ..self }
    }

    /// Hands the call over to the executor. Not under the lock: that is the user's code.
    pub(super) fn start(self, answer: Answer, object: Kept, counted: Use) {
        let Spawned { method, spawn } = self;
        let parts = Parts { method, object, counted, answer };
        run_hook("an executor", move || spawn(Box::pin(Polled(Some(parts)))));
    }
}

/// The task. It answers the call when the method has ended or the call was cancelled, and with an
/// error when it is dropped before.
struct Polled(Option<Parts>);

struct Parts {
    method: Method,
    object: Kept,
    counted: Use,
    answer: Answer,
}

impl Future for Polled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(parts) = &mut this.0 else { return Poll::Ready(()) };
        let Answer { conn, id, token } = &parts.answer;
        // First, so that a call that is cancelled meanwhile is polled again.
        let outcome = if token.is_fired_or_wakes(context.waker()) {
            Err(Error::Cancelled)
        } else {
            let _call = enter_poll(conn, *id, token);
            match catch_panic(|| Ok(parts.method.as_mut().poll(context))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(outcome)) => outcome,
                Err(panicked) => Err(panicked),
            }
        };
        if let Some(parts) = this.0.take() {
            parts.let_go().send(outcome);
        }
        Poll::Ready(())
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        if let Some(parts) = self.0.take() {
            // Without waiting for the lock: an executor may drop its tasks anywhere.
            parts.let_go().abandon(dropped());
        }
    }
}

impl Parts {
    /// Drops what is the user's, before the answer goes out.
    fn let_go(self) -> Answer {
        let Parts { method, object, counted, answer } = self;
        let call = enter_poll(&answer.conn, answer.id, &answer.token);
        run_hook("a method's destructor", || drop(method));
        run_hook("an object's destructor", || drop(object));
        drop(call);
        drop(counted);
        answer
    }
}
