use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, Block};

use crate::Chain;
use crate::coins::subsidy;
use crate::template::mine_block;
use crate::testing::{block_with, coinbase_outpoint, mine, op_true, spend};

/// The blocks that another node of the same chain mines on the block at this height.
fn branch(chain: &Arc<Chain>, height: u32, blocks: u32) -> Vec<Arc<Block>> {
    let other = Chain::regtest();
    for height in 1..=height {
        other.submit_block(&chain.block_by_height(height).unwrap()).unwrap();
    }
    // Other blocks than those of the chain, also in the same second.
    let script = bitcoin::ScriptBuf::from_bytes(vec![0x52]);
    for _ in 0..blocks {
        mine_block(&other, script.clone()).unwrap();
    }
    (height + 1..=height + blocks).map(|height| other.block_by_height(height).unwrap()).collect()
}

#[test]
fn the_branch_with_the_most_work_is_the_chain() {
    let chain = Chain::regtest();
    mine(&chain, 103);
    let tx = spend(coinbase_outpoint(&chain, 1), subsidy(1) - Amount::ONE_SAT);
    let branch = branch(&chain, 102, 2);
    chain.invalidate_block(&chain.tip().hash);
    chain.submit_transaction(tx.clone()).unwrap();
    mine(&chain, 1);
    let left = chain.tip();
    assert!(chain.mempool().is_empty() && chain.coin(&coinbase_outpoint(&chain, 1)).is_none());

    assert_eq!(chain.submit_block(&branch[0]).unwrap_err().reason, "inconclusive");
    assert_eq!(chain.submit_block(&branch[0]).unwrap_err().reason, "duplicate");
    assert_eq!(chain.tip(), left, "no more work");
    assert_eq!(chain.submit_block(&branch[1]), Ok(()));
    assert_eq!(chain.tip().hash, branch[1].block_hash());
    assert_eq!((chain.tip().height, chain.height_of(&left.hash)), (104, None));
    assert!(chain.block_by_hash(&left.hash).is_some(), "it is kept");
    // Its transaction and the coin that it spends are there again, its coinbase's coin is not.
    assert_eq!(chain.mempool(), [tx]);
    assert_eq!(chain.coin(&coinbase_outpoint(&chain, 1)), Some(subsidy(1)));
    let gone = chain.block_by_hash(&left.hash).unwrap().txdata[0].compute_txid();
    assert!(chain.coin(&bitcoin::OutPoint { txid: gone, vout: 0 }).is_none());
    mine(&chain, 1);
    assert_eq!(chain.block_by_height(105).unwrap().txdata.len(), 2);
}

#[test]
fn a_branch_that_turns_out_to_be_bad_changes_nothing() {
    let chain = Chain::regtest();
    mine(&chain, 3);
    let other = Chain::regtest();
    other.submit_block(&chain.block_by_height(1).unwrap()).unwrap();
    // Pays too much, which only shows when it is to be in the chain.
    let greedy = block_with(&other, |block| {
        block.txdata[0].output[0].value += Amount::ONE_SAT;
    });
    let on = |block: &Block, number: u32| {
        block_with(&chain, |next| {
            next.header.prev_blockhash = block.block_hash();
            next.header.time += number;
            next.txdata[0].lock_time = LockTime::from_consensus(number - 1);
            let script = crate::check::height_script(number);
            next.txdata[0].input[0].script_sig = [script.as_bytes(), &[0]].concat().into();
        })
    };
    let before = chain.tip();
    let (second, third) = (on(&greedy, 3), on(&on(&greedy, 3), 4));
    assert_eq!(chain.submit_block(&greedy).unwrap_err().reason, "inconclusive");
    assert_eq!(chain.submit_block(&second).unwrap_err().reason, "inconclusive");
    assert_eq!(chain.submit_block(&third).unwrap_err().reason, "bad-cb-amount");
    assert_eq!(chain.tip(), before);
    assert_eq!(chain.submit_block(&greedy).unwrap_err().reason, "duplicate-invalid");
    assert_eq!(chain.submit_block(&on(&third, 5)).unwrap_err().reason, "bad-prevblk");
    mine(&chain, 1);
    assert_eq!(chain.tip().height, 4);
}

#[test]
fn blocks_can_be_invalidated_and_come_back() {
    let chain = Chain::regtest();
    mine(&chain, 5);
    let (tip, third) = (chain.tip(), chain.hash_at(3).unwrap());
    assert!(chain.invalidate_block(&third));
    assert_eq!(chain.tip().height, 2);
    let late = chain.block_by_hash(&tip.hash).unwrap();
    assert_eq!(chain.submit_block(&late).unwrap_err().reason, "duplicate-invalid");
    assert!(chain.reconsider_block(&tip.hash));
    assert_eq!(chain.tip(), tip);
    assert!(!chain.invalidate_block(&chain.hash_at(0).unwrap()), "the genesis block stays");
    mine_block(&chain, op_true()).unwrap();
    assert_eq!(chain.tip().height, 6);
}

#[test]
fn the_first_block_of_today_ends_the_initial_download() {
    let chain = Chain::regtest();
    assert!(chain.is_initial_block_download());
    // A node that was away for long.
    let day = 24 * 60 * 60;
    chain.set_time(Some(chain.time() - 10 * day));
    mine(&chain, 1);
    assert!(!chain.is_initial_block_download());
    chain.set_time(None);
    assert!(!chain.is_initial_block_download(), "once is enough");
    let chain = Chain::regtest();
    let old = block_with(&chain, |block| block.header.time -= 2 * day as u32);
    chain.submit_block(&old).unwrap();
    assert!(chain.is_initial_block_download());
    mine(&chain, 1);
    assert!(!chain.is_initial_block_download());
}
