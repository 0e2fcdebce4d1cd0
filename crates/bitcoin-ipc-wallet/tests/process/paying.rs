//! A wallet gets paid, pays, and comes back with what it had.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::between::{Call, between};
use super::split::{Node, nobody, wait_until};

#[test]
fn a_wallet_is_paid_and_pays_and_comes_back_with_the_same_balance() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    assert_eq!(
        node.call("createwallet", json!({ "wallet_name": "a", "load_on_startup": true })),
        json!({ "name": "a" })
    );
    let own = node.address();
    node.mine(1, &own.script_pubkey());
    node.mine_empty(99);
    assert_eq!(node.call("getbalances", json!([]))["mine"]["immature"], json!(50.0));
    node.mine_empty(1);
    assert_eq!(node.balance(), 50.0);

    // Paid to somebody else.
    let other = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let txid = node.call(
        "sendtoaddress",
        json!({ "address": other, "amount": 1.25, "fee_rate": 2, "comment": "lunch" }),
    );
    assert_eq!(node.chain.mempool().len(), 1, "the node has it");
    let told = node.call("gettransaction", json!([txid]));
    assert_eq!(
        (&told["confirmations"], &told["comment"], &told["trusted"]),
        (&json!(0), &json!("lunch"), &json!(true))
    );
    let fee = told["fee"].as_f64().unwrap();
    assert!((-0.00001..0.0).contains(&fee), "{fee}");
    assert_eq!(told["amount"], json!(-1.25));
    assert_eq!(told["details"][0]["category"], json!("send"));
    let left = node.balance();
    assert_eq!(left, ((48.75 + fee) * 1e8).round() / 1e8, "its change can be spent");

    node.mine_empty(1);
    assert_eq!(node.call("gettransaction", json!([txid]))["confirmations"], json!(1));
    assert_eq!(node.balance(), left);
    assert!(node.chain.mempool().is_empty());

    // Another process, with the same balance; meanwhile the chain went on.
    process.lose_node();
    wait_until("its commands are gone", || node.split.commands().names().is_empty());
    node.mine(1, &own.script_pubkey());
    let _process = node.start();
    assert_eq!(node.call("listwallets", json!([])), json!(["a"]));
    assert_eq!(node.balance(), left);
    let balances = node.call("getbalances", json!([]));
    assert_eq!(balances["mine"]["immature"], json!(50.0));
    assert_eq!(balances["lastprocessedblock"]["height"], json!(103));
}

#[test]
fn two_wallets_pay_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let _process = node.start();
    for name in ["a", "b c"] {
        node.call("createwallet", json!([name]));
    }
    let address = |uri| super::split::address(&node.call_at(uri, "getnewaddress", json!(["mine"])));
    let (a, b) = ("/wallet/a", "/wallet/b%20c");
    node.mine(1, &address(a).script_pubkey());
    node.mine_empty(100);
    let to = address(b).to_string();
    let txid = node.call_at(a, "sendtoaddress", json!([to, "10.00000001"]));
    let pending = node.call_at(b, "getbalances", json!([]));
    assert_eq!(pending["mine"]["untrusted_pending"], json!(10.000_000_01));
    assert_eq!(node.call_at(b, "getbalance", json!([])), json!(0.0));
    node.mine(1, &nobody());
    assert_eq!(node.call_at(b, "getbalance", json!([])), json!(10.000_000_01));
    let got = node.call_at(b, "gettransaction", json!([txid]));
    assert_eq!(
        (&got["amount"], &got["details"][0]["label"]),
        (&json!(10.000_000_01), &json!("mine"))
    );
    assert_eq!(got.get("fee"), None, "somebody else has paid it");
    let unspent = node.call_at(b, "listunspent", json!([]));
    assert_eq!(unspent[0]["address"], json!(to));
    let error = node.error("/", "getbalance", json!([]));
    assert_eq!(error.0, -19, "{}", error.1);
    assert_eq!(node.error("/wallet/c", "getbalance", json!([])).0, -18);
}

#[test]
fn a_payment_that_the_node_has_lost_is_given_to_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    node.call("createwallet", json!({ "wallet_name": "a", "load_on_startup": true }));
    node.mine(1, &node.address().script_pubkey());
    node.mine_empty(100);
    let other = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    node.call("sendtoaddress", json!([other, 1]));
    let sent = node.chain.mempool();
    process.lose_node();

    // The same blocks without a memory pool: as a node that was started again.
    let chain = bitcoin_regtest::Chain::regtest();
    for height in 1..=node.chain.tip().height {
        chain.submit_block(&node.chain.block_by_height(height).unwrap()).unwrap();
    }
    let node = Node::with(dir.path(), chain);
    let _process = node.start();
    wait_until("the payment is in the memory pool", || node.chain.mempool() == sent);
}

#[test]
fn a_payment_that_is_replaced_while_it_is_sent_is_not_in_the_memory_pool() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    // The node has the payment, and has not answered yet.
    let replaced = Arc::new(Mutex::new(None));
    let (split, noted) = (node.split.clone(), Arc::clone(&replaced));
    let process = node.start_on(between(node.split.chain_handle(), move |call| {
        if let Call::Sent(tx) = call
            && tx.input.len() == 1
            && noted.lock().unwrap().replace(json!("soon")).is_none()
        {
            let call = |name, params| split.commands().execute(name, params, "/", "");
            let txid = tx.compute_txid().to_string();
            let bumped = call("bumpfee", json!([txid, { "fee_rate": 50 }])).unwrap().unwrap();
            // The wallet has taken in all that the node has told of that.
            call("getbalance", json!([])).unwrap().unwrap();
            *noted.lock().unwrap() = Some(bumped);
        }
        Ok(())
    }));
    node.call("createwallet", json!(["a"]));
    node.mine(1, &node.address().script_pubkey());
    node.mine_empty(100);
    let other = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let txid = node.call("sendtoaddress", json!([other, 1]));
    let bumped = replaced.lock().unwrap().clone().unwrap();
    assert_eq!(node.chain.mempool()[0].compute_txid().to_string(), bumped["txid"]);

    let fee = bumped["fee"].as_f64().unwrap();
    assert_eq!(node.balance(), ((49.0 - fee) * 1e8).round() / 1e8, "the replacement counts");
    let told = node.call("gettransaction", json!([txid]));
    assert_eq!(
        (&told["trusted"], &told["walletconflicts"]),
        (&json!(false), &json!([bumped["txid"]]))
    );
    let told = node.call("gettransaction", json!([bumped["txid"]]));
    assert_eq!(told["trusted"], json!(true));
    drop(process);
}
