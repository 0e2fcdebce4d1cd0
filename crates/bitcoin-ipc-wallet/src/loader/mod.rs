//! The loader of a process's wallets, as the node calls it: registerRpcs, verify, load, start, and stop at the end.

mod args;
mod remembered;
mod wallets;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bitcoin_ipc::common::{BilingualStr, Pair, UtilResult};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::chain::ChainClient;
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::wallet::{
    LoadWalletCallbackClient, WalletClient, WalletLoader, WalletLoaderCreateWalletResults,
    WalletLoaderLoadWalletResults, WalletLoaderRestoreWalletResults,
};
use multiprocess::{Error, Result};

use crate::commands;
use crate::served;
use crate::vault::Vault;

pub(crate) use args::Args;
pub(crate) use wallets::{LoadError, Loaded, Wallets};

/// The loader. Its end, which comes with that of the connection to the node at the latest, ends its wallets.
pub(crate) struct Loader {
    wallets: Arc<Wallets>,
    /// The commands that the node has, until they are dropped.
    commands: Mutex<Vec<HandlerClient>>,
}

impl Loader {
    pub(crate) fn new(wallets: Arc<Wallets>) -> Loader {
        Loader { wallets, commands: Mutex::default() }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.wallets.stop();
    }
}

/// An error of the wallet's for the user.
fn told<T: Default>(error: &LoadError) -> UtilResult<T> {
    UtilResult::failed(error.to_string())
}

impl Loader {
    /// What became of a wallet that was to be loaded, for the user: warnings, and the wallet or an error.
    fn results(
        &self,
        loaded: Result<Loaded, LoadError>,
    ) -> (Vec<BilingualStr>, UtilResult<Option<WalletClient>>) {
        match loaded {
            Ok(Loaded { wallet, warnings }) => {
                let wallet = served::wallet(&self.wallets, wallet);
                let warnings = warnings.into_iter().map(BilingualStr::from).collect();
                (warnings, UtilResult::new(Some(wallet)))
            }
            Err(error) => (Vec::new(), told(&error)),
        }
    }
}

impl ChainClient for Loader {
    fn register_rpcs(&self) -> Result<()> {
        let mut registered = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if registered.is_empty() {
            *registered = commands::register(&self.wallets)?;
        }
        Ok(())
    }

    fn verify(&self) -> Result<bool> {
        self.wallets.verify()
    }

    fn load(&self) -> Result<bool> {
        self.wallets.load_remembered()
    }

    fn start(&self) -> Result<()> {
        self.wallets.start()
    }

    fn stop(&self) -> Result<()> {
        let commands =
            std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner));
        // Dropped, each is taken out of the node's table.
        drop(commands);
        self.wallets.stop();
        Ok(())
    }

    fn set_mock_time(&self, time: i64) -> Result<()> {
        self.wallets.timers.set_time(u64::try_from(time).ok().filter(|time| *time > 0));
        Ok(())
    }

    fn scheduler_mock_forward(&self, delta_seconds: i64) -> Result<()> {
        let by = u64::try_from(delta_seconds)
            .map_err(|_| Error::failed(format!("{delta_seconds} seconds are not in the future")))?;
        self.wallets.timers.forward(Duration::from_secs(by));
        for wallet in self.wallets.all() {
            wallet.follower.hurry();
        }
        Ok(())
    }
}

impl WalletLoader for Loader {
    fn create_wallet(
        &self,
        name: String,
        passphrase: Passphrase,
        flags: u64,
    ) -> Result<WalletLoaderCreateWalletResults> {
        let made = self.wallets.create(&name, &passphrase, flags, Some(true));
        let (warning, result) = self.results(made);
        Ok(WalletLoaderCreateWalletResults::default().warning(warning).result(result))
    }

    fn load_wallet(&self, name: String) -> Result<WalletLoaderLoadWalletResults> {
        let (warning, result) = self.results(self.wallets.load(&name, Some(true)));
        Ok(WalletLoaderLoadWalletResults::default().warning(warning).result(result))
    }

    fn get_wallet_dir(&self) -> Result<PathBuf> {
        Ok(self.wallets.dir.path().to_owned())
    }

    fn restore_wallet(
        &self,
        backup_file: PathBuf,
        name: String,
        load_after_restore: bool,
    ) -> Result<WalletLoaderRestoreWalletResults> {
        let (warning, result) = match load_after_restore {
            true => self.results(self.wallets.restore(&name, &backup_file, Some(true))),
            false => match self.wallets.restore_only(&name, &backup_file) {
                Ok(()) => (Vec::new(), UtilResult::new(None)),
                Err(error) => (Vec::new(), told(&error)),
            },
        };
        Ok(WalletLoaderRestoreWalletResults::default().warning(warning).result(result))
    }

    fn is_encrypted(&self, name: String) -> Result<bool> {
        if let Some(wallet) = self.wallets.get(&name)
            && let Ok(vault) = wallet.vault()
        {
            return Ok(vault.is_encrypted());
        }
        let inspected = Vault::inspect(&self.wallets.dir, &name);
        inspected.map(|wallet| wallet.encrypted).map_err(|error| Error::failed(error.to_string()))
    }

    fn list_wallet_dir(&self) -> Result<Vec<Pair<String, String>>> {
        let names = self.wallets.dir.list().map_err(|error| Error::failed(error.to_string()))?;
        Ok(names.into_iter().map(|name| Pair::new(name, "sqlite".to_owned())).collect())
    }

    fn get_wallets(&self) -> Result<Vec<Option<WalletClient>>> {
        let loaded = self.wallets.all().into_iter();
        Ok(loaded.map(|wallet| Some(served::wallet(&self.wallets, wallet))).collect())
    }

    fn handle_load_wallet(
        &self,
        callback: Option<LoadWalletCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        let callback = callback.ok_or_else(served::no_callback)?;
        let wallets = Arc::downgrade(&self.wallets);
        let subscription = self.wallets.loads.add(move |wallet| match wallets.upgrade() {
            Some(wallets) => callback.call(Some(served::wallet(&wallets, wallet))).wait(),
            None => Ok(()),
        })?;
        Ok(Some(subscription))
    }
}
