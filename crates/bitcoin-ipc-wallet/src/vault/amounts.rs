//! Amounts that a node may have made up.
//!
//! A transaction that by itself pays more than all bitcoin there are is refused where it comes in. Several false ones
//! may do so together, and an addition of rust-bitcoin's that overflows panics: so sums of what a node has told are made
//! here.

use bitcoin::{Amount, Transaction};

use super::{Result, VaultError};

/// The sum; none if it is more than all bitcoin there are.
pub(super) fn checked_total(amounts: impl IntoIterator<Item = Amount>) -> Option<Amount> {
    amounts.into_iter().try_fold(Amount::ZERO, |sum, amount| {
        sum.checked_add(amount).filter(|sum| *sum <= Amount::MAX_MONEY)
    })
}

/// The sum, which stops at all bitcoin there are.
pub(crate) fn total(amounts: impl IntoIterator<Item = Amount>) -> Amount {
    checked_total(amounts).unwrap_or(Amount::MAX_MONEY)
}

/// Refuses a transaction that pays more than all bitcoin there are.
pub(super) fn check(tx: &Transaction) -> Result<()> {
    match checked_total(tx.output.iter().map(|txout| txout.value)) {
        Some(_) => Ok(()),
        None => Err(VaultError::TooMuch(tx.compute_txid())),
    }
}
