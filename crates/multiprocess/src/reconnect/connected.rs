//! The wait for a connection as a future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::current::Current;
use super::shared::Shared;
use crate::Result;
use crate::forked::{check_forked, is_forked};

/// A future of what is made over the present or the next connection, from
/// [`Reconnecting::connected`](super::Reconnecting::connected). It needs no executor of any certain kind, and
/// does not keep the connection: when the last [`Reconnecting`](super::Reconnecting) is dropped it ends with
/// an error. Its waker runs on a thread of the runtime and must not block.
#[must_use = "futures do nothing unless polled"]
pub struct Connected<T: Send + Sync + 'static> {
    shared: Arc<Shared<T>>,
    /// Of its waker, once it has left one.
    key: Option<u64>,
}

impl<T: Send + Sync + 'static> Connected<T> {
    pub(super) fn new(shared: &Arc<Shared<T>>) -> Connected<T> {
        Connected { shared: Arc::clone(shared), key: None }
    }
}

impl<T: Send + Sync + 'static> Future for Connected<T> {
    type Output = Result<Current<T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Current<T>>> {
        check_forked()?;
        let this = &mut *self;
        // It is the user's code that clones and drops a waker: not under the lock.
        let waker = context.waker().clone();
        let mut state = this.shared.state();
        if let Some(current) = state.current() {
            drop(state);
            return Poll::Ready(current);
        }
        let old = state.wakers.set(&mut this.key, waker);
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl<T: Send + Sync + 'static> Drop for Connected<T> {
    fn drop(&mut self) {
        // In a fork of the process the lock may be held by a thread that is not there.
        if let Some(key) = self.key
            && !is_forked()
        {
            let waker = self.shared.state().wakers.remove(key);
            drop(waker);
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Connected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected").finish_non_exhaustive()
    }
}
