//! What the memory pool takes beyond what a block may have: replacements, and how many that need each other. Rules and
//! words are Bitcoin Core's.

use bitcoin::{Amount, Transaction, Txid};

use super::mempool::MempoolEntry;
use super::rejection::{Rejection, ensure};

/// How many transactions of the memory pool one there may need, and how many may need it, each with itself.
pub const MAX_RELATIVES: usize = 25;
/// By how much a replacement has to pay more than what it replaces, in satoshis for 1,000 virtual bytes of its own.
pub const INCREMENTAL_RELAY_FEE: u64 = 100;
/// The fee rate from which Bitcoin Core relays a transaction, in satoshis for 1,000 virtual bytes. The chain itself takes
/// any; see [`Chain::broadcast`](super::Chain::broadcast).
pub const MIN_RELAY_FEE: u64 = 100;
/// The most that one replacement may replace.
const MAX_REPLACED: usize = 100;

/// What a transaction would replace.
pub(super) struct Conflict<'a> {
    /// Those that spend the same.
    pub(super) direct: &'a [&'a MempoolEntry],
    /// These and all that need them.
    pub(super) all: &'a [&'a MempoolEntry],
}

/// The fee for so many virtual bytes at a rate (satoshis for 1,000), rounded up, as Bitcoin Core does.
pub fn fee_at(rate: u64, vsize: u64) -> Amount {
    let fee = (u128::from(rate) * u128::from(vsize)).div_ceil(1_000);
    Amount::from_sat(u64::try_from(fee).unwrap_or(u64::MAX))
}

/// The rules of a replacement: it pays a better rate than each that it takes the place of, and more than all together
/// (BIP 125, without asking whether they can be replaced).
pub(super) fn check_replacement(
    txid: &Txid,
    transaction: &Transaction,
    fee: Amount,
    conflict: &Conflict<'_>,
) -> Result<(), Rejection> {
    let refuse = |holds, reason, text: String| {
        ensure(holds, reason, format!("rejecting replacement {txid}{text}"))
    };
    let count = conflict.all.len();
    refuse(
        count <= MAX_REPLACED,
        "too many potential replacements",
        format!("; too many potential replacements ({count} > {MAX_REPLACED})"),
    )?;
    let vsize = transaction.vsize() as u64;
    for old in conflict.direct {
        // a / b > c / d, without fractions.
        let better = u128::from(fee.to_sat()) * u128::from(old.vsize())
            > u128::from(old.fee.to_sat()) * u128::from(vsize);
        let (new, old) = (per_kvb(fee, vsize), per_kvb(old.fee, old.vsize()));
        refuse(better, "insufficient fee", format!("; new feerate {new} <= old feerate {old}"))?;
    }
    let old: Amount = conflict.all.iter().map(|entry| entry.fee).sum();
    let less = format!(", less fees than conflicting txs; {fee} < {old}");
    refuse(fee >= old, "insufficient fee", less)?;
    let (more, due) = (fee - old, fee_at(INCREMENTAL_RELAY_FEE, vsize));
    let text = format!(", not enough additional fees to relay; {more} < {due}");
    refuse(more >= due, "insufficient fee", text)
}

/// A rate for a person.
fn per_kvb(fee: Amount, vsize: u64) -> String {
    let rate = u128::from(fee.to_sat()) * 1_000 / u128::from(vsize.max(1));
    format!("{rate} sat/kvB")
}

/// `count`: those that a transaction needs, with itself.
pub(super) fn check_ancestors(count: usize) -> Result<(), Rejection> {
    let text = || format!("too many unconfirmed ancestors [limit: {MAX_RELATIVES}]");
    ensure(count <= MAX_RELATIVES, "too-long-mempool-chain", text())
}

/// `count`: those that would need this one, with itself.
pub(super) fn check_descendants(txid: &Txid, count: usize) -> Result<(), Rejection> {
    let text = || format!("too many descendants for tx {txid} [limit: {MAX_RELATIVES}]");
    ensure(count <= MAX_RELATIVES, "too-long-mempool-chain", text())
}
