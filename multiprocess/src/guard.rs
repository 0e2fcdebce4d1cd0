//! Keeps a panic in user code from reaching the runtime's threads.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::connection::panic_text;
use crate::{Error, Result};

/// Runs a method of the user's; a panic in it is the error that its caller gets.
pub(crate) fn catch_panic<T>(method: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(method)).unwrap_or_else(|panic| {
        Err(Error::Remote { message: format!("the method panicked: {}", panic_text(&*panic)) })
    })
}

/// Runs user code that nobody waits for; a panic in it is logged.
pub(crate) fn run_hook(what: &str, hook: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(hook)) {
        tracing::error!("{what} panicked: {}", panic_text(&*panic));
    }
}
