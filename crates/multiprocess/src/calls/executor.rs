//! A user's object whose methods are futures, and the executor that they run on.

use std::future::Future;
use std::sync::Arc;

use super::local_tasks::handed;
use super::slot::Slot;
use super::waiting::{Deadline, wait_for_slot};
use crate::may_block::check_may_wait;
use crate::panics::catch_panics;
use crate::serving::{Spawn, Task, dropped};
use crate::threads::this_inbox;
use crate::{Error, Result};

/// An object whose methods are futures, with the function that gives them to an executor.
pub struct Async<T> {
    object: Arc<T>,
    spawn: Spawn,
}

opaque!(Async, impl<T> std::fmt::Debug for Async<T>);

impl<T: Send + Sync + 'static> Async<T> {
    /// Serves `object` by tasks that `spawn` gives to an executor.
    ///
    /// `spawn` is called on threads of the runtime that others depend on, such as the one that
    /// reads sockets. It must neither block nor run the task itself.
    pub fn new(object: Arc<T>, spawn: impl Fn(Task) + Send + Sync + 'static) -> Arc<Async<T>> {
        Arc::new(Async { object, spawn: Arc::new(spawn) })
    }

    pub(crate) fn object(&self) -> Arc<T> {
        Arc::clone(&self.object)
    }

    pub(crate) fn spawn(&self) -> Spawn {
        Arc::clone(&self.spawn)
    }

    /// Runs a method on the executor and blocks this thread until it has ended. Callbacks for this
    /// thread run here meanwhile. Within the beginning of a handle's call it does not block, and the outcome is the
    /// call's.
    ///
    /// On a thread of the executor this waits forever if the executor has no other free thread.
    ///
    /// # Errors
    /// The method's own error; also if it panics, or if the executor drops the task. [`Error::ApiMisuse`]
    /// where a thread polls a future for which waiting is refused.
    ///
    /// [`Error::ApiMisuse`]: crate::Error::ApiMisuse
    pub fn wait<R, F>(&self, method: impl FnOnce(Arc<T>) -> F) -> Result<R>
    where
        R: Send + 'static,
        F: Future<Output = Result<R>> + Send + 'static,
    {
        if let Some(call) = handed() {
            call.start(&self.spawn, method(self.object()));
            // Nobody sees it: the task has the outcome.
            return Err(Error::Cancelled);
        }
        check_may_wait()?;
        let slot = Arc::new(Slot::for_thread(&this_inbox()));
        let answer = Answer(Some(Arc::clone(&slot)));
        let method = method(self.object());
        (self.spawn)(Box::pin(async move {
            let answer = answer;
            let outcome = catch_panics(method).await;
            answer.give(outcome);
        }));
        wait_for_slot(&slot, None, &Deadline::never())
    }
}

/// Takes the outcome of a method. If this is dropped before, the outcome is an error.
struct Answer<R: 'static>(Option<Arc<Slot<R>>>);

impl<R: 'static> Answer<R> {
    fn give(mut self, outcome: Result<R>) {
        if let Some(slot) = self.0.take() {
            slot.fill_and_wake(outcome);
        }
    }
}

impl<R: 'static> Drop for Answer<R> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.fill_and_wake(Err(dropped()));
        }
    }
}
