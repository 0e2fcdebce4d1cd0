//! A wallet as an object for other processes.

mod addresses;
mod callbacks;
mod coins;
mod keys;
mod life;
mod paying;
mod transactions;
mod wallet;

use std::sync::Arc;

use bitcoin_ipc_draft::wallet::WalletClient;
use multiprocess::Error;

use crate::error::WalletError;
use crate::loader::Wallets;
use crate::open::InUse;
use crate::vault::VaultError;
use crate::wallet::LoadedWallet;

/// A wallet for another process. It does not keep the wallet loaded.
pub(crate) fn wallet(wallets: &Arc<Wallets>, wallet: Arc<LoadedWallet>) -> WalletClient {
    WalletClient::new(wallet::Served::new(Arc::downgrade(wallets), wallet))
}

/// The error of a subscription without a callback.
pub(crate) fn no_callback() -> Error {
    Error::failed("the callback is lacking: give one")
}

/// The wallet's vault, unless it was unloaded.
fn vault(wallet: &LoadedWallet) -> multiprocess::Result<InUse<'_>> {
    wallet.vault().map_err(failed)
}

/// An error as the caller gets it.
fn failed(error: impl Into<WalletError>) -> Error {
    match error.into() {
        WalletError::Node(error) => error,
        error => Error::failed(error.to_string()),
    }
}

/// A method that answers false instead of some errors.
fn unless(
    done: Result<(), WalletError>,
    not: impl FnOnce(&VaultError) -> bool,
) -> multiprocess::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(WalletError::Vault(error)) if not(&error) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}
