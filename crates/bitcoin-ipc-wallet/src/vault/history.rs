//! Own transactions: committed, given up.

use std::collections::{BTreeMap, HashSet};

use bdk_wallet::chain::Indexer;
use bitcoin::{OutPoint, Transaction, Txid};
use bitcoin_ipc_draft::values::ChangeType;

use super::records::{self, Record};
use super::state::{Event, Events, State, now};
use super::view::View;
use super::{Result, TxState, Vault, VaultError, amounts};

impl Vault {
    /// Stores a transaction, with what the user notes on it. From now on its inputs are spent, also after a crash. The
    /// caller then gives it to the node, and calls [`transaction_added`](Vault::transaction_added) if that took it:
    /// only then does its change count.
    ///
    /// # Errors
    /// It has nothing to do with the wallet, pays more than all bitcoin there are, spends what another transaction spends or an output of one that was given
    /// up meanwhile, or cannot be written.
    pub fn commit_transaction(
        &self,
        tx: &Transaction,
        value_map: BTreeMap<String, String>,
        order_form: Vec<(String, String)>,
    ) -> Result<()> {
        self.with(|state, events| {
            let txid = tx.compute_txid();
            // A coinbase transaction is never sent.
            if tx.is_coinbase() || !state.bdk.spk_index().is_tx_relevant(tx) {
                return Err(VaultError::NotInvolved);
            }
            check_inputs(state, tx, None)?;
            let record = Record { txid, time: now(), abandoned: false, value_map, order_form };
            store(state, tx, &[record], events)
        })
    }

    /// Whether a transaction can be given up: it is neither in the chain nor in the memory pool, nor given up already.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub fn can_be_abandoned(&self, txid: Txid) -> Result<bool> {
        Ok(self.transaction(txid)?.is_some_and(|tx| tx.state == TxState::Inactive))
    }

    /// Gives a transaction up, and those that spend from it, so that other ones can spend its inputs.
    ///
    /// # Errors
    /// It is in the chain or the memory pool, or is given up already; or that cannot be written.
    pub fn abandon(&self, txid: Txid) -> Result<()> {
        self.with(|state, events| {
            let record = records::get(&state.db, txid)?.ok_or(VaultError::UnknownTransaction)?;
            let tx = View::new(state).transaction(record).ok_or(VaultError::UnknownTransaction)?;
            let problem = match tx.state {
                TxState::Inactive => None,
                TxState::Confirmed { .. } => Some("it is in the chain"),
                TxState::InMempool => Some("it is in the memory pool: it may still be confirmed"),
                TxState::Abandoned => Some("it is abandoned already"),
                TxState::Conflicted => Some("another one that spends the same is in the chain"),
            };
            if let Some(problem) = problem {
                return Err(VaultError::NotAbandonable(problem));
            }
            let after = state.bdk.tx_graph().walk_descendants(txid, |_, txid| Some(txid));
            let all: HashSet<Txid> = after.chain([txid]).collect();
            state.write(|_, _, db| {
                for txid in &all {
                    if let Some(record) = records::get(db, *txid)? {
                        records::put(db, &Record { abandoned: true, ..record })?;
                        events.push(Event::Transaction(*txid, ChangeType::Updated));
                    }
                }
                Ok(())
            })?;
            settle(state)
        })
    }
}

/// Whether the outputs that a transaction spends can be spent, save that it may take the place of `replaced`. An error
/// if another valid one spends them, or if their own transaction is known not to be valid: since this one was made, that
/// may have been given up, replaced, or lost with its block. bdk would take it as valid again because of this one.
pub(super) fn check_inputs(state: &State, tx: &Transaction, replaced: Option<Txid>) -> Result<()> {
    let (txid, graph, view) = (tx.compute_txid(), state.bdk.tx_graph(), View::new(state));
    let is_taken = |outpoint: &OutPoint| {
        let mut others = graph.outspends(*outpoint).iter();
        let parent = outpoint.txid;
        others.any(|other| *other != txid && Some(*other) != replaced && view.is_valid(*other))
            || graph.get_tx(parent).is_some() && !view.is_valid(parent)
    };
    match tx.input.iter().map(|txin| txin.previous_output).find(is_taken) {
        Some(outpoint) => Err(VaultError::UnknownCoin(outpoint)),
        None => Ok(()),
    }
}

/// Stores a transaction with its record, which is the first of those that are written.
pub(super) fn store(
    state: &mut State,
    tx: &Transaction,
    written: &[Record],
    events: &mut Events,
) -> Result<()> {
    amounts::check(tx)?;
    let time = state.next_time();
    state.write(|bdk, _, db| {
        bdk.apply_unconfirmed_txs([(tx.clone(), time)]);
        for record in written {
            let known = records::get(db, record.txid)?.is_some();
            records::put(db, record)?;
            let change = if known { ChangeType::Updated } else { ChangeType::New };
            events.push(Event::Transaction(record.txid, change));
        }
        Ok(())
    })
}

/// Tells bdk which transactions are given up. It takes those only that are valid, and one may become so when another
/// is given up or leaves the chain.
pub(super) fn settle(state: &mut State) -> Result<()> {
    let abandoned = records::all(&state.db)?.into_iter().filter(|record| record.abandoned);
    let abandoned: Vec<Txid> = abandoned.map(|record| record.txid).collect();
    if abandoned.is_empty() {
        return Ok(());
    }
    let mut told = HashSet::new();
    loop {
        let view = View::new(state);
        let valid: Vec<Txid> = abandoned
            .iter()
            .copied()
            .filter(|txid| view.is_valid(*txid) && view.block(*txid).is_none())
            // Valid in spite of that, if a valid one spends from it: the node has it after all.
            .filter(|txid| !told.contains(txid))
            .collect();
        if valid.is_empty() {
            return Ok(());
        }
        told.extend(valid.iter().copied());
        let time = state.next_time();
        state.write(|bdk, _, _| {
            bdk.apply_evicted_txs(valid.into_iter().map(|txid| (txid, time)));
            Ok(())
        })?;
    }
}
