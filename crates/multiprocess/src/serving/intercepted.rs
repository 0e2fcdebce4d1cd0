//! The interceptors around a method of the user's. Where the connection has none, nothing of this is used.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::job::Run;
use super::polled::{Method, Spawned};
use crate::carried::Carried;
use crate::connection::ArcConn;
use crate::panics::{catch_panic, catch_panics};
use crate::session::{EncodeFn, Ends, before_serve};
use crate::stats::CallOutcome;
use crate::threads::{CancelToken, current, enter_scope};
use crate::{Error, Result};

/// A method with the interceptors around it. It runs on the call's thread.
pub(super) fn run(method: Run) -> Run {
    Box::new(move || {
        let Some(mut begun) = Begun::new()? else { return method() };
        let outcome = {
            let _scope = enter_scope(begun.carried);
            catch_panic(method)
        };
        begun.end(outcome.as_ref().err());
        outcome
    })
}

/// The same where the method is a future: they begin where it is polled first.
pub(super) fn spawn(method: Spawned) -> Spawned {
    method.wrapped(|method| {
        Box::pin(async move {
            let Some(mut begun) = Begun::new()? else { return method.await };
            let method = InScope { method, carried: begun.carried };
            let outcome = catch_panics(method).await;
            begun.end(outcome.as_ref().err());
            outcome
        })
    })
}

/// A call with which the interceptors have begun.
struct Begun {
    conn: ArcConn,
    token: CancelToken,
    /// None once it has ended.
    ends: Option<Ends>,
    /// For the calls that the method makes.
    carried: Carried,
}

impl Begun {
    /// Of the call that this thread serves.
    fn new() -> Result<Option<Begun>> {
        let Some((conn, token)) = current() else { return Ok(None) };
        let mut carried = token.carried();
        let ends = Some(before_serve(&conn, token.about(), &mut carried)?);
        Ok(Some(Begun { conn, token, ends, carried }))
    }

    fn end(&mut self, error: Option<&Error>) {
        let Some(ends) = self.ends.take() else { return };
        if self.conn.ended().is_some() {
            ends.end_as(CallOutcome::Lost, error);
        } else if self.token.is_cancelled() {
            ends.end_as(CallOutcome::Cancelled, error);
        } else if error.is_some() {
            ends.end_as(CallOutcome::Failed, error);
        } else {
            ends.end_as(CallOutcome::Answered, None);
        }
    }
}

/// A future was dropped before its end.
impl Drop for Begun {
    fn drop(&mut self) {
        let error = if self.token.is_cancelled() { Error::Cancelled } else { super::dropped() };
        self.end(Some(&error));
    }
}

/// A method that is a future; calls that it makes inherit this.
struct InScope {
    method: Method,
    carried: Carried,
}

impl Future for InScope {
    type Output = Result<EncodeFn>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let _scope = enter_scope(self.carried);
        self.method.as_mut().poll(context)
    }
}
