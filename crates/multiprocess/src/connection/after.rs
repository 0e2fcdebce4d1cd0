//! What an entry into the core leaves to be done outside the lock.

use std::any::Any;
use std::sync::Arc;
use std::task::Waker;

use crate::server::Task;
use crate::thread::{Inbox, Lanes, pool};

/// Work that must not run under a connection's lock.
pub(crate) enum After {
    /// A thread has something to look at: an answer that it waits for, or a call to run.
    Unpark(Arc<Inbox>),
    /// A future waits for an answer that is there now.
    Wake(Waker),
    /// A lane has work and a thread to spare.
    Lane(Arc<Lanes>),
    /// A call for any thread.
    Pool(Task),
    /// A call for its object's executor.
    Spawn(Task),
    /// A user's object or hook to be dropped or run where it can hold nobody up.
    Drop(Box<dyn Any + Send>),
    /// Something quick of the runtime's own.
    Run(Box<dyn FnOnce() + Send>),
}

impl After {
    pub(crate) fn run(self) {
        match self {
            After::Unpark(inbox) => inbox.wake(),
            After::Wake(waker) => crate::guard::run_hook("a waker", || waker.wake()),
            After::Lane(lanes) => lanes.start(),
            After::Pool(task) => pool::run(move || task.run()),
            After::Spawn(task) => task.run(),
            After::Drop(object) => pool::clean_up(move || drop(object)),
            After::Run(work) => crate::guard::run_hook("the runtime", work),
        }
    }
}
