//! Coins, and the memory pool.

use std::sync::Arc;

use bitcoin::{Amount, OutPoint, Transaction, Txid};
use bitcoin_ipc::common::{BilingualStr, UtilResultVoid};
use bitcoin_ipc_draft::Coin;
use bitcoin_ipc_draft::chain::ChainGetTransactionAncestryResults;
use bitcoin_ipc_draft::values::{Broadcast, Replaceability};
use bitcoin_regtest::{Chain, MAX_RELATIVES, View};

/// How many transactions of the memory pool one there may need, or may need it.
pub(super) fn max_relatives() -> u32 {
    u32::try_from(MAX_RELATIVES).unwrap_or(u32::MAX)
}

/// An output of the memory pool or the chain, also if the memory pool spends it, as in Bitcoin Core.
pub(super) fn coin(view: &View<'_>, outpoint: &OutPoint) -> Option<Coin> {
    let coin = view.mempool_coin(outpoint).or_else(|| view.coin(outpoint))?;
    Some(Coin { output: coin.output.clone(), height: coin.height, coinbase: coin.coinbase })
}

/// Whether it, or one of the memory pool that it needs, says that it can be replaced.
pub(super) fn replaceability(view: &View<'_>, transaction: &Transaction) -> Replaceability {
    if transaction.is_explicitly_rbf() {
        return Replaceability::Replaceable;
    }
    match view.mempool_ancestors(&transaction.compute_txid()) {
        // What it needs is not known.
        None => Replaceability::Unlisted,
        Some(all) if all.iter().any(|entry| entry.transaction.is_explicitly_rbf()) => {
            Replaceability::Replaceable
        }
        Some(_) => Replaceability::Final,
    }
}

/// Puts a transaction in the memory pool, if its fee is not above `max_fee` (0: any).
///
/// # Errors
/// Why it is not there, in Bitcoin Core's words.
pub(super) fn broadcast(
    chain: &Arc<Chain>,
    transaction: Transaction,
    max_fee: Amount,
    method: Broadcast,
) -> Result<(), String> {
    match method {
        Broadcast::MempoolAndAll | Broadcast::MempoolOnly => {}
        Broadcast::PrivateOnly => {
            return Err("this node has no peers to which it could be sent in private".to_owned());
        }
        other => return Err(format!("an unknown way to broadcast it: {}", i32::from(other))),
    }
    let txid = transaction.compute_txid();
    {
        let view = chain.view();
        if view.mempool_entry(&txid).is_some() {
            return Ok(());
        }
        let mut outputs = (0..).zip(&transaction.output);
        if outputs.any(|(vout, _)| view.coin(&OutPoint { txid, vout }).is_some()) {
            return Err("Transaction outputs already in utxo set".to_owned());
        }
    }
    let max_fee = Some(max_fee).filter(|fee| *fee > Amount::ZERO);
    match chain.broadcast(transaction, max_fee) {
        // Another process was quicker.
        Err(why) if why.reason == "txn-already-in-mempool" => Ok(()),
        Err(why) if why.reason == "max-fee-exceeded" => Err(why.debug),
        other => other.map_err(|why| why.to_string()),
    }
}

/// How many it needs and how many need it, with itself; and the size and fees of those that it needs.
pub(super) fn ancestry(view: &View<'_>, txid: &Txid) -> ChainGetTransactionAncestryResults {
    let (Some(ancestors), Some(descendants)) =
        (view.mempool_ancestors(txid), view.mempool_descendants(txid))
    else {
        return ChainGetTransactionAncestryResults::new(Amount::ZERO);
    };
    let mut ancestry =
        ChainGetTransactionAncestryResults::new(ancestors.iter().map(|entry| entry.fee).sum());
    ancestry.ancestors = ancestors.len() as u64;
    ancestry.descendants = descendants.len() as u64;
    ancestry.ancestorsize = ancestors.iter().map(|entry| entry.vsize()).sum();
    ancestry
}

/// Whether it would need too many of the memory pool, or too many would then need one there.
pub(super) fn check_limits(view: &View<'_>, transaction: &Transaction) -> UtilResultVoid {
    match view.check_transaction(transaction) {
        Err(why) if why.reason == "too-long-mempool-chain" => {
            UtilResultVoid::default().error(BilingualStr::from(why.debug))
        }
        // Other reasons are for others to tell: it may be in the memory pool, or not be signed yet.
        _ => UtilResultVoid::default(),
    }
}
