//! Branches, and the errors of JSON-RPC.

use bitcoin::Amount;
use bitcoin_ipc::codec::FOREVER;
use serde_json::json;

use crate::Test;
use crate::nodes::{LONG, Node, solved};

pub(crate) const TESTS: &[Test] = &[
    ("the_branch_with_more_work_is_the_chain", the_branch_with_more_work_is_the_chain),
    ("a_block_that_is_invalidated", a_block_that_is_invalidated),
    ("errors_of_json_rpc", errors_of_json_rpc),
];

fn the_branch_with_more_work_is_the_chain(node: &Node) {
    node.mine(101);
    let side = solved(&node.template(), b"side");
    let main = node.mine(1)[0];
    let submit = |block: &bitcoin::Block| node.mining.submit_block(block.clone()).wait().unwrap();
    assert!(!submit(&side).is_accepted(), "no more work");
    assert_eq!(node.mining.get_tip().wait().unwrap().unwrap().hash, main);
    // A block on it, made by a node that has it as its tip.
    node.call("invalidateblock", json!([main.to_string()])).unwrap();
    let next = solved(&node.template(), b"next");
    assert_eq!(next.header.prev_blockhash, side.block_hash());
    node.call("reconsiderblock", json!([main.to_string()])).unwrap();
    assert_eq!(node.height(), 102);
    assert!(submit(&next).is_accepted());
    let tip = node.mining.get_tip().wait().unwrap().unwrap();
    assert_eq!((tip.height, tip.hash), (103, next.block_hash()));
    assert_eq!(node.block(102), side);
}

/// The chain gets shorter, those who wait are told, and its transactions are to be mined again.
fn a_block_that_is_invalidated(node: &Node) {
    node.mine(101);
    let tx = node.spend(1, Amount::from_sat(10_000));
    let hash = node.mine(1)[0];
    assert_eq!(node.call("getrawmempool", json!([])).unwrap(), json!([]));
    let waits = node.mining.wait_tip_changed(hash, FOREVER).timeout(LONG).start();
    node.call("invalidateblock", json!([hash.to_string()])).unwrap();
    assert_eq!(waits.wait().unwrap().unwrap().height, 101);
    let txid = tx.compute_txid().to_string();
    assert_eq!(node.call("getrawmempool", json!([])).unwrap(), json!([txid]));
    // To another script: in the same second it would be the same block again.
    node.call("generatetodescriptor", json!([1, "raw(52)"])).unwrap();
    assert_eq!(node.block(102).txdata[1..], [tx]);
}

fn errors_of_json_rpc(node: &Node) {
    node.mine(1);
    let spent = bitcoin::consensus::encode::serialize_hex(&bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![bitcoin::TxIn {
            previous_output: bitcoin::OutPoint { vout: 0, ..Default::default() },
            ..Default::default()
        }],
        output: vec![bitcoin::TxOut {
            value: Amount::ONE_SAT,
            script_pubkey: vec![0x51; 10].into(),
        }],
    });
    for (method, params, told) in [
        ("nosuchmethod", json!([]), ["-32601", "Method not found"]),
        ("getblockhash", json!([2]), ["-8", "Block height out of range"]),
        ("getblock", json!(["00"]), ["-8", "must be of length 64"]),
        ("getblockheader", json!(["0".repeat(64)]), ["-5", "Block not found"]),
        ("invalidateblock", json!(["0".repeat(64)]), ["-5", "Block not found"]),
        ("sendrawtransaction", json!(["00"]), ["-22", "TX decode failed"]),
        ("sendrawtransaction", json!([spent]), ["-25", "bad-txns-inputs-missingorspent"]),
        ("submitblock", json!(["00"]), ["-22", "Block decode failed"]),
    ] {
        let error = node.call(method, params).unwrap_err();
        assert!(told.iter().all(|part| error.contains(part)), "{method}: {error}");
    }
    let again = node.block(1);
    let again = bitcoin::consensus::encode::serialize_hex(&again);
    assert_eq!(node.call("submitblock", json!([again])).unwrap(), "duplicate");
}
