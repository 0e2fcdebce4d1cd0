//! A call on its way through a thread of this process.

use std::collections::VecDeque;

use crate::Error;
use crate::connection::WeakConn;

/// A call that is served here, as threads see it.
pub(crate) trait RunCall: Send {
    /// Runs the method on this thread and sends its results, or gives it to an executor that does so.
    fn run(self: Box<Self>);

    /// Answers with an error without running the method. May be called with or without the lock.
    fn refuse(self: Box<Self>, error: Error);

    /// The connection that the call came over.
    fn connection(&self) -> WeakConn;

    /// It was cancelled, and may be answered without having run, before its turn.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Calls that wait for a thread.
pub(crate) trait Queue: Send + Sync {
    /// Takes out those that were cancelled. The caller is to refuse them.
    fn take_cancelled(&self) -> Vec<Task>;
}

/// Takes the cancelled ones out of a queue.
pub(super) fn take_cancelled(tasks: &mut VecDeque<Task>) -> Vec<Task> {
    let cancelled = |task: &Task| task.0.as_ref().is_some_and(|call| call.is_cancelled());
    let mut taken = Vec::new();
    let Some(first) = tasks.iter().position(cancelled) else { return taken };
    for task in tasks.split_off(first) {
        if cancelled(&task) {
            taken.push(task);
        } else {
            tasks.push_back(task);
        }
    }
    taken
}

/// A decoded call with the means to answer it. If it is dropped without having run, it answers with
/// an error.
pub(crate) struct Task(Option<Box<dyn RunCall>>);

impl Task {
    pub(crate) fn new(call: Box<dyn RunCall>) -> Task {
        Task(Some(call))
    }

    /// The connection that the call came over.
    pub(crate) fn connection(&self) -> WeakConn {
        self.0.as_ref().map(|call| call.connection()).unwrap_or_default()
    }

    /// Runs the call on this thread, or gives it to its executor.
    pub(crate) fn run(mut self) {
        if let Some(call) = self.0.take() {
            call.run();
        }
    }

    /// Answers with an error without running the method.
    pub(crate) fn refuse(mut self, error: Error) {
        if let Some(call) = self.0.take() {
            call.refuse(error);
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call.refuse(Error::failed("the thread that was to run this call has ended"));
        }
    }
}
