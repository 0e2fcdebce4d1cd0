//! Encrypting, locking and unlocking.

use bitcoin_ipc_draft::Passphrase;

use super::keys;
use super::seal::Sealed;
use super::state::{Event, State};
use super::{Result, Vault, VaultError, store};

impl Vault {
    /// Whether the keys are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.read(|state| state.keys.is_encrypted())
    }

    /// Whether the keys are encrypted and the passphrase is not known now.
    pub fn is_locked(&self) -> bool {
        self.read(|state| state.keys.is_locked())
    }

    /// Encrypts the keys with a passphrase, in one step: after a crash at any moment the wallet opens with the
    /// passphrase or without. Then it is locked, and its files have no key any more. (Older contents of the disk's
    /// sectors are beyond this program: on a disk that is not encrypted, send the coins to a new wallet instead.)
    ///
    /// # Errors
    /// It is encrypted already, the passphrase is empty, or it cannot be written. [`VaultError::NotScrubbed`] if only the
    /// last step failed, which takes the old key out of the files, as while another program reads them. Then the wallet is
    /// encrypted and locked, and whoever gets the file needs no passphrase all the same: so that is an error. The step is
    /// taken when the wallet is opened again.
    pub fn encrypt(&self, passphrase: &Passphrase) -> Result<()> {
        let scrubbed = self.with_status(|state| {
            if state.keys.is_encrypted() {
                return Err(VaultError::AlreadyEncrypted);
            }
            replace(state, Sealed::seal(state.keys.seed()?, passphrase)?)?;
            Ok(scrub(state))
        })?;
        scrubbed.map_err(VaultError::NotScrubbed)
    }

    /// Makes the keys usable, until [`lock`](Vault::lock) or the end. Takes some tenths of a second, during which others
    /// can use the wallet.
    ///
    /// # Errors
    /// The passphrase is another, or the wallet is not encrypted.
    pub fn unlock(&self, passphrase: &Passphrase) -> Result<()> {
        let sealed = self.with(|state, _| state.keys.sealed().cloned())?;
        let seed = sealed.open(passphrase)?;
        self.with_status(|state| {
            // Another thread may have changed it.
            if state.keys.sealed()? != &sealed {
                return Err(VaultError::WrongPassphrase);
            }
            state.keys.unlock(seed);
            Ok(())
        })
    }

    /// Wipes the keys from memory: what needs them fails until [`unlock`](Vault::unlock).
    ///
    /// # Errors
    /// The wallet is not encrypted.
    pub fn lock(&self) -> Result<()> {
        self.with_status(|state| {
            state.keys.sealed()?;
            state.keys.lock();
            Ok(())
        })
    }

    /// Encrypts the keys with another passphrase. It stays locked or unlocked. The keys as they were encrypted before are
    /// taken out of the files; if that fails, the passphrase is changed all the same, with a warning in the log: until the
    /// wallet is opened again, who gets the file and knows the old passphrase has the keys.
    ///
    /// # Errors
    /// The old passphrase is another, the new one is empty, the wallet is not encrypted, or it cannot be written.
    pub fn change_passphrase(&self, old: &Passphrase, new: &Passphrase) -> Result<()> {
        self.with_status(|state| {
            let seed = state.keys.sealed()?.open(old)?;
            let locked = state.keys.is_locked();
            replace(state, Sealed::seal(&seed, new)?)?;
            if !locked {
                state.keys.unlock(seed);
            }
            scrub_or_warn(state, &self.name);
            Ok(())
        })
    }

    /// Runs something after which listeners ask for the status again.
    fn with_status<T>(&self, run: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.with(|state, events| {
            let result = run(state)?;
            events.push(Event::Status);
            Ok(result)
        })
    }
}

/// Writes the keys encrypted like this, and locks them. How they were before may still be in the files: see [`scrub`].
fn replace(state: &mut State, sealed: Sealed) -> Result<()> {
    state.write(|_, _, db| keys::save_sealed(db, &sealed))?;
    state.keys.set_sealed(sealed);
    state.keys.lock();
    Ok(())
}

/// The same as [`scrub`], where a wallet that keeps what was deleted for a while is better than none.
pub(super) fn scrub_or_warn(state: &State, name: &str) {
    if let Err(problem) = scrub(state) {
        tracing::warn!(
            "the wallet {name:?} is encrypted, and its file still has its keys as they were before ({problem}): end the programs that read the file, and load the wallet again"
        );
    }
}

/// Takes what was deleted out of the files, if keys are among it; or tells why it cannot.
fn scrub(state: &State) -> std::result::Result<(), String> {
    let scrubbed = (|| {
        if store::number(&state.db, "scrub")? == Some(1) {
            store::scrub(&state.db)?;
            store::set_number(&state.db, "scrub", 0)?;
        }
        Ok(())
    })();
    scrubbed.map_err(|error| match error {
        VaultError::Storage(problem) | VaultError::Damaged(problem) => problem,
        other => other.to_string(),
    })
}
