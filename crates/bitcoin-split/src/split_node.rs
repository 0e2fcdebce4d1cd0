//! What all objects of the node's process share.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin_ipc_draft::chain::ChainHandle;
use bitcoin_ipc_draft::wallet::WalletLoaderClient;
use bitcoin_regtest::{Chain, NodeInit};

use crate::chain::ServedChain;
use crate::commands::Commands;
use crate::messages::{Message, Messages};
use crate::settings::{Settings, SettingsError};

/// How long another process may take for a notification: a wallet that writes to a slow disk still does.
const PATIENCE: Duration = Duration::from_secs(120);

/// A node that is split from its wallet: its chain, settings, JSON-RPC commands, and the wallets of the process that
/// has them. A handle: clones are of the same node.
#[derive(Clone)]
pub struct SplitNode {
    shared: Arc<Shared>,
}

struct Shared {
    released: NodeInit,
    chain: Arc<Chain>,
    datadir: PathBuf,
    settings: Settings,
    commands: Commands,
    messages: Messages,
    wallet_loader: Mutex<Option<WalletLoaderClient>>,
    /// How long another process may take for a notification.
    patience: Mutex<Duration>,
    shutting_down: AtomicBool,
    /// What the program does when it is asked to stop.
    shutdown_hooks: Mutex<Vec<Box<dyn Fn() + Send>>>,
}

impl SplitNode {
    /// The node of a chain. `datadir` is the network's own directory, such as `DIR/regtest`; settings are kept there
    /// in `settings.json`.
    ///
    /// # Errors
    /// The settings cannot be read: the text says what to do.
    pub fn new(chain: Arc<Chain>, datadir: PathBuf) -> Result<SplitNode, SettingsError> {
        let settings = Settings::open(&datadir)?;
        let released = NodeInit::new(Arc::clone(&chain));
        Ok(SplitNode {
            shared: Arc::new(Shared {
                released,
                chain,
                datadir,
                settings,
                commands: Commands::default(),
                messages: Messages::default(),
                wallet_loader: Mutex::default(),
                patience: Mutex::new(PATIENCE),
                shutting_down: AtomicBool::new(false),
                shutdown_hooks: Mutex::default(),
            }),
        })
    }

    /// The chain.
    pub fn chain(&self) -> &Arc<Chain> {
        &self.shared.chain
    }

    /// The network's directory.
    pub fn datadir(&self) -> &Path {
        &self.shared.datadir
    }

    /// The released interfaces (Mining, Rpc without the commands of other processes), and the faults that they show on
    /// order.
    pub fn released(&self) -> &NodeInit {
        &self.shared.released
    }

    /// The chain as a wallet process gets it. Each call makes an object of its own.
    pub fn chain_handle(&self) -> ChainHandle {
        ChainHandle::new(ServedChain::new(self.clone()))
    }

    /// The JSON-RPC commands that other processes answer.
    pub fn commands(&self) -> &Commands {
        &self.shared.commands
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// What the programs tell the user while they start and run.
    pub fn messages(&self) -> &Messages {
        &self.shared.messages
    }

    /// Says which wallet process there is; none when it is gone.
    pub fn set_wallet_loader(&self, loader: Option<WalletLoaderClient>) {
        let there = loader.is_some();
        // The old one is dropped, which can send a message, after the lock is released.
        let _old = std::mem::replace(&mut *lock(&self.shared.wallet_loader), loader);
        self.messages().send(Message::Wallet { there });
    }

    /// The wallets of the wallet process, if there is one.
    pub fn wallet_loader(&self) -> Option<WalletLoaderClient> {
        lock(&self.shared.wallet_loader).clone()
    }

    /// Sets how long another process may take for one notification before it is let go: two minutes, unless this is
    /// called. It counts for those who subscribe from then on.
    pub fn set_patience(&self, patience: Duration) {
        *lock(&self.shared.patience) = patience;
    }

    pub(crate) fn patience(&self) -> Duration {
        *lock(&self.shared.patience)
    }

    /// Asks the program to stop, on the calling thread: runs what [`on_shutdown`](SplitNode::on_shutdown) was given. Only
    /// the first call does.
    pub fn start_shutdown(&self) {
        if !self.shared.shutting_down.swap(true, Ordering::AcqRel) {
            let hooks = std::mem::take(&mut *lock(&self.shared.shutdown_hooks));
            hooks.iter().for_each(|hook| hook());
        }
    }

    /// Whether the program was asked to stop.
    pub fn shutdown_requested(&self) -> bool {
        self.shared.shutting_down.load(Ordering::Acquire)
    }

    /// What to do when somebody asks the program to stop. It runs on the thread that asks, and must be quick; at once, if
    /// that has been asked.
    pub fn on_shutdown(&self, hook: impl Fn() + Send + 'static) {
        let mut hooks = lock(&self.shared.shutdown_hooks);
        if self.shutdown_requested() {
            drop(hooks);
            hook();
        } else {
            hooks.push(Box::new(hook));
        }
    }
}

impl fmt::Debug for SplitNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplitNode").field("datadir", &self.shared.datadir).finish_non_exhaustive()
    }
}

/// Locks, also if another thread panicked with the lock: what is behind such a lock is complete at each moment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
