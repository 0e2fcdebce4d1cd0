//! Replacements with a higher fee (BIP 125).

use bitcoin::{Amount, FeeRate, Sequence, Transaction, TxOut, Txid, Weight};
use bitcoin_ipc_draft::wallet::CoinControl;

use super::build::{Plan, relay_weight};
use super::records::{self, Record};
use super::spend::{change_script, use_change, weighted};
use super::state::{State, now};
use super::view::View;
use super::{BumpedTransaction, Result, TxState, Vault, VaultError, WalletTransaction, history};

/// By so much a replacement has to pay more for its own size, as nodes demand.
const RELAY: FeeRate = FeeRate::BROADCAST_MIN;

impl Vault {
    /// Whether a transaction can be replaced by one with a higher fee.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub fn can_be_bumped(&self, txid: Txid) -> Result<bool> {
        self.with(|state, _| Ok(original(state, txid).is_ok()))
    }

    /// Makes a replacement that pays the same and a higher fee, without signatures: with the fee rate of `control`, or
    /// else 1 sat/vB more than before. The change pays it, and confirmed coins if that is not enough. Nothing is
    /// stored but that its address for change is used up, if it needs a new one.
    ///
    /// # Errors
    /// The transaction cannot be replaced, the fee rate is too low, or the coins are not enough.
    pub fn bump_fee(&self, txid: Txid, control: &CoinControl) -> Result<BumpedTransaction> {
        self.with(|state, _| {
            let old = original(state, txid)?;
            let old_fee = old.fee.ok_or(VaultError::NotBumpable("its fee is not known"))?;
            let is_change = |place: &usize| old.outputs_change[*place];
            let change_at = (0..old.tx.output.len()).find(is_change);
            let (own_change, change) = match change_at {
                Some(place) => (None, old.tx.output[place].script_pubkey.clone()),
                None => change_script(state, control)?,
            };
            let outputs: Vec<TxOut> = (0..old.tx.output.len())
                .filter(|place| Some(*place) != change_at)
                .map(|place| old.tx.output[place].clone())
                .collect();
            if outputs.is_empty() {
                return Err(VaultError::NotBumpable("it pays nobody but its own change"));
            }
            let wanted = control.fee_rate.and_then(|rate| rate.rounded_up());
            let plan = plan(state, &old, outputs, change, change_at, wanted, old_fee);
            let created = plan.build()?;
            let least_fee = old_fee + RELAY * relay_weight(&created.tx);
            if created.fee < least_fee {
                let least_rate = least_fee / relay_weight(&created.tx);
                return Err(VaultError::BumpTooLow { least_fee, least_rate });
            }
            use_change(state, own_change, created.change_pos)?;
            Ok(BumpedTransaction { tx: created.tx, old_fee, new_fee: created.fee })
        })
    }

    /// Stores a signed replacement, and notes on both that it is one. As for
    /// [`commit_transaction`](Vault::commit_transaction), the caller then gives it to the node.
    ///
    /// # Errors
    /// The transaction cannot be replaced, the other one does not replace it, or it cannot be written.
    pub fn commit_bump(&self, replaced: Txid, tx: &Transaction) -> Result<Txid> {
        self.with(|state, events| {
            let old = original(state, replaced)?;
            let spends = |txin: &bitcoin::TxIn| {
                old.tx.input.iter().any(|old| old.previous_output == txin.previous_output)
            };
            if !tx.input.iter().any(spends) {
                return Err(VaultError::NotBumpable("the other one does not spend what it spends"));
            }
            let txid = tx.compute_txid();
            history::check_inputs(state, tx, Some(replaced))?;
            let mut value_map = old.value_map.clone();
            value_map.insert("replaces_txid".to_owned(), replaced.to_string());
            let order_form = old.order_form.clone();
            let new = Record { txid, time: now(), abandoned: false, value_map, order_form };
            let mut before =
                records::get(&state.db, replaced)?.ok_or(VaultError::UnknownTransaction)?;
            before.value_map.insert("replaced_by_txid".to_owned(), txid.to_string());
            history::store(state, tx, &[new, before], events)?;
            Ok(txid)
        })
    }
}

/// A transaction that can be replaced.
fn original(state: &State, txid: Txid) -> Result<WalletTransaction> {
    let record = records::get(&state.db, txid)?.ok_or(VaultError::UnknownTransaction)?;
    let view = View::new(state);
    let tx = view.transaction(record).ok_or(VaultError::UnknownTransaction)?;
    let graph = state.bdk.tx_graph();
    let mut after = graph.walk_descendants(txid, |_, txid| view.is_valid(txid).then_some(()));
    let problem = if after.next().is_some() {
        Some("another transaction spends from it")
    } else if !matches!(tx.state, TxState::InMempool | TxState::Inactive) {
        Some("it is in the chain, or given up")
    } else if tx.value_map.contains_key("replaced_by_txid") || !view.is_valid(txid) {
        Some("it was replaced already")
    } else if !tx.inputs_mine.iter().all(|mine| *mine) {
        Some("it spends what is not the wallet's")
    } else if !tx.tx.is_explicitly_rbf() {
        Some("it does not say that it can be replaced")
    } else {
        None
    };
    match problem {
        Some(problem) => Err(VaultError::NotBumpable(problem)),
        None => Ok(tx),
    }
}

/// The plan of a replacement: the old inputs, and confirmed coins if they are needed.
fn plan(
    state: &State,
    old: &WalletTransaction,
    outputs: Vec<TxOut>,
    change: bitcoin::ScriptBuf,
    change_at: Option<usize>,
    wanted: Option<FeeRate>,
    old_fee: Amount,
) -> Plan {
    let view = View::new(state);
    let own = old.tx.input.iter().filter_map(|txin| view.output(txin.previous_output));
    let required = own.map(|output| weighted(state, &view, output)).collect();
    let control = CoinControl::default();
    let confirmed = view.outputs().filter(|output| {
        let coin = view.coin(output);
        coin.depth > 0 && super::spend::may_spend(&coin, &control)
    });
    let old_weight = old.tx.weight();
    let old_rate = (old_fee / old_weight).to_sat_per_kwu();
    let next_rate = FeeRate::from_sat_per_kwu(old_rate + 1 + RELAY.to_sat_per_kwu());
    // Also if it is lighter, because there is no change any more.
    let least_fee = match wanted {
        Some(_) => Amount::ZERO,
        None => old_fee + RELAY * Weight::from_vb_unchecked(old_weight.to_vbytes_ceil()),
    };
    Plan {
        outputs,
        paying: Vec::new(),
        required,
        optional: confirmed.map(|output| weighted(state, &view, output)).collect(),
        rate: wanted.unwrap_or(next_rate),
        least_fee,
        change,
        change_pos: change_at.and_then(|place| u32::try_from(place).ok()),
        version: old.tx.version,
        lock_time: old.tx.lock_time,
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        max_weight: None,
    }
}
