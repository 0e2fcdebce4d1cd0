//! The calls of a callback as a stream: the object that peers call puts what it is told into a channel.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use multiprocess::{Error, Result, current_call, rt};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};

/// What a generated `from_fn` takes: the method of a callback.
pub type Receives<T> = Box<dyn Fn(T) -> Result<()> + Send + Sync>;

/// An object whose one method has one parameter, and its calls as a stream of these.
///
/// `make` is the generated `from_fn` of the callback's handle. At most `capacity` calls wait in the stream (at
/// least one); the method of a call for which there is no room returns when there is, so that a slow reader slows
/// the callers down. See [`channel`] for methods of several parameters.
///
/// Read the stream while calls are awaited that tell it: a call that waits until its callbacks have returned does not
/// end if there are more of these than `capacity`, and nobody reads them before it has.
///
/// ```
/// use futures_util::StreamExt;
/// # mod market { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/generated/market.rs")); }
/// use market::{ListenerClient, Market, MarketClient}; // as generated from a schema
/// # use multiprocess::{Connection, Result};
/// # struct Stall;
/// # impl Market for Stall {
/// #     fn watch(&self, on_sale: ListenerClient) -> Result<()> {
/// #         std::thread::spawn(move || (1..=3).try_for_each(|total| on_sale.sold(total).wait()));
/// #         Ok(())
/// #     }
/// # }
///
/// # #[tokio::main]
/// # async fn main() -> Result<()> {
/// # let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
/// # let serving = Connection::builder().serve(MarketClient::new(Stall)).start(theirs)?;
/// # let calling = Connection::new(ours)?;
/// # let market: MarketClient = calling.bootstrap()?;
/// let (listener, mut sales) = multiprocess_tokio::callback(16, ListenerClient::from_fn);
/// market.watch(listener).await?;
/// assert_eq!(sales.next().await, Some(1));
/// assert_eq!(sales.next().await, Some(2));
/// # assert_eq!(sales.next().await, Some(3));
/// // The market has dropped the listener.
/// assert_eq!(sales.next().await, None);
/// # drop(serving);
/// # Ok(())
/// # }
/// ```
pub fn callback<I, T: Send + 'static>(
    capacity: usize,
    make: impl FnOnce(Receives<T>) -> I,
) -> (I, Callbacks<T>) {
    let (sender, calls) = channel(capacity);
    (make(Box::new(move |item| sender.send(item))), calls)
}

/// The two ends of a stream of calls, for objects of any methods: they [`send`](CallbackSender::send), or
/// [`send_async`](CallbackSender::send_async) where they are futures.
///
/// ```
/// # mod market { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/generated/market.rs")); }
/// use market::{ListenerAsync, ListenerClient};
/// use multiprocess::Result;
/// use multiprocess_tokio::{CallbackSender, channel, on};
///
/// struct Tells(CallbackSender<(u32, &'static str)>);
///
/// impl ListenerAsync for Tells {
///     async fn sold(&self, total: u32) -> Result<()> {
///         // While there is no room, this takes no thread.
///         self.0.send_async((total, "dollars")).await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let (sender, mut sales) = channel(16);
/// let listener = ListenerClient::new_async(Tells(sender), on(&tokio::runtime::Handle::current()));
/// # // As a peer does it; a local call of it blocks.
/// # let call = tokio::task::spawn_blocking(move || listener.sold(7).wait());
/// assert_eq!(sales.recv().await, Some((7, "dollars")));
/// # call.await.expect("it ends")
/// # }
/// ```
pub fn channel<T>(capacity: usize) -> (CallbackSender<T>, Callbacks<T>) {
    let (sender, receiver) = mpsc::channel(capacity.clamp(1, Semaphore::MAX_PERMITS));
    (CallbackSender(sender), Callbacks(receiver))
}

/// Puts calls into a [`Callbacks`]: held by the object that is called. When the last one is dropped, the stream
/// ends.
#[derive(Debug)]
pub struct CallbackSender<T>(mpsc::Sender<T>);

impl<T> CallbackSender<T> {
    /// Returns when the stream has taken the item, which it has in order. Blocks the thread while there is no
    /// room: that of the call. Calls of the connection that are behind this one and have no Context, or name no thread,
    /// are served by other threads meanwhile, as long as there are some ([`Limits::threads`](multiprocess::Limits)).
    ///
    /// # Errors
    /// Nothing was put into the stream: it was dropped ([`Error::Remote`]), the call that this thread serves was
    /// cancelled meanwhile ([`Error::Cancelled`]), or this thread must not block ([`Error::ApiMisuse`], see
    /// [`guard`](crate::guard)).
    pub fn send(&self, item: T) -> Result<()> {
        match self.0.try_send(item) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(nobody()),
            Err(TrySendError::Full(item)) => {
                let mut sending = pin!(self.send_async(item));
                // It takes its turn here: from then on other threads may serve the calls behind it.
                match sending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(sent) => sent,
                    Poll::Pending => rt::block(|| pollster::block_on(sending))?,
                }
            }
        }
    }

    /// The same for a method that is a future. If it is dropped the item was not put into the stream.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_async(&self, item: T) -> Result<()> {
        let token = current_call().map(|call| call.cancel_token());
        let cancelled = async {
            match &token {
                Some(token) => rt::cancelled(token).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancelled => Err(Error::Cancelled),
            sent = self.0.send(item) => sent.map_err(|_| nobody()),
        }
    }
}

impl<T> Clone for CallbackSender<T> {
    fn clone(&self) -> Self {
        CallbackSender(self.0.clone())
    }
}

fn nobody() -> Error {
    Error::failed("nobody listens to these callbacks any more: their stream was dropped")
}

/// A stream of the calls of a callback, from [`callback`] or [`channel`], in their order.
///
/// It ends when the object is gone: the peer has released it, or its connection has ended, and no handle is left
/// here. A future that waits for the next item loses none if it is dropped. When the stream is dropped, calls that
/// wait for room and later ones fail; what was taken and not read is lost ([`close`](Self::close), and read to the
/// end, to lose nothing).
#[derive(Debug)]
pub struct Callbacks<T>(mpsc::Receiver<T>);

impl<T> Callbacks<T> {
    /// The next call; none when the object is gone. Can be dropped at any time.
    pub async fn recv(&mut self) -> Option<T> {
        self.0.recv().await
    }

    /// Takes no more calls: those that wait for room, and later ones, fail. What was taken can be read.
    pub fn close(&mut self) {
        self.0.close();
    }
}

impl<T> Stream for Callbacks<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(context)
    }
}
