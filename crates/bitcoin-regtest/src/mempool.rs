//! The memory pool: transactions that wait for a block.

use std::collections::{HashMap, HashSet};

use bitcoin::{Amount, OutPoint, Transaction, Txid, Wtxid};

use super::check;
use super::coins::{Coin, Coins, coins_of};
use super::rejection::{Rejection, ensure};
use super::template::TemplateTx;

/// The transactions, in the order in which they came: each after those whose outputs it spends.
#[derive(Debug, Default)]
pub(super) struct Mempool {
    entries: Vec<Entry>,
    txids: HashSet<Txid>,
    /// What they create and what they spend.
    created: HashMap<OutPoint, Coin>,
    taken: HashSet<OutPoint>,
}

#[derive(Debug)]
struct Entry {
    txid: Txid,
    tx: TemplateTx,
}

impl Mempool {
    /// Takes a transaction that could be in a block at this height, after those before it.
    pub(super) fn accept(
        &mut self,
        transaction: Transaction,
        coins: &Coins,
        height: u32,
        median_time: u32,
    ) -> Result<(), Rejection> {
        let txid = transaction.compute_txid();
        check::check_transaction(&transaction)?;
        ensure(!transaction.is_coinbase(), "coinbase", "")?;
        ensure(!self.txids.contains(&txid), "txn-already-in-mempool", "")?;
        ensure(check::is_final(&transaction, height, median_time), "non-final", "")?;
        let fee = coins.fee(&transaction, height, &self.created, &self.taken)?;
        self.txids.insert(txid);
        self.created.extend(coins_of(&transaction, txid, height, false));
        self.taken.extend(transaction.input.iter().map(|input| input.previous_output));
        // Scripts are not run here: their signature operations are not known.
        let tx = TemplateTx { transaction, fee: Amount::from_sat(fee), sigops: 0 };
        self.entries.push(Entry { txid, tx });
        Ok(())
    }

    /// After the chain has changed: keeps what can still be in the next block, and takes those of blocks that
    /// have left the chain.
    pub(super) fn renew(
        &mut self,
        returned: Vec<Transaction>,
        coins: &Coins,
        height: u32,
        median_time: u32,
    ) {
        if self.entries.is_empty() && returned.is_empty() {
            return;
        }
        let before = std::mem::take(self);
        let before = before.entries.into_iter().map(|entry| entry.tx.transaction);
        for transaction in returned.into_iter().chain(before) {
            // It is in the chain, or spends what is spent there.
            let _ = self.accept(transaction, coins, height, median_time);
        }
    }

    /// Those for the next block, as many as fit: the best paid ones first, each after those it needs.
    pub(super) fn select(&self, mut weight: u64) -> Vec<TemplateTx> {
        let mut best: Vec<&Entry> = self.entries.iter().collect();
        // Stable: of those that pay the same the older one is first.
        best.sort_by_key(|entry| std::cmp::Reverse(entry.rate()));
        let mut chosen: HashSet<Txid> = HashSet::new();
        let mut selected = Vec::new();
        // Again while there is one that was waiting for another.
        loop {
            let next = best.iter().position(|entry| {
                entry.tx.transaction.weight().to_wu() <= weight
                    && entry
                        .needs()
                        .all(|txid| !self.txids.contains(&txid) || chosen.contains(&txid))
            });
            let Some(next) = next else { return selected };
            let entry = best.remove(next);
            weight -= entry.tx.transaction.weight().to_wu();
            chosen.insert(entry.txid);
            selected.push(entry.tx.clone());
        }
    }

    pub(super) fn by_txid(&self, txid: &Txid) -> Option<&Transaction> {
        let entry = self.entries.iter().find(|entry| entry.txid == *txid)?;
        Some(&entry.tx.transaction)
    }

    pub(super) fn by_wtxid(&self, wtxid: &Wtxid) -> Option<&Transaction> {
        self.all().find(|transaction| transaction.compute_wtxid() == *wtxid)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Transaction> {
        self.entries.iter().map(|entry| &entry.tx.transaction)
    }
}

impl Entry {
    /// The fee for so much weight, comparable without fractions.
    fn rate(&self) -> u64 {
        let weight = self.tx.transaction.weight().to_wu().max(1);
        self.tx.fee.to_sat().saturating_mul(1_000_000) / weight
    }

    fn needs(&self) -> impl Iterator<Item = Txid> {
        self.tx.transaction.input.iter().map(|input| input.previous_output.txid)
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::{Amount, OutPoint, Transaction};

    use crate::Chain;
    use crate::coins::subsidy;
    use crate::template::{Template, TemplateOptions};
    use crate::testing::{coinbase_outpoint, mine, spend};

    fn paying(chain: &Chain, height: u32, fee: u64) -> Transaction {
        spend(coinbase_outpoint(chain, height), subsidy(height) - Amount::from_sat(fee))
    }

    #[test]
    fn takes_what_could_be_in_the_next_block() {
        let chain = Chain::regtest();
        mine(&chain, 101);
        let first = paying(&chain, 1, 500);
        let refused = |tx: &Transaction| chain.submit_transaction(tx.clone()).unwrap_err().reason;
        let young = "bad-txns-premature-spend-of-coinbase";
        assert_eq!(refused(&paying(&chain, 3, 500)), young);
        let child = spend(
            OutPoint { txid: first.compute_txid(), vout: 0 },
            first.output[0].value - Amount::from_sat(9_000),
        );
        assert_eq!(refused(&child), "bad-txns-inputs-missingorspent");
        chain.submit_transaction(first.clone()).unwrap();
        assert_eq!(refused(&first), "txn-already-in-mempool");
        assert_eq!(refused(&paying(&chain, 1, 501)), "txn-mempool-conflict");
        chain.submit_transaction(child.clone()).unwrap();
        let greedy = spend(coinbase_outpoint(&chain, 2), subsidy(2) + Amount::ONE_SAT);
        assert_eq!(refused(&greedy), "bad-txns-in-belowout");
        assert_eq!(refused(&chain.block_by_height(101).unwrap().txdata[0]), "coinbase");
        assert_eq!(chain.mempool(), [first.clone(), child.clone()]);
        assert_eq!(chain.mempool_transaction(&child.compute_txid()), Some(child.clone()));
        assert_eq!(chain.mempool_transaction_by_wtxid(&child.compute_wtxid()), Some(child));

        mine(&chain, 1);
        assert_eq!(chain.block_by_height(102).unwrap().txdata.len(), 3);
        assert!(chain.mempool().is_empty());
        assert!(chain.mempool_transaction(&first.compute_txid()).is_none());
    }

    /// The best paid ones first, but each after those that it needs, and no more than there is room for.
    #[test]
    fn templates_have_the_best_paid_ones() {
        let chain = Chain::regtest();
        mine(&chain, 105);
        let [poor, rich] = [paying(&chain, 1, 100), paying(&chain, 2, 5_000)];
        let child = spend(
            OutPoint { txid: poor.compute_txid(), vout: 0 },
            poor.output[0].value - Amount::from_sat(9_000),
        );
        for tx in [&poor, &rich, &child] {
            chain.submit_transaction(tx.clone()).unwrap();
        }
        let txs = |reserved: u64| {
            let options =
                TemplateOptions { block_reserved_weight: reserved, ..TemplateOptions::default() };
            Template::new(&chain, options).unwrap().block().txdata.split_off(1)
        };
        assert_eq!(txs(8_000), [rich.clone(), poor, child]);
        let one = rich.weight().to_wu();
        assert_eq!(txs(4_000_000 - one), [rich]);
    }
}
