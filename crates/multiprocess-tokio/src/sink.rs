//! A streaming method as a sink.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use multiprocess::{Call, Error, Interface, Result, rt};

/// A method of `object` that the schema declares `-> stream`, as a [`Sink`] of what `write` gives it.
///
/// - An item is sent in `start_send`. The sink is ready for the next when the peer's flow control lets it: at most 64
///   calls and 256 KiB are under way ([`Call`] says more).
/// - `flush` waits for that, too, and not for answers.
/// - `close` waits until all items have been served, and ends the object as its generated `close()` does. Where a
///   method tells the outcome, call it instead: it is sent when the items before it are served.
/// - When an item has failed, that is the error of what is done from then on, and nothing more is sent. `close` ends the
///   object all the same.
/// - Dropping the sink takes back nothing that was sent, and dropping a `send` that waits for room only its own
///   item. But where the peer may have older versions of the interface, and so calls do not stream, the last item
///   is a call that is cancelled: `flush` before.
///
/// ```
/// use futures_util::SinkExt;
/// # mod market { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/generated/market.rs")); }
/// use market::{MarketClient, OrderClient}; // as generated from a schema
/// # use market::{Market, Order};
/// # use multiprocess::{Connection, Result};
/// # #[derive(Default)]
/// # struct Cart(std::sync::atomic::AtomicU32);
/// # impl Order for Cart {
/// #     fn add(&self, goods: String) -> Result<()> {
/// #         self.0.fetch_add(goods.len() as u32, std::sync::atomic::Ordering::SeqCst);
/// #         Ok(())
/// #     }
/// #     fn total(&self) -> Result<u32> { Ok(self.0.load(std::sync::atomic::Ordering::SeqCst)) }
/// # }
/// # struct Stall;
/// # impl Market for Stall {
/// #     fn order(&self) -> Result<OrderClient> { Ok(OrderClient::new(Cart::default())) }
/// # }
///
/// # #[tokio::main]
/// # async fn main() -> Result<()> {
/// # let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
/// # let serving = Connection::builder().serve(MarketClient::new(Stall)).start(theirs)?;
/// # let calling = Connection::new(ours)?;
/// # let market: MarketClient = calling.bootstrap()?;
/// let order = market.order().await?;
/// let mut goods = multiprocess_tokio::sink(order.clone(), OrderClient::add);
/// goods.send("tea").await?;
/// goods.send("cake").await?;
/// // Sent when both are served.
/// assert_eq!(order.total().await?, 7);
/// goods.close().await?;
/// # drop(serving);
/// # Ok(())
/// # }
/// ```
pub fn sink<I, T, F>(object: I, write: F) -> CallSink<I, T, F>
where
    I: Interface,
    F: FnMut(&I, T) -> Call<()>,
{
    CallSink { object, write, state: State::Open(None), _items: PhantomData }
}

/// A sink that calls a streaming method for each item, from [`sink`].
#[must_use = "sinks do nothing unless polled"]
pub struct CallSink<I, T, F> {
    object: I,
    write: F,
    state: State,
    _items: PhantomData<fn(T)>,
}

enum State {
    /// The last call, if it may wait for room.
    Open(Option<Call<()>>),
    /// An item has failed.
    Failed(Error),
    /// With what had failed before, if something had.
    Closing(Call<()>, Option<Error>),
    Closed,
}

impl<I, T, F> CallSink<I, T, F> {
    /// Waits until there is room for an item.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.state {
            State::Open(Some(call)) => {
                let sent = ready!(Pin::new(call).poll(context));
                self.state = match &sent {
                    Ok(()) => State::Open(None),
                    Err(error) => State::Failed(error.clone()),
                };
                Poll::Ready(sent)
            }
            State::Failed(error) => Poll::Ready(Err(error.clone())),
            State::Open(None) | State::Closing(..) | State::Closed => Poll::Ready(Ok(())),
        }
    }
}

// None of its parts is pinned.
impl<I, T, F> Unpin for CallSink<I, T, F> {}

impl<I, T, F> Sink<T> for CallSink<I, T, F>
where
    I: Interface,
    F: FnMut(&I, T) -> Call<()>,
{
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_room(context)
    }

    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<()> {
        let this = &mut *self;
        match &mut this.state {
            State::Open(last @ None) => {
                *last = Some((this.write)(&this.object, item).start());
                Ok(())
            }
            State::Open(Some(_)) => Err(Error::misuse("poll_ready comes before each start_send")),
            State::Failed(error) => Err(error.clone()),
            State::Closing(..) | State::Closed => Err(Error::misuse("the sink was closed")),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_room(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let room = ready!(self.poll_room(context));
        let this = &mut *self;
        if let State::Open(_) | State::Failed(_) = this.state {
            this.state = State::Closing(rt::close(&this.object), room.err());
        }
        let State::Closing(close, failed) = &mut this.state else { return Poll::Ready(Ok(())) };
        let closed = ready!(Pin::new(close).poll(context));
        let failed = failed.take();
        this.state = State::Closed;
        Poll::Ready(failed.map_or(closed, Err))
    }
}

impl<I: fmt::Debug, T, F> fmt::Debug for CallSink<I, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallSink").field("object", &self.object).finish_non_exhaustive()
    }
}
