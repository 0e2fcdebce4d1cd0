//! Calls of objects of this process whose methods are futures: for each a task of the object's executor, and no thread.
//! Whoever gives the call up has the task drop the method.
//!
//! Generated code calls the method through the object's blocking trait, which [`Async`](super::executor::Async)
//! implements. So that it does not block, the call lays what the task needs in a place of its thread, where
//! [`Async::wait`](super::executor::Async::wait) finds it.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::slot::Slot;
use crate::carried::Carried;
use crate::forked::check_forked;
use crate::may_block::allow_waits;
use crate::panics::{catch_panic, run_hook};
use crate::serving::{InUse, Spawn, dropped};
use crate::threads::enter_scope;
use crate::{Error, Result};

thread_local! {
    /// The call that is being begun on this thread.
    static HANDED: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// What the task of a call has, beside its method.
pub(super) struct Handed<R: 'static> {
    slot: Arc<Slot<R>>,
    given_up: Arc<GivenUp>,
    in_use: InUse,
    /// In force while the method is polled.
    carried: Carried,
}

/// Has a method run as a task that fills the slot. An error fills it at once. `object`: and what keeps it until the
/// method has ended.
pub(super) fn start_task<O, R>(
    object: Result<(Arc<O>, InUse)>,
    slot: &Arc<Slot<R>>,
    carried: Carried,
    method: impl FnOnce(&O) -> Result<R>,
) -> GiveUp
where
    O: ?Sized + Send + Sync + 'static,
    R: Send + 'static,
{
    let given_up = Arc::new(GivenUp::default());
    let begun = check_forked().and(object).and_then(|(object, in_use)| {
        let (slot, given_up) = (Arc::clone(slot), Arc::clone(&given_up));
        let handed = Handed { slot, given_up, in_use, carried };
        HANDED.with(|place| place.replace(Some(Box::new(handed))));
        let outcome = catch_panic(|| method(&object));
        // Whatever is still there was not needed: the method has its outcome without a task.
        match HANDED.with(RefCell::take) {
            Some(_) => outcome.map(Some),
            None => Ok(None),
        }
    });
    match begun {
        Ok(None) => {}
        Ok(Some(results)) => slot.fill_and_wake(Ok(results)),
        Err(error) => slot.fill_and_wake(Err(error)),
    }
    GiveUp(given_up)
}

/// What the call that is being begun on this thread has laid here, if one is.
pub(super) fn handed<R: 'static>() -> Option<Handed<R>> {
    let handed = HANDED.try_with(RefCell::take).ok().flatten()?;
    handed.downcast().ok().map(|handed| *handed)
}

impl<R: Send + 'static> Handed<R> {
    /// Gives the method to the executor.
    pub(super) fn start<F>(self, spawn: &Spawn, method: F)
    where
        F: Future<Output = Result<R>> + Send + 'static,
    {
        let method: Method<R> = Box::pin(method);
        let task = LocalTask(Some((method, self)));
        run_hook("an executor", || spawn(Box::pin(task)));
    }
}

type Method<R> = Pin<Box<dyn Future<Output = Result<R>> + Send>>;

/// The task. It has an error as its outcome when it is dropped before the method has ended.
struct LocalTask<R: 'static>(Option<(Method<R>, Handed<R>)>);

impl<R: 'static> Future for LocalTask<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some((method, handed)) = &mut self.0 else { return Poll::Ready(()) };
        // Registered first, so that a call that is given up meanwhile is polled again.
        let outcome = if handed.given_up.is_so_or_wakes(context.waker()) {
            Err(Error::Cancelled)
        } else {
            let _scope = (handed.carried != Carried::NONE).then(|| enter_scope(handed.carried));
            let polled = catch_panic(|| Ok(method.as_mut().poll(context)));
            let Poll::Ready(outcome) = polled.unwrap_or_else(|panic| Poll::Ready(Err(panic)))
            else {
                return Poll::Pending;
            };
            outcome
        };
        self.end(outcome);
        Poll::Ready(())
    }
}

impl<R: 'static> LocalTask<R> {
    /// Drops the user's values, and then tells the outcome.
    fn end(&mut self, outcome: Result<R>) {
        let Some((method, Handed { slot, in_use, .. })) = self.0.take() else { return };
        // A destructor cannot await.
        let waits = allow_waits();
        run_hook("a method's destructor", || drop(method));
        run_hook("an object's destructor", || drop(in_use));
        drop(waits);
        slot.fill_and_wake(outcome);
    }
}

impl<R: 'static> Drop for LocalTask<R> {
    fn drop(&mut self) {
        self.end(Err(dropped()));
    }
}

/// Dropped, it has the task drop the method, if that has not ended.
pub(super) struct GiveUp(Arc<GivenUp>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.lock();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            run_hook("a waker", || waker.wake());
        }
    }
}

/// Whether nobody waits for a call any more, and the task that is to learn of it.
#[derive(Default)]
struct GivenUp(Mutex<(bool, Option<Waker>)>);

impl GivenUp {
    fn lock(&self) -> MutexGuard<'_, (bool, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is so. If not, the task is woken when it is.
    fn is_so_or_wakes(&self, task: &Waker) -> bool {
        let mut state = self.lock();
        let before = if state.0 { None } else { state.1.replace(task.clone()) };
        let is_so = state.0;
        drop(state);
        drop(before);
        is_so
    }
}
