//! Streams for threads: an iterator that blocks until there is the next item.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_core::Stream;
use multiprocess::rt::check_may_wait;

use crate::Result;

/// A stream as an iterator, for programs without an executor: [`next`](Iterator::next) blocks the calling
/// thread until there is an item. The streams of this crate become one in a `for` loop.
///
/// Dropping it drops the stream, and does what that does.
///
/// ```
/// use std::task::Poll;
/// use std::time::Duration;
///
/// # fn main() -> bitcoin_ipc::Result<()> {
/// # use bitcoin_regtest::{Chain, NodeInit};
/// # let init = bitcoin_ipc::init::InitClient::new(NodeInit::new(Chain::regtest()));
/// # let mining = init.make_mining().wait()?.expect("a Mining");
/// let mut tips = mining.tips().into_iter();
/// let tip = tips.next().expect("it has not ended")?;
/// println!("block {}", tip.height);
/// // There is no other block yet. Nothing is lost: the wait goes on.
/// assert!(tips.next_within(Duration::from_millis(1)).is_pending());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it waits for nothing before it is asked for an item"]
pub struct Blocking<S>(S);

impl<T, S: Stream<Item = Result<T>> + Unpin> Blocking<S> {
    /// The iterator of a stream.
    pub fn new(stream: S) -> Blocking<S> {
        Blocking(stream)
    }

    /// The next item, or `Ready(None)` at the end; `Pending` where there is neither within `timeout`. Then the
    /// wait goes on, and the next call gets what has come meanwhile.
    ///
    /// The item is [`Error::ApiMisuse`](crate::Error::ApiMisuse), and nothing is waited for, on a thread that polls a
    /// future for which that is refused (the crate `multiprocess-tokio` says which): poll the stream there.
    pub fn next_within(&mut self, timeout: Duration) -> Poll<Option<S::Item>> {
        if let Err(refused) = check_may_wait() {
            return Poll::Ready(Some(Err(refused)));
        }
        let stream = &mut self.0;
        // A time that is too far away for the clock means forever.
        let deadline = Instant::now().checked_add(timeout);
        block_on(poll_fn(|context| Pin::new(&mut *stream).poll_next(context)), deadline)
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// The stream, to go on with it as one.
    pub fn into_inner(self) -> S {
        self.0
    }
}

impl<T, S: Stream<Item = Result<T>> + Unpin> Iterator for Blocking<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        match self.next_within(Duration::MAX) {
            Poll::Ready(item) => item,
            // Not before the end of time.
            Poll::Pending => None,
        }
    }
}

/// Polls a future on this thread until it is ready or the time has come.
fn block_on<F: Future>(future: F, deadline: Option<Instant>) -> Poll<F::Output> {
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parked));
    let mut future = pin!(future);
    loop {
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            return polled;
        }
        // Others may unpark this thread, too.
        while !parked.woken.swap(false, Ordering::Acquire) {
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Poll::Pending;
            }
            thread::park_timeout(left);
        }
    }
}

/// A thread that waits for a future.
struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Parked>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
