//! Copies of a wallet, and its end.

use std::path::Path;
use std::sync::Weak;

use multiprocess::{Error, Result};

use super::vault;
use crate::loader::Wallets;
use crate::wallet::LoadedWallet;

/// Writes a copy of the wallet to this file. False if it cannot; the log says why.
pub(super) fn backup(wallet: &LoadedWallet, file: &str) -> Result<bool> {
    match vault(wallet)?.backup(Path::new(file)) {
        Ok(()) => Ok(true),
        Err(error) => {
            tracing::warn!("the wallet {:?} is not backed up: {error}", wallet.name());
            Ok(false)
        }
    }
}

/// Unloads the wallet, also for the next start.
pub(super) fn unload(wallets: &Weak<Wallets>, wallet: &LoadedWallet) -> Result<()> {
    let Some(wallets) = wallets.upgrade() else { return Ok(()) };
    match wallets.unload(wallet.name(), Some(false)) {
        Ok(warnings) => {
            warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            Ok(())
        }
        Err(error) => Err(Error::failed(error.to_string())),
    }
}
