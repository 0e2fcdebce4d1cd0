//! New transactions.

use bdk_wallet::{KeychainKind, Utxo, WeightedUtxo};
use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TxOut};
use bitcoin_ipc_draft::DestinationError;
use bitcoin_ipc_draft::wallet::{CoinControl, Recipient};

use super::build::Plan;
use super::state::State;
use super::view::{Output, View};
use super::{Coin, CreatedTransaction, Result, Vault, VaultError};

impl Vault {
    /// Makes a transaction, and signs it if asked. Nothing is stored but that its address for change is used up.
    /// `control` has the fee rate, which the caller knows from the node; where it gives nothing, the transaction says
    /// that it can be replaced, and has the wallet's height as its lock time.
    ///
    /// # Errors
    /// One of what is asked cannot be done: coins, amounts, addresses, the fee; or the wallet is locked and it is to be
    /// signed, or it cannot be written.
    pub fn create_transaction(
        &self,
        recipients: &[Recipient],
        control: &CoinControl,
        sign: bool,
        change_pos: Option<u32>,
    ) -> Result<CreatedTransaction> {
        self.with(|state, _| {
            if sign {
                state.keys.seed()?;
            }
            let rate = control.fee_rate.and_then(|rate| rate.rounded_up());
            let (own_change, change) = change_script(state, control)?;
            let view = View::new(state);
            let mut required = Vec::new();
            for outpoint in distinct(&control.set_selected) {
                let output = view.output(outpoint).ok_or(VaultError::UnknownCoin(outpoint))?;
                let coin = view.coin(&output);
                if coin.spent || coin.immature {
                    return Err(VaultError::UnknownCoin(outpoint));
                }
                required.push(weighted(state, &view, output));
            }
            let others = required.is_empty() || control.allow_other_inputs;
            let optional = view.outputs().filter(|output| {
                let selected = control.set_selected.contains(&output.outpoint);
                others && !selected && may_spend(&view.coin(output), control)
            });
            let signal = control.signal_rbf.unwrap_or(true);
            let plan = Plan {
                outputs: recipients.iter().map(output).collect::<Result<_>>()?,
                paying: (0..recipients.len())
                    .filter(|place| recipients[*place].subtract_fee_from_amount)
                    .collect(),
                optional: optional.map(|output| weighted(state, &view, output)).collect(),
                required,
                rate: rate.ok_or(VaultError::NoFeeRate)?,
                least_fee: Amount::ZERO,
                change,
                change_pos,
                version: version(control),
                lock_time: lock_time(state, control),
                sequence: match signal {
                    true => Sequence::ENABLE_RBF_NO_LOCKTIME,
                    false => Sequence::ENABLE_LOCKTIME_NO_RBF,
                },
                max_weight: (control.has_max_tx_weight > 0).then_some(control.max_tx_weight),
            };
            let mut created = plan.build()?;
            use_change(state, own_change, created.change_pos)?;
            if sign {
                state.sign(&mut created.tx)?;
            }
            Ok(created)
        })
    }
}

/// Whether a transaction with this coin control may spend an output that it does not select.
pub(super) fn may_spend(coin: &Coin, control: &CoinControl) -> bool {
    // 0 stands for no limit, too.
    let depth = coin.depth >= control.min_depth
        && (control.max_depth <= 0 || coin.depth <= control.max_depth);
    let safe = coin.trusted || control.include_unsafe_inputs;
    !coin.spent && !coin.locked && !coin.immature && coin.available && safe && depth
}

/// Where change goes: the number of the wallet's own address for it, if it is one, and the script.
pub(super) fn change_script(
    state: &State,
    control: &CoinControl,
) -> Result<(Option<u32>, ScriptBuf)> {
    match control.dest_change.script() {
        Ok(script) => Ok((None, script)),
        Err(DestinationError::Empty) => {
            let next = state.bdk.next_derivation_index(KeychainKind::Internal);
            let address = state.bdk.peek_address(KeychainKind::Internal, next);
            Ok((Some(next), address.script_pubkey()))
        }
        Err(error) => Err(VaultError::BadRequest(error.to_string())),
    }
}

/// If there is change to an own address, no other transaction gets that.
pub(super) fn use_change(state: &mut State, own: Option<u32>, place: Option<u32>) -> Result<()> {
    let (Some(number), Some(_)) = (own, place) else { return Ok(()) };
    state.write(|bdk, _, _| {
        bdk.reveal_addresses_to(KeychainKind::Internal, number).for_each(drop);
        Ok(())
    })
}

/// An output as bdk's selection takes it.
pub(super) fn weighted(state: &State, view: &View<'_>, output: Output) -> WeightedUtxo {
    let descriptor = state.bdk.public_descriptor(output.keychain);
    let satisfaction_weight =
        descriptor.max_weight_to_satisfy().expect("a key can sign for its address");
    WeightedUtxo { satisfaction_weight, utxo: Utxo::Local(view.local_output(output)) }
}

fn output(recipient: &Recipient) -> Result<TxOut> {
    let script_pubkey =
        recipient.dest.script().map_err(|error| VaultError::BadRequest(error.to_string()))?;
    Ok(TxOut { value: recipient.amount, script_pubkey })
}

fn distinct(outpoints: &[OutPoint]) -> Vec<OutPoint> {
    let mut outpoints = outpoints.to_vec();
    outpoints.sort();
    outpoints.dedup();
    outpoints
}

fn version(control: &CoinControl) -> Version {
    match control.has_version > 0 {
        // Bitcoin Core's are unsigned.
        true => Version(control.version.cast_signed()),
        false => Version::TWO,
    }
}

/// As in Bitcoin Core, a new transaction cannot be mined below the wallet's height: so that nobody gains from mining
/// the last block again for its fee.
fn lock_time(state: &State, control: &CoinControl) -> LockTime {
    match control.has_lock_time > 0 {
        true => LockTime::from_consensus(control.lock_time),
        false => LockTime::from_height(state.blocks.tip().height).unwrap_or(LockTime::ZERO),
    }
}
