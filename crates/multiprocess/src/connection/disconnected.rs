//! The end of a connection as a future, for code that must not block.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use crate::Error;
use crate::forked::{check_forked, is_forked};
use crate::panics::run_hook;
use crate::sync::{Mutex, MutexGuard};
use crate::wakers::Wakers;

/// A future of why a connection ends, from
/// [`Connection::disconnected`](crate::Connection::disconnected). It needs no executor of any certain kind,
/// and does not keep the connection. Clones wait for the same end.
///
/// When it is ready, every call of the connection has failed, and the threads and futures that wait for one
/// have been woken before. Its waker runs on the thread that ends the connection, without any lock: as that
/// of a call it must not block. Hooks of the user's, of this connection or another, do not delay it.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Disconnected {
    end: Arc<EndWatch>,
    /// Of its waker, once it has left one.
    key: Option<u64>,
}

impl Disconnected {
    pub(super) fn new(end: &Arc<EndWatch>) -> Disconnected {
        Disconnected { end: Arc::clone(end), key: None }
    }
}

impl Clone for Disconnected {
    fn clone(&self) -> Disconnected {
        Disconnected::new(&self.end)
    }
}

impl Future for Disconnected {
    type Output = Error;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Error> {
        if let Err(forked) = check_forked() {
            return Poll::Ready(forked);
        }
        let this = &mut *self;
        let waker = context.waker().clone();
        let mut state = this.end.state();
        if let Some(reason) = state.reason.clone() {
            drop(state);
            return Poll::Ready(reason);
        }
        let old = state.wakers.set(&mut this.key, waker);
        // It is the user's code that drops a waker.
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Disconnected {
    fn drop(&mut self) {
        // In a fork of the process the lock may be held by a thread that is not there.
        if let Some(key) = self.key
            && !is_forked()
        {
            let waker = self.end.state().wakers.remove(key);
            drop(waker);
        }
    }
}

/// Why a connection has ended, and the futures that wait for that.
#[derive(Debug, Default)]
pub(super) struct EndWatch(Mutex<Watching>);

#[derive(Debug, Default)]
struct Watching {
    reason: Option<Error>,
    wakers: Wakers,
}

impl EndWatch {
    fn state(&self) -> MutexGuard<'_, Watching> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection has ended: wakes the futures, on this thread.
    pub(super) fn tell(&self, reason: &Error) {
        let mut state = self.state();
        state.reason = Some(reason.clone());
        let wakers = state.wakers.take();
        drop(state);
        for waker in wakers {
            run_hook("the waker of a future that waits for the end of a connection", || {
                waker.wake()
            });
        }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state().wakers.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    /// Counts how often it is woken, and looks whether the lock is free then.
    struct Looking(AtomicUsize, Arc<EndWatch>);

    impl Wake for Looking {
        fn wake(self: Arc<Looking>) {
            assert!(self.1.0.try_lock().is_ok(), "woken under the lock");
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Drop for Looking {
        fn drop(&mut self) {
            assert!(self.1.0.try_lock().is_ok(), "dropped under the lock");
        }
    }

    fn poll(future: &mut Disconnected, wakes: &Arc<Looking>) -> Poll<Error> {
        let waker = Waker::from(Arc::clone(wakes));
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn the_last_waker_of_each_future_is_woken_once_and_none_of_a_dropped_one() {
        let end = Arc::new(EndWatch::default());
        let new = || Arc::new(Looking(AtomicUsize::new(0), Arc::clone(&end)));
        let (old, last, other, dropped) = (new(), new(), new(), new());
        let mut first = Disconnected::new(&end);
        let mut second = first.clone();
        let mut third = first.clone();
        for (future, wakes) in [(&mut first, old), (&mut second, other.clone())] {
            assert!(poll(future, &wakes).is_pending());
        }
        assert!(poll(&mut first, &last).is_pending());
        assert!(poll(&mut third, &dropped).is_pending());
        drop(third);
        assert_eq!((end.waiting(), Arc::strong_count(&dropped)), (2, 1));
        end.tell(&Error::failed("the reason"));
        let woken = [&last, &other, &dropped].map(|wakes| wakes.0.load(Ordering::Relaxed));
        assert_eq!((woken, end.waiting()), ([1, 1, 0], 0));
        for future in [&mut first, &mut second, &mut Disconnected::new(&end)] {
            let Poll::Ready(reason) = poll(future, &last) else { panic!("it has ended") };
            assert!(reason.to_string().contains("the reason"));
        }
    }
}

#[cfg(all(test, shuttle))]
#[path = "disconnected_schedules.rs"]
mod schedules;
