//! The wallet's transactions.

use bitcoin_ipc::bitcoin::{Transaction, Txid};
use bitcoin_ipc::common::Pair;
use bitcoin_ipc_draft::chain::FoundBlockParam;
use bitcoin_ipc_draft::wallet::{
    TxDestination, WalletGetWalletTxDetailsResults, WalletTryGetTxStatusResults, WalletTx,
    WalletTxStatus,
};
use multiprocess::Result;

use super::{failed, unless, vault};
use crate::vault::{TxState, VaultError, WalletTransaction};
use crate::wallet::LoadedWallet;

/// A transaction as it is.
pub(super) fn raw(wallet: &LoadedWallet, txid: Txid) -> Result<Option<Transaction>> {
    let own = vault(wallet)?.transaction(txid).map_err(failed)?;
    Ok(own.map(|own| (*own.tx).clone()))
}

/// A transaction and what it means to the wallet; an empty one if there is none.
pub(super) fn get(wallet: &LoadedWallet, txid: Txid) -> Result<WalletTx> {
    let own = vault(wallet)?.transaction(txid).map_err(failed)?;
    Ok(own.as_ref().map(wallet_tx).unwrap_or_default())
}

/// All of them.
pub(super) fn all(wallet: &LoadedWallet) -> Result<Vec<WalletTx>> {
    Ok(vault(wallet)?.transactions().map_err(failed)?.iter().map(wallet_tx).collect())
}

/// How far a transaction is confirmed, and the chain's tip.
pub(super) fn try_status(wallet: &LoadedWallet, txid: Txid) -> Result<WalletTryGetTxStatusResults> {
    let Some(own) = vault(wallet)?.transaction(txid).map_err(failed)? else {
        return Ok(WalletTryGetTxStatusResults::default());
    };
    let tip = vault(wallet)?.tip();
    let asked = FoundBlockParam::default().want_time(true);
    let block = wallet.chain.find_block(tip.hash, asked).wait()?.block;
    Ok(WalletTryGetTxStatusResults::default()
        .tx_status(status(&own))
        .num_blocks(i32::try_from(tip.height).unwrap_or(i32::MAX))
        .block_time(if block.found { block.time } else { -1 })
        .result(true))
}

/// All that is known of a transaction.
pub(super) fn details(
    wallet: &LoadedWallet,
    txid: Txid,
) -> Result<WalletGetWalletTxDetailsResults> {
    let Some(own) = vault(wallet)?.transaction(txid).map_err(failed)? else {
        return Ok(WalletGetWalletTxDetailsResults::default());
    };
    let order = own.order_form.iter().cloned().map(|(key, value)| Pair::new(key, value));
    let height = vault(wallet)?.tip().height;
    Ok(WalletGetWalletTxDetailsResults::default()
        .tx_status(status(&own))
        .order_form(order.collect())
        .in_mempool(own.state == TxState::InMempool)
        .num_blocks(i32::try_from(height).unwrap_or(i32::MAX))
        .result(wallet_tx(&own)))
}

/// False if it cannot be given up.
pub(super) fn abandon(wallet: &LoadedWallet, txid: Txid) -> Result<bool> {
    let done = vault(wallet)?.abandon(txid).map_err(Into::into);
    unless(done, |error| {
        matches!(error, VaultError::NotAbandonable(_) | VaultError::UnknownTransaction)
    })
}

/// A transaction, and what it means to the wallet.
fn wallet_tx(own: &WalletTransaction) -> WalletTx {
    let outputs = &own.tx.output;
    WalletTx::default()
        .tx(Some((*own.tx).clone()))
        .txin_is_mine(own.inputs_mine.clone())
        .txout_is_mine(own.outputs_mine.clone())
        .txout_is_change(own.outputs_change.clone())
        .txout_address(
            outputs.iter().map(|output| TxDestination::from(&output.script_pubkey)).collect(),
        )
        .txout_address_is_mine(own.outputs_mine.clone())
        .credit(own.credit)
        .debit(own.debit)
        .change(own.change)
        .time(time(own.time_received))
        .value_map(own.value_map.clone())
        .is_coinbase(own.tx.is_coinbase())
}

/// How far a transaction is confirmed.
fn status(own: &WalletTransaction) -> WalletTxStatus {
    let height = match own.state {
        TxState::Confirmed { height, .. } => i32::try_from(height).unwrap_or(i32::MAX),
        // As Bitcoin Core.
        _ => i32::MAX,
    };
    WalletTxStatus::default()
        .block_height(height)
        .blocks_to_maturity(i32::try_from(own.blocks_to_maturity).unwrap_or(i32::MAX))
        .depth_in_main_chain(own.depth)
        .time_received(u32::try_from(own.time_received).unwrap_or(u32::MAX))
        .lock_time(own.tx.lock_time.to_consensus_u32())
        .is_trusted(own.trusted)
        .is_abandoned(own.state == TxState::Abandoned)
        .is_coinbase(own.tx.is_coinbase())
        .is_in_main_chain(own.depth > 0)
}

/// A time in seconds since 1970.
pub(super) fn time(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
