//! A long way to the chain's tip.

use std::fs;
use std::sync::mpsc::channel;
use std::time::Instant;

use bitcoin_ipc_draft::chain::ChainHandle;
use bitcoin_ipc_draft::wallet::ShowWalletProgressCallbackClient;
use serde_json::json;

use super::between::{Call, between};
use super::split::{LONG, Node, wait_until};

/// How many blocks the wallet has missed; `WALLET_RESCAN_BLOCKS` says another number.
fn blocks() -> usize {
    std::env::var("WALLET_RESCAN_BLOCKS").map_or(1_000, |number| number.parse().unwrap())
}

/// The memory that this process has now, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_wallet_that_was_away_for_long_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    node.call("createwallet", json!({ "wallet_name": "a", "load_on_startup": true }));
    let script = node.address().script_pubkey();
    process.lose_node();
    let count = blocks();
    for place in 0..count {
        if place % 100 == 0 {
            node.mine(1, &script)
        } else {
            node.mine_empty(1)
        };
    }
    let before = resident();
    let began = Instant::now();
    let process = node.start();
    let wallet = process.wallet("a");
    wait_until("the wallet is at the tip", || {
        wallet.try_get_balances().wait().unwrap().block_hash == Some(node.chain.tip().hash)
    });
    let took = began.elapsed();
    println!(
        "{count} blocks in {took:?}: {:.0} blocks a second; memory before {before} KiB, after {} KiB",
        count as f64 / took.as_secs_f64(),
        resident()
    );
    let listed = node.call("listtransactions", json!({ "count": 1_000_000 }));
    assert_eq!(listed.as_array().unwrap().len(), count.div_ceil(100));
}

#[test]
fn a_rescan_finds_what_is_there_and_shows_how_far_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    node.call("createwallet", json!(["a"]));
    node.mine(3, &node.address().script_pubkey());
    node.mine_empty(200);
    let (sender, told) = channel();
    let callback = ShowWalletProgressCallbackClient::from_fn(move |title, percent| {
        sender.send((title, percent)).unwrap();
        Ok(())
    });
    let _handler = process.wallet("a").handle_show_progress(Some(callback)).wait().unwrap();
    let before = node.call("getbalances", json!([]));
    let scanned = node.call("rescanblockchain", json!([0]));
    assert_eq!(scanned, json!({ "start_height": 0, "stop_height": 203 }));
    assert_eq!(node.call("getbalances", json!([])), before);
    assert_eq!(node.call("getwalletinfo", json!([]))["scanning"], json!(false));
    assert_eq!(node.call("abortrescan", json!([])), json!(false), "there is none any more");
    let mut percents = Vec::new();
    while percents.last() != Some(&100) {
        let (title, percent): (String, i32) = told.recv_timeout(LONG).unwrap();
        assert_eq!(title, "[a] Rescanning\u{2026}");
        percents.push(percent);
    }
    assert_eq!(percents[0], 0);
    assert!(percents.len() > 3 && percents.is_sorted(), "{percents:?}");
    assert_eq!(
        node.error("/", "rescanblockchain", json!([204])),
        (-8, "Invalid start_height".to_owned())
    );
    assert_eq!(
        node.error("/", "rescanblockchain", json!([5, 4])),
        (-8, "Invalid stop_height".to_owned())
    );
}

/// The node's chain, where a look at the chain that takes long is ended as soon as its progress is shown for the first
/// time: the wallet is in that call then.
fn aborting(node: &Node) -> ChainHandle {
    let split = node.split.clone();
    between(node.split.chain_handle(), move |call| {
        if let Call::Progress(0) = call {
            let aborted = split.commands().execute("abortrescan", json!([]), "/", "");
            assert_eq!(aborted.unwrap().unwrap(), json!(true));
        }
        Ok(())
    })
}

#[test]
fn a_rescan_can_be_ended_early_and_goes_on_with_the_next_block() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start_on(aborting(&node));
    node.call("createwallet", json!(["a"]));
    node.mine(3, &node.address().script_pubkey());
    node.mine_empty(100);
    let wallet = process.wallet("a");
    let error = node.try_call("/", "rescanblockchain", json!([0])).unwrap_err();
    assert_eq!(error.to_string(), "Rescan aborted. (error -1)");
    // After the first blocks that it asked for.
    assert_eq!(node.call("getwalletinfo", json!([]))["lastprocessedblock"]["height"], json!(15));
    node.mine_empty(1);
    wait_until("the wallet is at the tip", || {
        wallet.try_get_balances().wait().unwrap().block_hash == Some(node.chain.tip().hash)
    });
    assert_eq!(node.call("getbalances", json!([]))["mine"]["trusted"], json!(150.0));
}

#[test]
fn a_wallet_whose_first_look_is_ended_early_has_looked_at_the_memory_pool() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    node.call("createwallet", json!({ "wallet_name": "a", "load_on_startup": true }));
    node.mine(1, &node.address().script_pubkey());
    node.mine_empty(100);
    node.call("sendtoaddress", json!(["bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", 1]));
    let sent = node.chain.mempool();
    process.lose_node();

    // A node with the same blocks and 200 more, which has lost the payment.
    let chain = bitcoin_regtest::Chain::regtest();
    for height in 1..=node.chain.tip().height {
        chain.submit_block(&node.chain.block_by_height(height).unwrap()).unwrap();
    }
    let node = Node::with(dir.path(), chain);
    node.mine_empty(200);
    let process = node.start_on(aborting(&node));
    wait_until("the payment is in the memory pool", || node.chain.mempool() == sent);
    let block = process.wallet("a").try_get_balances().wait().unwrap().block_hash;
    assert_eq!(block, node.chain.hash_at(116), "it was ended early");
}
