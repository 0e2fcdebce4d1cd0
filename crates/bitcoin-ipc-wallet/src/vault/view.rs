//! One look at the wallet: which transactions are valid, which outputs are spent, what can be relied on.

use std::cell::RefCell;
use std::collections::HashMap;

use bdk_wallet::chain::{ChainPosition, ConfirmationBlockTime};
use bdk_wallet::{KeychainKind, LocalOutput};
use bitcoin::constants::COINBASE_MATURITY;
use bitcoin::{Amount, OutPoint, Transaction, TxIn, TxOut, Txid};

use super::amounts::{checked_total, total};
use super::records::Record;
use super::state::State;
use super::{Coin, TxState, WalletTransaction};

type Position = ChainPosition<ConfirmationBlockTime>;

/// The wallet at one moment. bdk says which of its transactions are valid together: those in the chain, and of the
/// others those that were seen last.
pub(super) struct View<'a> {
    state: &'a State,
    /// The valid ones.
    positions: HashMap<Txid, Position>,
    trusted: RefCell<HashMap<Txid, bool>>,
}

/// An output of the wallet's.
pub(super) struct Output {
    pub(super) outpoint: OutPoint,
    pub(super) txout: TxOut,
    pub(super) keychain: KeychainKind,
    pub(super) index: u32,
}

impl<'a> View<'a> {
    pub(super) fn new(state: &'a State) -> View<'a> {
        // Also those that have nothing of the wallet's, and spend the same as one that has.
        let (graph, chain) = (state.bdk.tx_graph(), state.bdk.local_chain());
        let valid = graph.list_canonical_txs(chain, chain.tip().block_id(), Default::default());
        let positions = valid.map(|tx| (tx.tx_node.txid, tx.chain_position)).collect();
        View { state, positions, trusted: RefCell::default() }
    }

    /// Whether a transaction is in the chain, or could come into it.
    pub(super) fn is_valid(&self, txid: Txid) -> bool {
        self.positions.contains_key(&txid)
    }

    /// The block that a transaction is in.
    pub(super) fn block(&self, txid: Txid) -> Option<&ConfirmationBlockTime> {
        match self.positions.get(&txid) {
            Some(ChainPosition::Confirmed { anchor, .. }) => Some(anchor),
            _ => None,
        }
    }

    /// How many blocks there are from this height on.
    fn depth_at(&self, height: u32) -> i32 {
        let tip = i64::from(self.state.blocks.tip().height);
        i32::try_from((tip + 1 - i64::from(height)).max(0)).unwrap_or(i32::MAX)
    }

    /// Its confirmations; 0 if it is in no block.
    pub(super) fn depth(&self, txid: Txid) -> i32 {
        self.block(txid).map_or(0, |anchor| self.depth_at(anchor.block_id.height))
    }

    pub(super) fn is_in_mempool(&self, txid: Txid) -> bool {
        self.is_valid(txid) && self.block(txid).is_none() && self.state.mempool.contains(&txid)
    }

    /// In how many blocks the outputs of a coinbase transaction can be spent.
    fn blocks_to_maturity(&self, tx: &Transaction, depth: i32) -> u32 {
        match tx.is_coinbase() {
            true => (COINBASE_MATURITY + 1).saturating_sub(depth.max(0).unsigned_abs()),
            false => 0,
        }
    }

    /// Whether a transaction's outputs can be relied on: it is in the chain, or in the memory pool and spends only what
    /// is the wallet's and can be relied on.
    pub(super) fn is_trusted(&self, txid: Txid) -> bool {
        let (graph, index) = (self.state.bdk.tx_graph(), self.state.bdk.spk_index());
        let mut trusted = self.trusted.borrow_mut();
        // Not by recursion: a chain of transactions may be long.
        let mut open = vec![txid];
        while let Some(&txid) = open.last() {
            if trusted.contains_key(&txid) {
                open.pop();
                continue;
            }
            let own = graph.get_tx(txid).filter(|tx| {
                self.is_in_mempool(txid)
                    && tx.input.iter().all(|txin| index.txout(txin.previous_output).is_some())
            });
            let answer = match own {
                _ if self.block(txid).is_some() => true,
                None => false,
                Some(tx) => {
                    let parents = tx.input.iter().map(|txin| txin.previous_output.txid);
                    let unknown: Vec<Txid> =
                        parents.clone().filter(|parent| !trusted.contains_key(parent)).collect();
                    if !unknown.is_empty() {
                        open.extend(unknown);
                        continue;
                    }
                    parents.into_iter().all(|parent| trusted[&parent])
                }
            };
            trusted.insert(txid, answer);
        }
        trusted[&txid]
    }

    /// The wallet's outputs of valid transactions, spent or not.
    pub(super) fn outputs(&self) -> impl Iterator<Item = Output> {
        let index = self.state.bdk.spk_index();
        index.outpoints().iter().filter_map(move |(_, outpoint)| self.output(*outpoint))
    }

    /// One of them.
    pub(super) fn output(&self, outpoint: OutPoint) -> Option<Output> {
        let ((keychain, index), txout) = self.state.bdk.spk_index().txout(outpoint)?;
        self.is_valid(outpoint.txid).then(|| Output {
            outpoint,
            txout: txout.clone(),
            keychain,
            index,
        })
    }

    /// Whether a valid transaction spends it.
    pub(super) fn is_spent(&self, outpoint: OutPoint) -> bool {
        let spending = self.state.bdk.tx_graph().outspends(outpoint);
        spending.iter().any(|txid| self.is_valid(*txid))
    }

    /// All of an output but the time of its transaction.
    pub(super) fn coin(&self, output: &Output) -> Coin {
        let txid = output.outpoint.txid;
        let depth = self.depth(txid);
        let graph = self.state.bdk.tx_graph();
        let immature = graph.get_tx(txid).is_some_and(|tx| self.blocks_to_maturity(&tx, depth) > 0);
        Coin {
            outpoint: output.outpoint,
            txout: output.txout.clone(),
            depth,
            time: 0,
            spent: self.is_spent(output.outpoint),
            immature,
            trusted: self.is_trusted(txid),
            available: depth > 0 || self.is_in_mempool(txid),
            is_change: output.keychain == KeychainKind::Internal,
            locked: self.state.is_locked_coin(output.outpoint),
        }
    }

    /// The same as bdk has it.
    pub(super) fn local_output(&self, output: Output) -> LocalOutput {
        let Output { outpoint, txout, keychain, index } = output;
        LocalOutput {
            outpoint,
            txout,
            keychain,
            is_spent: self.is_spent(outpoint),
            derivation_index: index,
            chain_position: self.positions[&outpoint.txid],
        }
    }

    /// How a transaction stands, and its depth.
    fn tx_state(&self, tx: &Transaction, record: &Record) -> (TxState, i32) {
        let txid = record.txid;
        if let Some(anchor) = self.block(txid) {
            let (block, time) = (anchor.block_id, anchor.confirmation_time);
            let state = TxState::Confirmed { hash: block.hash, height: block.height, time };
            return (state, self.depth_at(block.height));
        }
        if self.is_in_mempool(txid) {
            return (TxState::InMempool, 0);
        }
        if let Some(height) = self.conflicting_block(tx) {
            return (TxState::Conflicted, -self.depth_at(height));
        }
        // A coinbase transaction outside the chain comes back only with its block.
        match record.abandoned || tx.is_coinbase() {
            true => (TxState::Abandoned, 0),
            false => (TxState::Inactive, 0),
        }
    }

    /// The height of a block with a transaction that spends the same as this one, or as one that it spends from.
    fn conflicting_block(&self, tx: &Transaction) -> Option<u32> {
        if self.is_valid(tx.compute_txid()) {
            return None;
        }
        let graph = self.state.bdk.tx_graph();
        let block = |tx: &Transaction| {
            let conflicts = graph.direct_conflicts(tx).filter_map(|(_, txid)| self.block(txid));
            conflicts.map(|anchor| anchor.block_id.height).max()
        };
        let own = block(tx);
        let before = graph.walk_ancestors(tx.clone(), |_, ancestor| {
            // What is in the chain has no conflicts, nor has what is before it.
            let valid = self.is_valid(ancestor.compute_txid());
            (!valid).then(|| block(&ancestor))
        });
        before.flatten().chain(own).max()
    }

    /// The fee of a transaction, if all that it spends is known. Not by bdk, which panics where sums overflow.
    fn fee(&self, tx: &Transaction) -> Option<Amount> {
        let spent =
            |txin: &TxIn| Some(self.state.bdk.tx_graph().get_txout(txin.previous_output)?.value);
        let spent: Vec<Amount> = tx.input.iter().map(spent).collect::<Option<_>>()?;
        let paid = checked_total(tx.output.iter().map(|txout| txout.value))?;
        checked_total(spent)?.checked_sub(paid)
    }

    /// A transaction, as far as bdk has it.
    pub(super) fn transaction(&self, record: Record) -> Option<WalletTransaction> {
        let (graph, index) = (self.state.bdk.tx_graph(), self.state.bdk.spk_index());
        let tx = graph.get_tx(record.txid)?;
        let (state, depth) = self.tx_state(&tx, &record);
        let inputs: Vec<_> =
            tx.input.iter().map(|txin| index.txout(txin.previous_output)).collect();
        let outputs: Vec<_> =
            tx.output.iter().map(|txout| index.index_of_spk(txout.script_pubkey.clone())).collect();
        let sum = |wanted: &dyn Fn(KeychainKind) -> bool| {
            let own = tx.output.iter().zip(&outputs);
            let wanted = own.filter(|(_, own)| own.is_some_and(|(keychain, _)| wanted(*keychain)));
            total(wanted.map(|(txout, _)| txout.value))
        };
        let conflicts = graph.direct_conflicts(&tx).map(|(_, txid)| txid);
        let conflicts = conflicts.filter(|txid| {
            use bdk_wallet::chain::Indexer;
            graph.get_tx(*txid).is_some_and(|tx| index.is_tx_relevant(&tx))
        });
        let mut conflicts: Vec<Txid> = conflicts.collect();
        conflicts.sort();
        conflicts.dedup();
        Some(WalletTransaction {
            txid: record.txid,
            state,
            depth,
            blocks_to_maturity: self.blocks_to_maturity(&tx, depth),
            trusted: self.is_trusted(record.txid),
            credit: sum(&|_| true),
            debit: total(inputs.iter().flatten().map(|(_, txout)| txout.value)),
            change: sum(&|keychain| keychain == KeychainKind::Internal),
            fee: self.fee(&tx),
            inputs_mine: inputs.iter().map(Option::is_some).collect(),
            outputs_mine: outputs.iter().map(Option::is_some).collect(),
            outputs_change: outputs
                .iter()
                .map(|own| own.is_some_and(|(keychain, _)| *keychain == KeychainKind::Internal))
                .collect(),
            time_received: record.time,
            value_map: record.value_map,
            order_form: record.order_form,
            conflicts,
            tx,
        })
    }
}
