//! Looks and news as JSON objects, which `kind` tells apart. Amounts are satoshis, times seconds since 1970.

use serde_json::{Value, json};

use super::look::{CoinRow, Look, TransactionRow, WalletLook};
use super::news::{News, What};

/// `"kind": "state"`: all of it, as it is now.
pub(super) fn of_look(look: &Look) -> Value {
    let node = &look.node;
    let (wallets, problem) = match &look.wallets {
        Ok(wallets) => (Some(wallets.iter().map(wallet).collect::<Vec<_>>()), None),
        Err(why) => (None, Some(why)),
    };
    json!({
        "kind": "state",
        "height": node.height,
        "hash": node.hash,
        "time": node.time,
        "progress": node.progress,
        "catching_up": node.catching_up,
        "mempool": { "transactions": node.transactions, "bytes": node.bytes },
        "warning": node.warning,
        "wallets": wallets,
        "no_wallets": problem,
    })
}

fn wallet(wallet: &WalletLook) -> Value {
    let balances = &wallet.balances;
    json!({
        "name": wallet.name,
        "keys": wallet.keys.name(),
        "balance": balances.balance.to_sat(),
        "unconfirmed": balances.unconfirmed_balance.to_sat(),
        "immature": balances.immature_balance.to_sat(),
        "all_transactions": wallet.all_transactions,
        "all_coins": wallet.all_coins,
        "transactions": wallet.transactions.iter().map(transaction).collect::<Vec<_>>(),
        "coins": wallet.coins.iter().map(coin).collect::<Vec<_>>(),
        "problem": wallet.problem,
    })
}

fn transaction(row: &TransactionRow) -> Value {
    json!({
        "txid": row.txid.to_string(),
        "time": row.time,
        "amount": row.amount,
        "confirmations": row.confirmations,
        "coinbase": row.coinbase,
    })
}

fn coin(row: &CoinRow) -> Value {
    json!({
        "outpoint": row.outpoint.to_string(),
        "address": row.address,
        "amount": row.amount.to_sat(),
        "confirmations": row.confirmations,
    })
}

/// What happened, and when.
pub(super) fn of_news(news: &News) -> Value {
    let mut told = match &news.what {
        What::Block { height, hash } => json!({ "kind": "block", "height": height, "hash": hash }),
        What::Transaction { wallet, txid, change } => {
            let change = i32::from(*change);
            json!({ "kind": "transaction", "wallet": wallet, "txid": txid.to_string(), "change": change })
        }
        What::Loaded(name) => json!({ "kind": "wallet loaded", "wallet": name }),
        What::Unloaded(name) => json!({ "kind": "wallet unloaded", "wallet": name }),
        What::WalletsThere => json!({ "kind": "wallets there" }),
        What::WalletsGone(why) => json!({ "kind": "wallets gone", "why": why }),
        What::Said(text) => json!({ "kind": "message", "text": text }),
        What::Away(why) => json!({ "kind": "lost", "why": why }),
        What::Back => json!({ "kind": "back" }),
    };
    told["at"] = news.time.into();
    told
}
