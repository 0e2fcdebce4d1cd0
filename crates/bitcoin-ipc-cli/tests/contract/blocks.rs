//! What becomes of blocks that are checked and submitted.

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, Block, BlockHash, CompactTarget, TxMerkleNode};
use bitcoin_ipc::mining::{BlockCheckOptions, Outcome};
use serde_json::json;

use crate::Test;
use crate::nodes::{Node, changed, reason, solved, submit};

pub(crate) const TESTS: &[Test] = &[
    ("a_solution_becomes_the_tip_and_stays_in_its_template", a_solution_becomes_the_tip),
    ("stale_and_repeated_blocks", stale_and_repeated_blocks),
    ("stale_and_repeated_solutions", stale_and_repeated_solutions),
    ("reasons_of_checks", reasons_of_checks),
    ("a_bad_block_is_remembered", a_bad_block_is_remembered),
    ("a_block_that_pays_too_much", a_block_that_pays_too_much),
];

fn a_solution_becomes_the_tip(node: &Node) {
    let template = node.template();
    let block = solved(&template, b"one");
    assert!(submit(&template, &block).is_accepted());
    let tip = node.mining.get_tip().wait().unwrap().unwrap();
    assert_eq!((tip.height, tip.hash), (1, block.block_hash()));
    assert_eq!(template.get_block().wait().unwrap(), block);
    assert_eq!(template.get_block_header().wait().unwrap(), block.header);
}

fn stale_and_repeated_blocks(node: &Node) {
    let template = node.template();
    let (first, late) = (solved(&template, b"first"), solved(&template, b"late"));
    let submit = |block: &Block| node.mining.submit_block(block.clone()).wait().unwrap();
    assert!(submit(&first).is_accepted());
    assert_eq!(reason(submit(&first)), "duplicate");
    assert_eq!(reason(submit(&late)), "inconclusive");
    assert_eq!(reason(submit(&late)), "duplicate");
    assert_eq!(node.mining.get_tip().wait().unwrap().unwrap().hash, first.block_hash());
    let orphan =
        changed(&late, |block| block.header.prev_blockhash = BlockHash::from_byte_array([7; 32]));
    assert_eq!(reason(submit(&orphan)), "prev-blk-not-found");
    let check = |block: &Block| {
        let options = BlockCheckOptions::default();
        reason(node.mining.check_block(block.clone(), options).wait().unwrap())
    };
    for block in [&late, &orphan] {
        assert_eq!(check(block), "inconclusive-not-best-prevblk");
    }
}

/// Up to 31 the node answers that it has taken such a solution; later that it is of no use, with the word.
fn stale_and_repeated_solutions(node: &Node) {
    let (early, late) = (node.template(), node.template());
    let solution = solved(&early, b"early");
    assert!(submit(&early, &solution).is_accepted());
    for (outcome, word) in [
        (submit(&early, &solution), "duplicate"),
        (submit(&late, &solved(&late, b"late")), "inconclusive"),
    ] {
        match outcome {
            Outcome::Accepted => {}
            Outcome::Rejected(rejection) => assert!(rejection.is(word), "{rejection}"),
        }
    }
    assert_eq!(node.mining.get_tip().wait().unwrap().unwrap().hash, solution.block_hash());
}

fn reasons_of_checks(node: &Node) {
    node.mine(20);
    let good = solved(&node.template(), b"good");
    let check = |block: &Block, root, pow| {
        let options = BlockCheckOptions::default().check_merkle_root(root).check_pow(pow);
        node.mining.check_block(block.clone(), options).wait().unwrap()
    };
    assert!(check(&good, true, true).is_accepted());
    let refused = |word: &str, change: &dyn Fn(&mut Block)| {
        assert_eq!(reason(check(&changed(&good, change), true, true)), word);
    };
    refused("bad-diffbits", &|block| {
        block.header.bits = CompactTarget::from_consensus(0x207f_fffe)
    });
    refused("time-too-old", &|block| block.header.time = 1_296_688_602);
    refused("time-too-new", &|block| block.header.time += 3 * 60 * 60);
    refused("bad-version(0x00000003)", &|block| {
        block.header.version = bitcoin::block::Version::from_consensus(3);
    });
    refused("bad-cb-height", &|block| {
        block.txdata[0].input[0].script_sig = vec![1, 99, 0].into();
    });
    refused("bad-cb-length", &|block| block.txdata[0].input[0].script_sig = vec![0x51].into());
    refused("bad-txns-nonfinal", &|block| {
        block.txdata[0].lock_time = LockTime::from_consensus(21);
    });
    refused("bad-cb-amount", &|block| block.txdata[0].output[0].value += Amount::ONE_SAT);
    refused("bad-txns-vout-empty", &|block| block.txdata[0].output.clear());
    refused("bad-witness-nonce-size", &|block| block.txdata[0].input[0].witness.clear());
    refused("unexpected-witness", &|block| drop(block.txdata[0].output.pop()));

    let mut hard = good.clone();
    while hard.header.target().is_met_by(hard.block_hash()) {
        hard.header.nonce += 1;
    }
    assert_eq!(reason(check(&hard, true, true)), "high-hash");
    assert!(check(&hard, true, false).is_accepted());
    let mut rootless = good.clone();
    rootless.header.merkle_root = TxMerkleNode::all_zeros();
    assert_eq!(reason(check(&rootless, true, false)), "bad-txnmrklroot");
    assert!(check(&rootless, false, false).is_accepted());
    assert_eq!(node.height(), 20, "nothing was submitted");
}

/// Unless what is wrong is not covered by its hash.
fn a_bad_block_is_remembered(node: &Node) {
    node.mine(20);
    let good = solved(&node.template(), b"good");
    let submit = |block: &Block| node.mining.submit_block(block.clone()).wait().unwrap();
    let mut bare = good.clone();
    bare.txdata[0].input[0].witness.clear();
    assert_eq!(reason(submit(&bare)), "bad-witness-nonce-size");
    let bad = changed(&good, |block| {
        block.txdata[0].input[0].script_sig = vec![1, 99, 0].into();
    });
    assert_eq!(reason(submit(&bad)), "bad-cb-height");
    assert_eq!(reason(submit(&bad)), "duplicate-invalid");
    let on_bad = changed(&good, |block| {
        block.header.prev_blockhash = bad.block_hash();
        block.header.time += 1;
    });
    assert_eq!(reason(submit(&on_bad)), "bad-prevblk");
    assert!(submit(&good).is_accepted());
    assert_eq!(node.call("getbestblockhash", json!([])).unwrap(), good.block_hash().to_string());
}

fn a_block_that_pays_too_much(node: &Node) {
    let greedy = changed(&solved(&node.template(), b"greedy"), |block| {
        block.txdata[0].output[0].value += Amount::ONE_SAT;
    });
    let submit = || node.mining.submit_block(greedy.clone()).wait().unwrap();
    let rejection = submit().into_result().unwrap_err();
    assert!(rejection.is("bad-cb-amount"), "{rejection}");
    let debug = rejection.debug.unwrap();
    assert!(debug.contains("actual=5000000001 vs limit=5000000000"), "{debug}");
    assert_eq!(reason(submit()), "duplicate-invalid");
    assert_eq!(node.height(), 0);
}
