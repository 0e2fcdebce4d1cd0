//! The public type of a connection.

use std::any::Any;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::beside::{Also, serve_with};
use super::bootstrap::{bootstrap, explained};
use super::call::Call;
use super::interface::Interface;
use super::slot::Slot;
use crate::connection::{ArcConn, Disconnected, Limits, PeerIdentity, WeakConn, read_once};
use crate::forked::{check_forked, is_forked};
use crate::process::{PeerCredentials, peer_credentials};
use crate::session::{self, Complete, Interceptor, Settings};
use crate::threads::this_inbox;
use crate::{Error, Result};

/// A connection to one peer. Clones are the same connection.
///
/// It lives as long as one of: a clone of it, a handle on one of the peer's objects, a call that is
/// being served. When the last of these has gone the socket is closed, which the peer sees.
#[derive(Clone)]
pub struct Connection(ArcConn);

impl Connection {
    /// Describes a connection: what it serves, its limits.
    pub fn builder() -> ConnectionBuilder<NoObject> {
        ConnectionBuilder { object: None, also: Vec::new(), settings: Settings::default() }
    }

    /// Takes over a connected stream socket, to call the peer's objects.
    ///
    /// # Errors
    /// The socket or the driver thread cannot be used.
    pub fn new(socket: impl Into<OwnedFd>) -> Result<Connection> {
        Connection::builder().start(socket)
    }

    /// The same connection, without keeping it.
    pub fn downgrade(&self) -> WeakConnection {
        WeakConnection(ArcConn::downgrade(&self.0))
    }

    pub(super) fn conn(&self) -> &ArcConn {
        &self.0
    }

    pub(crate) fn from_conn(conn: ArcConn) -> Connection {
        Connection(conn)
    }

    /// A handle on the peer's bootstrap object, without waiting for it: the first calls are sent with
    /// the question. Where the interface has a `construct` method, the two sides exchange their
    /// ThreadMaps with it. A peer that never answers is waited for without end, see
    /// [`bootstrap_within`](Self::bootstrap_within).
    ///
    /// # Errors
    /// The connection has ended.
    pub fn bootstrap<I: Interface>(&self) -> Result<I> {
        check_forked()?;
        bootstrap::<I>(&self.0, Complete::ignore("the bootstrap"))
    }

    /// The same for a peer that may not speak this protocol: the connection ends if the peer has not
    /// answered within `timeout`, or answers that it has no such object.
    ///
    /// If the connection ends before the peer has answered, `explain` gets the [`Error::Disconnected`],
    /// [`Error::PeerMisbehaved`] or, where the peer was too slow, [`Error::Timeout`], and returns the
    /// error with which every call fails; the calls wait until it returns. (A timeout that is returned
    /// as it is becomes an [`Error::Disconnected`].) It runs on a thread of the runtime, so it may wait
    /// for the exit of a process, but not for a call of this connection. It is dropped without having
    /// run when the peer has answered, or when this side ends the connection. A connection has only
    /// one: a second `bootstrap_within` replaces the function and the timeout of a first one that is
    /// not answered.
    ///
    /// For a child process there is [`bootstrap_child`](Self::bootstrap_child), which explains by its exit
    /// status.
    ///
    /// ```
    /// use std::time::Duration;
    /// use multiprocess::{Connection, Error, Interface, Result};
    ///
    /// fn connect<Init: Interface>(path: &'static str) -> Result<Init> {
    ///     let within = Duration::from_secs(10);
    ///     let socket = multiprocess::process::connect_timeout(path, within)?;
    ///     let explain = move |error| Error::failed(format!("{error}; is {path} the right socket?"));
    ///     Connection::new(socket)?.bootstrap_within(within, explain)
    /// }
    /// ```
    ///
    /// # Errors
    /// The connection has ended.
    pub fn bootstrap_within<I: Interface>(
        &self,
        timeout: Duration,
        explain: impl FnOnce(Error) -> Error + Send + 'static,
    ) -> Result<I> {
        check_forked()?;
        self.0.start_handshake(timeout, Box::new(explain));
        bootstrap::<I>(&self.0, explained(|_| ())).inspect_err(|_| self.0.stop_explaining())
    }

    /// The same as [`bootstrap`](Self::bootstrap), but waits until the peer has answered, which
    /// shows that it speaks this protocol.
    ///
    /// # Errors
    /// The connection ended first, the peer has no such object, or it did not answer in time.
    pub fn bootstrap_ready<I: Interface>(&self, timeout: Duration) -> Result<I> {
        check_forked()?;
        let answer = Arc::new(Slot::unwatched());
        let filled = Arc::clone(&answer);
        let handle = bootstrap::<I>(
            &self.0,
            Complete::once("the bootstrap", move |_core, _conn, answer| {
                filled.fill(answer.map(|_content| ()))
            }),
        )?;
        Call::answer(answer, timeout).wait()?;
        Ok(handle)
    }

    /// Ends the connection: every call that waits, on either side, and every later one fails with
    /// [`Error::Disconnected`]. Methods that are being served run to their end; [`drain`](Self::drain)
    /// waits for them.
    ///
    /// In a fork of the process this does nothing: the connection is the parent's.
    pub fn disconnect(&self) {
        self.disconnect_because("this side disconnected");
    }

    /// The same for a reason, which the errors of the calls and [`end_reason`](Self::end_reason) tell. The peer is
    /// not told.
    pub fn disconnect_because(&self, reason: impl Into<String>) {
        self.end(Error::disconnected(reason));
    }

    /// Ends the connection as [`disconnect`](Self::disconnect) does, for this reason.
    pub(crate) fn end(&self, reason: Error) {
        if !is_forked() {
            self.0.end_now(reason);
        }
    }

    /// Waits until no method is being served over this connection, for `timeout` at most. Returns
    /// whether that is so.
    pub fn drain(&self, timeout: Duration) -> bool {
        !is_forked() && self.0.drain(timeout)
    }

    /// Whether the connection has not ended, as far as this side knows.
    pub fn is_connected(&self) -> bool {
        self.0.ended().is_none()
    }

    /// Why the connection ended, once it has.
    pub fn end_reason(&self) -> Option<Error> {
        self.0.ended().cloned()
    }

    /// Blocks until the connection has ended. For a process that lives to serve its parent. A future awaits
    /// [`disconnected`](Self::disconnected) instead: this is not refused where a thread runs futures.
    pub fn wait_disconnected(&self) {
        if is_forked() {
            return;
        }
        let (ended, end) = std::sync::mpsc::channel::<()>();
        self.at_end(move || drop(ended));
        // A spawned process gets its first call at once, which this thread can read without waking
        // another.
        read_once(&self.0, this_inbox().parker());
        // Returns an error when the hook has run, which drops the sender.
        let _ = end.recv();
    }

    /// The end of the connection as a future, for any executor: it ends with the reason, at once if the
    /// connection has ended. Several may wait; each can be dropped at any time. It does not keep the
    /// connection, and is also ready when the last handle on it was dropped.
    ///
    /// Whatever ends a connection, on every path and once:
    /// 1. every call of it that waits gets its error, and every later one fails;
    /// 2. the hooks of [`on_disconnect`](Self::on_disconnect) are given to their threads;
    /// 3. the threads and futures that wait for calls are woken, and then these futures.
    ///
    /// So when this is ready or a hook runs, no call of the connection waits for an answer any more. In a
    /// fork of the process it is ready at once, with an [`Error::ApiMisuse`].
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use multiprocess::{Connection, Error};
    ///
    /// # fn main() -> multiprocess::Result<()> {
    /// let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    /// let connection = Connection::new(ours)?;
    /// let end = connection.disconnected();
    /// drop(theirs);
    /// let reason = futures_executor::block_on(end);
    /// assert!(matches!(reason, Error::Disconnected { .. }), "{reason}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn disconnected(&self) -> Disconnected {
        self.0.disconnected()
    }

    /// Runs `hook` with the reason when the connection has ended, at once if it has: exactly once, unless
    /// the process ends before. When it runs, every call of the connection has failed.
    ///
    /// It runs on a thread of the runtime for that, with no lock held, and may take as long as it likes: it
    /// delays only other hooks of this connection, if more than three others wait as well. They are begun
    /// in the order in which they came, and run beside each other. A panic is logged, and the others run.
    /// In a fork of the process this does nothing.
    pub fn on_disconnect<F: FnOnce(Error) + Send + 'static>(&self, hook: F) {
        if is_forked() {
            // What it holds may be the parent's.
            return std::mem::forget(hook);
        }
        self.0.on_disconnect(std::any::type_name::<F>(), Box::new(hook));
    }

    /// Ends the connection if no message has come within `time`. On the driver thread.
    pub(super) fn expect_first_message(&self, time: Duration) {
        self.0.expect_first_message(time);
    }

    /// The same for the runtime's own: see [`Conn::at_end`](crate::connection::Conn::at_end).
    pub(crate) fn at_end(&self, hook: impl FnOnce() + Send + 'static) {
        self.0.at_end(Box::new(hook));
    }

    /// How much the protocol's tables hold, for tests: questions, answers, exports, imports,
    /// embargoes.
    #[doc(hidden)]
    pub fn table_sizes(&self) -> [usize; 5] {
        let sizes = self.0.enter(|core| core.engine.sizes());
        [sizes.questions, sizes.answers, sizes.exports, sizes.imports, sizes.embargoes]
    }

    /// Gives the peer a name, such as that of the program that was started: it stands in the log and in the
    /// [dump](crate::diagnostics) beside the connection's number. The first name stays.
    ///
    /// ```
    /// # let (socket, _theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
    /// let connection = multiprocess::Connection::new(socket)?;
    /// connection.name_peer("printer");
    /// assert!(multiprocess::diagnostics::snapshot().to_string().contains("printer"));
    /// # Ok::<(), multiprocess::Error>(())
    /// ```
    pub fn name_peer(&self, name: impl Into<String>) {
        self.0.name_peer(name.into());
    }

    /// The connection's number in the log and in the [dump](crate::diagnostics). No other connection of this
    /// process has or had it.
    pub fn number(&self) -> u64 {
        self.0.number()
    }

    /// Who the peer is, as whoever started the connection has [told](ConnectionBuilder::peer_identity). None if
    /// nothing was told, or something of another type. With the TLS of multiprocess-tokio it is the peer's certificate.
    ///
    /// Methods ask by [`CurrentCall::connection`](crate::CurrentCall::connection), interceptors by
    /// [`IncomingCall::connection`](crate::IncomingCall::connection).
    pub fn peer_identity<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(self.0.peer_identity()?).downcast().ok()
    }

    /// The peer's process and user, where the socket tells.
    ///
    /// # Errors
    /// The socket is not a unix socket.
    pub fn peer_credentials(&self) -> Result<PeerCredentials> {
        peer_credentials(&***self.0.socket())
    }
}

/// A connection that is not kept by this: for what watches or carries one.
///
/// ```
/// # let (socket, _theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
/// let connection = multiprocess::Connection::new(socket)?;
/// let weak = connection.downgrade();
/// assert!(weak.upgrade().is_some());
/// drop(connection);
/// assert!(weak.upgrade().is_none());
/// # Ok::<(), multiprocess::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct WeakConnection(WeakConn);

impl WeakConnection {
    /// The connection, if something keeps it still.
    pub fn upgrade(&self) -> Option<Connection> {
        self.0.upgrade().map(Connection)
    }

    /// For what carries the bytes of the socket's other end, before it closes that: why it does so. The connection
    /// takes in what has been written, and then ends for this reason instead of "the other side closed the
    /// connection". The first reason stays.
    #[doc(hidden)]
    pub fn explain_end(&self, reason: impl Into<String>) {
        if let Some(conn) = self.0.upgrade() {
            conn.explain_next_end(Error::disconnected(reason));
        }
    }
}

impl fmt::Debug for WeakConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakConnection").finish_non_exhaustive()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("connected", &self.is_connected()).finish()
    }
}

/// Describes a connection before it starts.
///
/// ```
/// use std::os::unix::net::UnixStream;
/// use multiprocess::{Connection, Limits, Result};
/// # mod hello { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/hello.rs")); }
/// use hello::HelloClient; // as generated from a schema
///
/// # fn main() -> Result<()> {
/// let (ours, theirs) = UnixStream::pair().expect("a socket pair");
/// let greeter = HelloClient::from_fn(|name| Ok(format!("Hello, {name}!")));
/// let limits = Limits::default().message(1 << 20);
/// let serving = Connection::builder().limits(limits).serve(greeter).start(theirs)?;
///
/// let hello: HelloClient = Connection::new(ours)?.bootstrap()?;
/// assert_eq!(hello.greet("World").wait()?, "Hello, World!");
/// # drop(serving);
/// # Ok(())
/// # }
/// ```
#[must_use = "it does nothing before it is started"]
pub struct ConnectionBuilder<I> {
    object: Option<I>,
    also: Vec<Also>,
    settings: Settings,
}

impl<I> fmt::Debug for ConnectionBuilder<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionBuilder")
            .field("limits", &self.settings.limits)
            .finish_non_exhaustive()
    }
}

impl<I> ConnectionBuilder<I> {
    /// Bounds on what the peer can make this process hold.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// How long the peer may take to its first message, from the start of the connection, which ends otherwise. For
    /// what accepts connections of strangers. Not bounded unless set.
    pub fn first_message(mut self, time: Duration) -> Self {
        self.settings.first_message = Some(time);
        self
    }

    /// Serves `object` as what the peer's bootstrap returns.
    pub fn serve<J: Interface>(self, object: J) -> ConnectionBuilder<J> {
        let ConnectionBuilder { also, settings, .. } = self;
        ConnectionBuilder { object: Some(object), also, settings }
    }

    /// Has `interceptor` see each call of the connection, within those that were set before it: see
    /// [`Interceptor`].
    pub fn intercept(mut self, interceptor: Arc<dyn Interceptor>) -> Self {
        self.settings.interceptors.push(interceptor);
        self
    }

    /// Gives the peer a name from the first message on: see [`Connection::name_peer`].
    pub fn name_peer(mut self, name: impl Into<String>) -> Self {
        self.settings.peer_name = Some(name.into());
        self
    }

    /// Who the peer is, for what the socket itself does not tell: set by whoever has made the socket and knows, such as
    /// by the peer's certificate. Methods and interceptors ask for it with [`Connection::peer_identity`]. (Of a unix socket
    /// the system knows: [`Connection::peer_credentials`].)
    ///
    /// ```
    /// use std::sync::Arc;
    /// use multiprocess::{Connection, Error, IncomingCall, Interceptor, Result, current_call};
    /// # mod hello { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/hello.rs")); }
    /// use hello::HelloClient; // as generated from a schema
    ///
    /// struct Account {
    ///     name: String,
    ///     blocked: bool,
    /// }
    ///
    /// /// Serves nobody who is blocked.
    /// struct Guard;
    ///
    /// impl Interceptor for Guard {
    ///     fn before_serve(&self, call: &mut IncomingCall<'_>) -> Result<()> {
    ///         match call.connection().peer_identity::<Account>() {
    ///             Some(account) if !account.blocked => Ok(()),
    ///             _ => Err(Error::failed(format!("you may not call {}", call.method()))),
    ///         }
    ///     }
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// # let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
    /// let greeter = HelloClient::from_fn(|greeting| {
    ///     let account = current_call().and_then(|call| call.connection().peer_identity::<Account>());
    ///     Ok(format!("{greeting}, {}", account.map_or("stranger".into(), |account| account.name.clone())))
    /// });
    /// let serving = Connection::builder()
    ///     .intercept(Arc::new(Guard))
    ///     .name_peer("ann")
    ///     .peer_identity(Account { name: "Ann".into(), blocked: false })
    ///     .serve(greeter)
    ///     .start(theirs)?;
    ///
    /// let hello: HelloClient = Connection::new(ours)?.bootstrap()?;
    /// assert_eq!(hello.greet("Hello").wait()?, "Hello, Ann");
    /// # drop(serving);
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer_identity<T: Any + Send + Sync>(mut self, identity: T) -> Self {
        self.settings.peer_identity = Some(Arc::new(identity));
        self
    }

    /// The same for what makes sockets: it names the peer unless the program has done so.
    pub(super) fn identified(mut self, name: String, identity: PeerIdentity) -> Self {
        self.settings.peer_name.get_or_insert(name);
        self.settings.peer_identity = Some(identity);
        self
    }

    /// Its socket only stands for a stream.
    pub(super) fn carried(mut self) -> Self {
        self.settings.carried = true;
        self
    }

    /// With settings that were made elsewhere.
    pub(crate) fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }
}

impl<I: Interface> ConnectionBuilder<I> {
    /// Answers calls of another interface on the same object, with another one: for what is beside the purpose of
    /// the first, such as a [`monitor`](crate::monitor).
    pub fn serve_also<J: Interface>(mut self, object: J) -> Self {
        self.also.push(Also::new(object));
        self
    }

    /// The same for several.
    pub(super) fn also(mut self, also: Vec<Also>) -> Self {
        self.also = also;
        self
    }

    /// Takes over a connected stream socket.
    ///
    /// # Errors
    /// The socket or the driver thread cannot be used.
    pub fn start(self, socket: impl Into<OwnedFd>) -> Result<Connection> {
        let object = self.object.as_ref().map(|object| serve_with(object, self.also));
        session::start(socket.into(), self.settings, object).map(Connection)
    }
}

impl ConnectionBuilder<NoObject> {
    /// Takes over a connected stream socket, and serves nothing.
    ///
    /// # Errors
    /// The socket or the driver thread cannot be used.
    pub fn start(self, socket: impl Into<OwnedFd>) -> Result<Connection> {
        session::start(socket.into(), self.settings, None).map(Connection)
    }
}

/// In a builder's type: nothing is served yet.
#[derive(Debug)]
pub enum NoObject {}
