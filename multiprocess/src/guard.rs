//! Keeps a panic in user code from reaching the runtime's threads.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::connection::panic_text;

/// Runs user code that nobody waits for; a panic in it is logged.
pub(crate) fn run_hook(what: &str, hook: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(hook)) {
        tracing::error!("{what} panicked: {}", panic_text(&*panic));
    }
}
