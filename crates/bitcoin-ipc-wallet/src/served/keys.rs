//! Passphrases and signatures.

use std::sync::Arc;

use bitcoin_ipc::bitcoin::{Psbt, PubkeyHash};
use bitcoin_ipc::common::PsbtFillOptions;
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::values::{PsbtError, SigningResult};
use bitcoin_ipc_draft::wallet::{
    WalletFillPSBTResults, WalletGetPubKeyResults, WalletSignMessageResults,
};
use multiprocess::{Error, Result};

use super::{failed, unless, vault};
use crate::vault::{FillOptions, VaultError};
use crate::wallet::LoadedWallet;

/// The number of SIGHASH_ALL, and of what a taproot signature covers without a number of its own: what the wallet
/// signs with.
const SIGHASH_ALL: i32 = 1;
const SIGHASH_DEFAULT: i32 = 0;

/// False if it is encrypted already.
pub(super) fn encrypt(wallet: &LoadedWallet, passphrase: &Passphrase) -> Result<bool> {
    let done = vault(wallet)?.encrypt(passphrase).map_err(Into::into);
    unless(done, |error| matches!(error, VaultError::AlreadyEncrypted))
}

/// False if it is not encrypted.
pub(super) fn lock(wallet: &LoadedWallet) -> Result<bool> {
    unless(wallet.lock(), |error| matches!(error, VaultError::NotEncrypted))
}

/// False if the passphrase is another, or it is not encrypted.
pub(super) fn unlock(wallet: &Arc<LoadedWallet>, passphrase: &Passphrase) -> Result<bool> {
    unless(wallet.unlock(passphrase, None), is_no_passphrase)
}

/// False if the old passphrase is another, or it is not encrypted.
pub(super) fn change_passphrase(
    wallet: &LoadedWallet,
    old: &Passphrase,
    new: &Passphrase,
) -> Result<bool> {
    let done = vault(wallet)?.change_passphrase(old, new);
    unless(done.map_err(Into::into), is_no_passphrase)
}

fn is_no_passphrase(error: &VaultError) -> bool {
    matches!(error, VaultError::WrongPassphrase | VaultError::NotEncrypted)
}

/// The public key with this hash.
pub(super) fn pub_key(wallet: &LoadedWallet, hash: PubkeyHash) -> Result<WalletGetPubKeyResults> {
    let key = vault(wallet)?.pub_key(hash).map_err(failed)?;
    Ok(key.map_or_else(WalletGetPubKeyResults::default, |key| {
        WalletGetPubKeyResults::default().pub_key(key.to_bytes()).result(true)
    }))
}

/// Signs a message with the key of this hash.
pub(super) fn sign_message(
    wallet: &LoadedWallet,
    message: &str,
    hash: PubkeyHash,
) -> Result<WalletSignMessageResults> {
    Ok(match vault(wallet)?.sign_message(message, hash) {
        Ok(signature) => WalletSignMessageResults::new(SigningResult::Ok).signature(signature),
        Err(VaultError::NoKey | VaultError::Locked) => {
            WalletSignMessageResults::new(SigningResult::PrivateKeyNotAvailable)
        }
        Err(error) => {
            tracing::warn!("a message could not be signed: {error}");
            WalletSignMessageResults::new(SigningResult::SigningFailed)
        }
    })
}

/// Adds to a PSBT what the wallet knows, and signs it if asked.
pub(super) fn fill_psbt(
    wallet: &LoadedWallet,
    options: &PsbtFillOptions,
    want_signed: bool,
    psbt: Vec<u8>,
) -> Result<WalletFillPSBTResults> {
    if !matches!(options.sighash_type, None | Some(SIGHASH_ALL | SIGHASH_DEFAULT)) {
        let refused = WalletFillPSBTResults::default().psbtx(psbt);
        return Ok(refused.result(i32::from(PsbtError::SighashMismatch)));
    }
    let mut psbt = Psbt::deserialize(&psbt)
        .map_err(|error| Error::failed(format!("this is no PSBT: {error}")))?;
    let fill = FillOptions {
        sign: options.sign,
        finalize: options.finalize,
        bip32_derivs: options.bip32_derivs,
    };
    let filled = vault(wallet)?.fill_psbt(&mut psbt, fill).map_err(failed)?;
    Ok(WalletFillPSBTResults::default()
        .psbtx(psbt.serialize())
        .n_signed(want_signed.then_some(filled.signed))
        .complete(filled.complete))
}
