//! The wallet process: started, set up in Bitcoin Core's order, and started again when it ends.

use std::fmt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin_ipc_draft::chain::{ActorCallbackCallResults, ActorCallbackClient, RpcCommand};
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::init::InitClient;
use bitcoin_ipc_draft::wallet::WalletLoaderClient;
use multiprocess::process::{Backoff, Child, Command, Exit, FdArgs, Grace, Supervisor};
use multiprocess::{Connection, Error, PeerVersion, Result};
use serde_json::json;

use super::SplitNode;

/// How long a wallet process may take for its first answer.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long each further step of its start may take, but for loading wallets.
const STEP: Duration = Duration::from_secs(60);
/// How long it may take to write what it has to before it exits, and again after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// What becomes of the wallet process, for the node's log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WalletEvent {
    /// It was started, and has this process id.
    Started(u32),
    /// It has registered its JSON-RPC methods, loaded its wallets, and follows the chain.
    Ready,
    /// It could not be set up. It is ended, and started again.
    Failed(Error),
    /// It has exited.
    Exited(Exit),
}

impl fmt::Display for WalletEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalletEvent::Started(id) => write!(f, "the wallet process is started, as process {id}"),
            WalletEvent::Ready => write!(f, "the wallet process has its wallets"),
            WalletEvent::Failed(error) => {
                write!(f, "the wallet process could not be set up: {error}; it is started again")
            }
            WalletEvent::Exited(exit) => write!(f, "the wallet process exited: {exit}"),
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
        WalletOptions { command, draft: "2026-07", backoff: Backoff::default() }
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

/// Says what becomes of the wallet process. Called on the supervisor's thread or one for exits, one call after
/// the other; it may block, which delays the next restart.
type Report = Arc<dyn Fn(&WalletEvent) + Send + Sync>;

/// A wallet process that a node keeps running.
///
/// It is started as `PROGRAM -ipcfd N`, which gives the draft's [`Init`](bitcoin_ipc_draft::init::Init), and set up in Bitcoin Core's order: `makeWalletLoader` with the node's settings and its chain,
/// `registerRpcs`, `verify`, `load`, `start`. While it is ready the node has its
/// [`wallet_loader`](SplitNode::wallet_loader).
///
/// When it ends, in whatever way, the node goes on: the wallet's JSON-RPC methods are gone, and it is started again
/// after a delay ([`WalletOptions::backoff`]). A wallet that follows the chain catches up by
/// itself. Dropping this ends the process in the background; [`stop`](WalletProcess::stop) does so in order.
///
/// The process inherits stderr, so that its log is the node's. The node's JSON-RPC method `getwalletprocess` tells what
/// it is doing: `pid`, `ready`, and how often it was started (`starts`).
pub struct WalletProcess {
    supervisor: Supervisor,
    shared: Arc<Shared>,
    /// Keeps the method.
    _command: HandlerClient,
}

struct Shared {
    node: SplitNode,
    draft: &'static str,
    report: Report,
    /// To the process that runs.
    connection: Mutex<Option<Connection>>,
    starts: AtomicU64,
    /// The id of the process that runs; 0 between two.
    pid: AtomicU32,
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
        let shared = Arc::new(Shared {
            node,
            draft,
            report: Arc::new(report),
            connection: Mutex::default(),
            starts: AtomicU64::new(0),
            pid: AtomicU32::new(0),
        });
        let serves = Arc::clone(&shared);
        let supervisor = Supervisor::start(command, backoff, move |child, socket| {
            serves.serve(&child, socket);
        })?;
        let command = shared.register();
        Ok(WalletProcess { supervisor, shared, _command: command })
    }

    /// The process that runs, or none between two.
    pub fn child(&self) -> Option<Arc<Child>> {
        self.supervisor.child()
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u64 {
        self.supervisor.restarts()
    }

    /// Ends it in order: `WalletLoader.stop`, then its connection, and where that is not enough, signals. Waits, for
    /// half a minute at most, and returns how it ended.
    pub fn stop(self) -> Option<Exit> {
        self.supervisor.disarm();
        if let Some(loader) = self.shared.node.wallet_loader() {
            // One that does not answer is ended below.
            let _ = loader.stop().timeout(GRACE).wait();
        }
        self.shared.node.set_wallet_loader(None);
        if let Some(connection) = self.shared.connection().take() {
            connection.disconnect();
        }
        self.supervisor.stop()
    }
}

impl fmt::Debug for WalletProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalletProcess")
            .field("supervisor", &self.supervisor)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn connection(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The method that tells what the process is doing.
    fn register(self: &Arc<Self>) -> HandlerClient {
        let shared = Arc::downgrade(self);
        let actor = ActorCallbackClient::from_fn(move |_request, _response, _last| {
            let shared = shared.upgrade().ok_or_else(|| Error::failed("the node is stopping"))?;
            let told = json!({
                "pid": Some(shared.pid.load(Ordering::Acquire)).filter(|pid| *pid != 0),
                "ready": shared.node.wallet_loader().is_some(),
                "starts": shared.starts.load(Ordering::Relaxed),
            });
            Ok(ActorCallbackCallResults::new(told).result(true))
        });
        let command = RpcCommand::default().category("wallet").name("getwalletprocess");
        self.node.commands().register(command.actor(actor))
    }

    fn tell(&self, event: &WalletEvent) {
        match event {
            WalletEvent::Failed(_) => tracing::warn!("{event}"),
            _ => tracing::info!("{event}"),
        }
        (self.report)(event);
    }

    /// Sets a wallet process up and serves it until it ends. Runs on the supervisor's thread.
    fn serve(self: &Arc<Self>, child: &Arc<Child>, socket: UnixStream) {
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.pid.store(child.id(), Ordering::Release);
        self.tell(&WalletEvent::Started(child.id()));
        let (tells, id) = (Arc::clone(self), child.id());
        child.on_exit(move |exit| {
            // Unless there is another one already.
            let _ = tells.pid.compare_exchange(id, 0, Ordering::AcqRel, Ordering::Relaxed);
            tells.tell(&WalletEvent::Exited(exit));
        });
        let connection = match Connection::new(socket) {
            Ok(connection) => connection,
            Err(error) => return self.tell(&WalletEvent::Failed(error)),
        };
        *self.connection() = Some(connection.clone());
        match self.set_up(&connection, child) {
            Ok(loader) => {
                self.node.set_wallet_loader(Some(loader));
                self.tell(&WalletEvent::Ready);
                connection.wait_disconnected();
                self.node.set_wallet_loader(None);
            }
            Err(error) => {
                self.tell(&WalletEvent::Failed(error));
                connection.disconnect();
            }
        }
        *self.connection() = None;
    }

    fn set_up(&self, connection: &Connection, child: &Arc<Child>) -> Result<WalletLoaderClient> {
        let init: InitClient = connection.bootstrap_child(child, HANDSHAKE)?;
        PeerVersion::assume(&init, self.draft)?;
        // As they are now: the process before may have changed them.
        let settings = self.node.settings().global_args();
        let made = init.make_wallet_loader(settings, Some(self.node.chain_handle()));
        let loader = made.timeout(STEP).wait()?;
        let loader = loader.ok_or_else(|| Error::failed("it makes no WalletLoader"))?;
        loader.register_rpcs().timeout(STEP).wait()?;
        // Why not is in its log, and in the messages that it sends the node. A wallet that is loaded may look through
        // the whole chain first, so that has no deadline.
        let verified = loader.verify().timeout(STEP).wait()? && loader.load().wait()?;
        if !verified {
            return Err(Error::failed("it cannot use its wallets; its log says why"));
        }
        loader.start().timeout(STEP).wait()?;
        Ok(loader)
    }
}
