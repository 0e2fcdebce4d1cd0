//! The chain changes its past: while a wallet watches, while it is away, and while it catches up.

use std::sync::{Arc, Mutex};

use bitcoin_regtest::mine_block;
use serde_json::json;

use super::between::{Call, between};
use super::split::{Node, nobody, wait_until};

/// A wallet `a` that was paid in the last of `before` blocks, and its node.
fn paid(node: &Node) -> String {
    node.call("createwallet", json!({ "wallet_name": "a", "load_on_startup": true }));
    node.mine(1, &node.address().script_pubkey());
    node.mine_empty(100);
    assert_eq!(node.balance(), 50.0);
    let txid = node.call("sendtoaddress", json!([node.address().to_string(), 20]));
    txid.as_str().unwrap().to_owned()
}

#[test]
fn a_payment_leaves_the_chain_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let _process = node.start();
    let txid = paid(&node);
    let block = node.mine_empty(1)[0];
    let confirmations = || node.call("gettransaction", json!([txid]))["confirmations"].clone();
    assert_eq!(confirmations(), json!(1));
    assert!(node.chain.invalidate_block(&block));
    assert_eq!(confirmations(), json!(0));
    assert_eq!(node.call("getbalances", json!([]))["lastprocessedblock"]["height"], json!(101));
    // Another block with it, and one more.
    node.mine_empty(2);
    assert_eq!(confirmations(), json!(2));
}

#[test]
fn a_reorganization_while_the_wallet_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let txid = paid(&node);
    let blocks = node.mine_empty(20);
    // So that all of it is on the disk.
    process.lose_node();
    assert!(node.chain.invalidate_block(&blocks[0]));
    node.mine_empty(25);
    let _process = node.start();
    let last = node.call("getbalances", json!([]))["lastprocessedblock"].clone();
    assert_eq!(last, json!({ "height": 126, "hash": node.chain.tip().hash.to_string() }));
    assert_eq!(node.call("gettransaction", json!([txid]))["confirmations"], json!(25));
}

#[test]
fn the_node_comes_back_with_a_chain_that_ends_before_the_wallets_tip() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let txid = paid(&node);
    let blocks = node.mine_empty(3);
    assert_eq!(node.call("gettransaction", json!([txid]))["confirmations"], json!(3));
    process.lose_node();
    // It does not even know the blocks that it told of.
    let chain = bitcoin_regtest::Chain::regtest();
    for height in 1..=101 {
        chain.submit_block(&node.chain.block_by_height(height).unwrap()).unwrap();
    }
    assert!(chain.block_by_hash(&blocks[0]).is_none());
    let node = Node::with(dir.path(), chain);
    let _process = node.start();
    assert_eq!(node.call("gettransaction", json!([txid]))["confirmations"], json!(0));
    wait_until("it is in the new node's memory pool", || node.chain.mempool().len() == 1);
    node.mine_empty(1);
    assert_eq!(node.call("gettransaction", json!([txid]))["confirmations"], json!(1));
}

#[test]
fn reorganizations_while_the_wallet_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let txid = paid(&node);
    process.lose_node();
    node.mine_empty(400);
    // Whenever it asks for the next blocks, the chain is cut there: above its own tip, at it, and below it; and grows.
    let (chain, cuts) = (Arc::clone(&node.chain), Mutex::new(Vec::new()));
    let cuts = Arc::new(cuts);
    let noted = Arc::clone(&cuts);
    let reorganizes = move |call: Call<'_>| {
        let Call::FindBlock(own) = call else { return Ok(()) };
        let mut cuts = noted.lock().unwrap();
        // It asks for blocks of a branch that was left, too, to find the way back.
        if let Some(height) = chain.height_of(&own).filter(|height| *height >= 110)
            && cuts.len() < 20
        {
            let cut = height + 8 - u32::try_from(cuts.len() % 3 * 8).unwrap();
            assert!(chain.invalidate_block(&chain.hash_at(cut).unwrap()));
            for _ in 0..40 {
                mine_block(&chain, nobody()).unwrap();
            }
            cuts.push(cut);
        }
        Ok(())
    };
    let _process = node.start_on(between(node.split.chain_handle(), reorganizes));
    let last = node.call("getbalances", json!([]))["lastprocessedblock"].clone();
    assert_eq!(last["hash"], json!(node.chain.tip().hash.to_string()));
    assert_eq!(cuts.lock().unwrap().len(), 20);
    // It is in the first block after the wallet had left.
    let told = node.call("gettransaction", json!([txid]));
    assert_eq!(told["confirmations"], json!(node.chain.tip().height - 101));
    assert_eq!(told["blockhash"], json!(node.chain.hash_at(102).unwrap().to_string()));
}
