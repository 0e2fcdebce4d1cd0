//! The coins: outputs of the chain that are not spent yet, and how many a block may create.

use std::collections::{HashMap, HashSet};

use bitcoin::blockdata::constants::COINBASE_MATURITY;
use bitcoin::{Amount, Block, OutPoint, Transaction, TxOut, Txid};

use super::rejection::{Rejection, ensure, reject};

/// Blocks between two halvings of the subsidy on regtest (mainnet: 210 000).
const HALVING_INTERVAL: u32 = 150;

/// The unspent outputs, by their outpoints.
#[derive(Debug, Default)]
pub(super) struct Coins {
    unspent: HashMap<OutPoint, Coin>,
}

/// An unspent output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    /// The output.
    pub output: TxOut,
    /// The height of the block that has its transaction; of one in the memory pool, the
    /// [`MEMPOOL_HEIGHT`](Coin::MEMPOOL_HEIGHT).
    pub height: u32,
    /// Whether its transaction is a block's coinbase.
    pub coinbase: bool,
}

/// The coins that a block spent, to be there again when it leaves the chain.
#[derive(Debug, Default)]
pub(super) struct Spent(Vec<(OutPoint, Coin)>);

/// The amount that a miner may create at this height: 50 BTC, halved every 150 blocks.
pub fn subsidy(height: u32) -> Amount {
    let halvings = height / HALVING_INTERVAL;
    Amount::from_sat(Amount::from_int_btc(50).to_sat().checked_shr(halvings).unwrap_or(0))
}

impl Coins {
    /// Checks that the next block, at this height, spends only coins that it may spend, and that
    /// its coinbase pays no more than subsidy and fees. This is a part of Core's ConnectBlock.
    pub(super) fn check(&self, block: &Block, height: u32) -> Result<(), Rejection> {
        let limit = subsidy(height).to_sat().saturating_add(self.fees(block, height)?);
        let actual = block.txdata.first().map_or(0, value_out);
        ensure(
            actual <= limit,
            "bad-cb-amount",
            format!("coinbase pays too much (actual={actual} vs limit={limit})"),
        )
    }

    /// The value of a coin.
    pub(super) fn value(&self, outpoint: &OutPoint) -> Option<Amount> {
        self.unspent.get(outpoint).map(|coin| coin.output.value)
    }

    /// A coin.
    pub(super) fn get(&self, outpoint: &OutPoint) -> Option<&Coin> {
        self.unspent.get(outpoint)
    }

    /// Removes the coins that a checked block spends and adds those that it creates.
    pub(super) fn connect(&mut self, block: &Block, height: u32) -> Spent {
        let mut spent = Vec::new();
        for (index, tx) in block.txdata.iter().enumerate() {
            for input in &tx.input {
                let coin = self.unspent.remove(&input.previous_output);
                spent.extend(coin.map(|coin| (input.previous_output, coin)));
            }
            self.unspent.extend(coins_of(tx, tx.compute_txid(), height, index == 0));
        }
        Spent(spent)
    }

    /// The opposite, for the block that was connected last.
    pub(super) fn disconnect(&mut self, block: &Block, spent: Spent) {
        self.unspent.extend(spent.0);
        // After that, because the block may have spent what it created.
        for tx in &block.txdata {
            for (outpoint, _) in coins_of(tx, tx.compute_txid(), 0, false) {
                self.unspent.remove(&outpoint);
            }
        }
    }

    /// The fee of a transaction that is to be in a block at this height, in satoshis. `created`: coins of
    /// others in the memory pool.
    pub(super) fn fee(
        &self,
        tx: &Transaction,
        height: u32,
        created: &HashMap<OutPoint, Coin>,
    ) -> Result<u64, Rejection> {
        let mut value_in: u64 = 0;
        for input in &tx.input {
            let outpoint = &input.previous_output;
            let coin = created.get(outpoint).or_else(|| self.unspent.get(outpoint));
            let coin = coin.ok_or_else(|| reject("bad-txns-inputs-missingorspent", ""))?;
            coin.check_age(height)?;
            value_in += coin.output.value.to_sat();
        }
        let out = value_out(tx);
        value_in.checked_sub(out).ok_or_else(|| {
            let debug = format!("value in ({value_in} sat) < value out ({out} sat)");
            reject("bad-txns-in-belowout", debug)
        })
    }

    /// The fees of the transactions, in satoshis. Refuses inputs that do not exist, are spent, are
    /// immature (100 blocks for a coinbase), or are worth less than the outputs.
    fn fees(&self, block: &Block, height: u32) -> Result<u64, Rejection> {
        let mut created: HashMap<OutPoint, Coin> = HashMap::new();
        let mut spent: HashSet<OutPoint> = HashSet::new();
        let mut fees = 0;
        for (index, tx) in block.txdata.iter().enumerate() {
            let txid = tx.compute_txid();
            if index > 0 {
                let mut value_in: u64 = 0;
                for input in &tx.input {
                    let outpoint = &input.previous_output;
                    let coin = created.get(outpoint).or_else(|| self.unspent.get(outpoint));
                    let coin = coin.filter(|_| spent.insert(*outpoint)).ok_or_else(|| {
                        let debug =
                            format!("CheckTxInputs: inputs missing/spent in transaction {txid}");
                        reject("bad-txns-inputs-missingorspent", debug)
                    })?;
                    coin.check_age(height)?;
                    value_in += coin.output.value.to_sat();
                }
                let out = value_out(tx);
                fees += value_in.checked_sub(out).ok_or_else(|| {
                    let debug = format!(
                        "value in ({value_in} sat) < value out ({out} sat) in transaction {txid}"
                    );
                    reject("bad-txns-in-belowout", debug)
                })?;
            }
            created.extend(coins_of(tx, txid, height, index == 0));
        }
        Ok(fees)
    }
}

impl Coin {
    /// In place of a height, for what is in the memory pool: Bitcoin Core's number.
    pub const MEMPOOL_HEIGHT: u32 = 0x7fff_ffff;

    /// Refuses to spend a coinbase before its time in a block at this height.
    fn check_age(&self, height: u32) -> Result<(), Rejection> {
        let depth = height.saturating_sub(self.height);
        ensure(
            !self.coinbase || depth >= COINBASE_MATURITY,
            "bad-txns-premature-spend-of-coinbase",
            format!("tried to spend coinbase at depth {depth}"),
        )
    }
}

/// The sum of the outputs, in satoshis. It cannot overflow, because the check of the transaction
/// has bounded it.
fn value_out(tx: &Transaction) -> u64 {
    tx.output.iter().map(|output| output.value.to_sat()).sum()
}

pub(super) fn coins_of(
    tx: &Transaction,
    txid: Txid,
    height: u32,
    coinbase: bool,
) -> impl Iterator<Item = (OutPoint, Coin)> {
    (0..).zip(&tx.output).filter(|(_, output)| !output.script_pubkey.is_op_return()).map(
        move |(vout, output)| {
            (OutPoint { txid, vout }, Coin { output: output.clone(), height, coinbase })
        },
    )
}

#[cfg(test)]
impl Coins {
    /// How many there are, and their value.
    pub(super) fn sum(&self) -> (usize, Amount) {
        (self.unspent.len(), self.unspent.values().map(|coin| coin.output.value).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;
    use crate::template::{Template, TemplateOptions, TemplateTx};
    use crate::testing::{assert_refused, coinbase_outpoint, complete, mine, spend};
    use bitcoin::TxIn;

    #[test]
    fn follows_the_money() {
        let chain = Chain::regtest();
        mine(&chain, 101);
        let fee = Amount::from_sat(1000);
        let first = spend(coinbase_outpoint(&chain, 1), subsidy(1) - fee);
        let second =
            spend(OutPoint { txid: first.compute_txid(), vout: 0 }, first.output[0].value - fee);
        let txs = |txs: &[&Transaction]| -> Vec<TemplateTx> {
            txs.iter().map(|&tx| TemplateTx { transaction: tx.clone(), fee, sigops: 0 }).collect()
        };
        let block_of = |list: &[&Transaction]| {
            let template =
                Template::with_transactions(&chain, TemplateOptions::default(), txs(list)).unwrap();
            let mut block = template.block();
            complete(&mut block);
            block
        };
        let reason =
            |list: &[&Transaction]| chain.submit_block(&block_of(list)).unwrap_err().reason;

        assert_eq!(reason(&[&second, &first]), "bad-txns-inputs-missingorspent");
        let rival = spend(coinbase_outpoint(&chain, 1), Amount::ONE_SAT);
        assert_eq!(reason(&[&first, &rival]), "bad-txns-inputs-missingorspent");
        assert_eq!(reason(&[&first, &first]), "bad-txns-duplicate");
        let young = spend(coinbase_outpoint(&chain, 3), Amount::ONE_SAT);
        assert_eq!(reason(&[&young]), "bad-txns-premature-spend-of-coinbase");
        let greedy = spend(coinbase_outpoint(&chain, 1), subsidy(1) + fee);
        assert_eq!(reason(&[&greedy]), "bad-txns-in-belowout");
        let genesis = spend(coinbase_outpoint(&chain, 0), Amount::ONE_SAT);
        assert_eq!(reason(&[&genesis]), "bad-txns-inputs-missingorspent");
        let mut twice = first.clone();
        twice.input.push(twice.input[0].clone());
        assert_eq!(reason(&[&twice]), "bad-txns-inputs-duplicate");
        let mut nothing = first.clone();
        nothing.input.push(TxIn::default());
        assert_eq!(reason(&[&nothing]), "bad-txns-prevout-null");
        let mut empty = first.clone();
        empty.input.clear();
        assert_eq!(reason(&[&empty]), "bad-txns-vin-empty");
        let free = spend(coinbase_outpoint(&chain, 1), subsidy(1));
        assert_eq!(reason(&[&free]), "bad-cb-amount");

        let block = block_of(&[&first, &second]);
        assert_eq!(block.txdata[0].output[0].value, subsidy(102) + fee * 2);
        assert_eq!(chain.submit_block(&block), Ok(()));
        assert_eq!(chain.block_by_height(102).unwrap().txdata[2], second);
        assert_eq!(reason(&[&first]), "bad-txns-inputs-missingorspent");
    }

    #[test]
    fn halves_the_subsidy() {
        assert_eq!(subsidy(149), Amount::from_int_btc(50));
        assert_eq!(subsidy(150), Amount::from_int_btc(25));
        assert_eq!(subsidy(300), Amount::from_sat(1_250_000_000));
        assert_eq!(subsidy(64 * HALVING_INTERVAL), Amount::ZERO);
        assert_eq!(subsidy(u32::MAX), Amount::ZERO);
        let chain = Chain::regtest();
        mine(&chain, 149);
        assert_refused(&chain, "bad-cb-amount", |b| b.txdata[0].output[0].value = subsidy(149));
        mine(&chain, 2);
        assert_eq!(chain.block_by_height(149).unwrap().txdata[0].output[0].value, subsidy(149));
        assert_eq!(chain.block_by_height(150).unwrap().txdata[0].output[0].value, subsidy(150));
    }
}
