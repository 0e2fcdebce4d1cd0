//! The traits for working with other processes, and [`Ipc`], which implements them.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use multiprocess::process::{
    Child, Command, ConnectError, ConnectFailure, FdArgs, Listener, PeerCredentials,
    connect_raw_timeout, ignore_sigint, inherited_socket, sibling_executable,
};
use multiprocess::{
    Connection, Error, Interface, Reconnect, Result, Server, ServerBuilder, monitor,
};

use super::bootstrap::Bootstrap;
use super::{Address, Chain, IpcContext, IpcOptions, default_base_datadir, network_datadir};
use crate::init::InitClient;

/// How long the methods that a child is serving may take to end once its parent is gone. Less than
/// [`Grace::EXIT`](multiprocess::process::Grace::EXIT), after which the parent sends SIGTERM.
const DRAIN: Duration = Duration::from_secs(2);
/// The one program that others connect to.
const NODE: &str = "bitcoin-node";

/// Starts other processes.
pub trait SpawnProcess {
    /// Starts the program `exe_name`, which is looked up beside this process's own, and returns a
    /// handle on its Init, without waiting for the program: the first calls are sent at once. The
    /// process exits when the last handle on any of its objects is dropped.
    ///
    /// # Errors
    /// [`Error::Spawn`] with the program and the system's reason where it cannot be started.
    ///
    /// Whether a program that starts also serves is usually not known yet when this returns. If it does
    /// not, every call fails with [`Error::Spawn`], which has the exit status, or what the program did
    /// instead within
    /// [`IpcOptions::spawn_timeout`](super::IpcOptions::spawn_timeout). The process is then gone and
    /// reaped.
    ///
    /// A program that needs more than 3 seconds to exit after its parent has disconnected, such as a node
    /// with a database, is to be started with [`Ipc::spawn_command`] and a command with a longer
    /// [`grace`](Command::grace): it is killed otherwise.
    fn spawn_process(&self, exe_name: &str) -> Result<InitClient>;
}

/// Serves the parent, in a process that was started by one.
pub trait StartSpawnedProcess {
    /// If the arguments (the program's name first) are those of a spawned process, serves the
    /// parent until it disconnects, and returns the status to exit with. None for other arguments.
    ///
    /// # Errors
    /// `-ipcfd` with something that is not an inherited socket, or with further arguments.
    fn start_spawned_process(&self, args: &[OsString]) -> Result<Option<i32>>;
}

/// Access to the name and data directory of the process.
pub trait Context {
    /// The process's name, its data directory.
    fn context(&self) -> &IpcContext;
}

/// Runs clean-up functions at the end of an object.
pub trait AddCleanup {
    /// Runs `cleanup` once no handle on the object is left, or when it was closed.
    fn add_cleanup<I: Interface>(&self, object: &I, cleanup: impl FnOnce() + Send + 'static);
}

/// All traits for working with other processes.
pub trait IpcInterface: SpawnProcess + StartSpawnedProcess + Context + AddCleanup {}

impl<T: SpawnProcess + StartSpawnedProcess + Context + AddCleanup> IpcInterface for T {}

/// A process's IPC: what it serves, the processes it started, the sockets it listens on.
pub struct Ipc {
    init: Bootstrap,
    context: IpcContext,
    servers: Mutex<Vec<Server>>,
}

/// A process that this one started.
#[derive(Debug)]
#[non_exhaustive]
pub struct Spawned {
    /// Its bootstrap object.
    pub init: InitClient,
    /// The process itself. It may be dropped; the process is reaped nevertheless.
    pub child: Arc<Child>,
    /// The connection to it.
    pub connection: Connection,
}

impl Ipc {
    /// The IPC of a process.
    pub fn new(options: IpcOptions) -> Ipc {
        Ipc { init: options.init, context: options.context, servers: Mutex::default() }
    }

    /// Starts a program by its path, and returns it with its Init, without waiting for it.
    ///
    /// # Errors
    /// As [`SpawnProcess::spawn_process`]: most errors are those of the first call.
    pub fn spawn(&self, program: &Path) -> Result<Spawned> {
        self.spawn_command(Command::new(program), program)
    }

    /// The same with a command of the caller's own; `-ipcfd N` is added to its arguments.
    ///
    /// # Errors
    /// As [`SpawnProcess::spawn_process`].
    pub fn spawn_command(&self, command: Command, program: &Path) -> Result<Spawned> {
        let (child, socket) = command.fd_args(FdArgs::Flag("-ipcfd")).spawn()?;
        let child = Arc::new(child);
        let connection = self.start(socket)?;
        let file = program.file_name().unwrap_or_default().to_string_lossy();
        connection.name_peer(format!("{file}[{}]", child.id()));
        let (reaped, name) = (Arc::clone(&child), program.to_owned());
        let reap = move || match reaped.end() {
            Ok(status) if status.success() => {}
            Ok(status) => tracing::warn!("{} ended with {status}", name.display()),
            Err(error) => tracing::warn!("{} ended: {error}", name.display()),
        };
        connection.on_disconnect(move |_reason| {
            // On its own thread: a child that hangs must not delay the hooks of other connections.
            let reaper = std::thread::Builder::new().name("ipc-reap".to_owned()).spawn(reap);
            if let Err(error) = reaper {
                // The child is dropped with the closure, and reaped in the background.
                tracing::warn!("cannot start a thread: {error}");
            }
        });
        let init = connection.bootstrap_child(&child, self.context.spawn_timeout)?;
        Ok(Spawned { init, child, connection })
    }

    /// Connects to an address: `unix`, `unix:PATH`, `auto`, or empty or `0` for none.
    ///
    /// None where the address asks for no connection, or is `auto` and nobody listens. Does not wait
    /// until the other side has answered: the first calls are sent at once. It blocks only while a server
    /// that is busy or stuck lets others wait, and never for longer than
    /// [`IpcOptions::connect_timeout`], which includes the time until the answer.
    ///
    /// # Errors
    /// [`Error::Address`] for an unknown form or a socket that cannot be connected to, also because the
    /// server does not accept connections.
    ///
    /// [`Error::Disconnected`] or [`Error::PeerMisbehaved`] where the other side does not speak this
    /// protocol, or does not answer in time. That is usually not known
    /// yet when this returns: then every call fails with it.
    pub fn connect_address(&self, address: &str) -> Result<Option<InitClient>> {
        let mut absent_is_none = false;
        let path = match Address::parse(address, &self.datadir()?, NODE)? {
            Address::None => return Ok(None),
            Address::Unix(path) => path,
            Address::Auto(path) => {
                absent_is_none = true;
                path
            }
        };
        // One time limit for all of it, until the other side has answered.
        let (begin, timeout) = (Instant::now(), self.context.connect_timeout);
        let socket = match connect_raw_timeout(&path, timeout) {
            Err(error) if absent_is_none && is_absent(&error.failure) => return Ok(None),
            Err(error) => return Err(not_connected(error, address)),
            Ok(socket) => socket,
        };
        // In tenths of a second, as it is part of the error's text.
        let left = timeout.saturating_sub(begin.elapsed()).as_millis().div_ceil(100);
        let left = Duration::from_millis(u64::try_from(100 * left).unwrap_or(u64::MAX));
        self.init_of(socket, path, left).map(Some)
    }

    /// Describes a connection to an address that is made again whenever it is lost, also if nobody listens
    /// there yet: [`start`](Reconnect::start) it with a function of `&InitClient`, which makes what the
    /// program needs. The addresses are those of [`connect_address`](Self::connect_address); `auto` is
    /// `unix` here. None where the address asks for no connection.
    ///
    /// As with `connect_address`, this process's Init is served over each connection, and an attempt may take
    /// [`IpcOptions::connect_timeout`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use bitcoin_ipc::init::InitClient;
    /// use bitcoin_ipc::ipc::{Ipc, IpcOptions};
    /// use bitcoin_regtest::{Chain, NodeInit};
    /// use multiprocess::Error;
    ///
    /// # fn main() -> multiprocess::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let datadir = dir.path();
    /// let ipc = Ipc::new(IpcOptions::client("my-monitor").datadir(datadir));
    /// let node = ipc.reconnect_address("unix")?.expect("an address");
    /// let mining = node.start(|init: &InitClient| {
    ///     init.make_mining().wait()?.ok_or_else(|| Error::failed("no mining"))
    /// })?;
    ///
    /// // The node is started later than this program.
    /// let init = InitClient::new(NodeInit::new(Chain::regtest()));
    /// let server = Ipc::new(IpcOptions::new("bitcoin-node", init).datadir(datadir));
    /// server.listen_address("unix")?;
    ///
    /// let tip = mining.get(Duration::from_secs(10))?.get_tip().wait()?;
    /// assert_eq!(tip.map(|tip| tip.height), Some(0));
    /// mining.close(Duration::from_secs(2));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Address`] for an unknown form.
    pub fn reconnect_address(&self, address: &str) -> Result<Option<Reconnect>> {
        let path = match Address::parse(address, &self.datadir()?, NODE)? {
            Address::None => return Ok(None),
            Address::Unix(path) | Address::Auto(path) => path,
        };
        let IpcContext { limits, interceptors, connect_timeout, .. } = &self.context;
        let reconnect = self.init.reconnect(Reconnect::to_path(path).limits(limits.clone()));
        let reconnect = interceptors.iter().cloned().fold(reconnect, Reconnect::intercept);
        Ok(Some(reconnect.deadline(*connect_timeout)))
    }

    /// Listens at an address (`unix` or `unix:PATH`) and serves this process's Init there.
    /// Returns the path of the socket.
    ///
    /// # Errors
    /// [`Error::Address`] for an unknown form or a path that cannot be listened at.
    pub fn listen_address(&self, address: &str) -> Result<PathBuf> {
        let path = Address::parse_listen(address, &self.datadir()?, &self.context.program)?;
        self.listen_on(Listener::bind(&path)?)?;
        Ok(path)
    }

    /// Serves this process's Init at a socket that listens already, such as one that systemd has made
    /// ([`Listener::from_socket`]).
    ///
    /// # Errors
    /// The descriptor cannot be used.
    pub fn listen_on(&self, listener: Listener) -> Result<()> {
        let IpcContext { limits, interceptors, max_connections, monitor, .. } = &self.context;
        let server = Server::builder().limits(limits.clone()).max_connections(*max_connections);
        let mut server = interceptors.iter().cloned().fold(server, ServerBuilder::intercept);
        if *monitor {
            let own = monitor::of_this_process();
            server = server.serve_also(own, PeerCredentials::is_same_user);
        }
        let server = self.init.listen(server, listener)?;
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).push(server);
        Ok(())
    }

    /// Ends the connections that others made to this process. It goes on listening, and its
    /// connections to a parent and to children stay. Waits for up to two seconds for the methods
    /// that are being served.
    pub fn disconnect_incoming(&self) {
        for server in &*self.servers.lock().unwrap_or_else(PoisonError::into_inner) {
            server.disconnect_all(Duration::from_secs(2));
        }
    }

    fn start(&self, socket: impl Into<std::os::fd::OwnedFd>) -> Result<Connection> {
        self.init.connect(socket.into(), &self.context)
    }

    fn init_of(&self, socket: UnixStream, path: PathBuf, within: Duration) -> Result<InitClient> {
        let at_path = move |error| match error {
            Error::PeerMisbehaved { problem, .. } => Error::peer_misbehaved(format!(
                "{problem}; is {} the socket of a node?",
                path.display()
            )),
            Error::Disconnected { reason, .. } => {
                Error::disconnected(format!("{reason} (at {})", path.display()))
            }
            late => Error::disconnected(format!("{late} (at {})", path.display())),
        };
        let connection = self.start(socket)?;
        connection.bootstrap_within(within, at_path.clone()).map_err(at_path)
    }

    fn datadir(&self) -> Result<PathBuf> {
        match &self.context.datadir {
            Some(datadir) => Ok(datadir.clone()),
            None => Ok(network_datadir(&default_base_datadir()?, Chain::Main)),
        }
    }
}

impl SpawnProcess for Ipc {
    fn spawn_process(&self, exe_name: &str) -> Result<InitClient> {
        let program = sibling_executable(exe_name)?;
        Ok(self.spawn(&program)?.init)
    }
}

impl StartSpawnedProcess for Ipc {
    fn start_spawned_process(&self, args: &[OsString]) -> Result<Option<i32>> {
        if args.get(1).is_none_or(|arg| arg != "-ipcfd") {
            return Ok(None);
        }
        let [_, _, fd] = args else {
            return Err(Error::misuse(format!(
                "-ipcfd takes one number and nothing else, here are {} arguments; \
                 it is for programs that another process starts",
                args.len().saturating_sub(2)
            )));
        };
        let socket = inherited_socket(&fd.to_string_lossy())?;
        ignore_sigint()?;
        let connection = self.start(socket)?;
        connection.wait_disconnected();
        connection.drain(DRAIN);
        Ok(Some(0))
    }
}

impl Context for Ipc {
    fn context(&self) -> &IpcContext {
        &self.context
    }
}

impl AddCleanup for Ipc {
    fn add_cleanup<I: Interface>(&self, object: &I, cleanup: impl FnOnce() + Send + 'static) {
        object.handle().add_cleanup(cleanup);
    }
}

impl fmt::Debug for Ipc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ipc").field("program", &self.context.program).finish_non_exhaustive()
    }
}

/// Whether `auto` treats this failure as "no node there".
/// The error of a connection to a node. A node that runs has no socket unless it was told to.
fn not_connected(error: ConnectError, address: &str) -> Error {
    let missing = matches!(error.failure, ConnectFailure::Missing);
    let mut error = Error::from(error);
    if let Error::Address { problem, .. } = &mut error
        && missing
    {
        problem.push_str(" A node listens there if it is started with -ipcbind=");
        problem.push_str(address);
    }
    error
}

fn is_absent(failure: &ConnectFailure) -> bool {
    matches!(
        failure,
        ConnectFailure::Missing
            | ConnectFailure::Refused
            | ConnectFailure::NotADirectory
            | ConnectFailure::TooLong
    )
}
