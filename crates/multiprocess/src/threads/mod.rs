//! Threads that calls run on.
//!
//! Every thread that calls or serves has an [`Inbox`]. A thread that waits for an answer runs what
//! arrives in its inbox meanwhile: these are the callbacks of the call it waits for. A [`Worker`] is a
//! thread that does nothing else; a [`SerialExecutor`] runs calls that name no thread, in order.
//!
//! `budget` bounds how many threads one peer can make this process have.
//!
//! What they run is a [`Task`]; `current` is the call that a thread serves now, `scope` what the calls that it makes
//! inherit, `token` says whether that call was cancelled, `answering` batches the answers of calls that arrived at once.

mod answering;
mod budget;
mod current;
mod inbox;
mod scope;
mod serial;
mod task;
mod token;
mod worker;

pub(crate) use answering::batch_continues;
pub(crate) use budget::ThreadBudget;
pub(crate) use current::{
    RunningId, cascade, current, depth, enter_call, enter_poll, innermost, innermost_future,
    relayed, serving, serving_now,
};
pub(crate) use inbox::{Inbox, ThreadEnd, at_thread_end, check_thread, enter_wait, this_inbox};
pub(crate) use scope::{enter_scope, inherited};
pub use serial::block;
pub(crate) use serial::{SerialExecutor, Start, release_slot};
pub(crate) use task::{Queue, RunCall, Task};
pub(crate) use token::{About, Place, Token};
pub use token::{CancelToken, Cancelled, cancelled};
pub(crate) use worker::Worker;

#[cfg(all(test, shuttle))]
pub(crate) use inbox::schedules;

#[cfg(test)]
mod tests;
