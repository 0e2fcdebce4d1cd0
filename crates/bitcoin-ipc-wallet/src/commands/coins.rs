//! Commands about the wallet's unspent outputs.

use std::collections::HashSet;

use bitcoin_ipc::bitcoin::{Amount, OutPoint, ScriptBuf};
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::CommandError;
use serde_json::json;

use super::addresses::{address, address_of};
use super::params::{Params, txid};
use super::reply::{Reply, invalid, refused};
use super::{Command, Run, Target, amount};
use crate::vault::Coin;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "listunspent",
        args: &["minconf", "maxconf", "addresses", "include_unsafe", "query_options"],
        required: 0,
        about: "The outputs that the wallet can spend, without those that are locked.",
        run: Run::Synced(list),
    },
    Command {
        name: "lockunspent",
        args: &["unlock", "transactions", "persistent"],
        required: 1,
        about: "Keeps outputs from being spent by transactions that the wallet makes, or ends that.",
        run: Run::Synced(lock),
    },
    Command {
        name: "listlockunspent",
        args: &[],
        required: 0,
        about: "The outputs that lockunspent keeps.",
        run: Run::Wallet(list_locked),
    },
];

/// An output: `{"txid": ..., "vout": ...}`.
pub(super) fn outpoint(value: &Value) -> Result<OutPoint, CommandError> {
    let id =
        value["txid"].as_str().ok_or_else(|| invalid("Invalid parameter, missing txid key"))?;
    let vout =
        value["vout"].as_i64().ok_or_else(|| invalid("Invalid parameter, missing vout key"))?;
    let vout =
        u32::try_from(vout).map_err(|_| invalid("Invalid parameter, vout cannot be negative"))?;
    Ok(OutPoint { txid: txid(id, "txid")?, vout })
}

/// Which outputs `listunspent` lists.
struct Wanted {
    depth: (i64, i64),
    scripts: Option<HashSet<ScriptBuf>>,
    unsafe_too: bool,
    immature_too: bool,
    value: (Amount, Amount),
    most: usize,
}

impl Wanted {
    fn read(target: &Target, params: &Params) -> Result<Wanted, CommandError> {
        let depth = (params.integer(0)?.unwrap_or(1), params.integer(1)?.unwrap_or(9_999_999));
        let scripts = match params.array(2)? {
            None => None,
            Some(addresses) if addresses.is_empty() => None,
            Some(addresses) => {
                let mut scripts = HashSet::new();
                for value in addresses {
                    let text = value.as_str().unwrap_or_default();
                    if !scripts.insert(address(text, target.network())?.script_pubkey()) {
                        let message = format!("Invalid parameter, duplicated address: {text}");
                        return Err(invalid(message));
                    }
                }
                Some(scripts)
            }
        };
        let unsafe_too = params.flag(3)?.unwrap_or(true);
        let mut wanted = Wanted {
            depth,
            scripts,
            unsafe_too,
            immature_too: false,
            value: (Amount::ZERO, Amount::MAX_MONEY),
            most: usize::MAX,
        };
        for (name, value) in params.object(4)?.into_iter().flatten() {
            match name.as_str() {
                "minimumAmount" => wanted.value.0 = amount::from_json(value)?,
                "maximumAmount" => wanted.value.1 = amount::from_json(value)?,
                "maximumCount" => {
                    let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
                    let count =
                        count.ok_or_else(|| invalid("maximumCount is no number of outputs"))?;
                    // 0 is without a limit.
                    wanted.most = if count == 0 { usize::MAX } else { count };
                }
                "include_immature_coinbase" => {
                    wanted.immature_too = value.as_bool().unwrap_or(false)
                }
                other => return Err(invalid(format!("Unknown query option {other}"))),
            }
        }
        Ok(wanted)
    }

    fn has(&self, coin: &Coin) -> bool {
        let depth = i64::from(coin.depth);
        !coin.spent
            && !coin.locked
            && coin.available
            && (self.unsafe_too || coin.trusted)
            && (self.immature_too || !coin.immature)
            && (self.depth.0..=self.depth.1).contains(&depth)
            && (self.value.0..=self.value.1).contains(&coin.txout.value)
            && self
                .scripts
                .as_ref()
                .is_none_or(|scripts| scripts.contains(&coin.txout.script_pubkey))
    }
}

fn list(target: &Target, params: &mut Params) -> Reply {
    let wanted = Wanted::read(target, params)?;
    let vault = target.vault()?;
    let coins = vault.coins().map_err(refused)?;
    let listed = coins.iter().filter(|coin| wanted.has(coin)).take(wanted.most).map(|coin| {
        let script = &coin.txout.script_pubkey;
        let mut listed = json!({
            "txid": coin.outpoint.txid.to_string(),
            "vout": coin.outpoint.vout,
            "scriptPubKey": script.to_hex_string(),
            "amount": amount::to_json(coin.txout.value),
            "confirmations": coin.depth,
            "spendable": true,
            "solvable": true,
            "safe": coin.trusted,
        });
        if let Some(address) = address_of(script, target.network()) {
            listed["address"] = address.into();
        }
        if let Some(entry) = vault.address(script).map_err(refused)? {
            listed["label"] = entry.label.into();
        }
        if let Some(own) = vault.script_info(script).map_err(refused)? {
            listed["desc"] = own.descriptor.into();
            listed["parent_descs"] = json!([own.parent_descriptor]);
        }
        Ok(listed)
    });
    Ok(Value::Array(listed.collect::<Result<_, _>>()?))
}

fn lock(target: &Target, params: &mut Params) -> Reply {
    let unlock = params.flag(0)?.unwrap_or(false);
    let persistent = params.flag(2)?.unwrap_or(false);
    let vault = target.vault()?;
    let Some(outputs) = params.array(1)? else {
        if unlock {
            for outpoint in vault.locked_coins() {
                vault.unlock_coin(outpoint).map_err(refused)?;
            }
        }
        return Ok(true.into());
    };
    // All are looked at before the first is changed.
    let outputs = outputs.iter().map(outpoint).collect::<Result<Vec<_>, _>>()?;
    for output in &outputs {
        let own = vault.transaction(output.txid).map_err(refused)?;
        let own = own.ok_or_else(|| invalid("Invalid parameter, unknown transaction"))?;
        if usize::try_from(output.vout).is_ok_and(|vout| vout >= own.tx.output.len()) {
            return Err(invalid("Invalid parameter, vout index out of bounds"));
        }
        if vault.coin(*output).map_err(refused)?.is_some_and(|coin| coin.spent) {
            return Err(invalid("Invalid parameter, expected unspent output"));
        }
        let locked = vault.is_locked_coin(*output);
        if unlock && !locked {
            return Err(invalid("Invalid parameter, expected locked output"));
        }
        if !unlock && locked && !persistent {
            return Err(invalid("Invalid parameter, output already locked"));
        }
    }
    for output in outputs {
        match unlock {
            true => vault.unlock_coin(output),
            false => vault.lock_coin(output, persistent),
        }
        .map_err(refused)?;
    }
    Ok(true.into())
}

fn list_locked(target: &Target, _params: &mut Params) -> Reply {
    let locked = target.vault()?.locked_coins();
    Ok(locked
        .iter()
        .map(|output| json!({ "txid": output.txid.to_string(), "vout": output.vout }))
        .collect())
}
