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
