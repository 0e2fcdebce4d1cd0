//! Transactions that a user interface has, and coins.

use bitcoin::{Amount, OutPoint, Transaction};
use bitcoin_ipc_draft::Coin;
use bitcoin_ipc_draft::chain::Chain;
use bitcoin_ipc_draft::node::NodeBroadcastTransactionResults;
use bitcoin_ipc_draft::values::Broadcast;
use bitcoin_regtest::View;
use multiprocess::Result;

// Bitcoin Core's TransactionError.
const OK: i32 = 0;
const MISSING_INPUTS: i32 = 1;
const ALREADY_IN_UTXO_SET: i32 = 2;
const MEMPOOL_REJECTED: i32 = 3;
const MAX_FEE_EXCEEDED: i32 = 5;

/// An output of the chain that is not spent there.
pub(super) fn unspent(view: &View<'_>, outpoint: &OutPoint) -> Option<Coin> {
    let coin = view.coin(outpoint)?;
    Some(Coin { output: coin.output.clone(), height: coin.height, coinbase: coin.coinbase })
}

/// Puts a transaction in the memory pool, if its fee is not above `max_fee` (0: any).
pub(super) fn broadcast(
    chain: &impl Chain,
    transaction: Transaction,
    max_fee: Amount,
) -> Result<NodeBroadcastTransactionResults> {
    let sent = chain.broadcast_transaction(transaction, max_fee, Broadcast::MempoolAndAll)?;
    let result = if sent.result { OK } else { number(&sent.error) };
    Ok(NodeBroadcastTransactionResults::default().error(sent.error).result(result))
}

/// The number of a reason, which begins with Bitcoin Core's words.
fn number(why: &str) -> i32 {
    let begins = |words: &str| why.starts_with(words);
    match () {
        () if begins("bad-txns-inputs-missingorspent") => MISSING_INPUTS,
        () if begins("Transaction outputs already in utxo set") => ALREADY_IN_UTXO_SET,
        () if begins("Fee exceeds maximum") => MAX_FEE_EXCEEDED,
        () => MEMPOOL_REJECTED,
    }
}
