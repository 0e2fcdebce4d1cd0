//! Commands that pay somebody.

use std::collections::BTreeMap;

use bitcoin_ipc::bitcoin::Amount;
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::values::FeeReason;
use bitcoin_ipc_draft::wallet::{CoinControl, Recipient, TxDestination};
use bitcoin_ipc_draft::{CommandError, FeeRate};
use serde_json::{Map, json};

use super::addresses::address;
use super::coins::outpoint;
use super::keys::need_keys;
use super::params::Params;
use super::reply::{Reply, fail, invalid, refused, wallet_code};
use super::{Command, Run, Target, amount};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "sendtoaddress",
        args: &[
            "address",
            "amount",
            "comment",
            "comment_to",
            "subtractfeefromamount",
            "replaceable",
            "conf_target",
            "estimate_mode",
            "avoid_reuse",
            "fee_rate",
            "verbose",
        ],
        required: 2,
        about: "Pays an amount of bitcoins to an address.",
        run: Run::Synced(send_to_address),
    },
    Command {
        name: "send",
        args: &["outputs", "conf_target", "estimate_mode", "fee_rate", "options", "version"],
        required: 1,
        about: "Pays several addresses with one transaction.",
        run: Run::Synced(send),
    },
    Command {
        name: "bumpfee",
        args: &["txid", "options"],
        required: 1,
        about: "Replaces a transaction that is not confirmed by one with a higher fee.",
        run: Run::Synced(bump_fee),
    },
];

/// The most confirmations that a coin may have: any.
const ANY_DEPTH: i32 = 9_999_999;

/// How a transaction is made unless something else is said: as Bitcoin Core's own.
fn coin_control() -> CoinControl {
    CoinControl::default().allow_other_inputs(true).max_depth(ANY_DEPTH)
}

/// How the fee is chosen, from what a command was told.
fn with_fee(
    mut control: CoinControl,
    target: Option<i64>,
    mode: Option<&str>,
    rate: Option<FeeRate>,
) -> Result<CoinControl, CommandError> {
    let mode = match mode.map(str::to_lowercase).as_deref() {
        None | Some("unset") => 0,
        Some("economical") => 1,
        Some("conservative") => 2,
        Some(_) => {
            return Err(invalid(
                "Invalid estimate_mode parameter, must be one of: \"unset\", \"economical\", \"conservative\"",
            ));
        }
    };
    if let Some(rate) = rate {
        if target.is_some() {
            return Err(invalid(
                "Cannot specify both conf_target and fee_rate. Please provide either a confirmation target in blocks \
                 for automatic fee estimation, or an explicit fee rate.",
            ));
        }
        if mode != 0 {
            return Err(invalid("Cannot specify both estimate_mode and fee_rate"));
        }
        return Ok(control.fee_rate(rate).signal_rbf(true));
    }
    if let Some(blocks) = target {
        let blocks = i32::try_from(blocks).ok().filter(|blocks| (1..=1008).contains(blocks));
        let blocks =
            blocks.ok_or_else(|| invalid("Invalid conf_target, must be between 1 and 1008"))?;
        control = control.confirm_target(blocks);
    }
    Ok(control.fee_mode(mode))
}

/// Bitcoin Core's words for where a fee rate comes from.
fn reason(reason: FeeReason) -> &'static str {
    match reason {
        FeeReason::None => "None",
        FeeReason::HalfEstimate => "Half Target 60% Threshold",
        FeeReason::FullEstimate => "Target 85% Threshold",
        FeeReason::DoubleEstimate => "Double Target 95% Threshold",
        FeeReason::Conservative => "Conservative Double Target longer horizon",
        FeeReason::MempoolMin => "Mempool Min Fee",
        FeeReason::Fallback => "Fallback fee",
        FeeReason::Required => "Minimum Required Fee",
        _ => "Unknown",
    }
}

fn recipient(target: &Target, to: &str, value: &Value) -> Result<Recipient, CommandError> {
    let dest = TxDestination::from(&address(to, target.network())?);
    let value = amount::from_json(value)?;
    if value == Amount::ZERO {
        return Err(fail(bitcoin_ipc::rpc::code::TYPE_ERROR, "Invalid amount for send"));
    }
    Ok(Recipient::new(value).dest(dest))
}

fn send_to_address(target: &Target, params: &mut Params) -> Reply {
    need_keys(target)?;
    let subtract = params.flag(4)?.unwrap_or(false);
    let to = params.need_text(0)?;
    let recipient = recipient(target, to, params.get(1).unwrap_or(&Value::Null))?;
    let recipient = recipient.subtract_fee_from_amount(subtract);
    if params.flag(8)?.unwrap_or(false) {
        let message = "wallet does not have the \"avoid reuse\" feature enabled";
        return Err(fail(wallet_code::WALLET_ERROR, message));
    }
    let control = coin_control().signal_rbf(params.flag(5)?);
    let control = with_fee(control, params.integer(6)?, params.text(7)?, params.fee_rate(9)?)?;
    let mut notes = BTreeMap::new();
    for (index, key) in [(2, "comment"), (3, "to")] {
        if let Some(text) = params.text(index)?.filter(|text| !text.is_empty()) {
            notes.insert(key.to_owned(), text.to_owned());
        }
    }
    let verbose = params.flag(10)?.unwrap_or(false);
    let (made, chosen) = target.create(&[recipient], &control, true, None).map_err(refused)?;
    target.commit(&made.tx, notes, Vec::new()).map_err(refused)?;
    let txid = made.tx.compute_txid().to_string();
    Ok(if verbose {
        json!({ "txid": txid, "fee_reason": reason(chosen.reason) })
    } else {
        txid.into()
    })
}

/// The outputs of `send`: `[{"address": amount}, ...]`, or one object of all.
fn recipients(target: &Target, outputs: &Value) -> Result<Vec<Recipient>, CommandError> {
    let objects: Vec<&Map<String, Value>> = match outputs {
        Value::Object(one) => vec![one],
        Value::Array(several) => {
            let objects = several.iter().map(|value| value.as_object());
            objects.collect::<Option<_>>().ok_or_else(|| {
                invalid("Invalid parameter, key-value pair not an object as expected")
            })?
        }
        _ => return Err(invalid("Invalid parameter, outputs must be an array or object")),
    };
    let mut recipients = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (to, value) in objects.into_iter().flatten() {
        if to == "data" {
            return Err(invalid("outputs with data are not supported: give addresses"));
        }
        if !seen.insert(to) {
            return Err(invalid(format!("Invalid parameter, duplicated address: {to}")));
        }
        recipients.push(recipient(target, to, value)?);
    }
    if recipients.is_empty() {
        return Err(invalid("Invalid parameter, outputs must not be empty"));
    }
    Ok(recipients)
}

/// The options of `send` that are supported, beside those that are arguments as well.
struct Options<'a> {
    conf_target: Option<i64>,
    estimate_mode: Option<&'a str>,
    fee_rate: Option<FeeRate>,
    change_pos: Option<u32>,
    control: CoinControl,
}

fn options<'a>(
    target: &Target,
    given: Option<&'a Map<String, Value>>,
    recipients: &mut [Recipient],
) -> Result<Options<'a>, CommandError> {
    let mut options = Options {
        conf_target: None,
        estimate_mode: None,
        fee_rate: None,
        change_pos: None,
        control: coin_control(),
    };
    for (name, value) in given.into_iter().flatten() {
        let wrong = || invalid(format!("the option {name} does not take {value}"));
        match name.as_str() {
            "conf_target" => options.conf_target = Some(value.as_i64().ok_or_else(wrong)?),
            "estimate_mode" => options.estimate_mode = Some(value.as_str().ok_or_else(wrong)?),
            "fee_rate" => options.fee_rate = Some(amount::fee_rate_from_json(value)?),
            "replaceable" => {
                let replaceable = value.as_bool().ok_or_else(wrong)?;
                options.control = options.control.signal_rbf(replaceable);
            }
            "include_unsafe" => {
                let unsafe_too = value.as_bool().ok_or_else(wrong)?;
                options.control = options.control.include_unsafe_inputs(unsafe_too);
            }
            "change_address" => {
                let change = address(value.as_str().ok_or_else(wrong)?, target.network())?;
                options.control = options.control.dest_change(TxDestination::from(&change));
            }
            "change_position" => {
                let place = value.as_u64().and_then(|place| u32::try_from(place).ok());
                options.change_pos = Some(place.ok_or_else(wrong)?);
            }
            "inputs" => {
                let inputs = value.as_array().ok_or_else(wrong)?.iter().map(outpoint);
                let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
                // Without `add_inputs` no others are spent.
                let others =
                    given.and_then(|given| given.get("add_inputs")).and_then(Value::as_bool);
                let control = options.control.allow_other_inputs(others.unwrap_or(false));
                options.control = control.set_selected(inputs);
            }
            "add_inputs" => drop(value.as_bool().ok_or_else(wrong)?),
            "subtract_fee_from_outputs" => {
                for place in value.as_array().ok_or_else(wrong)? {
                    let place = place.as_u64().and_then(|place| usize::try_from(place).ok());
                    let paid =
                        place.and_then(|place| recipients.get_mut(place)).ok_or_else(wrong)?;
                    paid.subtract_fee_from_amount = true;
                }
            }
            other => return Err(invalid(format!("the option {other} is not supported"))),
        }
    }
    Ok(options)
}

fn send(target: &Target, params: &mut Params) -> Reply {
    need_keys(target)?;
    let mut recipients = recipients(target, params.get(0).unwrap_or(&Value::Null))?;
    let options = options(target, params.object(4)?, &mut recipients)?;
    let blocks = params.integer(1)?.or(options.conf_target);
    let mode = params.text(2)?.or(options.estimate_mode);
    let rate = params.fee_rate(3)?.or(options.fee_rate);
    let replaceable = options.control.signal_rbf;
    let mut control = with_fee(options.control, blocks, mode, rate)?;
    if replaceable.is_some() {
        control = control.signal_rbf(replaceable);
    }
    let made = target.create(&recipients, &control, true, options.change_pos);
    let (made, _) = made.map_err(refused)?;
    target.commit(&made.tx, BTreeMap::new(), Vec::new()).map_err(refused)?;
    Ok(json!({ "txid": made.tx.compute_txid().to_string(), "complete": true }))
}

fn bump_fee(target: &Target, params: &mut Params) -> Reply {
    let txid = params.need_txid(0)?;
    need_keys(target)?;
    let (mut blocks, mut mode, mut rate, mut replaceable) = (None, None, None, None);
    for (name, value) in params.object(1)?.into_iter().flatten() {
        let wrong = || invalid(format!("the option {name} does not take {value}"));
        match name.as_str() {
            "conf_target" | "confTarget" => blocks = Some(value.as_i64().ok_or_else(wrong)?),
            "estimate_mode" => mode = Some(value.as_str().ok_or_else(wrong)?),
            "fee_rate" => rate = Some(amount::fee_rate_from_json(value)?),
            "replaceable" => replaceable = Some(value.as_bool().ok_or_else(wrong)?),
            other => return Err(invalid(format!("the option {other} is not supported"))),
        }
    }
    let mut control = with_fee(coin_control(), blocks, mode, rate)?;
    if replaceable.is_some() {
        control = control.signal_rbf(replaceable);
    }
    let mut bumped = target.vault()?.bump_fee(txid, &control).map_err(refused)?;
    if !target.vault()?.sign(&mut bumped.tx).map_err(refused)? {
        return Err(fail(wallet_code::WALLET_ERROR, "Can't sign transaction."));
    }
    let bumped_txid = target.commit_bump(txid, &bumped.tx).map_err(refused)?;
    Ok(json!({
        "txid": bumped_txid.to_string(),
        "origfee": amount::to_json(bumped.old_fee),
        "fee": amount::to_json(bumped.new_fee),
        "errors": [],
    }))
}
