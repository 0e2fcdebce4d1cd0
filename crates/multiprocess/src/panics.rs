//! Keeps a panic in user code from reaching the runtime's threads.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll};

use capnp_engine::NoMemory;

use crate::{Error, Result};

/// Runs a method of the user, or writes what it gave; a panic in it becomes an error for its caller, and so does
/// memory that a message does not get.
pub(crate) fn catch_panic<T>(method: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(method)).unwrap_or_else(|panic| {
        if let Some(NoMemory { bytes, .. }) = panic.downcast_ref() {
            let message = format!("no memory is left for a message of {bytes} bytes");
            return Err(Error::Overloaded { message });
        }
        Err(Error::Remote { message: format!("the method panicked: {}", panic_text(&*panic)) })
    })
}

/// The same for a method that is a future.
pub async fn catch_panics<T>(method: impl Future<Output = Result<T>>) -> Result<T> {
    let mut method = pin!(method);
    let poll = |context: &mut Context<'_>| {
        let polled = catch_panic(|| Ok(method.as_mut().poll(context)));
        polled.unwrap_or_else(|panicked| Poll::Ready(Err(panicked)))
    };
    poll_fn(poll).await
}

/// Runs user code that nobody waits for; a panic in it is logged.
pub fn run_hook(what: &str, hook: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(hook)) {
        tracing::error!("{what} panicked: {}", panic_text(&*panic));
    }
}

/// The text of a panic's payload.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}
