//! Accepts connections and serves each an object, until a token is cancelled.

mod admission;
mod one;
#[cfg(feature = "tls")]
mod remote;

use std::any::{Any, TypeId};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use multiprocess::process::PeerCredentials;
use multiprocess::{Error, Interceptor, Interface, Limits, Result, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::guard;
use admission::{Refusals, admitted, is_of_the_peer, make, no_place};
use one::serve_one;

/// How long accepting pauses when the process has no descriptor left.
const REST: Duration = Duration::from_millis(100);

/// Serves each peer of the same user that connects to `listener` the object that `make_object` makes for it,
/// until `shutdown` is cancelled. As [`Serve::new`]`().unix(..)`: see there.
///
/// ```
/// # mod market { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/generated/market.rs")); }
/// # use market::{MarketAsync, MarketClient};
/// # use multiprocess::{Connection, Result};
/// use multiprocess_tokio::{StartStream, on, serve};
/// use tokio::net::{UnixListener, UnixStream};
/// use tokio::runtime::Handle;
/// use tokio_util::sync::CancellationToken;
/// # #[derive(Clone)]
/// # struct Stall;
/// # impl MarketAsync for Stall {
/// #     async fn price(&self, goods: String) -> Result<u32> { Ok(goods.len() as u32) }
/// # }
///
/// # #[tokio::main]
/// # async fn main() -> Result<()> {
/// # let directory = tempfile::tempdir().expect("a directory");
/// # let path = directory.path().join("market.sock");
/// let shutdown = CancellationToken::new();
/// let listener = UnixListener::bind(&path).expect("a free path");
/// let market = |_peer: &UnixStream| Ok(MarketClient::new_async(Stall, on(&Handle::current())));
/// let serving = tokio::spawn(serve(listener, market, shutdown.clone()));
///
/// let stream = UnixStream::connect(&path).await.expect("it listens");
/// let market: MarketClient = Connection::builder().start_stream(stream)?.bootstrap()?;
/// assert_eq!(market.price("tea").await?, 3);
///
/// shutdown.cancel(); // as on SIGTERM
/// serving.await.expect("it does not panic")?;
/// assert!(market.price("tea").await.unwrap_err().is_disconnect());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// This is not within a tokio runtime.
pub async fn serve<I, M>(
    listener: UnixListener,
    make_object: M,
    shutdown: CancellationToken,
) -> Result<()>
where
    I: Interface,
    M: FnMut(&UnixStream) -> Result<I>,
{
    Serve::new().unix(listener, make_object, shutdown).await
}

/// Who may connect.
type Accept = Box<dyn FnMut(&PeerCredentials) -> bool + Send>;

/// An accept loop: its limits, who may connect, and how it ends.
///
/// When its `shutdown` is cancelled it stops accepting. A connection then ends as soon as nothing is served on it,
/// after the [grace time](Self::grace) at the latest; what is still served by then is cancelled, which drops
/// futures, and tells methods that block ([`multiprocess::current_call`]). The loop returns when all connections have
/// ended and all methods have returned: a method that does not heed that its call was cancelled keeps it as long.
///
/// If the future of the loop is dropped instead, all of its connections end at once, and it waits for nothing.
pub struct Serve {
    settings: Settings,
    accept: Accept,
}

/// What does not depend on the kind of the streams.
struct Settings {
    limits: Limits,
    interceptors: Vec<Arc<dyn Interceptor>>,
    grace: Duration,
    max_connections: usize,
    first_message: Duration,
}

impl Serve {
    /// How long connections have on shutdown unless told otherwise.
    pub const GRACE: Duration = Duration::from_secs(10);

    /// The usual limits: those of [`multiprocess::Server`].
    pub fn new() -> Serve {
        let settings = Settings {
            limits: Limits::default(),
            interceptors: Vec::new(),
            grace: Self::GRACE,
            max_connections: Server::MAX_CONNECTIONS,
            first_message: Server::FIRST_MESSAGE,
        };
        Serve { settings, accept: Box::new(PeerCredentials::is_same_user) }
    }

    /// Bounds on what each peer can make this process hold.
    pub fn limits(mut self, limits: Limits) -> Serve {
        self.settings.limits = limits;
        self
    }

    /// Has `interceptor` see each call of each connection, within those that were set before it: see [`Interceptor`].
    pub fn intercept(mut self, interceptor: Arc<dyn Interceptor>) -> Serve {
        self.settings.interceptors.push(interceptor);
        self
    }

    /// How long what is served may take when `shutdown` is cancelled. [`GRACE`](Self::GRACE) unless set.
    pub fn grace(mut self, time: Duration) -> Serve {
        self.settings.grace = time;
        self
    }

    /// How many connections there are at once, at least one. A peer beyond that is told that there is no place. A
    /// connection has its place until its methods have returned. [`Server::MAX_CONNECTIONS`] unless set.
    pub fn max_connections(mut self, max: usize) -> Serve {
        self.settings.max_connections = max.max(1);
        self
    }

    /// How long a peer may take from connecting to its first message. [`Server::FIRST_MESSAGE`] unless set.
    pub fn first_message(mut self, time: Duration) -> Serve {
        self.settings.first_message = time;
        self
    }

    /// Who may connect to a unix socket, by process, user and group. Others are told that they may not. The user of
    /// this process and root, unless set.
    pub fn accept_if(
        mut self,
        accept: impl FnMut(&PeerCredentials) -> bool + Send + 'static,
    ) -> Serve {
        self.accept = Box::new(accept);
        self
    }

    /// Serves each peer that connects to `listener` and [may do so](Self::accept_if) the object that `make_object` makes for it,
    /// until `shutdown` is cancelled. A peer for which `make_object` fails is told the error; where it panics, that it did.
    ///
    /// The file of the socket has the mode that the process's umask gives it, and is not removed at the end.
    ///
    /// # Errors
    /// This is not within a tokio runtime.
    pub async fn unix<I, M>(
        self,
        listener: UnixListener,
        make_object: M,
        shutdown: CancellationToken,
    ) -> Result<()>
    where
        I: Interface,
        M: FnMut(&UnixStream) -> Result<I>,
    {
        self.incoming(Accepted(listener), make_object, shutdown).await
    }

    /// The same for streams of any kind, such as those of TLS after their handshake: for each that `incoming` gives. An
    /// error that it gives is logged, and the loop goes on. When it ends, the connections are served to their ends.
    ///
    /// `make_object` gets the stream, so that it can look at the peer's certificate: this loop authenticates nobody but
    /// the peers of [`UnixStream`]s, as [`unix`](Self::unix) does. So it refuses plain TCP; and of a stream that has a
    /// unix socket inside, `make_object` has to look at the peer. Handshakes belong into `incoming`, several at a time
    /// and bounded, so that no peer holds up others.
    ///
    /// Of those who get no connection, sixteen at a time are told why, for five seconds at most each; more of them see
    /// the end of the stream only.
    ///
    /// # Errors
    /// The streams are [`TcpStream`]s, or this is not within a tokio runtime ([`Error::ApiMisuse`](multiprocess::Error::ApiMisuse)).
    pub async fn incoming<L, S, I, M>(
        self,
        incoming: L,
        mut make_object: M,
        shutdown: CancellationToken,
    ) -> Result<()>
    where
        L: Stream<Item = io::Result<S>>,
        S: AsyncRead + AsyncWrite + Send + 'static,
        I: Interface,
        M: FnMut(&S) -> Result<I>,
    {
        if TypeId::of::<S>() == TypeId::of::<TcpStream>() {
            return Err(Error::misuse(
                "plain TCP is not served, as everyone could call: serve TLS with client certificates (Serve::tls, with \
                 the feature `tls`), or a unix socket",
            ));
        }
        let Serve { settings, mut accept } = self;
        let make_object = move |stream: &S| {
            if let Some(socket) = (stream as &dyn Any).downcast_ref::<UnixStream>() {
                admitted(socket, &mut *accept)?;
            }
            make_object(stream)
        };
        settings.run(incoming, make_object, shutdown).await
    }
}

impl Default for Serve {
    fn default() -> Serve {
        Serve::new()
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("limits", &self.settings.limits)
            .field("grace", &self.settings.grace)
            .field("max_connections", &self.settings.max_connections)
            .field("first_message", &self.settings.first_message)
            .finish_non_exhaustive()
    }
}

impl Settings {
    async fn run<L, S, I, M>(
        self,
        incoming: L,
        mut make_object: M,
        shutdown: CancellationToken,
    ) -> Result<()>
    where
        L: Stream<Item = io::Result<S>>,
        S: AsyncRead + AsyncWrite + Send + 'static,
        I: Interface,
        M: FnMut(&S) -> Result<I>,
    {
        let handle = Handle::try_current()
            .map_err(|_| Error::misuse("connections are served within a tokio runtime only"))?;
        // Dropped, it ends the connections.
        let mut connections = JoinSet::new();
        let mut refusals = Refusals::new(&handle);
        let accepting = async {
            let mut incoming = pin!(incoming);
            loop {
                let next = tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    Some(_ended) = connections.join_next() => continue,
                    next = poll_fn(|context| incoming.as_mut().poll_next(context)) => next,
                };
                let stream = match next {
                    Some(Ok(stream)) => stream,
                    Some(Err(error)) => {
                        tracing::warn!("cannot accept a connection: {error}");
                        if !is_of_the_peer(&error) {
                            tokio::select! {
                                () = shutdown.cancelled() => return,
                                () = tokio::time::sleep(REST) => continue,
                            }
                        }
                        continue;
                    }
                    None => return,
                };
                if connections.len() >= self.max_connections {
                    refusals.tell(stream, &no_place(self.max_connections));
                    continue;
                }
                match make(|| make_object(&stream)) {
                    Ok(object) => {
                        let one = serve_one(&self, stream, object, &handle, shutdown.clone());
                        if let Some(one) = one {
                            connections.spawn_on(one, &handle);
                        }
                    }
                    Err(error) => refusals.tell(stream, &error.to_string()),
                }
            }
        };
        // `incoming` is dropped here: nobody connects any more.
        guard(accepting).await;
        while connections.join_next().await.is_some() {}
        refusals.end().await;
        Ok(())
    }
}

/// The connections to a unix socket.
struct Accepted(UnixListener);

impl Stream for Accepted {
    type Item = io::Result<UnixStream>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<UnixStream>>> {
        self.0.poll_accept(context).map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}
