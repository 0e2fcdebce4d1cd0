//! Fees, new transactions, and replacements of them.

use bitcoin_ipc::bitcoin::{Amount, Transaction, Txid};
use bitcoin_ipc::common::{BilingualStr, UtilResult};
use bitcoin_ipc_draft::wallet::{
    CoinControl, CreatedTransactionResult, Recipient, WalletCommitBumpTransactionResults,
    WalletCreateBumpTransactionResults, WalletGetMinimumFeeResults,
    WalletSignBumpTransactionResults,
};
use multiprocess::{Error, Result};

use super::{failed, vault};
use crate::fees;
use crate::wallet::LoadedWallet;

/// The least fee of a transaction of so many virtual bytes with this coin control.
pub(super) fn minimum_fee(
    wallet: &LoadedWallet,
    tx_bytes: u32,
    control: &CoinControl,
    want_target: bool,
    want_reason: bool,
) -> Result<WalletGetMinimumFeeResults> {
    let network = vault(wallet)?.network();
    let chosen = fees::choose(&wallet.chain, network, control).map_err(failed)?;
    let target = chosen.calculation.returned_target;
    Ok(WalletGetMinimumFeeResults::new(chosen.of(tx_bytes))
        .returned_target(want_target.then_some(target))
        .reason(want_reason.then_some(chosen.reason)))
}

/// Makes a transaction.
pub(super) fn create(
    wallet: &LoadedWallet,
    recipients: &[Recipient],
    control: &CoinControl,
    sign: bool,
    change_pos: Option<u32>,
) -> UtilResult<CreatedTransactionResult> {
    match wallet.create(recipients, control, sign, change_pos) {
        Ok((made, chosen)) => UtilResult::new(
            CreatedTransactionResult::default()
                .tx(Some(made.tx))
                .fee(made.fee)
                .fee_calc(chosen.calculation)
                .change_pos(made.change_pos),
        ),
        Err(error) => UtilResult::failed(error.to_string()),
    }
}

/// Makes a replacement with a higher fee.
pub(super) fn create_bump(
    wallet: &LoadedWallet,
    txid: Txid,
    control: &CoinControl,
) -> Result<WalletCreateBumpTransactionResults> {
    Ok(match vault(wallet)?.bump_fee(txid, control) {
        Ok(made) => {
            WalletCreateBumpTransactionResults::new(made.old_fee, made.new_fee, Some(made.tx))
                .result(true)
        }
        Err(error) => WalletCreateBumpTransactionResults::new(Amount::ZERO, Amount::ZERO, None)
            .errors(vec![BilingualStr::from(error.to_string())]),
    })
}

/// Signs a replacement.
pub(super) fn sign_bump(
    wallet: &LoadedWallet,
    tx: Option<Transaction>,
) -> Result<WalletSignBumpTransactionResults> {
    let mut tx = tx.ok_or_else(|| Error::failed("there is no transaction to sign"))?;
    let complete = vault(wallet)?.sign(&mut tx).map_err(failed)?;
    Ok(WalletSignBumpTransactionResults::new(Some(tx)).result(complete))
}

/// Stores a replacement and gives it to the node.
pub(super) fn commit_bump(
    wallet: &LoadedWallet,
    replaced: Txid,
    tx: Option<Transaction>,
) -> Result<WalletCommitBumpTransactionResults> {
    let tx = tx.ok_or_else(|| Error::failed("there is no transaction to store"))?;
    Ok(match wallet.commit_bump(replaced, &tx) {
        Ok(bumped) => {
            let bumped: &[u8] = bumped.as_ref();
            WalletCommitBumpTransactionResults::default().bumped_txid(bumped).result(true)
        }
        Err(error) => WalletCommitBumpTransactionResults::default()
            .errors(vec![BilingualStr::from(error.to_string())]),
    })
}
