//! The wallet's seed in its database, and the keys derived from it (BIP 32, BIP 84). bdk has public keys only.

use bdk_wallet::KeychainKind;
use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv, Xpub};
use bitcoin::secp256k1::{All, Secp256k1};
use bitcoin::{Network, NetworkKind, PrivateKey};
use bitcoin_ipc_draft::Passphrase;
use rusqlite::{Connection, params};

use super::seal::{Cost, Sealed, Seed};
use super::{VaultError, store};

/// The keys of a wallet, as far as they are known now.
#[derive(Debug)]
pub(super) struct Keys {
    /// None if they are not encrypted.
    sealed: Option<Sealed>,
    /// None while they are locked.
    seed: Option<Seed>,
    network: Network,
}

impl Keys {
    /// Those of a new wallet, encrypted if there is a passphrase. They are not locked.
    pub(super) fn fresh(network: Network, passphrase: &Passphrase) -> Result<Keys, VaultError> {
        let seed = Seed::fresh()?;
        let sealed = match passphrase.is_empty() {
            true => None,
            false => Some(Sealed::seal(&seed, passphrase)?),
        };
        Ok(Keys { sealed, seed: Some(seed), network })
    }

    /// Reads them; locked if they are encrypted.
    pub(super) fn load(db: &Connection, network: Network) -> Result<Keys, VaultError> {
        let sql = "SELECT seed, sealed, nonce, salt, memory_kib, passes, lanes FROM keys";
        let (seed, sealed) = db.query_row(sql, [], |row| {
            let seed = row.get_ref(0)?.as_blob_or_null()?.map(Seed::from_slice);
            let sealed = match row.get::<_, Option<Vec<u8>>>(1)? {
                None => None,
                Some(sealed) => Some(Sealed {
                    sealed,
                    nonce: row.get(2)?,
                    salt: row.get(3)?,
                    cost: Cost { memory_kib: row.get(4)?, passes: row.get(5)?, lanes: row.get(6)? },
                }),
            };
            Ok((seed, sealed))
        })?;
        let seed = seed.transpose()?;
        if seed.is_some() == sealed.is_some() {
            return Err(VaultError::Damaged("it has no keys".to_owned()));
        }
        Ok(Keys { sealed, seed, network })
    }

    /// Writes them: the seed itself only if it is not encrypted.
    pub(super) fn save(&self, db: &Connection) -> Result<(), VaultError> {
        match (&self.sealed, &self.seed) {
            (Some(sealed), _) => save_sealed(db, sealed),
            (None, Some(seed)) => {
                db.execute(
                    "REPLACE INTO keys (id, seed) VALUES (0, ?1)",
                    [seed.as_bytes().as_slice()],
                )?;
                Ok(())
            }
            (None, None) => Err(VaultError::NoKey),
        }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.sealed.is_some()
    }

    pub(super) fn is_locked(&self) -> bool {
        self.seed.is_none()
    }

    /// What a passphrase opens.
    pub(super) fn sealed(&self) -> Result<&Sealed, VaultError> {
        self.sealed.as_ref().ok_or(VaultError::NotEncrypted)
    }

    pub(super) fn seed(&self) -> Result<&Seed, VaultError> {
        self.seed.as_ref().ok_or(VaultError::Locked)
    }

    pub(super) fn unlock(&mut self, seed: Seed) {
        self.seed = Some(seed);
    }

    /// Wipes the seed.
    pub(super) fn lock(&mut self) {
        self.seed = None;
    }

    /// They are encrypted like this from now on.
    pub(super) fn set_sealed(&mut self, sealed: Sealed) {
        self.sealed = Some(sealed);
    }

    /// The key from which all others are derived.
    pub(super) fn master(&self) -> Result<Xpriv, VaultError> {
        Xpriv::new_master(self.network, self.seed()?.as_bytes())
            .map_err(|_| VaultError::Damaged("its seed gives no key".to_owned()))
    }

    /// The key of one address.
    pub(super) fn private_key(
        &self,
        secp: &Secp256k1<All>,
        keychain: KeychainKind,
        index: u32,
    ) -> Result<PrivateKey, VaultError> {
        let path = [ChildNumber::from(keychain_number(keychain)), ChildNumber::from(index)];
        let path = account(self.network).extend(path);
        let key = self.master()?.derive_priv(secp, &path);
        Ok(key.map_err(|_| VaultError::NoKey)?.to_priv())
    }

    /// The descriptors of the addresses to be paid to and of those for change, with public keys only.
    pub(super) fn descriptors(&self, secp: &Secp256k1<All>) -> Result<[String; 2], VaultError> {
        let (master, path) = (self.master()?, account(self.network));
        let account = master.derive_priv(secp, &path).map_err(|_| VaultError::NoKey)?;
        let (fingerprint, public) = (master.fingerprint(secp), Xpub::from_priv(secp, &account));
        Ok([KeychainKind::External, KeychainKind::Internal].map(|keychain| {
            format!("wpkh([{fingerprint}/{path}]{public}/{}/*)", keychain_number(keychain))
        }))
    }
}

/// Writes an encrypted seed in the place of what there was.
pub(super) fn save_sealed(db: &Connection, sealed: &Sealed) -> Result<(), VaultError> {
    let Sealed { sealed, nonce, salt, cost } = sealed;
    db.execute(
        "REPLACE INTO keys (id, seed, sealed, nonce, salt, memory_kib, passes, lanes)
         VALUES (0, NULL, ?1, ?2, ?3, ?4, ?5, ?6)",
        params![sealed, nonce, salt, cost.memory_kib, cost.passes, cost.lanes],
    )?;
    // Until the file was rewritten without what was there before.
    store::set_number(db, "scrub", 1)
}

fn keychain_number(keychain: KeychainKind) -> u32 {
    match keychain {
        KeychainKind::External => 0,
        KeychainKind::Internal => 1,
    }
}

/// The path of the wallet's only account: 84h/0h/0h on the main network, else 84h/1h/0h.
fn account(network: Network) -> DerivationPath {
    let coin = match NetworkKind::from(network) {
        NetworkKind::Main => 0,
        NetworkKind::Test => 1,
    };
    let hardened = |index| ChildNumber::Hardened { index };
    DerivationPath::from(vec![hardened(84), hardened(coin), hardened(0)])
}
