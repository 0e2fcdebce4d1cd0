//! Commands that tell of the wallet's transactions.

use bitcoin_ipc::bitcoin::consensus::encode::serialize_hex;
use bitcoin_ipc::bitcoin::{Amount, SignedAmount};
use bitcoin_ipc::rpc::{Value, code};
use bitcoin_ipc_draft::CommandError;
use bitcoin_ipc_draft::values::Replaceability;
use serde_json::json;

use super::addresses::address_of;
use super::params::Params;
use super::reply::{Reply, fail, invalid, of_node, refused};
use super::{Command, Run, Target, amount, last_block};
use crate::vault::{TxState, WalletTransaction};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "listtransactions",
        args: &["label|dummy", "count", "skip", "include_watchonly"],
        required: 0,
        about: "The last payments, the newest at the end.",
        run: Run::Synced(list),
    },
    Command {
        name: "gettransaction",
        args: &["txid", "include_watchonly", "verbose"],
        required: 1,
        about: "What the wallet knows of one of its transactions.",
        run: Run::Synced(get),
    },
    Command {
        name: "abandontransaction",
        args: &["txid"],
        required: 1,
        about: "Gives up a transaction that is neither confirmed nor in the memory pool.",
        run: Run::Synced(abandon),
    },
];

fn signed(amount: Amount) -> SignedAmount {
    SignedAmount::from_sat(amount.to_sat().cast_signed())
}

/// What both commands tell of a transaction.
fn describe(target: &Target, own: &WalletTransaction) -> Reply {
    let mut told = json!({
        "confirmations": own.depth,
        "txid": own.txid.to_string(),
        "wtxid": own.tx.compute_wtxid().to_string(),
        "walletconflicts": own.conflicts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "mempoolconflicts": [],
        "time": own.time_received,
        "timereceived": own.time_received,
    });
    if own.tx.is_coinbase() {
        told["generated"] = true.into();
    }
    let replaceable = match own.state {
        TxState::Confirmed { hash, height, time } => {
            told["blockhash"] = hash.to_string().into();
            told["blockheight"] = height.into();
            told["blocktime"] = time.into();
            "no"
        }
        _ => {
            told["trusted"] = own.trusted.into();
            let asked = target.chain.is_rbf_opt_in((*own.tx).clone()).wait();
            match asked.map_err(|error| of_node(&error))? {
                Replaceability::Replaceable => "yes",
                Replaceability::Final => "no",
                _ => "unknown",
            }
        }
    };
    told["bip125-replaceable"] = replaceable.into();
    for (key, value) in &own.value_map {
        told[key] = value.as_str().into();
    }
    Ok(told)
}

/// The payments of a transaction, each as one entry: those that the wallet made, then those that it got.
/// `label`: only those to addresses with it.
fn payments(
    target: &Target,
    own: &WalletTransaction,
    label: Option<&str>,
) -> Result<Vec<Value>, CommandError> {
    let vault = target.vault()?;
    let is_sent = own.debit > Amount::ZERO;
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    for (vout, output) in own.tx.output.iter().enumerate() {
        let (mine, change) = (own.outputs_mine[vout], own.outputs_change[vout]);
        if (is_sent && change) || (!is_sent && !mine) {
            continue;
        }
        let entry = vault.address(&output.script_pubkey).map_err(refused)?;
        if label.is_some_and(|label| entry.as_ref().is_none_or(|entry| entry.label != label)) {
            continue;
        }
        let mut payment = json!({ "vout": vout, "abandoned": own.state == TxState::Abandoned });
        if let Some(address) = address_of(&output.script_pubkey, target.network()) {
            payment["address"] = address.into();
        }
        if let Some(entry) = entry {
            payment["label"] = entry.label.into();
        }
        if is_sent {
            let mut payment = payment.clone();
            payment["category"] = "send".into();
            payment["amount"] = amount::signed_to_json(-signed(output.value));
            if let Some(fee) = own.fee {
                payment["fee"] = amount::signed_to_json(-signed(fee));
            }
            sent.push(payment);
        }
        if mine {
            payment["category"] = match (own.tx.is_coinbase(), own.depth, own.blocks_to_maturity) {
                (false, ..) => "receive",
                (true, ..1, _) => "orphan",
                (true, _, 1..) => "immature",
                (true, _, 0) => "generate",
            }
            .into();
            payment["amount"] = amount::to_json(output.value);
            if let Some(own) = vault.script_info(&output.script_pubkey).map_err(refused)? {
                payment["parent_descs"] = json!([own.parent_descriptor]);
            }
            received.push(payment);
        }
    }
    sent.extend(received);
    Ok(sent)
}

fn list(target: &Target, params: &mut Params) -> Reply {
    let label = match params.text(0)? {
        None | Some("*") => None,
        Some("") => return Err(invalid("Label argument must be a valid label name or \"*\".")),
        Some(label) => Some(label.to_owned()),
    };
    let number = |index, default, name| {
        let number = params.integer(index)?.unwrap_or(default);
        usize::try_from(number).map_err(|_| invalid(format!("Negative {name}")))
    };
    let (count, skip) = (number(1, 10, "count")?, number(2, 0, "from")?);
    let transactions = target.vault()?.transactions().map_err(refused)?;
    // The newest first, until there are enough.
    let mut listed = Vec::new();
    for own in transactions.iter().rev() {
        if listed.len() >= count.saturating_add(skip) {
            break;
        }
        let payments = payments(target, own, label.as_deref())?;
        if payments.is_empty() {
            continue;
        }
        let told = describe(target, own)?;
        for mut payment in payments.into_iter().rev() {
            if let (Value::Object(payment), Value::Object(told)) = (&mut payment, &told) {
                payment.extend(told.clone());
            }
            listed.push(payment);
        }
    }
    let mut listed: Vec<Value> = listed.into_iter().skip(skip).take(count).collect();
    listed.reverse();
    Ok(listed.into())
}

fn get(target: &Target, params: &mut Params) -> Reply {
    let txid = params.need_txid(0)?;
    if params.flag(2)?.unwrap_or(false) {
        return Err(invalid("verbose is not supported: decode `hex`"));
    }
    let own = target.vault()?.transaction(txid).map_err(refused)?;
    let own = own.ok_or_else(|| {
        fail(code::INVALID_ADDRESS_OR_KEY, "Invalid or non-wallet transaction id")
    })?;
    let mut told = describe(target, &own)?;
    let fee = own.fee.filter(|_| own.debit > Amount::ZERO);
    // What the fee takes is told by itself.
    let net = signed(own.credit) - signed(own.debit) + signed(fee.unwrap_or(Amount::ZERO));
    told["amount"] = amount::signed_to_json(net);
    if let Some(fee) = fee {
        told["fee"] = amount::signed_to_json(-signed(fee));
    }
    told["details"] = payments(target, &own, None)?.into();
    told["hex"] = serialize_hex(&*own.tx).into();
    told["lastprocessedblock"] = last_block(target)?;
    Ok(told)
}

fn abandon(target: &Target, params: &mut Params) -> Reply {
    let txid = params.need_txid(0)?;
    target.vault()?.abandon(txid).map_err(refused)?;
    Ok(Value::Null)
}
