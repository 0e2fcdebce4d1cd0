//! Fee rates: what is asked for, what is likely, and what it costs to pay for others.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Amount, OutPoint, Txid};
use bitcoin_ipc::common::FeeCalculation;
use bitcoin_ipc_draft::FeeRate;
use bitcoin_ipc_draft::values::FeeReason;
use bitcoin_regtest::{INCREMENTAL_RELAY_FEE, MIN_RELAY_FEE, View, fee_at};

/// From which rate the memory pool takes a transaction.
pub(super) const MIN_RELAY: FeeRate = FeeRate::from_sat_per_kvb(MIN_RELAY_FEE as i64);
/// By how much a replacement has to pay more.
pub(super) const INCREMENTAL: FeeRate = FeeRate::from_sat_per_kvb(INCREMENTAL_RELAY_FEE as i64);
/// By which it is decided what is dust.
pub(super) const DUST: FeeRate = FeeRate::from_sat_per_kvb(3_000);
/// The most blocks for which there are estimates.
pub(super) const MAX_BLOCKS: u32 = 1_008;

/// What is estimated where there is room in the next blocks.
const USUAL: i64 = 1_000;
/// The virtual bytes of a block that transactions can have.
const ROOM: u64 = 998_000;
/// So many transactions that are connected are looked at, and not more.
const MAX_CLUSTER: usize = 500;

/// The rate for a confirmation within so many blocks, and how it was found: if there is not room for all of the memory pool in
/// these, a little more than the best that has to wait; else the usual one. 0 if there can be no estimate.
pub(super) fn estimate(view: &View<'_>, blocks: i32) -> (FeeRate, FeeCalculation) {
    let height = view.tip().height;
    let none = FeeCalculation::default().desired_target(blocks).best_height(height);
    let Some(count) = u32::try_from(blocks).ok().filter(|count| (1..=MAX_BLOCKS).contains(count))
    else {
        return (FeeRate::from_sat_per_kvb(0), none);
    };
    let mut rates: Vec<(u64, u64)> = view
        .mempool()
        .map(|entry| {
            (entry.fee.to_sat().saturating_mul(1_000) / entry.vsize().max(1), entry.vsize())
        })
        .collect();
    rates.sort_unstable_by(|a, b| b.cmp(a));
    let mut room = u64::from(count) * ROOM;
    let waiting = rates.iter().find(|(_, vsize)| match room.checked_sub(*vsize) {
        Some(left) => {
            room = left;
            false
        }
        None => true,
    });
    let paid = waiting.and_then(|(rate, _)| i64::try_from(rate + INCREMENTAL_RELAY_FEE).ok());
    let (rate, reason) = match paid {
        Some(rate) if rate > USUAL => (rate, FeeReason::FullEstimate),
        _ => (USUAL, FeeReason::MempoolMin),
    };
    let calculation = none.returned_target(blocks).reason(i32::from(reason));
    (FeeRate::from_sat_per_kvb(rate), calculation)
}

/// For each output what a transaction that spends it has to pay for those that it needs, so that all have this rate. Empty if
/// too many transactions are connected.
pub(super) fn bump_each(
    view: &View<'_>,
    outpoints: &[OutPoint],
    target: FeeRate,
) -> Vec<(OutPoint, Amount)> {
    let Some(waiting) = Waiting::new(view, outpoints, target) else { return Vec::new() };
    let bump = |outpoint: &OutPoint| (*outpoint, waiting.bump(outpoint.txid));
    outpoints.iter().map(bump).collect()
}

/// The same for a transaction that spends all of them, in satoshis. None if too many transactions are connected.
pub(super) fn bump_together(
    view: &View<'_>,
    outpoints: &[OutPoint],
    target: FeeRate,
) -> Option<i64> {
    let waiting = Waiting::new(view, outpoints, target)?;
    let all = outpoints.iter().flat_map(|outpoint| waiting.ancestors(outpoint.txid)).collect();
    i64::try_from(waiting.lacking(&all)).ok()
}

/// Transactions that would not be in a block whose transactions pay a rate.
struct Waiting {
    /// Satoshis for 1,000 virtual bytes.
    target: u64,
    transactions: BTreeMap<Txid, Package>,
}

struct Package {
    fee: u64,
    vsize: u64,
    needs: Vec<Txid>,
}

impl Waiting {
    /// Those that are connected with the outputs', without those that would be replaced because they spend one.
    fn new(view: &View<'_>, outpoints: &[OutPoint], target: FeeRate) -> Option<Waiting> {
        let spenders = outpoints.iter().filter_map(|outpoint| view.mempool_spender(outpoint));
        let replaced: BTreeSet<Txid> = spenders
            .flat_map(|txid| view.mempool_descendants(&txid).unwrap_or_default())
            .map(|entry| entry.txid)
            .collect();
        let mut transactions = BTreeMap::new();
        let mut look: Vec<Txid> = outpoints.iter().map(|outpoint| outpoint.txid).collect();
        while let Some(txid) = look.pop() {
            let Some(entry) = view.mempool_entry(&txid) else { continue };
            if replaced.contains(&txid) || transactions.contains_key(&txid) {
                continue;
            }
            let inputs = entry.transaction.input.iter();
            let needs: Vec<Txid> = inputs.map(|input| input.previous_output.txid).collect();
            look.extend(&needs);
            let outputs = (0..).zip(&entry.transaction.output);
            look.extend(
                outputs.filter_map(|(vout, _)| view.mempool_spender(&OutPoint { txid, vout })),
            );
            let package = Package { fee: entry.fee.to_sat(), vsize: entry.vsize(), needs };
            transactions.insert(txid, package);
            if transactions.len() > MAX_CLUSTER {
                return None;
            }
        }
        let target = u64::try_from(target.sat_per_kvb()).unwrap_or(0);
        let mut waiting = Waiting { target, transactions };
        waiting.mine();
        Some(waiting)
    }

    /// Takes out what would be in the block: again and again the best paid one with those that it needs.
    fn mine(&mut self) {
        loop {
            let packages = self.transactions.keys().map(|txid| self.ancestors(*txid));
            let rate = |all: &BTreeSet<Txid>| {
                let (fee, vsize) = self.sums(all);
                u128::from(fee) * 1_000_000 / u128::from(vsize.max(1))
            };
            let best = packages.max_by_key(rate).filter(|best| self.lacking(best) == 0);
            let Some(best) = best else { return };
            self.transactions.retain(|txid, _| !best.contains(txid));
        }
    }

    /// It and those that it needs, as far as they wait.
    fn ancestors(&self, txid: Txid) -> BTreeSet<Txid> {
        let mut found = BTreeSet::new();
        let mut look = vec![txid];
        while let Some(txid) = look.pop() {
            if let Some(package) = self.transactions.get(&txid)
                && found.insert(txid)
            {
                look.extend(&package.needs);
            }
        }
        found
    }

    /// Fees in satoshis, and virtual bytes.
    fn sums(&self, all: &BTreeSet<Txid>) -> (u64, u64) {
        let packages = all.iter().filter_map(|txid| self.transactions.get(txid));
        packages.fold((0, 0), |(fee, vsize), package| (fee + package.fee, vsize + package.vsize))
    }

    /// What these lack for the rate, in satoshis.
    fn lacking(&self, all: &BTreeSet<Txid>) -> u64 {
        let (fee, vsize) = self.sums(all);
        fee_at(self.target, vsize).to_sat().saturating_sub(fee)
    }

    /// What one and those that it needs lack, and it alone if that is more.
    fn bump(&self, txid: Txid) -> Amount {
        if !self.transactions.contains_key(&txid) {
            return Amount::ZERO;
        }
        let alone = self.lacking(&BTreeSet::from([txid]));
        Amount::from_sat(self.lacking(&self.ancestors(txid)).max(alone))
    }
}
