//! The wallet process: started, or let in when it connects; set up in Bitcoin Core's order; and had again when it ends.
//! `served` is what is done with one of either kind, `acceptor` lets those in that connect.

mod acceptor;
mod served;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bitcoin_ipc_draft::handler::HandlerClient;
use multiprocess::process::{Backoff, Child, Command, Exit, FdArgs, Grace, Listener, Supervisor};
use multiprocess::{Error, Result};

use self::acceptor::Acceptor;
use self::served::Served;
use super::SplitNode;

/// The version of the draft that a wallet process has unless told otherwise.
const DRAFT: &str = "2026-07";
/// How long it may take to write what it has to before it exits, and again after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// What becomes of the wallet process, for the node's log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WalletEvent {
    /// It was started, and has this process id.
    Started(u32),
    /// It has connected, and has this process id.
    Connected(u32),
    /// It has registered its JSON-RPC methods, loaded its wallets, and follows the chain.
    Ready,
    /// It could not be set up. One that was started is ended, and started again; one that connected is let go.
    Failed(Error),
    /// One that was started has exited.
    Exited(Exit),
    /// One that had connected is gone.
    Gone(Error),
}

impl fmt::Display for WalletEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalletEvent::Started(id) => write!(f, "the wallet process is started, as process {id}"),
            WalletEvent::Connected(id) => {
                write!(f, "a wallet process has connected: process {id}")
            }
            WalletEvent::Ready => write!(f, "the wallet process has its wallets"),
            WalletEvent::Failed(error) => {
                write!(f, "the wallet process could not be set up: {error}")
            }
            WalletEvent::Exited(exit) => write!(f, "the wallet process exited: {exit}"),
            WalletEvent::Gone(reason) => write!(f, "the wallet process is gone: {reason}"),
        }
    }
}

/// How a wallet process is started.
#[derive(Debug, Clone)]
pub struct WalletOptions {
    command: Command,
    draft: &'static str,
    backoff: Backoff,
}

impl WalletOptions {
    /// Starts `program`, looked up in `PATH` where it has no `/`.
    pub fn new(program: impl Into<PathBuf>) -> WalletOptions {
        WalletOptions::of(Command::new(program.into()))
    }

    /// The same with more to say about the command, such as its `arg0` or environment. `-ipcfd N` is added, and how
    /// it is to end.
    pub fn of(command: Command) -> WalletOptions {
        WalletOptions { command, draft: DRAFT, backoff: Backoff::default() }
    }

    /// The version of the draft that the program has: `2026-07` unless set, or `2026-02`.
    pub fn draft(mut self, version: &'static str) -> WalletOptions {
        self.draft = version;
        self
    }

    /// When it is started again: after 100 ms at first, up to 30 s while it keeps failing, and for ever, unless set.
    pub fn backoff(mut self, backoff: Backoff) -> WalletOptions {
        self.backoff = backoff;
        self
    }
}

/// Says what becomes of the wallet process. Called on the supervisor's thread, one for exits, or the one that serves a
/// process that has connected; one call after the other. It may block, which delays the next restart.
type Report = Arc<dyn Fn(&WalletEvent) + Send + Sync>;

/// The wallet process that a node has: one that it keeps running ([`start`](WalletProcess::start)), or one that somebody
/// else runs and that connects ([`accept`](WalletProcess::accept)).
///
/// It is started as `PROGRAM -ipcfd N`, or connects to a socket for wallet processes; either way its bootstrap object
/// is the draft's [`Init`](bitcoin_ipc_draft::init::Init), and it is set up in Bitcoin Core's order: `makeWalletLoader` with
/// the node's settings and its chain, `registerRpcs`, `verify`, `load`, `start`. While it is ready the node has its
/// [`wallet_loader`](SplitNode::wallet_loader).
///
/// When it ends, in whatever way, the node goes on: the wallet's JSON-RPC methods are gone, and it is started again
/// after a delay ([`WalletOptions::backoff`]), or may connect again. A wallet that follows the chain catches up by
/// itself. Dropping this ends the process in the background; [`stop`](WalletProcess::stop) does so in order. A process
/// that has connected is told to stop its wallets and let go; it is not the node's to end.
///
/// A process that was started inherits stderr, so that its log is the node's. The node's JSON-RPC method
/// `getwalletprocess` tells what the process is doing: `pid`, `ready`, and how often there was one (`starts`).
pub struct WalletProcess {
    source: Source,
    served: Arc<Served>,
    /// Keeps the method.
    _command: HandlerClient,
}

/// Where wallet processes come from.
#[derive(Debug)]
enum Source {
    Started(Supervisor),
    Connecting(Acceptor),
}

impl WalletProcess {
    /// Starts the wallet process, and returns at once. `report` is told what becomes of it; the same goes to the log.
    ///
    /// # Errors
    /// [`Error::Spawn`] where the program cannot be started.
    pub fn start(
        node: SplitNode,
        options: WalletOptions,
        report: impl Fn(&WalletEvent) + Send + Sync + 'static,
    ) -> Result<WalletProcess> {
        let WalletOptions { command, draft, backoff } = options;
        // One that is stopped when the node dies goes on, sees that, and ends.
        let command = command
            .fd_args(FdArgs::Flag("-ipcfd"))
            .grace(Grace { exit: GRACE, terminate: GRACE })
            .continue_orphan(true);
        let served = Served::new(node, draft, Arc::new(report));
        let serves = Arc::clone(&served);
        let supervisor = Supervisor::start(command, backoff, move |child, socket| {
            serves.serve_child(&child, socket);
        })?;
        Ok(WalletProcess::of(Source::Started(supervisor), served))
    }

    /// Listens at `path` for wallet processes of the same user, and returns at once. There is one at a time: others
    /// are let go until it is gone. They have the draft of July 2026. `report` is told what becomes of it;
    /// the same goes to the log.
    ///
    /// The node's own bootstrap object is theirs too ([`init`](crate::init)).
    ///
    /// # Errors
    /// Those of [`Listener::bind`]; [`Error::Io`] where the thread for it cannot be had.
    pub fn accept(
        node: SplitNode,
        path: &Path,
        report: impl Fn(&WalletEvent) + Send + Sync + 'static,
    ) -> Result<WalletProcess> {
        let served = Served::new(node, DRAFT, Arc::new(report));
        let acceptor = Acceptor::start(Listener::bind(path)?, Arc::clone(&served))?;
        Ok(WalletProcess::of(Source::Connecting(acceptor), served))
    }

    fn of(source: Source, served: Arc<Served>) -> WalletProcess {
        let command = served.register();
        WalletProcess { source, served, _command: command }
    }

    /// The process that runs, if the node has started it; none between two.
    pub fn child(&self) -> Option<Arc<Child>> {
        match &self.source {
            Source::Started(supervisor) => supervisor.child(),
            Source::Connecting(_) => None,
        }
    }

    /// How often it was started again, or has connected again.
    pub fn restarts(&self) -> u64 {
        match &self.source {
            Source::Started(supervisor) => supervisor.restarts(),
            Source::Connecting(_) => self.served.starts().saturating_sub(1),
        }
    }

    /// Ends it in order: `WalletLoader.stop`, then its connection, and where that is not enough for one that was
    /// started, signals. Waits, for half a minute at most, and returns how one that was started ended.
    pub fn stop(self) -> Option<Exit> {
        match self.source {
            Source::Started(supervisor) => {
                supervisor.disarm();
                self.served.stop(GRACE);
                supervisor.stop()
            }
            Source::Connecting(acceptor) => {
                acceptor.close();
                self.served.stop(GRACE);
                None
            }
        }
    }
}

impl fmt::Debug for WalletProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalletProcess").field("source", &self.source).finish_non_exhaustive()
    }
}
