//! Commands about keys: encryption, and signatures.

use std::str::FromStr;
use std::time::Duration;

use bitcoin_ipc::bitcoin::consensus::encode::serialize_hex;
use bitcoin_ipc::bitcoin::{AddressType, Psbt};
use bitcoin_ipc::rpc::{Value, code};
use bitcoin_ipc_draft::{CommandError, Passphrase};
use serde_json::json;

use super::addresses::address;
use super::params::Params;
use super::reply::{Reply, fail, invalid, refused, wallet_code};
use super::{Command, Run, Target};
use crate::vault::FillOptions;

/// The longest time for which a passphrase is kept, in seconds, as in Bitcoin Core.
const MOST_SECONDS: i64 = 100_000_000;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "encryptwallet",
        args: &["passphrase"],
        required: 1,
        about: "Encrypts the wallet's keys with a passphrase; then it is locked.",
        run: Run::Wallet(encrypt),
    },
    Command {
        name: "walletpassphrase",
        args: &["passphrase", "timeout"],
        required: 2,
        about: "Unlocks the wallet for so many seconds.",
        run: Run::Wallet(unlock),
    },
    Command {
        name: "walletlock",
        args: &[],
        required: 0,
        about: "Forgets the wallet's keys until walletpassphrase.",
        run: Run::Wallet(lock),
    },
    Command {
        name: "walletpassphrasechange",
        args: &["oldpassphrase", "newpassphrase"],
        required: 2,
        about: "Encrypts the wallet's keys with another passphrase.",
        run: Run::Wallet(change),
    },
    Command {
        name: "signmessage",
        args: &["address", "message"],
        required: 2,
        about: "Signs a message with the key of an address (P2PKH).",
        run: Run::Wallet(sign_message),
    },
    Command {
        name: "walletprocesspsbt",
        args: &["psbt", "sign", "sighashtype", "bip32derivs", "finalize"],
        required: 1,
        about: "Adds to a PSBT what the wallet knows, and signs it.",
        run: Run::Synced(process_psbt),
    },
];

/// A passphrase that is not empty.
fn passphrase(params: &mut Params, index: usize) -> Result<Passphrase, CommandError> {
    let passphrase = params.take_passphrase(index)?;
    if passphrase.is_empty() {
        return Err(invalid("passphrase cannot be empty"));
    }
    Ok(passphrase)
}

/// That the wallet is encrypted, or is not.
fn need_encryption(target: &Target, encrypted: bool, command: &str) -> Result<(), CommandError> {
    if target.vault()?.is_encrypted() == encrypted {
        return Ok(());
    }
    let is = if encrypted { "unencrypted" } else { "encrypted" };
    let message = format!("Error: running with an {is} wallet, but {command} was called.");
    Err(fail(wallet_code::WRONG_ENC_STATE, message))
}

/// That its keys are at hand.
pub(super) fn need_keys(target: &Target) -> Result<(), CommandError> {
    if target.vault()?.is_locked() {
        return Err(refused(crate::vault::VaultError::Locked));
    }
    Ok(())
}

fn encrypt(target: &Target, params: &mut Params) -> Reply {
    let passphrase = params.take_passphrase(0)?;
    need_encryption(target, false, "encryptwallet")?;
    if passphrase.is_empty() {
        return Err(invalid("passphrase cannot be empty"));
    }
    target.vault()?.encrypt(&passphrase).map_err(refused)?;
    Ok("wallet encrypted; backups that were made before are not: make a new one with backupwallet"
        .into())
}

fn unlock(target: &Target, params: &mut Params) -> Reply {
    need_encryption(target, true, "walletpassphrase")?;
    let seconds = params.integer(1)?.unwrap_or(0);
    if seconds < 0 {
        return Err(invalid("Timeout cannot be negative."));
    }
    let after = Duration::from_secs(seconds.min(MOST_SECONDS).unsigned_abs());
    let passphrase = passphrase(params, 0)?;
    target.wallet.unlock(&passphrase, Some(after)).map_err(refused)?;
    Ok(Value::Null)
}

fn lock(target: &Target, _params: &mut Params) -> Reply {
    need_encryption(target, true, "walletlock")?;
    target.wallet.lock().map_err(refused)?;
    Ok(Value::Null)
}

fn change(target: &Target, params: &mut Params) -> Reply {
    need_encryption(target, true, "walletpassphrasechange")?;
    let (old, new) = (passphrase(params, 0)?, passphrase(params, 1)?);
    target.vault()?.change_passphrase(&old, &new).map_err(refused)?;
    Ok(Value::Null)
}

fn sign_message(target: &Target, params: &mut Params) -> Reply {
    need_keys(target)?;
    let (text, message) = (params.need_text(0)?, params.need_text(1)?);
    let address = address(text, target.network())?;
    let hash = match address.address_type() {
        Some(AddressType::P2pkh) => address.pubkey_hash(),
        _ => None,
    };
    let hash = hash.ok_or_else(|| fail(code::TYPE_ERROR, "Address does not refer to key"))?;
    Ok(target.vault()?.sign_message(message, hash).map_err(refused)?.into())
}

fn process_psbt(target: &Target, params: &mut Params) -> Reply {
    let mut psbt = Psbt::from_str(params.need_text(0)?)
        .map_err(|error| fail(code::DESERIALIZATION_ERROR, format!("TX decode failed {error}")))?;
    let options = FillOptions {
        sign: params.flag(1)?.unwrap_or(true),
        bip32_derivs: params.flag(3)?.unwrap_or(true),
        finalize: params.flag(4)?.unwrap_or(true),
    };
    if let Some(kind) = params.text(2)?
        && !matches!(kind, "DEFAULT" | "ALL")
    {
        return Err(invalid(format!(
            "this wallet signs with sighashtype ALL only, not with {kind}"
        )));
    }
    if options.sign {
        need_keys(target)?;
    }
    let filled = target.vault()?.fill_psbt(&mut psbt, options).map_err(refused)?;
    let mut result = json!({ "psbt": psbt.to_string(), "complete": filled.complete });
    if filled.complete && options.finalize {
        result["hex"] = serialize_hex(&psbt.extract_tx_unchecked_fee_rate()).into();
    }
    Ok(result)
}
