//! The wallets that are loaded.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bitcoin_ipc::common::BilingualStr;
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::chain::ChainHandle;
use bitcoin_ipc_draft::values::wallet_flags;
use multiprocess::Error;

use super::remembered;
use crate::error::WalletError;
use crate::events::Subscribers;
use crate::timers::Timers;
use crate::vault::{BlockId, Vault, VaultError, WalletsDir};
use crate::wallet::LoadedWallet;

/// What the node says in Bitcoin Core if its file of settings cannot be written.
const NOT_REMEMBERED: &str = "Wallet load on startup setting could not be updated, so wallet may not be loaded next \
     node startup.";

/// All wallets of a process.
pub(crate) struct Wallets {
    pub(crate) chain: ChainHandle,
    pub(crate) dir: WalletsDir,
    pub(crate) timers: Arc<Timers>,
    /// Who is told of each wallet that is loaded.
    pub(crate) loads: Subscribers<Arc<LoadedWallet>>,
    state: Mutex<State>,
    /// Held while they are ended, so that who ends them a second time waits for the first.
    ending: Mutex<()>,
}

#[derive(Default)]
struct State {
    loaded: BTreeMap<String, Arc<LoadedWallet>>,
    /// They follow the chain.
    started: bool,
    /// No more is loaded.
    stopped: bool,
}

/// Why a wallet cannot be loaded, made or unloaded.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The wallet's own reason.
    Wallet(WalletError),
    /// It is loaded already.
    Loaded(String),
    /// There is none of this name among those that are loaded.
    NotLoaded,
    /// The process is ending.
    Stopped,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Wallet(error) => error.fmt(f),
            LoadError::Loaded(name) => write!(f, "Wallet \"{name}\" is already loaded."),
            LoadError::NotLoaded => f.write_str("Requested wallet does not exist or is not loaded"),
            LoadError::Stopped => f.write_str("the wallet process is ending: start it again"),
        }
    }
}

impl<E: Into<WalletError>> From<E> for LoadError {
    fn from(error: E) -> LoadError {
        LoadError::Wallet(error.into())
    }
}

/// A wallet that was loaded, and what the user should know of it.
pub(crate) struct Loaded {
    pub(crate) wallet: Arc<LoadedWallet>,
    pub(crate) warnings: Vec<String>,
}

impl Wallets {
    pub(crate) fn new(chain: ChainHandle, dir: WalletsDir) -> Result<Arc<Wallets>, Error> {
        Ok(Arc::new(Wallets {
            chain,
            dir,
            timers: Arc::new(Timers::start()?),
            loads: Subscribers::new("loads"),
            state: Mutex::default(),
            ending: Mutex::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- what is there

    /// All that are loaded, by name.
    pub(crate) fn all(&self) -> Vec<Arc<LoadedWallet>> {
        self.lock().loaded.values().cloned().collect()
    }

    /// The one of this name, if it is loaded.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<LoadedWallet>> {
        self.lock().loaded.get(name).cloned()
    }

    // ---- the node's start and end

    /// Whether all wallets that are to be loaded at the start can be. What speaks against it is told to the node.
    pub(crate) fn verify(&self) -> Result<bool, Error> {
        self.for_remembered(|name| Vault::inspect(&self.dir, name).map(drop))
    }

    /// Loads them.
    pub(crate) fn load_remembered(&self) -> Result<bool, Error> {
        let mut fatal = None;
        let all = self.for_remembered(|name| {
            if self.get(name).is_some() {
                return Ok(());
            }
            let vault = Vault::load(&self.dir, name)?;
            match self.add(vault) {
                Err(LoadError::Wallet(WalletError::Node(error))) => fatal = Some(error),
                Err(error) => tracing::warn!("the wallet {name:?} is not loaded: {error}"),
                Ok(_) => {}
            }
            Ok(())
        })?;
        fatal.map_or(Ok(all), Err)
    }

    /// Runs something for each name of the setting. One that is not there is skipped with a warning; any other error
    /// ends it with false.
    fn for_remembered(
        &self,
        mut run: impl FnMut(&str) -> Result<(), VaultError>,
    ) -> Result<bool, Error> {
        for name in remembered::names(&self.chain)? {
            match run(&name) {
                Ok(()) => {}
                Err(error @ VaultError::NotFound(_)) => {
                    let text =
                        format!("the wallet {name:?} of the setting `wallet` is skipped: {error}");
                    self.chain.init_warning(BilingualStr::from(text)).wait()?;
                }
                Err(error) => {
                    let text = format!("the wallet {name:?} cannot be loaded: {error}");
                    self.chain.init_error(BilingualStr::from(text)).wait()?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Has all follow the chain, and those that are loaded later, too.
    pub(crate) fn start(&self) -> Result<(), Error> {
        let loaded = {
            let mut state = self.lock();
            state.started = true;
            state.loaded.values().cloned().collect::<Vec<_>>()
        };
        loaded.iter().try_for_each(|wallet| wallet.follow())
    }

    /// Ends all of them: what they know is on the disk when this returns, and their files are free. No more is
    /// loaded.
    pub(crate) fn stop(&self) {
        let _ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = {
            let mut state = self.lock();
            state.stopped = true;
            std::mem::take(&mut state.loaded)
        };
        for wallet in loaded.values() {
            wallet.close();
        }
    }

    /// Whether they have been ended.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    // ---- loading

    /// Makes a wallet and loads it. `remember`: whether it is loaded at the next start; none changes nothing.
    pub(crate) fn create(
        &self,
        name: &str,
        passphrase: &Passphrase,
        flags: u64,
        remember: Option<bool>,
    ) -> Result<Loaded, LoadError> {
        let birthday = self.tip()?;
        // All wallets are of descriptors, whether that is said or not.
        let flags = flags | wallet_flags::DESCRIPTORS;
        let vault = Vault::create(&self.dir, name, passphrase, flags, birthday)?;
        self.add_and_tell(vault, remember)
    }

    /// Loads a wallet from its directory.
    pub(crate) fn load(&self, name: &str, remember: Option<bool>) -> Result<Loaded, LoadError> {
        if self.get(name).is_some() {
            return Err(LoadError::Loaded(name.to_owned()));
        }
        self.add_and_tell(Vault::load(&self.dir, name)?, remember)
    }

    /// Makes a wallet of a backup and loads it.
    pub(crate) fn restore(
        &self,
        name: &str,
        backup: &Path,
        remember: Option<bool>,
    ) -> Result<Loaded, LoadError> {
        self.add_and_tell(Vault::restore(&self.dir, name, backup)?, remember)
    }

    /// Makes a wallet of a backup without loading it.
    pub(crate) fn restore_only(&self, name: &str, backup: &Path) -> Result<(), LoadError> {
        Ok(Vault::restore(&self.dir, name, backup).map(drop)?)
    }

    /// Unloads a wallet. Returns what the user should know.
    pub(crate) fn unload(
        &self,
        name: &str,
        remember: Option<bool>,
    ) -> Result<Vec<String>, LoadError> {
        let wallet = self.lock().loaded.remove(name);
        wallet.ok_or(LoadError::NotLoaded)?.close();
        Ok(self.remember(name, remember))
    }

    fn add_and_tell(&self, vault: Vault, remember: Option<bool>) -> Result<Loaded, LoadError> {
        let wallet = self.add(vault)?;
        let mut warnings = self.remember(wallet.name(), remember);
        self.loads.tell(&wallet);
        // As Bitcoin Core, whose wallets are at the chain's tip when they are loaded.
        warnings.extend(wallet.follower.wait_caught_up().err());
        Ok(Loaded { wallet, warnings })
    }

    fn add(&self, vault: Vault) -> Result<Arc<LoadedWallet>, LoadError> {
        let wallet = LoadedWallet::new(vault, self.chain.clone(), Arc::clone(&self.timers));
        let started = {
            let mut state = self.lock();
            if state.stopped {
                drop(state);
                wallet.close();
                return Err(LoadError::Stopped);
            }
            // The lock of its file has kept out a second one.
            state.loaded.insert(wallet.name().to_owned(), Arc::clone(&wallet));
            state.started
        };
        if started && let Err(error) = wallet.follow() {
            self.lock().loaded.remove(wallet.name());
            wallet.close();
            return Err(error.into());
        }
        Ok(wallet)
    }

    /// Notes whether a wallet is loaded at the next start. Returns what the user should know.
    fn remember(&self, name: &str, remember: Option<bool>) -> Vec<String> {
        let Some(load_on_startup) = remember else { return Vec::new() };
        match remembered::remember(&self.chain, name, load_on_startup) {
            Ok(true) => Vec::new(),
            Ok(false) => vec![NOT_REMEMBERED.to_owned()],
            Err(error) => vec![format!("{NOT_REMEMBERED} ({error})")],
        }
    }

    /// The chain's tip; none while there is no chain.
    fn tip(&self) -> Result<Option<BlockId>, Error> {
        let Some(height) = self.chain.get_height().wait()? else { return Ok(None) };
        let hash = self.chain.get_block_hash(height).wait()?;
        Ok(u32::try_from(height).ok().map(|height| BlockId { height, hash }))
    }
}
