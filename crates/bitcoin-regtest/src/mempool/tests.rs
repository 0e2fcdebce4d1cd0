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
    assert_eq!(refused(&paying(&chain, 1, 501)), "insufficient fee");
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

fn reason(chain: &Chain, tx: &Transaction) -> String {
    chain.submit_transaction(tx.clone()).unwrap_err().to_string()
}

/// One that spends the first output of each of these.
fn join(parents: &[&Transaction], fee: u64) -> Transaction {
    let outpoint = |tx: &&Transaction| OutPoint { txid: tx.compute_txid(), vout: 0 };
    let value: Amount = parents.iter().map(|tx| tx.output[0].value).sum();
    let mut joined = spend(outpoint(&parents[0]), value - Amount::from_sat(fee));
    joined.input = parents.iter().map(|tx| spend(outpoint(tx), value).input[0].clone()).collect();
    joined
}

#[test]
fn a_replacement_pays_more_than_all_that_it_replaces() {
    let chain = Chain::regtest();
    mine(&chain, 102);
    let old = paying(&chain, 1, 1_000);
    let child = join(&[&old], 3_000);
    chain.submit_transaction(old.clone()).unwrap();
    chain.submit_transaction(child.clone()).unwrap();
    let refused = |fee: u64| reason(&chain, &paying(&chain, 1, fee));
    assert!(refused(999).starts_with("insufficient fee, rejecting replacement"));
    assert!(refused(999).contains("; new feerate "));
    assert!(refused(3_999).contains(", less fees than conflicting txs; "));
    // 7 satoshis: 100 for 1,000 virtual bytes, of which it has 61 to 70.
    assert!(refused(4_006).contains(", not enough additional fees to relay; "));
    let before = chain.mempool();
    assert_eq!(before, [old.clone(), child.clone()]);
    let own = {
        let mut own = join(&[&old], 9_000);
        own.input.push(old.input[0].clone());
        own
    };
    assert!(reason(&chain, &own).starts_with("bad-txns-spends-conflicting-tx, "));
    let new = paying(&chain, 1, 4_007);
    chain.submit_transaction(new.clone()).unwrap();
    assert_eq!(chain.mempool(), std::slice::from_ref(&new));
    let view = chain.view();
    assert_eq!(view.mempool_spender(&coinbase_outpoint_of(&old)), Some(new.compute_txid()));
    assert!(view.mempool_coin(&OutPoint { txid: old.compute_txid(), vout: 0 }).is_none());
}

fn coinbase_outpoint_of(tx: &Transaction) -> OutPoint {
    tx.input[0].previous_output
}

#[test]
fn a_chain_of_transactions_has_a_limit() {
    let chain = Chain::regtest();
    mine(&chain, 101);
    let mut all = vec![paying(&chain, 1, 1_000)];
    for _ in 1..crate::MAX_RELATIVES {
        all.push(join(&[&all[all.len() - 1]], 1_000));
    }
    for tx in &all {
        chain.submit_transaction(tx.clone()).unwrap();
    }
    let next = join(&[&all[all.len() - 1]], 1_000);
    let too_long = "too-long-mempool-chain, too many unconfirmed ancestors [limit: 25]";
    assert_eq!(reason(&chain, &next), too_long);
    {
        let view = chain.view();
        let txid = all[12].compute_txid();
        assert_eq!(view.mempool_ancestors(&txid).unwrap().len(), 13);
        assert_eq!(view.mempool_descendants(&txid).unwrap().len(), 13);
    }
    // A replacement of the last one is as long, and fits.
    let replacement = join(&[&all[all.len() - 2]], 2_000);
    chain.submit_transaction(replacement.clone()).unwrap();
    // With the first one in a block there is room for one more.
    mine(&chain, 1);
    assert!(chain.mempool().is_empty());
}

#[test]
fn many_that_need_the_same_one_have_a_limit() {
    let chain = Chain::regtest();
    mine(&chain, 101);
    let mut parent = paying(&chain, 1, 10_000);
    parent.output = vec![parent.output[0].clone(); 30];
    for output in &mut parent.output {
        output.value = Amount::from_sat(100_000_000);
    }
    chain.submit_transaction(parent.clone()).unwrap();
    let child = |vout: u32| {
        let outpoint = OutPoint { txid: parent.compute_txid(), vout };
        spend(outpoint, Amount::from_sat(99_000_000))
    };
    for vout in 0..24 {
        chain.submit_transaction(child(vout)).unwrap();
    }
    let text = format!("too many descendants for tx {} [limit: 25]", parent.compute_txid());
    assert_eq!(reason(&chain, &child(24)), format!("too-long-mempool-chain, {text}"));
}

#[test]
fn what_is_relayed_pays_enough_and_not_too_much() {
    let chain = Chain::regtest();
    mine(&chain, 101);
    let refused = |fee: u64, most| {
        let most = Some(Amount::from_sat(most));
        chain.broadcast(paying(&chain, 1, fee), most).unwrap_err().reason
    };
    assert_eq!(refused(6, 100), "min relay fee not met");
    assert_eq!(refused(101, 100), "max-fee-exceeded");
    assert!(chain.mempool().is_empty());
    chain.broadcast(paying(&chain, 1, 100), Some(Amount::from_sat(100))).unwrap();
    assert_eq!(chain.mempool().len(), 1);
}

/// After any history the pool is one that could be made anew, and all its tables agree.
#[test]
fn its_tables_agree_after_replacements_and_reorganizations() {
    let chain = Chain::regtest();
    mine(&chain, 110);
    for round in 0..6 {
        for height in 1..=5 {
            let _ = chain.submit_transaction(paying(&chain, height, 1_000 * (round + 1)));
        }
        let parents = chain.mempool();
        for parent in parents.iter().take(3) {
            let _ = chain.submit_transaction(join(&[parent], 1_000 + round));
        }
        match round % 3 {
            0 => crate::orders::reorganize(&chain, 2).map(drop).unwrap(),
            1 => drop(chain.invalidate_block(&chain.tip().hash)),
            _ => mine(&chain, 1),
        }
        chain.lock().mempool.assert_consistent();
    }
}
