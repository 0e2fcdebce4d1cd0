//! How a transaction is put together: bdk selects the coins, this makes amounts, change and fee of them.

use bdk_wallet::coin_selection::{
    CoinSelectionAlgorithm, DefaultCoinSelectionAlgorithm, InsufficientFunds,
};
use bdk_wallet::{Utxo, WeightedUtxo};
use bitcoin::absolute::LockTime;
use bitcoin::key::rand::{Rng, thread_rng};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, FeeRate, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Weight, Witness,
};

use super::amounts::checked_total;
use super::{CreatedTransaction, Result, VaultError};

/// The most that a fee may be, as in Bitcoin Core: more is taken for a mistake.
const MAX_FEE: Amount = Amount::from_sat(10_000_000);
/// The heaviest transaction that nodes relay, in weight units.
const MAX_WEIGHT: u32 = 400_000;
/// The marker and the flag of a transaction with witnesses, in weight units.
const MARKER: Weight = Weight::from_wu(2);
/// An input of the wallet's with its signature, in weight units.
const INPUT: Weight = Weight::from_wu(272);

/// What a transaction is to be.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) outputs: Vec<TxOut>,
    /// Which of the outputs pay the fee.
    pub(super) paying: Vec<usize>,
    /// What is spent in any case.
    pub(super) required: Vec<WeightedUtxo>,
    /// What may be spent.
    pub(super) optional: Vec<WeightedUtxo>,
    pub(super) rate: FeeRate,
    /// The least fee, if the rate gives less.
    pub(super) least_fee: Amount,
    pub(super) change: ScriptBuf,
    /// Where the change goes among the outputs; none for anywhere.
    pub(super) change_pos: Option<u32>,
    pub(super) version: Version,
    pub(super) lock_time: LockTime,
    pub(super) sequence: Sequence,
    pub(super) max_weight: Option<u32>,
}

impl Plan {
    /// Makes the transaction, without signatures.
    pub(super) fn build(&self) -> Result<CreatedTransaction> {
        self.check()?;
        let mut reserve = Amount::ZERO;
        // Each round selects for what the round before lacked: it lacks less and less.
        for _ in 0..50 {
            let coins = self.select(reserve)?;
            match self.put_together(&coins) {
                Ok(created) => return self.check_result(created, &coins),
                Err(lack) if self.paying.is_empty() => reserve += lack,
                Err(lack) => return Err(self.too_small(lack)),
            }
        }
        Err(VaultError::BadRequest("no coins fit: select some yourself".to_owned()))
    }

    fn check(&self) -> Result<()> {
        if self.outputs.is_empty() {
            return Err(VaultError::BadRequest("nobody is paid: give a recipient".to_owned()));
        }
        if self.change_pos.is_some_and(|pos| pos as usize > self.outputs.len()) {
            let most = self.outputs.len();
            return Err(VaultError::BadRequest(format!(
                "there is no such place for the change: give one from 0 to {most}"
            )));
        }
        if checked_total(self.outputs.iter().map(|txout| txout.value)).is_none() {
            return Err(VaultError::BadRequest(
                "the amounts are more than all bitcoin there are: check them".to_owned(),
            ));
        }
        let coins = self.required.iter().chain(&self.optional);
        if checked_total(coins.map(|coin| coin.utxo.txout().value)).is_none() {
            return Err(VaultError::BadRequest(
                "the wallet's coins are more than all bitcoin there are: use a node that you trust"
                    .to_owned(),
            ));
        }
        // With one input alone the fee would be too high. This also keeps all fees here from overflowing.
        if self.rate.fee_wu(INPUT).is_none_or(|fee| fee > MAX_FEE) {
            return Err(VaultError::BadRequest(format!(
                "a fee rate of {} sat/vB makes a fee of more than {MAX_FEE}: give a lower fee rate",
                self.rate.to_sat_per_vb_ceil()
            )));
        }
        for txout in &self.outputs {
            check_dust(txout)?;
        }
        Ok(())
    }

    /// Selects coins for the outputs, the fee and what else is needed.
    fn select(&self, reserve: Amount) -> Result<Vec<Utxo>> {
        let total: Amount = self.outputs.iter().map(|txout| txout.value).sum();
        // Where recipients pay the fee, coins count in full.
        let (rate, target) = match self.paying.is_empty() {
            true => (self.rate, total + self.rate * self.transaction(&[]).weight() + reserve),
            false => (FeeRate::ZERO, total),
        };
        let result = DefaultCoinSelectionAlgorithm::default().coin_select(
            self.required.clone(),
            self.optional.clone(),
            rate,
            target,
            &self.change,
            &mut thread_rng(),
        );
        match result {
            Ok(result) => Ok(result.selected),
            Err(InsufficientFunds { needed, available }) => {
                Err(VaultError::NotEnough { needed, available })
            }
        }
    }

    /// A transaction that spends these to the outputs.
    fn transaction(&self, inputs: &[OutPoint]) -> Transaction {
        let input = |previous_output: &OutPoint| TxIn {
            previous_output: *previous_output,
            script_sig: ScriptBuf::new(),
            sequence: self.sequence,
            witness: Witness::new(),
        };
        Transaction {
            version: self.version,
            lock_time: self.lock_time,
            input: inputs.iter().map(input).collect(),
            output: self.outputs.clone(),
        }
    }

    /// Makes the transaction that spends these coins; or tells how much is lacking.
    fn put_together(&self, coins: &[Utxo]) -> std::result::Result<CreatedTransaction, Amount> {
        let mut outpoints: Vec<OutPoint> = coins.iter().map(Utxo::outpoint).collect();
        shuffle(&mut outpoints);
        let mut tx = self.transaction(&outpoints);
        let spent: Amount = coins.iter().map(|coin| coin.txout().value).sum();
        let total: Amount = self.outputs.iter().map(|txout| txout.value).sum();
        let left = spent.checked_sub(total).ok_or(total - spent.min(total))?;

        // With change, if what is left is worth an output and the input that spends it some day.
        let change = TxOut { value: Amount::ZERO, script_pubkey: self.change.clone() };
        let place =
            self.change_pos.unwrap_or_else(|| thread_rng().gen_range(0..=tx.output.len() as u32));
        tx.output.insert(place as usize, change);
        let fee = self.fee(&tx);
        let from_left = if self.paying.is_empty() { fee } else { Amount::ZERO };
        let least = self.change.minimal_non_dust().max(self.rate * INPUT);
        let change = left.checked_sub(from_left).filter(|change| *change >= least);
        let (mut needed, change_pos) = match change {
            Some(change) => {
                tx.output[place as usize].value = change;
                (fee, Some(place))
            }
            None => {
                tx.output.remove(place as usize);
                (self.fee(&tx), None)
            }
        };
        let paid = left - change.unwrap_or(Amount::ZERO);
        if paid < needed {
            let lack = needed - paid;
            if self.paying.is_empty() {
                return Err(lack);
            }
            self.take_from_recipients(&mut tx, change_pos, lack)?;
        } else {
            needed = paid;
        }
        Ok(CreatedTransaction { tx, fee: needed, change_pos })
    }

    /// The fee of a transaction, once it has its signatures.
    fn fee(&self, tx: &Transaction) -> Amount {
        (self.rate * relay_weight(tx)).max(self.least_fee)
    }

    /// Lessens what recipients get, in equal parts; the first of them pays what is left over.
    fn take_from_recipients(
        &self,
        tx: &mut Transaction,
        change_pos: Option<u32>,
        fee: Amount,
    ) -> std::result::Result<(), Amount> {
        let count = self.paying.len() as u64;
        for (number, paying) in self.paying.iter().enumerate() {
            let part = match number {
                0 => fee / count + fee % count,
                _ => fee / count,
            };
            let moved = change_pos.is_some_and(|place| place as usize <= *paying);
            let txout = &mut tx.output[paying + usize::from(moved)];
            txout.value = txout.value.checked_sub(part).ok_or(fee)?;
            check_dust(txout).map_err(|_| fee)?;
        }
        Ok(())
    }

    fn too_small(&self, fee: Amount) -> VaultError {
        VaultError::BadRequest(format!(
            "an amount is too small to pay its part of the fee of {fee}: send more, or pay the fee yourself"
        ))
    }

    fn check_result(
        &self,
        created: CreatedTransaction,
        coins: &[Utxo],
    ) -> Result<CreatedTransaction> {
        let most = self.max_weight.unwrap_or(MAX_WEIGHT).min(MAX_WEIGHT);
        if signed_weight(&created.tx) > Weight::from_wu(most.into()) {
            return Err(VaultError::BadRequest(format!(
                "the transaction would be heavier than {most} weight units: send less, or select larger coins"
            )));
        }
        if created.fee > MAX_FEE {
            return Err(VaultError::BadRequest(format!(
                "the fee would be {}, more than {MAX_FEE}: give a lower fee rate",
                created.fee
            )));
        }
        // The one check that all amounts are right.
        let spent: Amount = coins.iter().map(|coin| coin.txout().value).sum();
        let paid: Amount = created.tx.output.iter().map(|txout| txout.value).sum();
        assert_eq!(spent, paid + created.fee, "what is spent is what is paid");
        Ok(created)
    }
}

/// The weight of a transaction of the wallet's once it has its signatures.
pub(super) fn signed_weight(tx: &Transaction) -> Weight {
    // A signature and a key: 1 + 1 + 72 + 1 + 33 weight units.
    tx.weight() + MARKER + Weight::from_wu(108) * tx.input.len() as u64
}

/// The same as nodes count it for fees: in whole virtual bytes.
pub(super) fn relay_weight(tx: &Transaction) -> Weight {
    Weight::from_vb_unchecked(signed_weight(tx).to_vbytes_ceil())
}

/// Refuses an output that nodes do not relay.
fn check_dust(txout: &TxOut) -> Result<()> {
    let least = txout.script_pubkey.minimal_non_dust();
    match txout.value < least && !txout.script_pubkey.is_op_return() {
        true => Err(VaultError::Dust { amount: txout.value, least }),
        false => Ok(()),
    }
}

/// Puts the inputs in any order.
fn shuffle(outpoints: &mut [OutPoint]) {
    let mut random = thread_rng();
    for last in (1..outpoints.len()).rev() {
        outpoints.swap(last, random.gen_range(0..=last));
    }
}
