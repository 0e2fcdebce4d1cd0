//! The memory pool: transactions that wait for a block.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bitcoin::{Amount, Block, OutPoint, Transaction, Txid, Wtxid};

use super::check::{self, NextBlock};
use super::coins::{Coin, Coins, coins_of};
use super::policy::{self, Conflict};
use super::rejection::{Rejection, ensure};
use super::template::TemplateTx;

/// The transactions.
#[derive(Debug, Default)]
pub(super) struct Mempool {
    /// In the order in which they came: each after those whose outputs it spends.
    entries: BTreeMap<u64, MempoolEntry>,
    /// The place of the next one.
    next: u64,
    places: HashMap<Txid, u64>,
    /// What they create, and which of them spends an output.
    created: HashMap<OutPoint, Coin>,
    spenders: HashMap<OutPoint, Txid>,
}

/// A transaction of the memory pool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MempoolEntry {
    /// Its id.
    pub txid: Txid,
    /// The transaction.
    pub transaction: Arc<Transaction>,
    /// Its fee.
    pub fee: Amount,
}

/// What would become of a transaction.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Acceptance {
    /// Its fee.
    pub fee: Amount,
    /// Those whose place it takes, with those that need them.
    pub replaces: Vec<Txid>,
}

impl Mempool {
    /// Whether a transaction could be added, before the next block.
    pub(super) fn check(
        &self,
        transaction: &Transaction,
        coins: &Coins,
        next: &NextBlock,
    ) -> Result<Acceptance, Rejection> {
        let (txid, fee) = self.check_alone(transaction, coins, next)?;
        let conflicts: BTreeSet<u64> = self.conflicts(transaction).collect();
        let needs = self.needed_by(transaction);
        let replaces = self.with_descendants(conflicts.iter().copied());
        if let Some(place) = needs.intersection(&replaces).next() {
            let debug =
                format!("{txid} spends conflicting transaction {}", self.entries[place].txid);
            return Err(super::rejection::reject("bad-txns-spends-conflicting-tx", debug));
        }
        if !conflicts.is_empty() {
            let entries = |places: &BTreeSet<u64>| {
                places.iter().map(|place| &self.entries[place]).collect::<Vec<_>>()
            };
            let conflict = Conflict { direct: &entries(&conflicts), all: &entries(&replaces) };
            policy::check_replacement(&txid, transaction, fee, &conflict)?;
        }
        policy::check_ancestors(needs.len() + 1)?;
        for place in &needs {
            let with_it = self.with_descendants([*place]);
            let stay = with_it.difference(&replaces).count();
            policy::check_descendants(&self.entries[place].txid, stay + 1)?;
        }
        let replaces = replaces.iter().map(|place| self.entries[place].txid).collect();
        Ok(Acceptance { fee, replaces })
    }

    /// Its id and fee, if it could be in the next block.
    fn check_alone(
        &self,
        transaction: &Transaction,
        coins: &Coins,
        next: &NextBlock,
    ) -> Result<(Txid, Amount), Rejection> {
        let txid = transaction.compute_txid();
        check::check_transaction(transaction)?;
        ensure(!transaction.is_coinbase(), "coinbase", "")?;
        ensure(!self.contains(&txid), "txn-already-in-mempool", "")?;
        let median_time = next.min_time - 1;
        ensure(check::is_final(transaction, next.height, median_time), "non-final", "")?;
        let fee = coins.fee(transaction, next.height, &self.created)?;
        Ok((txid, Amount::from_sat(fee)))
    }

    /// Adds a transaction that was checked. Returns those whose place it takes.
    pub(super) fn add(
        &mut self,
        transaction: Arc<Transaction>,
        accepted: Acceptance,
    ) -> Vec<Arc<Transaction>> {
        let gone = accepted.replaces.iter().filter_map(|txid| self.remove(txid)).collect();
        self.insert(transaction.compute_txid(), transaction, accepted.fee);
        gone
    }

    fn insert(&mut self, txid: Txid, transaction: Arc<Transaction>, fee: Amount) {
        self.created.extend(coins_of(&transaction, txid, Coin::MEMPOOL_HEIGHT, false));
        let spent = transaction.input.iter().map(|input| (input.previous_output, txid));
        self.spenders.extend(spent);
        self.places.insert(txid, self.next);
        self.entries.insert(self.next, MempoolEntry { txid, transaction, fee });
        self.next += 1;
    }

    /// Takes one out; those that need it stay.
    fn remove(&mut self, txid: &Txid) -> Option<Arc<Transaction>> {
        let entry = self.entries.remove(&self.places.remove(txid)?)?;
        for (outpoint, _) in coins_of(&entry.transaction, *txid, 0, false) {
            self.created.remove(&outpoint);
        }
        for input in &entry.transaction.input {
            self.spenders.remove(&input.previous_output);
        }
        Some(entry.transaction)
    }

    /// Takes out what is in a block that has joined the chain, and what that makes impossible. Returns both.
    pub(super) fn remove_for_block(
        &mut self,
        block: &Block,
    ) -> (Vec<Arc<Transaction>>, Vec<Arc<Transaction>>) {
        let (mut in_block, mut conflicts) = (Vec::new(), Vec::new());
        if self.entries.is_empty() {
            return (in_block, conflicts);
        }
        for transaction in block.txdata.iter().skip(1) {
            in_block.extend(self.remove(&transaction.compute_txid()));
            let places: Vec<u64> = self.conflicts(transaction).collect();
            for place in self.with_descendants(places) {
                let txid = self.entries[&place].txid;
                conflicts.extend(self.remove(&txid));
            }
        }
        (in_block, conflicts)
    }

    /// After blocks have left the chain: takes back their transactions (`returned`, in order), and keeps what can still
    /// be in the next block. Returns what was added, and what was not kept.
    pub(super) fn renew(
        &mut self,
        returned: Vec<Arc<Transaction>>,
        coins: &Coins,
        next: &NextBlock,
    ) -> (Vec<Arc<Transaction>>, Vec<Arc<Transaction>>) {
        let (mut added, mut lost) = (Vec::new(), Vec::new());
        let before = std::mem::take(self);
        self.next = before.next;
        for transaction in returned {
            // Else it is in the chain, or spends what is spent there.
            if self.take_back(&transaction, coins, next)
                && !before.contains(&transaction.compute_txid())
            {
                added.push(transaction);
            }
        }
        for entry in before.entries.into_values() {
            if !self.contains(&entry.txid) && !self.take_back(&entry.transaction, coins, next) {
                lost.push(entry.transaction);
            }
        }
        (added, lost)
    }

    /// Adds one that was there or in a block: no limits count. Whether that was possible.
    fn take_back(
        &mut self,
        transaction: &Arc<Transaction>,
        coins: &Coins,
        next: &NextBlock,
    ) -> bool {
        let free = self.conflicts(transaction).next().is_none();
        let Some((txid, fee)) = self.check_alone(transaction, coins, next).ok().filter(|_| free)
        else {
            return false;
        };
        self.insert(txid, Arc::clone(transaction), fee);
        true
    }

    /// The places of those that spend what this one spends.
    fn conflicts(&self, transaction: &Transaction) -> impl Iterator<Item = u64> {
        let spenders =
            transaction.input.iter().filter_map(|input| self.spenders.get(&input.previous_output));
        spenders.map(|txid| self.places[txid])
    }

    /// The places of those that it needs, and that these need.
    fn needed_by(&self, transaction: &Transaction) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let mut look = vec![transaction];
        while let Some(transaction) = look.pop() {
            for input in &transaction.input {
                let Some(place) = self.places.get(&input.previous_output.txid) else { continue };
                if found.insert(*place) {
                    look.push(&self.entries[place].transaction);
                }
            }
        }
        found
    }

    /// These places and those of all that need them.
    fn with_descendants(&self, places: impl IntoIterator<Item = u64>) -> BTreeSet<u64> {
        let mut found: BTreeSet<u64> = places.into_iter().collect();
        let mut look: Vec<u64> = found.iter().copied().collect();
        while let Some(place) = look.pop() {
            let entry = &self.entries[&place];
            for (vout, _) in (0..).zip(&entry.transaction.output) {
                let spender = self.spenders.get(&OutPoint { txid: entry.txid, vout });
                let place = spender.map(|txid| self.places[txid]);
                look.extend(place.filter(|place| found.insert(*place)));
            }
        }
        found
    }

    /// Those for the next block, as many as fit: the best paid ones first, each after those it needs.
    pub(super) fn select(&self, mut weight: u64) -> Vec<TemplateTx> {
        let mut best: Vec<&MempoolEntry> = self.entries.values().collect();
        // Stable: of those that pay the same the older one is first.
        best.sort_by_key(|entry| std::cmp::Reverse(entry.rate()));
        let mut chosen: HashSet<Txid> = HashSet::new();
        let mut selected = Vec::new();
        // Again while there is one that was waiting for another.
        loop {
            let next = best.iter().position(|entry| {
                entry.transaction.weight().to_wu() <= weight
                    && entry.needs().all(|txid| !self.contains(&txid) || chosen.contains(&txid))
            });
            let Some(next) = next else { return selected };
            let entry = best.remove(next);
            weight -= entry.transaction.weight().to_wu();
            chosen.insert(entry.txid);
            // Scripts are not run here: their signature operations are not known.
            let transaction = Transaction::clone(&entry.transaction);
            selected.push(TemplateTx { transaction, fee: entry.fee, sigops: 0 });
        }
    }

    pub(super) fn contains(&self, txid: &Txid) -> bool {
        self.places.contains_key(txid)
    }

    pub(super) fn entry(&self, txid: &Txid) -> Option<&MempoolEntry> {
        self.entries.get(self.places.get(txid)?)
    }

    /// Those that it needs and those that need it, each with itself.
    pub(super) fn relatives(&self, txid: &Txid) -> Option<[Vec<&MempoolEntry>; 2]> {
        let place = self.places.get(txid)?;
        let mut ancestors = self.needed_by(&self.entries[place].transaction);
        ancestors.insert(*place);
        let both = [ancestors, self.with_descendants([*place])];
        Some(both.map(|places| places.iter().map(|place| &self.entries[place]).collect()))
    }

    pub(super) fn spender(&self, outpoint: &OutPoint) -> Option<Txid> {
        self.spenders.get(outpoint).copied()
    }

    pub(super) fn coin(&self, outpoint: &OutPoint) -> Option<&Coin> {
        self.created.get(outpoint)
    }

    pub(super) fn by_wtxid(&self, wtxid: &Wtxid) -> Option<&MempoolEntry> {
        self.all().find(|entry| entry.transaction.compute_wtxid() == *wtxid)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &MempoolEntry> {
        self.entries.values()
    }
}

impl MempoolEntry {
    /// Its virtual size, in bytes (BIP 141).
    pub fn vsize(&self) -> u64 {
        self.transaction.vsize() as u64
    }

    /// The fee for so much weight, comparable without fractions.
    fn rate(&self) -> u64 {
        let weight = self.transaction.weight().to_wu().max(1);
        self.fee.to_sat().saturating_mul(1_000_000) / weight
    }

    fn needs(&self) -> impl Iterator<Item = Txid> {
        self.transaction.input.iter().map(|input| input.previous_output.txid)
    }
}

#[cfg(test)]
impl Mempool {
    pub(super) fn assert_consistent(&self) {
        assert_eq!(self.entries.len(), self.places.len());
        let (mut created, mut spent) = (0, 0);
        for (place, entry) in &self.entries {
            assert_eq!(self.places[&entry.txid], *place);
            for (outpoint, coin) in
                coins_of(&entry.transaction, entry.txid, Coin::MEMPOOL_HEIGHT, false)
            {
                assert_eq!(self.created[&outpoint], coin);
                created += 1;
            }
            for input in &entry.transaction.input {
                assert_eq!(self.spenders[&input.previous_output], entry.txid);
                let parent = self.places.get(&input.previous_output.txid);
                assert!(parent.is_none_or(|parent| parent < place), "after what it needs");
                spent += 1;
            }
        }
        assert_eq!((created, spent), (self.created.len(), self.spenders.len()));
    }
}

#[cfg(test)]
mod tests;
