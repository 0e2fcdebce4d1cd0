use super::*;
use crate::template::mine_block;
use crate::testing::{block_with, mine, op_true};
use bitcoin::hashes::Hash;
use std::thread;

#[test]
fn starts_at_genesis_and_finds_what_it_holds() {
    let chain = Chain::regtest();
    let genesis = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";
    assert_eq!(chain.tip(), Tip { hash: genesis.parse().unwrap(), height: 0 });
    let hash = mine_block(&chain, op_true()).unwrap();
    assert_eq!(chain.tip(), Tip { hash, height: 1 });
    let block = chain.block_by_hash(&hash).unwrap();
    assert_eq!(chain.block_by_height(1), Some(block.clone()));
    assert_eq!(chain.height_of(&hash), Some(1));
    assert_eq!(chain.hash_at(1), Some(hash));
    assert!(chain.block_by_height(2).is_none());
    assert!(chain.block_by_hash(&BlockHash::all_zeros()).is_none());
}

#[test]
fn refuses_bad_parents() {
    let chain = Chain::regtest();
    let late = block_with(&chain, |b| b.header.time += 1);
    mine(&chain, 2);
    let refused = chain.check_block(&late, true, true).unwrap_err();
    assert_eq!(refused.reason, "inconclusive-not-best-prevblk");
    assert!(refused.is_stale() && chain.submit_block(&late).unwrap_err().is_stale());
    assert_eq!(chain.tip().height, 2);

    let orphan = block_with(&chain, |b| b.header.prev_blockhash = BlockHash::all_zeros());
    assert_eq!(chain.submit_block(&orphan).unwrap_err().reason, "prev-blk-not-found");
    assert_eq!(
        chain.check_block(&orphan, true, true).unwrap_err().reason,
        "inconclusive-not-best-prevblk"
    );

    let tip = chain.block_by_height(2).unwrap();
    assert_eq!(chain.submit_block(&tip).unwrap_err().reason, "duplicate");
}

#[test]
fn many_miners_make_one_chain() {
    let chain = Chain::regtest();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| mine(&chain, 5));
        }
    });
    assert_eq!(chain.tip().height, 20);
}
