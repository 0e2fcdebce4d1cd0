//! One wallet process after the other: set up, and served until it is gone.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin_ipc_draft::chain::{ActorCallbackCallResults, ActorCallbackClient, RpcCommand};
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::init::InitClient;
use bitcoin_ipc_draft::wallet::WalletLoaderClient;
use multiprocess::process::Child;
use multiprocess::{Connection, Error, PeerVersion, Result};
use serde_json::json;

use super::{Report, WalletEvent};
use crate::SplitNode;

/// How long a wallet process may take for its first answer.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long each further step of its start may take, but for loading wallets.
const STEP: Duration = Duration::from_secs(60);

/// What is known of the wallet process that there is, and what is done with it.
pub(super) struct Served {
    node: SplitNode,
    draft: &'static str,
    report: Report,
    /// To the process that there is.
    connection: Mutex<Option<Connection>>,
    /// How many there were.
    starts: AtomicU64,
    /// The id of the process that there is; 0 between two.
    pid: AtomicU32,
    /// One that has connected is being served.
    taken: AtomicBool,
    /// Nothing is served any more.
    stopped: AtomicBool,
}

/// The right to serve a process that has connected, which one has at a time.
pub(super) struct Turn(Arc<Served>);

impl Served {
    pub(super) fn new(node: SplitNode, draft: &'static str, report: Report) -> Arc<Served> {
        Arc::new(Served {
            node,
            draft,
            report,
            connection: Mutex::default(),
            starts: AtomicU64::new(0),
            pid: AtomicU32::new(0),
            taken: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        })
    }

    pub(super) fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    fn connection(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The method that tells what the process is doing.
    pub(super) fn register(self: &Arc<Self>) -> HandlerClient {
        let served = Arc::downgrade(self);
        let actor = ActorCallbackClient::from_fn(move |_request, _response, _last| {
            let served = served.upgrade().ok_or_else(|| Error::failed("the node is stopping"))?;
            let told = json!({
                "pid": Some(served.pid.load(Ordering::Acquire)).filter(|pid| *pid != 0),
                "ready": served.node.wallet_loader().is_some(),
                "starts": served.starts(),
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

    /// Serves a process that was started until it ends. Runs on the supervisor's thread.
    pub(super) fn serve_child(self: &Arc<Self>, child: &Arc<Child>, socket: UnixStream) {
        self.begin(child.id());
        self.tell(&WalletEvent::Started(child.id()));
        let (tells, id) = (Arc::clone(self), child.id());
        child.on_exit(move |exit| {
            // Unless there is another one already.
            let _ = tells.pid.compare_exchange(id, 0, Ordering::AcqRel, Ordering::Relaxed);
            tells.tell(&WalletEvent::Exited(exit));
        });
        match Connection::new(socket) {
            Ok(connection) => {
                self.serve(&connection, || connection.bootstrap_child(child, HANDSHAKE));
            }
            Err(error) => self.tell(&WalletEvent::Failed(error)),
        }
    }

    /// The right to serve a process that has connected, if no other is served.
    pub(super) fn take_turn(self: &Arc<Self>) -> Option<Turn> {
        (!self.taken.swap(true, Ordering::AcqRel)).then(|| Turn(Arc::clone(self)))
    }

    fn begin(&self, pid: u32) {
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.pid.store(pid, Ordering::Release);
    }

    /// Sets a process up and serves it until its connection ends. Returns whether it was set up.
    fn serve(
        &self,
        connection: &Connection,
        bootstrap: impl FnOnce() -> Result<InitClient>,
    ) -> bool {
        {
            let mut current = self.connection();
            *current = Some(connection.clone());
            // Looked at behind the lock: who stops this ends the connection that is noted then.
            if self.stopped.load(Ordering::Acquire) {
                connection.disconnect();
            }
        }
        let loader = bootstrap().and_then(|init| self.set_up(&init));
        let is_set_up = loader.is_ok();
        match loader {
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
        is_set_up
    }

    /// In Bitcoin Core's order.
    fn set_up(&self, init: &InitClient) -> Result<WalletLoaderClient> {
        PeerVersion::assume(init, self.draft)?;
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

    /// Ends the wallets of the process in order, within this time, and then its connection.
    pub(super) fn stop(&self, within: Duration) {
        self.stopped.store(true, Ordering::Release);
        if let Some(loader) = self.node.wallet_loader() {
            // One that does not answer loses its connection all the same.
            let _ = loader.stop().timeout(within).wait();
        }
        self.node.set_wallet_loader(None);
        if let Some(connection) = self.connection().take() {
            connection.disconnect();
        }
    }
}

impl Turn {
    /// Serves a process that has connected until it is gone. Its id is 0 where it is not known. Runs on a thread for
    /// it.
    pub(super) fn serve_connected(self, pid: u32, socket: UnixStream) {
        let served = &self.0;
        served.begin(pid);
        served.tell(&WalletEvent::Connected(pid));
        let init = crate::init(&served.node);
        match Connection::builder().serve(init).start(socket) {
            Ok(connection) => {
                let is_set_up = served
                    .serve(&connection, || connection.bootstrap_within(HANDSHAKE, |error| error));
                if is_set_up && let Some(reason) = connection.end_reason() {
                    served.tell(&WalletEvent::Gone(reason));
                }
            }
            Err(error) => served.tell(&WalletEvent::Failed(error)),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.pid.store(0, Ordering::Release);
        self.0.taken.store(false, Ordering::Release);
    }
}
