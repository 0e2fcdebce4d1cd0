//! Commands that make, load and list wallets.

use std::path::Path;
use std::sync::Arc;

use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::CommandError;
use bitcoin_ipc_draft::values::wallet_flags;
use serde_json::json;

use super::params::Params;
use super::reply::{Reply, fail, invalid, not_loaded, refused, wallet_code};
use super::{Command, Run, Target, last_block, select};
use crate::loader::{LoadError, Loaded, Wallets};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "createwallet",
        args: &[
            "wallet_name",
            "disable_private_keys",
            "blank",
            "passphrase",
            "avoid_reuse",
            "descriptors",
            "load_on_startup",
            "external_signer",
        ],
        required: 1,
        about: "Makes a wallet and loads it; with a passphrase its keys are encrypted.",
        run: Run::Process(create),
    },
    Command {
        name: "loadwallet",
        args: &["filename", "load_on_startup"],
        required: 1,
        about: "Loads a wallet from the directory of the wallets.",
        run: Run::Process(load),
    },
    Command {
        name: "unloadwallet",
        args: &["wallet_name", "load_on_startup"],
        required: 0,
        about: "Unloads the wallet of this name, or of the request's path.",
        run: Run::Process(unload),
    },
    Command {
        name: "restorewallet",
        args: &["wallet_name", "backup_file", "load_on_startup"],
        required: 2,
        about: "Makes a wallet of a backup and loads it.",
        run: Run::Process(restore),
    },
    Command {
        name: "listwallets",
        args: &[],
        required: 0,
        about: "The names of the wallets that are loaded.",
        run: Run::Process(list),
    },
    Command {
        name: "listwalletdir",
        args: &[],
        required: 0,
        about: "The wallets in the directory of the wallets.",
        run: Run::Process(list_dir),
    },
    Command {
        name: "getwalletinfo",
        args: &[],
        required: 0,
        about: "What the wallet is, and how far it has followed the chain.",
        run: Run::SyncedUnlessScanning(info),
    },
    Command {
        name: "backupwallet",
        args: &["destination"],
        required: 1,
        about: "Writes a copy of the wallet to a file, or into a directory.",
        run: Run::Wallet(backup),
    },
];

/// The wallet that was loaded, with what the user should know.
fn loaded(result: Result<Loaded, LoadError>) -> Reply {
    let Loaded { wallet, warnings } = result.map_err(|error| not_loaded(&error))?;
    Ok(with_warnings(json!({ "name": wallet.name() }), warnings))
}

/// Whether it is loaded at the next start, which it is unless the parameter says otherwise. Bitcoin Core leaves that as
/// it was; here the process may be started again at any moment, and then has to have what was loaded.
fn remembered(params: &Params, index: usize) -> Result<Option<bool>, CommandError> {
    Ok(Some(params.flag(index)?.unwrap_or(true)))
}

fn with_warnings(mut value: Value, warnings: Vec<String>) -> Value {
    if !warnings.is_empty() {
        value["warnings"] = warnings.into();
    }
    value
}

fn create(wallets: &Arc<Wallets>, _uri: &str, params: &mut Params) -> Reply {
    let mut flags = wallet_flags::DESCRIPTORS;
    for (index, flag) in [
        (1, wallet_flags::DISABLE_PRIVATE_KEYS),
        (2, wallet_flags::BLANK_WALLET),
        (4, wallet_flags::AVOID_REUSE),
        (7, wallet_flags::EXTERNAL_SIGNER),
    ] {
        if params.flag(index)?.unwrap_or(false) {
            flags |= flag;
        }
    }
    if params.flag(5)? == Some(false) {
        return Err(fail(
            wallet_code::WALLET_ERROR,
            "descriptors argument must be set to \"true\"; it is no longer possible to create a legacy wallet.",
        ));
    }
    let (given, remember) = (params.get(3).is_some(), remembered(params, 6)?);
    let passphrase = params.take_passphrase(3)?;
    let name = params.need_text(0)?;
    let mut made = wallets.create(name, &passphrase, flags, remember);
    if given
        && passphrase.is_empty()
        && let Ok(made) = &mut made
    {
        let warning = "Empty string given as passphrase, wallet will not be encrypted.";
        made.warnings.push(warning.to_owned());
    }
    loaded(made)
}

fn load(wallets: &Arc<Wallets>, _uri: &str, params: &mut Params) -> Reply {
    loaded(wallets.load(params.need_text(0)?, remembered(params, 1)?))
}

fn restore(wallets: &Arc<Wallets>, _uri: &str, params: &mut Params) -> Reply {
    let backup = Path::new(params.need_text(1)?);
    if !backup.exists() {
        return Err(invalid("Backup file does not exist"));
    }
    loaded(wallets.restore(params.need_text(0)?, backup, remembered(params, 2)?))
}

fn unload(wallets: &Arc<Wallets>, uri: &str, params: &mut Params) -> Reply {
    let (of_path, of_argument) = (select::name_of(uri)?, params.text(0)?);
    let name = match (of_path.as_deref(), of_argument) {
        (Some(path), Some(argument)) if path != argument => {
            return Err(invalid(
                "The RPC endpoint wallet and the wallet name parameter specify different wallets",
            ));
        }
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => {
            return Err(invalid(
                "Either the RPC endpoint wallet or the wallet name parameter must be provided",
            ));
        }
    };
    let forget = Some(params.flag(1)?.unwrap_or(false));
    let warnings = wallets.unload(name, forget).map_err(|error| not_loaded(&error))?;
    Ok(with_warnings(json!({}), warnings))
}

fn list(wallets: &Arc<Wallets>, _uri: &str, _params: &mut Params) -> Reply {
    Ok(wallets.all().iter().map(|wallet| Value::from(wallet.name())).collect())
}

fn list_dir(wallets: &Arc<Wallets>, _uri: &str, _params: &mut Params) -> Reply {
    let names = wallets.dir.list().map_err(refused)?;
    let wallets: Vec<Value> = names.into_iter().map(|name| json!({ "name": name })).collect();
    Ok(json!({ "wallets": wallets }))
}

fn info(target: &Target, _params: &mut Params) -> Reply {
    let scanning = target.follower.scanning().map_or(Value::from(false), |scanning| {
        json!({ "duration": scanning.duration.as_secs(), "progress": scanning.progress })
    });
    let lastprocessedblock = last_block(target)?;
    let unlocked_until = target.unlocked_until();
    let vault = target.vault()?;
    let flags = vault.flags();
    let has = |flag| flags & flag != 0;
    let names = [
        (wallet_flags::AVOID_REUSE, "avoid_reuse"),
        (wallet_flags::KEY_ORIGIN_METADATA, "key_origin_metadata"),
        (wallet_flags::LAST_HARDENED_XPUB_CACHED, "last_hardened_xpub_cached"),
        (wallet_flags::DISABLE_PRIVATE_KEYS, "disable_private_keys"),
        (wallet_flags::BLANK_WALLET, "blank"),
        (wallet_flags::DESCRIPTORS, "descriptor_wallet"),
        (wallet_flags::EXTERNAL_SIGNER, "external_signer"),
    ];
    let set = names.into_iter().filter(|(flag, _)| has(*flag)).map(|(_, name)| Value::from(name));
    let mut info = json!({
        "walletname": target.name(),
        "walletversion": 169_900,
        "format": "sqlite",
        "txcount": vault.transactions().map_err(refused)?.len(),
        "keypoolsize": 0,
        "private_keys_enabled": !has(wallet_flags::DISABLE_PRIVATE_KEYS),
        "avoid_reuse": has(wallet_flags::AVOID_REUSE),
        "scanning": scanning,
        "descriptors": has(wallet_flags::DESCRIPTORS),
        "external_signer": has(wallet_flags::EXTERNAL_SIGNER),
        "blank": has(wallet_flags::BLANK_WALLET),
        "flags": set.collect::<Vec<_>>(),
        "lastprocessedblock": lastprocessedblock,
    });
    if vault.is_encrypted() {
        // 0 while it is locked. One that was unlocked without a deadline has none to tell.
        let until = if vault.is_locked() { Some(0) } else { unlocked_until };
        if let Some(until) = until {
            info["unlocked_until"] = until.into();
        }
    }
    Ok(info)
}

fn backup(target: &Target, params: &mut Params) -> Reply {
    let destination = Path::new(params.need_text(0)?);
    target.vault()?.backup(destination).map_err(|error| {
        fail(wallet_code::WALLET_ERROR, format!("Error: Wallet backup failed! {error}"))
    })?;
    Ok(Value::Null)
}
