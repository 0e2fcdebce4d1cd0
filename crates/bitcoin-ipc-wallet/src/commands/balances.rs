//! Commands that tell what the wallet has.

use bitcoin_ipc::bitcoin::SignedAmount;
use bitcoin_ipc::rpc::code;
use serde_json::json;

use super::params::Params;
use super::reply::{Reply, fail, refused};
use super::{Command, Run, Target, amount, last_block};
use crate::vault::total;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "getbalance",
        args: &["dummy", "minconf", "include_watchonly", "avoid_reuse"],
        required: 0,
        about: "What the wallet can spend, in bitcoins; of coins with so many confirmations at least.",
        run: Run::Synced(balance),
    },
    Command {
        name: "getbalances",
        args: &[],
        required: 0,
        about: "What the wallet has, in bitcoins.",
        run: Run::Synced(balances),
    },
];

fn balance(target: &Target, params: &mut Params) -> Reply {
    if params.text(0)?.is_some_and(|dummy| dummy != "*") {
        return Err(fail(
            code::METHOD_DEPRECATED,
            "dummy first argument must be excluded or set to \"*\".",
        ));
    }
    let least = params.integer(1)?.unwrap_or(0);
    let vault = target.vault()?;
    if least <= 0 {
        return Ok(amount::to_json(vault.balances().map_err(refused)?.balance));
    }
    let coins = vault.coins().map_err(refused)?;
    let counts = coins.iter().filter(|coin| {
        !coin.spent
            && !coin.immature
            && coin.trusted
            && coin.available
            && i64::from(coin.depth) >= least
    });
    Ok(amount::to_json(total(counts.map(|coin| coin.txout.value))))
}

fn balances(target: &Target, _params: &mut Params) -> Reply {
    let balances = target.vault()?.balances().map_err(refused)?;
    let nonmempool = SignedAmount::from_sat(balances.nonmempool_balance);
    Ok(json!({
        "mine": {
            "trusted": amount::to_json(balances.balance),
            "untrusted_pending": amount::to_json(balances.unconfirmed_balance),
            "immature": amount::to_json(balances.immature_balance),
            "nonmempool": amount::signed_to_json(nonmempool),
        },
        "lastprocessedblock": last_block(target)?,
    }))
}
