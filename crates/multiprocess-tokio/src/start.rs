//! Starts a connection over a stream: with its descriptor where it is a socket of tokio's own, through a pump
//! where it is anything else.

use std::any::Any;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;

use multiprocess::rt::StartConnection;
use multiprocess::{Connection, Error, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::pump::Pump;

/// Starts connections over streams of tokio: a method of [`Connection::builder`]'s.
///
/// ```
/// use multiprocess::{Connection, Result};
/// use multiprocess_tokio::StartStream;
/// # mod market { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/generated/market.rs")); }
/// use market::{Market, MarketClient}; // as generated from a schema
///
/// struct Stall;
///
/// impl Market for Stall {
///     fn price(&self, goods: String) -> Result<u32> {
///         Ok(goods.len() as u32)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let (ours, theirs) = tokio::io::duplex(4096);
/// let serving = Connection::builder().serve(MarketClient::new(Stall)).start_stream(theirs)?;
/// let calling = Connection::builder().start_stream(ours)?;
/// let market: MarketClient = calling.bootstrap()?;
/// assert_eq!(market.price("tea").await?, 3);
/// # drop(serving);
/// # Ok(())
/// # }
/// ```
///
/// A stream of futures-io is one of tokio's through `tokio_util::compat`:
///
/// ```
/// # use multiprocess::{Connection, Result};
/// # use multiprocess_tokio::StartStream;
/// use futures_util::io::{AsyncRead, AsyncWrite};
/// use tokio_util::compat::FuturesAsyncReadCompatExt;
///
/// fn connect<S: AsyncRead + AsyncWrite + Send + 'static>(stream: S) -> Result<Connection> {
///     Connection::builder().start_stream(stream.compat())
/// }
/// ```
pub trait StartStream: StartConnection + Sized {
    /// Takes over a connected stream, on the runtime in which this is called. It returns at once.
    ///
    /// - Of tokio's own [`UnixStream`] and [`TcpStream`] the descriptor is taken: the runtime has no part in the
    ///   connection, which is as fast as one of [`start`](multiprocess::ConnectionBuilder::start), and outlives it.
    /// - Anything else is carried by a task of the runtime, which copies both ways between the stream and a
    ///   socket pair. A side that does not read stops the other when some 300 KiB are under way. When the
    ///   connection ends, what it had written is written to the stream, which is shut down then; a peer that
    ///   does not take it is let go after five seconds. When the stream ends or fails, the connection takes in
    ///   what has come, and ends; an error of the stream is its [reason](Connection::end_reason). If the runtime is
    ///   shut down, the connection ends. No file descriptors go that way, whatever the limits say.
    ///
    /// Nobody is authenticated by this: a plain TCP stream is for tests, or for what is authenticated elsewhere.
    ///
    /// On a current-thread runtime the task runs only while that thread runs the runtime: a thread that
    /// `.wait()`s there waits for ever (see [`guard`](crate::guard)).
    ///
    /// # Errors
    /// There is no runtime here ([`Error::ApiMisuse`]), or the socket or the driver thread cannot be used.
    ///
    /// # Panics
    /// The stream is to be carried, and the runtime was built without `enable_all()` (or I/O and time).
    fn start_stream<S>(self, stream: S) -> Result<Connection>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let handle = Handle::try_current().map_err(|_| {
            Error::misuse(
                "a stream was given to a connection outside of a tokio runtime: call start_stream in a task, or \
                 start_stream_on(stream, &handle)",
            )
        })?;
        self.start_stream_on(stream, &handle)
    }

    /// The same on this runtime, from any thread.
    ///
    /// # Errors
    /// The socket or the driver thread cannot be used.
    ///
    /// # Panics
    /// As [`start_stream`](Self::start_stream).
    fn start_stream_on<S>(self, stream: S, handle: &Handle) -> Result<Connection>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        start(self, stream, handle).map(|(connection, _carried)| connection)
    }
}

impl<B: StartConnection> StartStream for B {}

/// Starts a connection, and what carries its bytes, if something does: the task ends after the connection, when
/// what that had written is delivered.
pub(crate) fn start<B, S>(
    builder: B,
    stream: S,
    handle: &Handle,
) -> Result<(Connection, Option<JoinHandle<()>>)>
where
    B: StartConnection,
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    #[cfg(feature = "tls")]
    let builder = identified(builder, &stream);
    let Socket { descriptor, carry } = Socket::of(stream, handle)?;
    let Some(carry) = carry else { return Ok((builder.start_connection(descriptor)?, None)) };
    let connection = builder.carried().start_connection(descriptor)?;
    let carried = handle.spawn(carry(Some(&connection)));
    Ok((connection, Some(carried)))
}

/// With what is known of the peer of a TLS stream.
#[cfg(feature = "tls")]
fn identified<B: StartConnection, S: 'static>(builder: B, stream: &S) -> B {
    let stream: &dyn Any = stream;
    match stream.downcast_ref::<crate::tls::TlsStream>() {
        Some(stream) => {
            let peer = std::sync::Arc::new(stream.peer().clone());
            builder.identified(stream.peer_name(), peer)
        }
        None => builder,
    }
}

/// A socket that stands for a stream.
pub(crate) struct Socket {
    pub(crate) descriptor: OwnedFd,
    /// What carries the bytes of a connection, or of none that lives on: a task.
    pub(crate) carry: Option<Carry>,
}

type Carry = Box<dyn FnOnce(Option<&Connection>) -> Carries + Send>;
type Carries = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Socket {
    pub(crate) fn of<S>(stream: S, handle: &Handle) -> Result<Socket>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        // As the type is not known here, it is asked for: two of all streams are sockets.
        let mut stream = Some(stream);
        let any: &mut dyn Any = &mut stream;
        if let Some(socket) = any.downcast_mut::<Option<UnixStream>>().and_then(Option::take) {
            let socket =
                socket.into_std().map_err(|error| Error::io("take over a socket", error))?;
            return Ok(Socket { descriptor: socket.into(), carry: None });
        }
        if let Some(socket) = any.downcast_mut::<Option<TcpStream>>().and_then(Option::take) {
            // A call must not wait for others to fill a packet. Where it cannot be set, it is only slower.
            let _ = socket.set_nodelay(true);
            let socket =
                socket.into_std().map_err(|error| Error::io("take over a socket", error))?;
            return Ok(Socket { descriptor: socket.into(), carry: None });
        }
        let Some(stream) = stream else { unreachable!("a stream is taken once") };
        let (descriptor, pump) = Pump::new(stream, handle)?;
        let carry: Carry = Box::new(move |connection| Box::pin(pump.carrying(connection).run()));
        Ok(Socket { descriptor, carry: Some(carry) })
    }
}
