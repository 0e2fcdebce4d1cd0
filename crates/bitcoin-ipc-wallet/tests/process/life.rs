//! The life of a wallet process: what it refuses, how it ends, and that nothing of it is left.

use std::sync::mpsc::channel;
use std::thread;

use bitcoin_ipc::common::GlobalArgs;
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::chain::ChainHandle;
use bitcoin_ipc_draft::wallet::LoadWalletCallbackClient;
use serde_json::json;

use super::split::{LONG, Node, Process, wait_until};

/// Waits until no thread follows the wallet of this name. It has ended by then, but the system lists a thread for a moment
/// longer than it runs.
fn no_thread_is_left(wallet: &str) {
    wait_until(&format!("no thread follows {wallet}"), || threads_of(wallet) == 0);
}

/// The threads of this process that follow the wallet of this name.
fn threads_of(wallet: &str) -> usize {
    // The system keeps 15 bytes of a name.
    let name = format!("wallet-{wallet}");
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let named = threads.filter_map(|thread| {
        let comm = std::fs::read_to_string(thread.ok()?.path().join("comm")).ok()?;
        (comm.trim_end() == name).then_some(())
    });
    named.count()
}

#[test]
fn a_loader_needs_settings_and_a_chain_and_is_the_only_one() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.connect();
    let make = |args: GlobalArgs, chain: Option<ChainHandle>| {
        let error = process.init.make_wallet_loader(args, chain).wait().unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let chain = || Some(node.split.chain_handle());
    assert!(make(node.settings(), None).contains("no chain"));
    let mut moon = node.settings();
    moon.settings.forced_settings.insert("chain".to_owned(), "\"moon\"".to_owned());
    assert!(make(moon, chain()).contains("the chain \"moon\""));
    assert!(make(node.settings(), chain()).contains("has a loader already"));
    // Another one when that is gone.
    process.loader.close().wait().unwrap();
    let again = process.init.make_wallet_loader(node.settings(), chain()).wait().unwrap();
    assert!(again.unwrap().get_wallets().wait().unwrap().is_empty());
    assert_eq!(
        process.init.make_echo().wait().unwrap().unwrap().echo("hello").wait().unwrap(),
        "hello"
    );
}

#[test]
fn a_wallet_is_open_in_one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let first = node.start();
    node.call("createwallet", json!(["a"]));
    let second = node.connect();
    let refused = second.loader.load_wallet("a").wait().unwrap().result.into_result().unwrap_err();
    assert!(refused.original.contains("is open already"), "{}", refused.original);
    assert_eq!(node.error("/", "loadwallet", json!(["a"])).0, -35);
    node.call("unloadwallet", json!(["a"]));
    assert!(second.loader.load_wallet("a").wait().unwrap().result.into_result().unwrap().is_some());
    drop(first);
}

#[test]
fn wallets_that_are_loaded_are_loaded_again_until_they_are_unloaded() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let pass = Passphrase::default;
    for name in ["a", "b", "c"] {
        process.loader.create_wallet(name, pass(), 0).wait().unwrap().result.into_result().unwrap();
    }
    process.wallet("b").remove().wait().unwrap();
    node.call("unloadwallet", json!(["c", true]));
    node.call("createwallet", json!({ "wallet_name": "d", "load_on_startup": false }));
    node.call("createwallet", json!(["e"]));
    assert_eq!(node.split.settings().rw("wallet"), json!(["a", "c", "e"]));
    node.call("unloadwallet", json!(["e"]));
    process.loader.stop().wait().unwrap();
    drop(process);
    assert_eq!(node.split.settings().rw("wallet"), json!(["a", "c"]));

    // One that is not there is skipped, with a warning.
    std::fs::remove_dir_all(dir.path().join("wallets/c")).unwrap();
    let process = node.start();
    assert_eq!(node.call("listwallets", json!([])), json!(["a"]));
    assert_eq!(
        node.call("listwalletdir", json!([]))["wallets"],
        json!([{ "name": "a" }, { "name": "b" }, { "name": "d" }, { "name": "e" }])
    );
    drop(process);
}

#[test]
fn a_damaged_wallet_is_told_of_before_anything_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    process.loader.create_wallet("a", Passphrase::default(), 0).wait().unwrap();
    process.lose_node();
    std::fs::write(dir.path().join("wallets/a/wallet.sqlite"), "no wallet at all").unwrap();
    let process = node.connect();
    assert!(!process.loader.verify().wait().unwrap());
    assert!(!process.loader.load().wait().unwrap());
    assert!(process.loader.get_wallets().wait().unwrap().is_empty());
}

/// What a node does, one after the other.
const STEPS: [fn(&Process); 6] = [
    |_| (),
    |process| process.loader.register_rpcs().wait().unwrap(),
    |process| assert!(process.loader.verify().wait().unwrap()),
    |process| assert!(process.loader.load().wait().unwrap()),
    |process| process.loader.start().wait().unwrap(),
    // In the middle of catching up, or after it.
    |process| assert!(process.wallet("vanish").get_balances().wait().is_ok()),
];

#[test]
fn a_node_that_vanishes_at_any_step_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    node.call("createwallet", json!({ "wallet_name": "vanish", "load_on_startup": true }));
    node.mine(1, &node.address().script_pubkey());
    process.lose_node();
    for last in 0..STEPS.len() {
        node.mine_empty(40);
        let process = node.connect();
        STEPS[..=last].iter().for_each(|step| step(&process));
        process.lose_node();
        no_thread_is_left("vanish");
        wait_until("its commands are gone", || node.split.commands().names().is_empty());
    }
    // The file is free, and nothing is lost.
    let _process = node.start();
    assert_eq!(node.balance(), 50.0);
    assert_eq!(threads_of("vanish"), 1);
}

#[test]
fn a_node_that_vanishes_during_a_call_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    node.call("createwallet", json!({ "wallet_name": "midcall", "load_on_startup": true }));
    node.mine_empty(600);
    let connection = process.connection.clone();
    let (begun, waits) = channel();
    let callback =
        bitcoin_ipc_draft::wallet::ShowWalletProgressCallbackClient::from_fn(move |_, _| {
            let _ = begun.send(());
            Ok(())
        });
    let _handler = process.wallet("midcall").handle_show_progress(Some(callback)).wait().unwrap();
    thread::scope(|scope| {
        let rescan = scope.spawn(|| node.try_call("/", "rescanblockchain", json!([0])));
        waits.recv_timeout(LONG).unwrap();
        connection.disconnect();
        // Either it was done, or the connection is gone.
        let _ = rescan.join().unwrap();
    });
    process.lose_node();
    no_thread_is_left("midcall");
    let _process = node.start();
    wait_until("the wallet is at the tip", || {
        node.call("getwalletinfo", json!([]))["lastprocessedblock"]["height"] == json!(600)
    });
}

#[test]
fn the_end_in_order_writes_everything_and_frees_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    node.call("createwallet", json!(["ordered"]));
    node.mine_empty(5);
    assert_eq!(node.call("getwalletinfo", json!([]))["lastprocessedblock"]["height"], json!(5));
    process.loader.stop().wait().unwrap();
    wait_until("its commands are gone", || node.split.commands().names().is_empty());
    no_thread_is_left("ordered");
    let late = process.loader.load_wallet("ordered").wait().unwrap().result.into_result();
    assert!(late.unwrap_err().original.contains("is ending"));
    let other = node.connect();
    assert!(other.loader.load_wallet("ordered").wait().unwrap().result.into_result().is_ok());
}

#[test]
fn the_node_is_told_of_wallets_that_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let (sender, told) = channel();
    let callback = LoadWalletCallbackClient::from_fn(move |wallet| {
        let wallet: bitcoin_ipc_draft::wallet::WalletClient = wallet.unwrap();
        sender.send(wallet.get_wallet_name().wait()?).unwrap();
        Ok(())
    });
    let handler = process.loader.handle_load_wallet(Some(callback)).wait().unwrap().unwrap();
    node.call("createwallet", json!(["a"]));
    assert_eq!(told.recv_timeout(LONG).unwrap(), "a");
    node.call("unloadwallet", json!(["a"]));
    node.call("loadwallet", json!(["a"]));
    assert_eq!(told.recv_timeout(LONG).unwrap(), "a");
    handler.disconnect().wait().unwrap();
    node.call("createwallet", json!(["b"]));
    assert!(told.recv_timeout(LONG).is_err(), "it is told of no more");
}
