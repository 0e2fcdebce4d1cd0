//! Commands of a wallet that is not at the chain's tip yet: what they wait for.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use bitcoin_ipc::bitcoin::Transaction;
use bitcoin_ipc_draft::chain::{
    BlockInfo, ChainNotifications, ChainNotificationsClient, ChainstateRole,
};
use bitcoin_ipc_draft::values::RemovalReason;
use multiprocess::{Error, Result};
use serde_json::json;

use super::between::{Call, between};
use super::split::{LONG, Node, wait_until};

/// A node whose wallet `a` has 50 bitcoins, and has missed so many blocks after that.
fn left_behind(node: &Node, blocks: usize) {
    let process = node.start();
    node.call("createwallet", json!({ "wallet_name": "a", "load_on_startup": true }));
    let script = node.address().script_pubkey();
    process.lose_node();
    node.mine(1, &script);
    node.mine_empty(blocks.max(100) - 1);
}

/// Runs a command on a thread of its own, which the test does not wait for if it fails.
fn in_background<T: Send + 'static>(
    node: &Arc<Node>,
    command: impl FnOnce(&Node) -> T + Send + 'static,
) -> Receiver<T> {
    let (sender, answered) = channel();
    let node = Arc::clone(node);
    thread::spawn(move || sender.send(command(&node)));
    answered
}

#[test]
fn commands_wait_for_a_wallet_that_is_far_behind_at_its_start() {
    let dir = tempfile::tempdir().unwrap();
    let node = Arc::new(Node::new(dir.path()));
    left_behind(&node, 200);
    // Its second question for blocks, when the first ones are there, is answered when this is said.
    let (go, held) = channel();
    let (held, asked, waits) =
        (Mutex::new(held), AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&waits);
    let _process = node.start_on(between(node.split.chain_handle(), move |call| {
        match call {
            Call::FindBlock(_) if asked.fetch_add(1, Ordering::SeqCst) == 1 => {
                held.lock().unwrap().recv_timeout(LONG).unwrap();
            }
            Call::Wait => {
                seen.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
        Ok(())
    }));
    let balance = in_background(&node, |node| node.balance());
    wait_until("the balance is asked for", || waits.load(Ordering::SeqCst) > 0);
    // How far it is can be asked meanwhile, and another look is refused.
    wait_until("it is on its way", || {
        let info = node.call("getwalletinfo", json!([]));
        info["scanning"]["progress"].as_f64() > Some(0.0)
    });
    let error = node.error("/", "rescanblockchain", json!([0]));
    assert!(error.0 == -4 && error.1.contains("currently rescanning"), "{error:?}");
    assert!(balance.try_recv().is_err(), "it waits");
    go.send(()).unwrap();
    assert_eq!(balance.recv_timeout(LONG).unwrap(), 50.0);
    let info = node.call("getwalletinfo", json!([]));
    assert_eq!(
        (&info["scanning"], &info["lastprocessedblock"]["height"]),
        (&json!(false), &json!(200))
    );
}

/// The node has loaded it, and has not said yet that it starts.
#[test]
fn commands_wait_for_a_wallet_that_does_not_follow_the_chain_yet() {
    let dir = tempfile::tempdir().unwrap();
    let node = Arc::new(Node::new(dir.path()));
    left_behind(&node, 120);
    let (asks, asked) = channel();
    let process = node.connect_to(between(node.split.chain_handle(), move |call| {
        if let Call::Wait = call {
            asks.send(()).unwrap();
        }
        Ok(())
    }));
    process.loader.register_rpcs().wait().unwrap();
    assert!(process.loader.load().wait().unwrap());
    let balance = in_background(&node, |node| node.balance());
    asked.recv_timeout(LONG).unwrap();
    // Answered by now, if it did not wait.
    assert!(node.call("listlabels", json!([])).is_array() && balance.try_recv().is_err());
    process.loader.start().wait().unwrap();
    assert_eq!(balance.recv_timeout(LONG).unwrap(), 50.0);
}

#[test]
fn commands_that_wait_for_a_wallet_end_when_that_is_aborted_or_the_wallet_unloaded() {
    for (ends, answer) in [("abortrescan", None), ("unloadwallet", Some(-4))] {
        let dir = tempfile::tempdir().unwrap();
        let node = Arc::new(Node::new(dir.path()));
        left_behind(&node, 200);
        // Its second question is not answered before it is ended.
        let (go, held) = channel::<()>();
        let (held, asked) = (Mutex::new(held), AtomicUsize::new(0));
        let waits = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&waits);
        let process = node.start_on(between(node.split.chain_handle(), move |call| {
            match call {
                Call::FindBlock(_) if asked.fetch_add(1, Ordering::SeqCst) == 1 => {
                    let _ = held.lock().unwrap().recv_timeout(LONG);
                }
                Call::Wait => seen.store(true, Ordering::SeqCst),
                _ => {}
            }
            Ok(())
        }));
        wait_until("it is on its way", || {
            node.call("getwalletinfo", json!([]))["scanning"]["progress"].as_f64() > Some(0.0)
        });
        waits.store(false, Ordering::SeqCst);
        let balance =
            in_background(&node, |node| node.try_call("/wallet/a", "getbalance", json!([])));
        wait_until("the balance is asked for", || waits.load(Ordering::SeqCst));
        let ended = in_background(&node, |node| node.call_at("/wallet/a", ends, json!([])));
        if ends == "abortrescan" {
            // It is ended with the answer for which it waits.
            assert_eq!(ended.recv_timeout(LONG).unwrap(), json!(true));
            go.send(()).unwrap();
        }
        match (balance.recv_timeout(LONG).unwrap(), answer) {
            (Ok(balance), None) => assert_eq!(balance, json!(0.0), "its coin is immature"),
            (Err(error), Some(code)) => {
                assert!(error.to_string().contains(&format!("(error {code})")), "{error}");
            }
            other => panic!("{ends}: {other:?}"),
        }
        drop(go);
        if ends == "unloadwallet" {
            assert_eq!(ended.recv_timeout(LONG).unwrap(), json!({}));
        }
        process.lose_node();
    }
}

#[test]
fn commands_do_not_wait_for_a_rescan() {
    let dir = tempfile::tempdir().unwrap();
    let node = Arc::new(Node::new(dir.path()));
    left_behind(&node, 120);
    // Its second question for blocks is answered when this is said.
    let (go, held) = channel();
    let (held, asked) = (Mutex::new(held), Arc::new(AtomicUsize::new(usize::MAX / 2)));
    let counts = Arc::clone(&asked);
    let _process = node.start_on(between(node.split.chain_handle(), move |call| {
        if let Call::FindBlock(_) = call
            && counts.fetch_add(1, Ordering::SeqCst) == 1
        {
            held.lock().unwrap().recv_timeout(LONG).unwrap();
        }
        Ok(())
    }));
    assert_eq!(node.balance(), 50.0);
    asked.store(0, Ordering::SeqCst);
    let rescanned = in_background(&node, |node| node.call("rescanblockchain", json!([0])));
    wait_until("it is on its way", || {
        node.call("getwalletinfo", json!([]))["scanning"]["progress"].as_f64() > Some(0.0)
    });
    assert_eq!(node.balance(), 0.0, "its coin is immature, as far as it has seen");
    assert!(rescanned.try_recv().is_err(), "the rescan is under way");
    go.send(()).unwrap();
    assert_eq!(rescanned.recv_timeout(LONG).unwrap()["stop_height"], json!(120));
    assert_eq!(node.balance(), 50.0);
}

#[test]
fn commands_wait_while_the_node_fails_for_a_moment() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    node.call("createwallet", json!({ "wallet_name": "a", "load_on_startup": true }));
    node.mine(1, &node.address().script_pubkey());
    node.mine_empty(100);
    let txid = node.call("sendtoaddress", json!([node.address().to_string(), 20]));
    process.lose_node();
    // The look at the chain fails, and then that at the memory pool, which alone tells that the payment is there.
    let (blocks, sent) = (AtomicUsize::new(2), AtomicUsize::new(1));
    let _process = node.start_on(between(node.split.chain_handle(), move |call| match call {
        Call::FindBlock(_) if count_down(&blocks) => Err(Error::failed("no room now")),
        Call::Sent(_) if count_down(&sent) => Err(Error::failed("no room now")),
        _ => Ok(()),
    }));
    assert_eq!(node.call("gettransaction", json!([txid]))["trusted"], json!(true));
}

/// Whether it was above zero.
fn count_down(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[test]
fn commands_say_that_the_node_fails_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    left_behind(&node, 120);
    let fails = Arc::new(AtomicBool::new(true));
    // Not for ever, so that a command that waits for it is no test that hangs.
    let (failing, end) = (Arc::clone(&fails), Instant::now() + LONG);
    let _process = node.start_on(between(node.split.chain_handle(), move |call| match call {
        Call::FindBlock(_) if failing.load(Ordering::SeqCst) && Instant::now() < end => {
            Err(Error::failed("no such block"))
        }
        _ => Ok(()),
    }));
    for command in ["getbalance", "listtransactions"] {
        let (code, text) = node.error("/", command, json!([]));
        assert!(
            code == -4 && text.contains("tries again") && text.contains("no such block"),
            "{text}"
        );
    }
    let (code, text) = node.error("/", "rescanblockchain", json!([0]));
    assert!(
        code == -4 && text.contains("Rescan failed") && text.contains("no such block"),
        "{text}"
    );
    // How it is can be asked; and another wallet is made, with a warning.
    let info = node.call("getwalletinfo", json!([]));
    assert_eq!(info["lastprocessedblock"]["height"], json!(0));
    let made = node.call("createwallet", json!(["b"]));
    assert!(made["warnings"][0].as_str().unwrap().contains("no such block"), "{made}");
    fails.store(false, Ordering::SeqCst);
    wait_until("it goes on", || {
        node.try_call("/wallet/a", "getbalance", json!([])).is_ok_and(|balance| balance == 50.0)
    });
}

/// What a node tells, held until it is asked to wait for it.
struct Held {
    to: ChainNotificationsClient,
    transactions: Arc<Mutex<Vec<(ChainNotificationsClient, Transaction)>>>,
}

impl ChainNotifications for Held {
    fn transaction_added_to_mempool(&self, tx: Transaction) -> Result<()> {
        self.transactions.lock().unwrap().push((self.to.clone(), tx));
        Ok(())
    }

    fn transaction_removed_from_mempool(&self, tx: Transaction, why: RemovalReason) -> Result<()> {
        self.to.transaction_removed_from_mempool(tx, why).wait()
    }

    fn block_connected(&self, role: ChainstateRole, block: BlockInfo) -> Result<()> {
        self.to.block_connected(role, block).wait()
    }

    fn updated_block_tip(&self) -> Result<()> {
        self.to.updated_block_tip().wait()
    }
}

/// It has no `waitForNotifications`.
#[test]
fn notifications_of_a_node_of_february_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let held = Arc::default();
    let transactions = Arc::clone(&held);
    let chain = node.split.chain_handle();
    let of_all = node.split.chain_handle();
    let february = between(chain, move |call| match call {
        Call::Subscribe(told) => {
            let to = std::mem::replace(told, ChainNotificationsClient::new(Nobody));
            let transactions = Arc::clone(&transactions);
            *told = ChainNotificationsClient::new(Held { to, transactions });
            Ok(())
        }
        Call::Wait => Err(Error::unimplemented("waitForNotifications")),
        Call::WaitIfTipChanged => {
            of_all.wait_for_notifications().wait()?;
            let transactions: Vec<_> = std::mem::take(&mut *transactions.lock().unwrap());
            transactions.into_iter().try_for_each(|(to, tx): (ChainNotificationsClient, _)| {
                to.transaction_added_to_mempool(tx).wait()
            })
        }
        _ => Ok(()),
    });
    let _process = node.start_on(february);
    for name in ["a", "b"] {
        node.call("createwallet", json!([name]));
    }
    let address = |uri| node.call_at(uri, "getnewaddress", json!([]));
    node.mine(1, &super::split::address(&address("/wallet/a")).script_pubkey());
    node.mine_empty(100);
    node.call_at("/wallet/a", "sendtoaddress", json!([address("/wallet/b"), 3]));
    wait_until("the wallets were told of it", || {
        let held: &Mutex<Vec<_>> = &held;
        held.lock().unwrap().len() == 2
    });
    let pending = node.call_at("/wallet/b", "getbalances", json!([]));
    assert_eq!(pending["mine"]["untrusted_pending"], json!(3.0));
}

struct Nobody;

impl ChainNotifications for Nobody {}
