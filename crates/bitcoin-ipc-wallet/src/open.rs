//! A wallet's vault for as long as the wallet is loaded.

use std::ops::Deref;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::vault::Vault;

/// A vault that can be closed while others still have handles on it: they find it closed.
pub(crate) struct OpenVault(RwLock<Option<Vault>>);

/// The vault for a moment: while it is held the vault is not closed.
pub(crate) struct InUse<'a>(RwLockReadGuard<'a, Option<Vault>>);

/// The wallet was unloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

impl OpenVault {
    pub(crate) fn new(vault: Vault) -> OpenVault {
        OpenVault(RwLock::new(Some(vault)))
    }

    /// The vault, if it is not closed. Not to be held while something is waited for that may take long.
    pub(crate) fn get(&self) -> Result<InUse<'_>, Closed> {
        let vault = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if vault.is_some() { Ok(InUse(vault)) } else { Err(Closed) }
    }

    /// Closes it when nobody uses it any more: its lock is released, so that it can be opened again.
    pub(crate) fn close(&self) {
        let vault = self.0.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(vault) = vault else { return };
        vault.set_listener(None);
        if let Err(error) = vault.flush() {
            tracing::error!(
                "the wallet {:?} is closed without its last blocks: {error}",
                vault.name()
            );
        }
    }
}

impl Deref for InUse<'_> {
    type Target = Vault;

    fn deref(&self) -> &Vault {
        self.0.as_ref().unwrap_or_else(|| unreachable!("only an open vault is given out"))
    }
}
