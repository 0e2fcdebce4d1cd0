//! Serving: from a call that the engine hands over to the user's object and back.
//!
//! `local` is the capability that the engine calls, under the connection's lock. It decodes the
//! arguments into a [`Job`] and leaves a [`Task`] for a thread; the task runs the user's method
//! outside the lock and enters the connection again to send the results.

mod current;
mod job;
mod local;
mod task;
mod token;

pub use current::{CurrentCall, current_call};
pub(crate) use current::{depth, innermost};
pub use job::Job;
pub(crate) use local::{Local, Served, ServedObject, ServedThread};
pub(crate) use task::Task;
pub use token::CancelToken;
pub(crate) use token::Token;
