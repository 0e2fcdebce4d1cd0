//! Commands about addresses and their labels.

use std::str::FromStr;

use bitcoin_ipc::bitcoin::{Address, Network, ScriptBuf};
use bitcoin_ipc::rpc::{Value, code};
use bitcoin_ipc_draft::CommandError;
use bitcoin_ipc_draft::values::{AddressPurpose, OutputType};
use serde_json::{Map, json};

use super::params::Params;
use super::reply::{Reply, fail, invalid, refused, wallet_code};
use super::{Command, Run, Target};
use crate::vault::AddressEntry;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "getnewaddress",
        args: &["label", "address_type"],
        required: 0,
        about: "A new address to be paid to.",
        run: Run::Wallet(new_address),
    },
    Command {
        name: "getaddressinfo",
        args: &["address"],
        required: 1,
        about: "What the wallet knows of an address.",
        run: Run::Wallet(address_info),
    },
    Command {
        name: "setlabel",
        args: &["address", "label"],
        required: 2,
        about: "Gives an address a label.",
        run: Run::Wallet(set_label),
    },
    Command {
        name: "getaddressesbylabel",
        args: &["label"],
        required: 1,
        about: "The addresses with a label.",
        run: Run::Wallet(by_label),
    },
    Command {
        name: "listlabels",
        args: &["purpose"],
        required: 0,
        about: "All labels, or those of addresses for this purpose (send, receive or refund).",
        run: Run::Wallet(labels),
    },
];

/// The address that a text stands for.
pub(super) fn address(text: &str, network: Network) -> Result<Address, CommandError> {
    let no_address = |problem: &str| {
        let message = format!("Invalid Bitcoin address: {text}{problem}");
        fail(code::INVALID_ADDRESS_OR_KEY, message)
    };
    let address = Address::from_str(text).map_err(|_| no_address(""))?;
    address.require_network(network).map_err(|_| {
        no_address(&format!(" (it is of another network than {})", network.to_core_arg()))
    })
}

/// The address that pays to a script, if it has one.
pub(super) fn address_of(script: &ScriptBuf, network: Network) -> Option<String> {
    Address::from_script(script, network).ok().map(|address| address.to_string())
}

/// A label, as the argument with this number.
pub(super) fn label(params: &Params, index: usize) -> Result<String, CommandError> {
    let label = params.text(index)?.unwrap_or_default();
    if label == "*" {
        return Err(fail(wallet_code::INVALID_LABEL_NAME, "Invalid label name"));
    }
    Ok(label.to_owned())
}

fn purpose_name(purpose: AddressPurpose) -> &'static str {
    match purpose {
        AddressPurpose::Send => "send",
        AddressPurpose::Refund => "refund",
        _ => "receive",
    }
}

/// The type of addresses by Bitcoin Core's name.
fn output_type(name: &str) -> Result<OutputType, CommandError> {
    Ok(match name {
        "legacy" => OutputType::Legacy,
        "p2sh-segwit" => OutputType::P2shSegwit,
        "bech32" => OutputType::Bech32,
        "bech32m" => OutputType::Bech32m,
        _ => {
            let message = format!("Unknown address type '{name}'");
            return Err(fail(code::INVALID_ADDRESS_OR_KEY, message));
        }
    })
}

fn new_address(target: &Target, params: &mut Params) -> Reply {
    let label = label(params, 0)?;
    let kind = params.text(1)?.map_or(Ok(OutputType::Bech32), output_type)?;
    let made = target.vault()?.new_address(kind, &label).map_err(refused)?;
    Ok(made.to_string().into())
}

fn address_info(target: &Target, params: &mut Params) -> Reply {
    let address = address(params.need_text(0)?, target.network())?;
    let script = address.script_pubkey();
    let vault = target.vault()?;
    let is_mine = vault.is_mine(&script);
    let entry = vault.address(&script).map_err(refused)?;
    let mut info = json!({
        "address": address.to_string(),
        "scriptPubKey": script.to_hex_string(),
        "ismine": is_mine,
        "solvable": is_mine,
        "iswatchonly": false,
        "isscript": script.is_p2sh() || script.is_p2wsh(),
        "ischange": is_mine && vault.is_change(&script),
        "iswitness": script.is_witness_program(),
        "labels": entry.map(|entry| entry.label).into_iter().collect::<Vec<_>>(),
    });
    if let Some(program) = address.witness_program() {
        info["witness_version"] = program.version().to_num().into();
        info["witness_program"] = hex(program.program().as_bytes()).into();
    }
    if let Some(own) = vault.script_info(&script).map_err(refused)? {
        info["pubkey"] = own.public_key.to_string().into();
        info["desc"] = own.descriptor.into();
        info["parent_desc"] = own.parent_descriptor.into();
        info["hdkeypath"] = format!("m/{}", own.path).into();
        info["hdmasterfingerprint"] = own.fingerprint.to_string().into();
    }
    Ok(info)
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use bitcoin_ipc::bitcoin::hex::DisplayHex;

    bytes.to_lower_hex_string()
}

fn set_label(target: &Target, params: &mut Params) -> Reply {
    let address = address(params.need_text(0)?, target.network())?;
    let label = label(params, 1)?;
    target.vault()?.set_address_book(&address.script_pubkey(), &label, None).map_err(refused)?;
    Ok(Value::Null)
}

fn by_label(target: &Target, params: &mut Params) -> Reply {
    let label = label(params, 0)?;
    let entries = target.vault()?.addresses().map_err(refused)?;
    let labelled = entries.into_iter().filter(|entry| entry.label == label);
    let found: Map<String, Value> = labelled
        .filter_map(|AddressEntry { script, purpose, .. }| {
            let address = address_of(&script, target.network())?;
            Some((address, json!({ "purpose": purpose_name(purpose) })))
        })
        .collect();
    if found.is_empty() {
        let message = format!("No addresses with label {label}");
        return Err(fail(wallet_code::INVALID_LABEL_NAME, message));
    }
    Ok(found.into())
}

fn labels(target: &Target, params: &mut Params) -> Reply {
    let wanted = match params.text(0)? {
        None | Some("") => None,
        Some(name @ ("send" | "receive" | "refund")) => Some(name.to_owned()),
        Some(_) => {
            return Err(invalid(
                "Invalid 'purpose' argument, must be a known purpose string, typically 'send', or 'receive'.",
            ));
        }
    };
    let entries = target.vault()?.addresses().map_err(refused)?;
    let mut labels: Vec<String> = entries
        .into_iter()
        .filter(|entry| {
            wanted.as_deref().is_none_or(|wanted| wanted == purpose_name(entry.purpose))
        })
        .map(|entry| entry.label)
        .collect();
    labels.sort_unstable();
    labels.dedup();
    Ok(labels.into())
}
