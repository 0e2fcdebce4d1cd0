//! Coins, the memory pool, fees.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, Sequence, Transaction, Txid};
use bitcoin_ipc_draft::values::{Broadcast, FeeReason, Replaceability};
use bitcoin_ipc_draft::{Coin, FeeRate};
use bitcoin_regtest::{anyone_can_spend, subsidy};

use crate::support::{Served, child_of, serve, spend};

fn first_output(transaction: &Transaction) -> OutPoint {
    OutPoint { txid: transaction.compute_txid(), vout: 0 }
}

fn broadcast(served: &Served, transaction: &Transaction, max_fee: u64) -> Result<(), String> {
    let max_fee = Amount::from_sat(max_fee);
    let sent =
        served.chain.broadcast_transaction(transaction.clone(), max_fee, Broadcast::MempoolAndAll);
    let sent = sent.wait().unwrap();
    assert_eq!(sent.result, sent.error.is_empty());
    if sent.result { Ok(()) } else { Err(sent.error) }
}

fn rate(per_kvb: i64) -> FeeRate {
    FeeRate::from_sat_per_kvb(per_kvb)
}

#[test]
fn coins_of_the_chain_and_the_memory_pool_are_found() {
    let served = serve();
    served.mine(101);
    let spending = served.paying(1, 500);
    served.submit(&spending);
    let spent = spending.input[0].previous_output;
    let unknown = OutPoint { txid: Txid::all_zeros(), vout: 0 };
    let genesis = served.node.chain().block_by_height(0).unwrap().txdata[0].compute_txid();
    let asked = [spent, first_output(&spending), unknown, OutPoint { txid: genesis, vout: 0 }];
    let found = served.chain.find_coins(asked.map(|outpoint| (outpoint, None)).to_vec());
    let output = |value: Amount| bitcoin::TxOut { value, script_pubkey: anyone_can_spend() };
    let in_chain = Coin { output: output(subsidy(1)), height: 1, coinbase: true };
    let value = spending.output[0].value;
    let in_pool = Coin { output: output(value), height: 0x7fff_ffff, coinbase: false };
    let expected =
        [(asked[0], Some(in_chain)), (asked[1], Some(in_pool)), (asked[2], None), (asked[3], None)];
    assert_eq!(found.wait().unwrap(), expected);
    served.mine(1);
    let found = served.chain.find_coins(vec![(spent, None), (asked[1], None)]).wait().unwrap();
    let mined = Coin { output: output(value), height: 102, coinbase: false };
    assert_eq!(found, [(spent, None), (asked[1], Some(mined))]);
}

#[test]
fn a_transaction_is_broadcast_or_the_reason_told() {
    let served = serve();
    served.mine(103);
    let transaction = served.paying(1, 500);
    assert_eq!(broadcast(&served, &transaction, 500), Ok(()));
    assert!(served.chain.is_in_mempool(transaction.compute_txid()).wait().unwrap());
    assert_eq!(broadcast(&served, &transaction, 500), Ok(()), "again");
    let refused = |transaction: &Transaction, max_fee: u64, text: &str| {
        let error = broadcast(&served, transaction, max_fee).unwrap_err();
        assert!(error.contains(text), "{error}");
        let txid = transaction.compute_txid();
        assert!(!served.chain.is_in_mempool(txid).wait().unwrap());
    };
    refused(&served.paying(1, 501), 0, "insufficient fee, rejecting replacement");
    refused(&served.paying(2, 5), 0, "min relay fee not met");
    refused(&served.paying(2, 501), 500, "Fee exceeds maximum configured by user");
    refused(&served.paying(103, 500), 0, "bad-txns-premature-spend-of-coinbase");
    let missing = spend(OutPoint { txid: Txid::all_zeros(), vout: 3 }, Amount::ONE_SAT);
    refused(&missing, 0, "bad-txns-inputs-missingorspent");
    assert_eq!(broadcast(&served, &served.paying(2, 501), 0), Ok(()), "0 is any");
    served.mine(1);
    let error = broadcast(&served, &transaction, 0).unwrap_err();
    assert_eq!(error, "Transaction outputs already in utxo set");
    let private = served.chain.broadcast_transaction(
        served.paying(3, 500),
        Amount::ZERO,
        Broadcast::PrivateOnly,
    );
    let private = private.wait().unwrap();
    assert!(!private.result && private.error.contains("this node has no peers"), "{private:?}");
    assert!(served.node.chain().mempool().is_empty());
}

#[test]
fn relatives_in_the_memory_pool_are_counted() {
    let served = serve();
    served.mine(102);
    let first = served.paying(1, 1_000);
    let second = child_of(&first, 2_000);
    let third = child_of(&second, 3_000);
    for transaction in [&first, &second, &third] {
        served.submit(transaction);
    }
    let ancestry = |transaction: &Transaction| {
        let found = served.chain.get_transaction_ancestry(transaction.compute_txid());
        let found = found.wait().unwrap();
        (found.ancestors, found.descendants, found.ancestorsize, found.ancestorfees.to_sat())
    };
    let size = first.vsize() as u64;
    assert_eq!(ancestry(&first), (1, 3, size, 1_000));
    assert_eq!(ancestry(&second), (2, 2, 2 * size, 3_000));
    assert_eq!(ancestry(&third), (3, 1, 3 * size, 6_000));
    let unknown = served.paying(2, 1_000);
    assert_eq!(ancestry(&unknown), (0, 0, 0, 0));
    let descends = |transaction: &Transaction| {
        served.chain.has_descendants_in_mempool(transaction.compute_txid()).wait().unwrap()
    };
    assert!(descends(&second) && !descends(&third) && !descends(&unknown));

    let replaceable =
        |transaction: &Transaction| served.chain.is_rbf_opt_in(transaction.clone()).wait().unwrap();
    assert_eq!(replaceable(&third), Replaceability::Final);
    assert_eq!(replaceable(&unknown), Replaceability::Unlisted);
    let mut says_so = unknown.clone();
    says_so.input[0].sequence = Sequence::ENABLE_RBF_NO_LOCKTIME;
    assert_eq!(replaceable(&says_so), Replaceability::Replaceable);
    let child = child_of(&says_so, 1_000);
    served.submit(&says_so);
    assert_eq!(replaceable(&child), Replaceability::Unlisted);
    served.submit(&child);
    assert_eq!(replaceable(&child), Replaceability::Replaceable);
}

#[test]
fn too_long_a_chain_of_transactions_is_told_before_it_is_sent() {
    let served = serve();
    served.mine(101);
    let limits = served.chain.get_package_limits().wait().unwrap();
    assert_eq!((limits.ancestors, limits.descendants), (25, 25));
    let mut last = served.paying(1, 1_000);
    for _ in 1..25 {
        served.submit(&last);
        last = child_of(&last, 1_000);
    }
    let check = |transaction: &Transaction| {
        served.chain.check_chain_limits(transaction.clone()).wait().unwrap().error
    };
    assert_eq!(check(&last), None);
    served.submit(&last);
    let error = check(&child_of(&last, 1_000)).unwrap().original;
    assert_eq!(error, "too many unconfirmed ancestors [limit: 25]");
}

#[test]
fn fee_rates_are_told_with_their_reason() {
    let served = serve();
    served.mine(101);
    let estimate =
        |blocks: i32| served.chain.estimate_smart_fee(blocks, true, true).wait().unwrap();
    let usual = estimate(6);
    let calculation = usual.calc.unwrap();
    assert_eq!(usual.result, rate(1_000));
    assert_eq!(FeeReason::from(calculation.reason), FeeReason::MempoolMin);
    assert_eq!((calculation.desired_target, calculation.returned_target), (6, 6));
    assert_eq!(calculation.best_height, 101);
    let without = served.chain.estimate_smart_fee(6, false, false).wait().unwrap();
    assert_eq!((without.result, without.calc), (rate(1_000), None));
    for none in [0, -1, 1_009] {
        let estimate = estimate(none);
        assert_eq!(estimate.result, rate(0));
        assert_eq!(FeeReason::from(estimate.calc.unwrap().reason), FeeReason::None);
    }
    assert_eq!(served.chain.estimate_max_blocks().wait().unwrap(), 1_008);
    assert_eq!(served.chain.mempool_min_fee().wait().unwrap(), rate(100));
    assert_eq!(served.chain.relay_min_fee().wait().unwrap(), rate(100));
    assert_eq!(served.chain.relay_incremental_fee().wait().unwrap(), rate(100));
    assert_eq!(served.chain.relay_dust_fee().wait().unwrap(), rate(3_000));
}

#[test]
fn a_full_memory_pool_makes_the_next_block_dearer() {
    let served = serve();
    served.mine(103);
    // Three of 400,000 virtual bytes: only two fit.
    for (height, fee) in [(1, 4_000_000), (2, 3_000_000), (3, 2_000_000)] {
        let mut transaction = served.paying(height, fee);
        transaction.output.push(bitcoin::TxOut {
            value: Amount::ZERO,
            script_pubkey: bitcoin::ScriptBuf::from_bytes([&[0x6a][..], &[1; 399_900]].concat()),
        });
        served.submit(&transaction);
    }
    let estimate = |blocks: i32| {
        let estimate = served.chain.estimate_smart_fee(blocks, false, true).wait().unwrap();
        (estimate.result.sat_per_kvb(), FeeReason::from(estimate.calc.unwrap().reason))
    };
    let (next, reason) = estimate(1);
    assert!((5_000..5_200).contains(&next) && reason == FeeReason::FullEstimate, "{next}");
    assert_eq!(estimate(2), (1_000, FeeReason::MempoolMin));
}

#[test]
fn what_a_transaction_has_to_pay_for_others_is_calculated() {
    let served = serve();
    served.mine(104);
    // 1,000 satoshis in all for a parent and its child of the same size.
    let parent = served.paying(1, 200);
    let child = child_of(&parent, 800);
    let rich = served.paying(2, 50_000);
    for transaction in [&parent, &child, &rich] {
        served.submit(transaction);
    }
    let size = child.vsize() as u64;
    assert_eq!(parent.vsize() as u64, size);
    let target = 20_000;
    let due = |vsize: u64| bitcoin_regtest::fee_at(target, vsize).to_sat();
    let outpoints = [
        first_output(&child),
        first_output(&parent),
        first_output(&rich),
        served.paying(3, 1).input[0].previous_output,
    ];
    let each = |outpoints: &[OutPoint], target: i64| -> Vec<u64> {
        let fees = served.chain.calculate_individual_bump_fees(outpoints.to_vec(), rate(target));
        let fees = fees.wait().unwrap();
        assert_eq!(fees.iter().map(|(outpoint, _)| *outpoint).collect::<Vec<_>>(), outpoints);
        fees.iter().map(|(_, fee)| fee.to_sat()).collect()
    };
    let together = |outpoints: &[OutPoint], target: i64| {
        let fee = served.chain.calculate_combined_bump_fee(outpoints.to_vec(), rate(target));
        fee.wait().unwrap().unwrap() as u64
    };
    // With the child's output.
    assert_eq!(each(&outpoints[..1], 20_000), [due(2 * size) - 1_000]);
    // The parent's is spent by the child, which would be replaced: only the parent counts.
    assert_eq!(each(&outpoints[1..2], 20_000), [due(size) - 200]);
    // One that pays enough, and one that is in the chain.
    assert_eq!(each(&outpoints[2..], 20_000), [0, 0]);
    assert_eq!(together(&[outpoints[0], outpoints[2]], 20_000), due(2 * size) - 1_000);
    // At the rate of both together nothing is lacking, though the parent alone pays less.
    let both = (1_000 * 1_000 / (2 * size)) as i64;
    assert_eq!((each(&outpoints[..1], both), together(&outpoints[..1], both)), (vec![0], 0));
    assert_eq!(each(&outpoints[..1], -1), [0]);
    // Two outputs of two that need the same parent pay for it once.
    let mut wide = served.paying(4, 100);
    wide.output[0].value = Amount::from_sat(1_000_000);
    wide.output.push(wide.output[0].clone());
    wide.output.push(bitcoin::TxOut {
        value: subsidy(4) - Amount::from_sat(2_000_100),
        script_pubkey: anyone_can_spend(),
    });
    served.submit(&wide);
    let outputs = [0, 1].map(|vout| OutPoint { txid: wide.compute_txid(), vout });
    let one = due(wide.vsize() as u64) - 100;
    assert_eq!((each(&outputs, 20_000), together(&outputs, 20_000)), (vec![one, one], one));
}
