//! Serves one object to every peer that connects to a socket.

use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::acceptor::{Acceptor, Admission};
use super::beside::Also;
use super::connection::Connection;
use super::interface::Interface;
use crate::Result;
use crate::connection::Limits;
use crate::forked::is_forked;
use crate::process::{Listener, PeerCredentials, refuse_descriptors};
use crate::session::{Interceptor, Settings};

/// Accepts connections on a unix socket and serves each the same object. Dropped, it stops
/// listening and ends its connections.
///
/// ```
/// use std::time::Duration;
/// use multiprocess::{Connection, Result, Server, process};
/// # mod hello { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/hello.rs")); }
/// use hello::{Hello, HelloClient}; // as generated from a schema
///
/// struct Greeter;
///
/// impl Hello for Greeter {
///     fn greet(&self, name: String) -> Result<String> {
///         Ok(format!("Hello, {name}!"))
///     }
/// }
///
/// # fn main() -> Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// # let path = dir.path().join("hello.sock");
/// let server = Server::listen(&path, HelloClient::new(Greeter))?;
///
/// // As another process would do it.
/// let socket = process::connect_timeout(&path, Duration::from_secs(10))?;
/// let hello: HelloClient = Connection::new(socket)?.bootstrap()?;
/// assert_eq!(hello.greet("World").wait()?, "Hello, World!");
///
/// // An orderly end: what runs for clients has returned, and their calls fail from now on.
/// assert!(server.disconnect_all(Duration::from_secs(10)));
/// drop(server);
/// assert!(hello.greet("World").wait().unwrap_err().is_disconnect());
/// assert!(!path.exists());
/// # Ok(())
/// # }
/// ```
#[must_use = "dropped, it stops listening"]
pub struct Server(Arc<Acceptor>);

impl Server {
    /// How many connections a server holds at once unless told otherwise.
    pub const MAX_CONNECTIONS: usize = 256;
    /// How long the first message of a connection may take unless told otherwise.
    pub const FIRST_MESSAGE: Duration = Duration::from_secs(10);

    /// Listens at `path` and serves `object` to each peer of the same user.
    ///
    /// # Errors
    /// The path cannot be listened on; the text says why.
    pub fn listen<I: Interface>(path: impl AsRef<Path>, object: I) -> Result<Server> {
        Server::builder().start(Listener::bind(path.as_ref())?, object)
    }

    /// Describes a server: its limits, and who may connect.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            settings: Settings::default(),
            also: Vec::new(),
            admission: Admission {
                max_connections: Self::MAX_CONNECTIONS,
                max_of_user: usize::MAX,
                first_message: Self::FIRST_MESSAGE,
                accept: Box::new(PeerCredentials::is_same_user),
            },
        }
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The present connections. In a fork of the process there are none: they are the parent's.
    pub fn connections(&self) -> Vec<Connection> {
        // There another thread may have had the lock at the moment of the fork.
        if is_forked() {
            return Vec::new();
        }
        self.0.connections()
    }

    /// Ends every connection and waits until no method is being served on them, for `timeout` at
    /// most in all. Goes on listening. Returns whether nothing is being served any more. In a fork of the
    /// process it does nothing, and returns false.
    pub fn disconnect_all(&self, timeout: Duration) -> bool {
        if is_forked() {
            return false;
        }
        let deadline = Instant::now().checked_add(timeout);
        let connections = self.connections();
        for connection in &connections {
            connection.disconnect();
        }
        // If one does not drain it has used up all the time.
        connections.iter().all(|connection| {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            connection.drain(left.unwrap_or(timeout))
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // In a fork of the process neither does anything: there are no connections there.
        self.0.stop();
        for connection in self.connections() {
            connection.disconnect();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// Who gets one of the further interfaces.
type Who = Box<dyn Fn(&PeerCredentials) -> bool + Send + Sync>;

/// Describes a [`Server`] before it starts.
///
/// ```
/// use std::time::Duration;
/// use multiprocess::{Connection, Limits, Result, Server, process};
/// # mod hello { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/hello.rs")); }
/// use hello::HelloClient; // as generated from a schema
///
/// # fn main() -> Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// # let path = dir.path().join("hello.sock");
/// let server = Server::builder()
///     .max_connections(1)
///     .first_message(Duration::from_secs(5))
///     .limits(Limits::default().calls(64))
///     // Everyone but the user that is to have access to nothing.
///     .accept_if(|peer| peer.uid != 65_534)
///     .listen(&path, HelloClient::from_fn(|name| Ok(format!("Hello, {name}!"))))?;
///
/// let connect = || -> Result<HelloClient> {
///     Connection::new(process::connect_timeout(&path, Duration::from_secs(10))?)?.bootstrap()
/// };
/// let first = connect()?;
/// assert_eq!(first.greet("World").wait()?, "Hello, World!");
/// // A second one is told that there is no place.
/// let error = connect()?.greet("World").wait().unwrap_err();
/// assert!(error.to_string().contains("this server has 1 connection, its maximum"), "{error}");
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[must_use = "it does nothing before it is started"]
pub struct ServerBuilder {
    settings: Settings,
    also: Vec<(Also, Who)>,
    admission: Admission,
}

impl ServerBuilder {
    /// Bounds on what each peer can make this process hold.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Has `interceptor` see each call of each connection, within those that were set before it: see [`Interceptor`].
    pub fn intercept(mut self, interceptor: Arc<dyn Interceptor>) -> Self {
        self.settings.interceptors.push(interceptor);
        self
    }

    /// How many connections there are at once, at least one. A peer beyond that waits for another's
    /// place, a second at most; then it is told that there is none, and its calls fail with
    /// [`Error::Disconnected`](crate::Error::Disconnected). [`Server::MAX_CONNECTIONS`] unless set.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.admission.max_connections = max.max(1);
        self
    }

    /// How many connections each user has at once, at least one. One more is told so at once. For a server
    /// that several users may use ([`accept_if`](Self::accept_if)), so that none takes the others' places. As
    /// many as [`max_connections`](Self::max_connections) unless set.
    pub fn max_connections_of_user(mut self, max: usize) -> Self {
        self.admission.max_of_user = max.max(1);
        self
    }

    /// How long a peer may take from connecting to its first message. A connection on which nothing comes
    /// would otherwise hold its place for ever. [`Server::FIRST_MESSAGE`] unless set.
    pub fn first_message(mut self, time: Duration) -> Self {
        self.admission.first_message = time;
        self
    }

    /// Who may connect, by process, user and group. Others are told that they may not, and their calls fail
    /// with [`Error::Disconnected`](crate::Error::Disconnected). The user of this process and root, unless set.
    ///
    /// `accept` runs on the thread that reads all sockets of the process, and must not block.
    pub fn accept_if(
        mut self,
        accept: impl Fn(&PeerCredentials) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.admission.accept = Box::new(accept);
        self
    }

    /// Answers calls of another interface on the same object, with another one, to those peers for whom `who` says
    /// so: for what is beside the purpose of the server, such as a [`monitor`](crate::monitor). To others it is as if
    /// there were no such interface. [`PeerCredentials::is_same_user`] is a `who`.
    ///
    /// `who` runs where [`accept_if`](Self::accept_if)'s function does, and must not block.
    pub fn serve_also<J: Interface>(
        mut self,
        object: J,
        who: impl Fn(&PeerCredentials) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.also.push((Also::new(object), Box::new(who)));
        self
    }

    /// Serves `object` to each peer that connects to `listener`.
    ///
    /// # Errors
    /// The descriptor or the driver thread cannot be used.
    pub fn start<I: Interface>(self, listener: Listener, object: I) -> Result<Server> {
        let ServerBuilder { settings, also, admission } = self;
        if settings.limits.descriptors == 0 {
            // Before anybody connects: what is sent before the connection is accepted counts as well.
            refuse_descriptors(listener.as_fd());
        }
        let start = move |stream, peer: &PeerCredentials| {
            let also = also.iter().filter(|(_, who)| who(peer)).map(|(also, _)| also.clone());
            let connection = Connection::builder().settings(settings.clone());
            connection.serve(object.clone()).also(also.collect()).start(stream)
        };
        Acceptor::start(admission, listener, Box::new(start)).map(Server)
    }

    /// Listens at `path` and serves `object` to each peer.
    ///
    /// # Errors
    /// The path cannot be listened on, or the driver thread cannot be used; the text says why.
    pub fn listen<I: Interface>(self, path: impl AsRef<Path>, object: I) -> Result<Server> {
        self.start(Listener::bind(path.as_ref())?, object)
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("limits", &self.settings.limits)
            .field("max_connections", &self.admission.max_connections)
            .field("first_message", &self.admission.first_message)
            .finish_non_exhaustive()
    }
}
