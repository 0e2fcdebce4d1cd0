//! Transactions and coins as they travel.

use bitcoin_ipc::bitcoin::consensus::encode::serialize;
use bitcoin_ipc_draft::wallet::{TxDestination, WalletTx, WalletTxOut, WalletTxStatus};

use crate::vault::{Coin, TxState, WalletTransaction};

/// A transaction, and what it means to the wallet.
pub(super) fn wallet_tx(own: &WalletTransaction) -> WalletTx {
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
pub(super) fn status(own: &WalletTransaction) -> WalletTxStatus {
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

/// An output of the wallet's.
pub(super) fn coin(coin: &Coin) -> WalletTxOut {
    WalletTxOut::default()
        .txout(serialize(&coin.txout))
        .time(time(coin.time))
        .depth_in_main_chain(coin.depth)
        .is_spent(coin.spent)
}

/// One that the wallet does not know.
pub(super) fn unknown_coin() -> WalletTxOut {
    WalletTxOut::default().depth_in_main_chain(-1)
}

/// A time in seconds since 1970.
fn time(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
