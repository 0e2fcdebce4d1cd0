//! A seed, and how a passphrase encrypts it: Argon2id makes a key of the passphrase, XChaCha20-Poly1305 encrypts with
//! it and notices another key.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use bitcoin_ipc_draft::Passphrase;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::VaultError;

/// How much work a new passphrase is: 64 MiB, three passes (RFC 9106). Some tenths of a second.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
/// A file that asks for more than this is not believed.
const MOST: Cost = Cost { memory_kib: 1024 * 1024, passes: 64, lanes: 16 };
/// Says what is encrypted, so that it cannot be put in the place of something else.
const PURPOSE: &[u8] = b"bitcoin-ipc-wallet seed 1";

/// What all keys are derived from. Wiped when it is dropped, and shown by nothing.
#[derive(Clone)]
pub(super) struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// A fresh one, of the system's randomness.
    pub(super) fn fresh() -> Result<Seed, VaultError> {
        let mut seed = Seed(Zeroizing::new([0; 32]));
        random(&mut *seed.0)?;
        Ok(seed)
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Result<Seed, VaultError> {
        let mut seed = Seed(Zeroizing::new([0; 32]));
        if bytes.len() != seed.0.len() {
            return Err(VaultError::Damaged("its seed has another length".to_owned()));
        }
        seed.0.copy_from_slice(bytes);
        Ok(seed)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(<redacted>)")
    }
}

/// How much work it is to make a key of a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

/// An encrypted seed, and what is needed with the passphrase to get it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) sealed: Vec<u8>,
    pub(super) nonce: [u8; 24],
    pub(super) salt: [u8; 16],
    pub(super) cost: Cost,
}

impl Sealed {
    /// Encrypts a seed, with a salt and a nonce of their own.
    pub(super) fn seal(seed: &Seed, passphrase: &Passphrase) -> Result<Sealed, VaultError> {
        if passphrase.is_empty() {
            return Err(VaultError::EmptyPassphrase);
        }
        let (mut nonce, mut salt) = ([0; 24], [0; 16]);
        random(&mut nonce)?;
        random(&mut salt)?;
        let key = key(passphrase, &salt, COST)?;
        let payload = Payload { msg: seed.as_bytes(), aad: PURPOSE };
        let sealed = XChaCha20Poly1305::new(Key::from_slice(&*key))
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| VaultError::Storage("the seed could not be encrypted".to_owned()))?;
        Ok(Sealed { sealed, nonce, salt, cost: COST })
    }

    /// Decrypts it.
    pub(super) fn open(&self, passphrase: &Passphrase) -> Result<Seed, VaultError> {
        let Cost { memory_kib, passes, lanes } = self.cost;
        if memory_kib > MOST.memory_kib || passes > MOST.passes || lanes > MOST.lanes {
            return Err(VaultError::Damaged("its passphrase asks for too much work".to_owned()));
        }
        let key = key(passphrase, &self.salt, self.cost)?;
        let payload = Payload { msg: &self.sealed, aad: PURPOSE };
        let seed = XChaCha20Poly1305::new(Key::from_slice(&*key))
            .decrypt(XNonce::from_slice(&self.nonce), payload)
            .map_err(|_| VaultError::WrongPassphrase)?;
        Seed::from_slice(&Zeroizing::new(seed))
    }
}

fn key(
    passphrase: &Passphrase,
    salt: &[u8],
    cost: Cost,
) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let refused = |_| VaultError::Damaged("its passphrase asks for impossible work".to_owned());
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(refused)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(refused)?;
    Ok(key)
}

fn random(bytes: &mut [u8]) -> Result<(), VaultError> {
    getrandom::fill(bytes)
        .map_err(|error| VaultError::Storage(format!("no randomness from the system: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::from(text.to_owned())
    }

    #[test]
    fn only_the_passphrase_opens_it() {
        let seed = Seed::from_slice(&[7; 32]).unwrap();
        let sealed = Sealed::seal(&seed, &passphrase("right")).unwrap();
        assert_eq!(sealed.open(&passphrase("right")).unwrap().as_bytes(), &[7; 32]);
        assert_eq!(sealed.open(&passphrase("wrong")).unwrap_err(), VaultError::WrongPassphrase);
        assert_eq!(sealed.open(&Passphrase::default()).unwrap_err(), VaultError::WrongPassphrase);
        assert!(!sealed.sealed.windows(4).any(|four| four == [7; 4]));
        // A bit of it is another.
        let mut other = sealed.clone();
        other.sealed[0] ^= 1;
        assert_eq!(other.open(&passphrase("right")).unwrap_err(), VaultError::WrongPassphrase);
    }

    #[test]
    fn the_same_seed_and_passphrase_are_sealed_differently() {
        let seed = Seed::from_slice(&[7; 32]).unwrap();
        let first = Sealed::seal(&seed, &passphrase("right")).unwrap();
        let second = Sealed::seal(&seed, &passphrase("right")).unwrap();
        assert_ne!(first.salt, second.salt);
        assert_ne!(first.nonce, second.nonce);
        assert_ne!(first.sealed, second.sealed);
    }

    #[test]
    fn a_file_cannot_ask_for_any_amount_of_work() {
        let seed = Seed::fresh().unwrap();
        let mut sealed = Sealed::seal(&seed, &passphrase("right")).unwrap();
        for (memory_kib, passes, lanes) in
            [(u32::MAX, 3, 1), (1024, u32::MAX, 1), (1024, 3, u32::MAX), (0, 0, 0)]
        {
            sealed.cost = Cost { memory_kib, passes, lanes };
            let error = sealed.open(&passphrase("right")).unwrap_err();
            assert!(matches!(error, VaultError::Damaged(_)), "{error}");
        }
    }

    #[test]
    fn nothing_shows_a_seed() {
        let seed = Seed::from_slice(&[0xab; 32]).unwrap();
        assert_eq!(format!("{seed:?}"), "Seed(<redacted>)");
    }
}
