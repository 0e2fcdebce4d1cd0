//! What an entry into the core leaves to be done outside the lock.

use std::any::Any;
use std::sync::Arc;
use std::task::Waker;

use crate::server::Task;
use crate::thread::{Inbox, Lanes, pool};

/// Work that must not run under a connection's lock.
pub(crate) enum After {
    /// A thread waits in [`Call::wait`](crate::Call::wait) for an answer that is there now.
    Unpark(Arc<Inbox>),
    /// A future waits for an answer that is there now.
    Wake(Waker),
    /// A call for a named thread.
    Post(Arc<Inbox>, Task),
    /// A call for any thread, in its turn.
    Lane(Arc<Lanes>, Task),
    /// A call for any thread.
    Pool(Task),
    /// A user's object or hook to be dropped or run where it can hold nobody up.
    Drop(Box<dyn Any + Send>),
    /// Something quick of the runtime's own.
    Run(Box<dyn FnOnce() + Send>),
}

impl After {
    pub(crate) fn run(self) {
        match self {
            After::Unpark(inbox) => inbox.wake(),
            After::Wake(waker) => waker.wake(),
            After::Post(inbox, task) => inbox.post(task),
            After::Lane(lanes, task) => lanes.post(task),
            After::Pool(task) => pool::run(move || task.run()),
            After::Drop(object) => pool::run(move || drop(object)),
            After::Run(work) => work(),
        }
    }
}
