//! A child's exit as a future, for code that must not block.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::exit::Exit;
use super::pid::Process;
use super::reaper;

/// A future of how a child ends, from [`Child::exited`](super::Child::exited). It needs no executor of
/// any certain kind, and does not keep the child alive.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Exited {
    process: Arc<Process>,
    /// Of its waker, once it has left one.
    key: Option<u64>,
}

impl Exited {
    pub(super) fn new(process: Arc<Process>) -> Exited {
        Exited { process, key: None }
    }
}

impl Future for Exited {
    type Output = Exit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Exit> {
        let this = &mut *self;
        match this.process.poll_exit(&mut this.key, context.waker()) {
            Ok(exit) => Poll::Ready(exit),
            Err(watch) => {
                if watch {
                    reaper::watch(Arc::clone(&this.process));
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Exited {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.process.forget_waker(key);
        }
    }
}
