//! The settings of an [`Ipc`](super::Ipc): its process's name, data directory, Init and timeouts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use multiprocess::{Interceptor, Interface, Limits, Server};

use super::bootstrap::Bootstrap;
use crate::init::{EmptyInit, InitClient};

/// How long a spawned process may take until it answers.
const SPAWN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a process that listens may take until it has accepted a connection and answered.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of a process, its data directory and its bootstrap object.
#[derive(Debug, Clone)]
pub struct IpcOptions {
    pub(super) init: Bootstrap,
    pub(super) context: IpcContext,
}

/// Settings that all parts of a process's IPC use.
#[derive(Clone)]
pub struct IpcContext {
    pub(super) program: String,
    pub(super) datadir: Option<PathBuf>,
    pub(super) limits: Limits,
    pub(super) interceptors: Vec<Arc<dyn Interceptor>>,
    pub(super) max_connections: usize,
    pub(super) monitor: bool,
    pub(super) spawn_timeout: Duration,
    pub(super) connect_timeout: Duration,
}

impl IpcOptions {
    /// For a process that serves `init` to its parent and to those who connect.
    ///
    /// `program` is its name; `bitcoin-node` listens at `node.sock` unless told otherwise.
    pub fn new(program: impl Into<String>, init: impl Into<InitClient>) -> IpcOptions {
        IpcOptions::with_bootstrap(program, init.into())
    }

    /// The same with a bootstrap object of another interface, such as the Init of a draft, or one of the program's own.
    pub fn with_bootstrap(program: impl Into<String>, object: impl Interface) -> IpcOptions {
        IpcOptions {
            init: Bootstrap::new(object),
            context: IpcContext {
                program: program.into(),
                datadir: None,
                limits: Limits::default(),
                interceptors: Vec::new(),
                max_connections: Server::MAX_CONNECTIONS,
                monitor: false,
                spawn_timeout: SPAWN_TIMEOUT,
                connect_timeout: CONNECT_TIMEOUT,
            },
        }
    }

    /// For a process that only calls others.
    pub fn client(program: impl Into<String>) -> IpcOptions {
        IpcOptions::new(program, InitClient::new(EmptyInit))
    }

    /// The data directory that addresses are relative to: the chain's own, such as
    /// `~/.bitcoin/regtest`.
    pub fn datadir(mut self, datadir: impl Into<PathBuf>) -> IpcOptions {
        self.context.datadir = Some(datadir.into());
        self
    }

    /// Bounds on what one peer can make this process hold.
    pub fn limits(mut self, limits: Limits) -> IpcOptions {
        self.context.limits = limits;
        self
    }

    /// Has `interceptor` see each call of each connection, to a parent, to children, and with those who connect or are
    /// connected to, also when one is made again; within those that were set before it: see [`Interceptor`].
    pub fn intercept(mut self, interceptor: Arc<dyn Interceptor>) -> IpcOptions {
        self.context.interceptors.push(interceptor);
        self
    }

    /// How many processes can be connected at once at each address that is listened on; 256 unless set.
    /// See [`ServerBuilder::max_connections`](multiprocess::ServerBuilder::max_connections).
    pub fn max_connections(mut self, max: usize) -> IpcOptions {
        self.context.max_connections = max;
        self
    }

    /// Whether those who connect can ask what this process is doing ([`multiprocess::monitor`]): its connections, calls
    /// and threads, as `bitcoin-ipc top` shows them. Only processes of the same user and root are told, and nobody unless
    /// set.
    pub fn monitor(mut self, monitor: bool) -> IpcOptions {
        self.context.monitor = monitor;
        self
    }

    /// How long a spawned process may take until it answers; 30 seconds unless set.
    pub fn spawn_timeout(mut self, timeout: Duration) -> IpcOptions {
        self.context.spawn_timeout = timeout;
        self
    }

    /// How long a process that is connected to may take until it has accepted the connection and answered;
    /// 10 seconds unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> IpcOptions {
        self.context.connect_timeout = timeout;
        self
    }
}

impl IpcContext {
    /// The process's name.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The data directory that addresses are relative to, if one was given.
    pub fn datadir(&self) -> Option<&Path> {
        self.datadir.as_deref()
    }
}

impl fmt::Debug for IpcContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IpcContext")
            .field("program", &self.program)
            .field("datadir", &self.datadir)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
