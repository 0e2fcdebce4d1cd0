//! Outputs of the wallet's.

use std::collections::BTreeMap;

use bitcoin_ipc::bitcoin::consensus::encode::serialize;
use bitcoin_ipc::bitcoin::{OutPoint, ScriptBuf};
use bitcoin_ipc::common::Pair;
use bitcoin_ipc_draft::wallet::{TxDestination, WalletTryGetBalancesResults, WalletTxOut};
use multiprocess::Result;

use super::transactions::time;
use super::{failed, vault};
use crate::vault::Coin;
use crate::wallet::LoadedWallet;

/// Where each of them is, and what it is.
type Outputs = Vec<Pair<Vec<u8>, WalletTxOut>>;

/// What they are worth, and the block at which they are that.
pub(super) fn try_balances(wallet: &LoadedWallet) -> Result<WalletTryGetBalancesResults> {
    let vault = vault(wallet)?;
    let balances = vault.balances().map_err(failed)?;
    let block = WalletTryGetBalancesResults::new(Some(vault.tip().hash));
    Ok(block.balances(balances).result(true))
}

/// Those that can be spent, by their addresses.
pub(super) fn list(wallet: &LoadedWallet) -> Result<Vec<Pair<TxDestination, Outputs>>> {
    let mut by_script = BTreeMap::<ScriptBuf, Outputs>::new();
    for own in vault(wallet)?.coins().map_err(failed)? {
        if own.available && !own.spent && !own.immature {
            let pair = Pair::new(serialize(&own.outpoint), travels(&own));
            by_script.entry(own.txout.script_pubkey).or_default().push(pair);
        }
    }
    let groups = by_script.into_iter();
    Ok(groups.map(|(script, coins)| Pair::new(TxDestination::from(&script), coins)).collect())
}

/// Keeps one from being spent by new transactions.
pub(super) fn lock(wallet: &LoadedWallet, output: OutPoint, persistent: bool) -> Result<bool> {
    // One that is locked already is locked, too.
    vault(wallet)?.lock_coin(output, persistent).map_err(failed)?;
    Ok(true)
}

/// Ends that.
pub(super) fn unlock(wallet: &LoadedWallet, output: OutPoint) -> Result<bool> {
    vault(wallet)?.unlock_coin(output).map_err(failed)?;
    Ok(true)
}

/// These, in their order.
pub(super) fn get(wallet: &LoadedWallet, outputs: Vec<OutPoint>) -> Result<Vec<WalletTxOut>> {
    let vault = vault(wallet)?;
    let found = outputs.into_iter().map(|output| vault.coin(output).map_err(failed));
    found.map(|own| Ok(own?.as_ref().map_or_else(unknown, travels))).collect()
}

/// An output of the wallet's.
fn travels(coin: &Coin) -> WalletTxOut {
    WalletTxOut::default()
        .txout(serialize(&coin.txout))
        .time(time(coin.time))
        .depth_in_main_chain(coin.depth)
        .is_spent(coin.spent)
}

/// One that the wallet does not know.
fn unknown() -> WalletTxOut {
    WalletTxOut::default().depth_in_main_chain(-1)
}
