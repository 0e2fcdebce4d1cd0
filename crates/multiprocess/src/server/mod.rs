//! Serving: from a call that has reached its object to the user's method and back.
//!
//! `local` is the capability that calls reach, under the connection's lock; `served` is what it
//! stands for. It decodes the arguments into a [`Job`] and leaves a [`Task`] for a thread; the task
//! runs the user's method outside the lock and enters the connection again to send the results.
//! `uses` counts these, for the object's end.
//!
//! A method that is a future has no thread: outside the lock its task goes to the object's executor
//! (`executor`), and answers from there (`polled`). `streams` keeps the order and the first error of
//! an object's streaming calls.

mod current;
mod executor;
mod job;
mod lent;
mod local;
mod polled;
mod served;
mod streams;
mod task;
mod token;
mod uses;

pub use current::{CurrentCall, current_call};
pub(crate) use current::{depth, innermost, innermost_future};
pub use executor::Async;
pub use job::Job;
pub(crate) use lent::{Lent, look_at_results};
pub(crate) use local::{Local, NOT_EXPORTED};
pub(crate) use polled::Spawned;
pub(crate) use served::{Served, ServedObject, ServedThread};
pub(crate) use streams::Streams;
pub(crate) use task::Task;
pub use token::CancelToken;
pub(crate) use token::Token;
