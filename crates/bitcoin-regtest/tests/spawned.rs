//! A node of both forms, with the same tests; and what only one in a process of its own does.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bitcoin::{Amount, ScriptBuf};
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::{BlockCreateOptions, MiningClient};
use bitcoin_ipc::rpc::RpcClient;
use bitcoin_ipc::{Connection, Error};
use bitcoin_regtest::{RegtestNode, SpawnedNode, TestNode};
use multiprocess::process::FdArgs;

const PROGRAM: &str = env!("CARGO_BIN_EXE_bitcoin-regtest");
const LONG: Duration = Duration::from_secs(20);

fn spawned() -> SpawnedNode {
    SpawnedNode::start_program(PROGRAM).unwrap()
}

/// Runs a test with a node of each form.
fn both(test: impl Fn(&dyn TestNode)) {
    test(&RegtestNode::start().unwrap());
    test(&spawned());
}

fn mining(node: &dyn TestNode) -> MiningClient {
    let ipc = Ipc::new(IpcOptions::client("test").datadir(node.datadir()));
    let init = ipc.connect_address("unix").unwrap().unwrap();
    init.make_mining().wait().unwrap().unwrap()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn blocks_fees_and_reorganisations() {
    both(|node| {
        let script = ScriptBuf::from_hex("6a0474657374").unwrap();
        let mined = node.mine_to(1, &script).unwrap();
        assert_eq!(mining(node).get_tip().wait().unwrap().unwrap().hash, mined[0]);
        let block = node.block(1).unwrap();
        assert_eq!(
            (block.block_hash(), &block.txdata[0].output[0].script_pubkey),
            (mined[0], &script)
        );
        node.mine(101).unwrap();
        let fee = Amount::from_sat(700);
        let paid = node.pay_fee(fee).unwrap();
        let template = mining(node)
            .create_new_block(BlockCreateOptions::default(), false)
            .wait()
            .unwrap()
            .unwrap();
        assert_eq!(template.get_tx_fees().wait().unwrap(), [fee]);
        assert_eq!(node.live_templates().unwrap(), 1);
        let new = node.reorganize(1).unwrap();
        assert_eq!(new.len(), 2);
        let tip = node.tip().unwrap();
        assert_eq!((tip.height, tip.hash), (103, new[1]));
        assert_eq!(node.block(102).unwrap().txdata[1].compute_txid(), paid);
        let refused = node.reorganize(104).unwrap_err().to_string();
        assert!(refused.contains("cannot take 104 blocks out of a chain of 103"), "{refused}");
    });
}

#[test]
fn time_delays_and_errors() {
    both(|node| {
        node.set_time(Some(2_000_000_000)).unwrap();
        node.mine(1).unwrap();
        assert_eq!(node.block(1).unwrap().header.time, 2_000_000_000);
        node.set_time(None).unwrap();
        assert!(node.block(1).unwrap().header.time > 1_999_999_999);

        let mining = mining(node);
        node.fail("Mining.getTip", 1, "no disk").unwrap();
        let failed = mining.get_tip().wait().unwrap_err();
        assert!(
            matches!(&failed, Error::Remote { message, .. } if message == "no disk"),
            "{failed}"
        );
        node.delay("Mining.getTip", LONG).unwrap();
        let cut = mining.get_tip().timeout(Duration::from_millis(30)).wait();
        assert!(matches!(cut, Err(Error::Timeout(_))), "{cut:?}");
        node.clear_faults().unwrap();
        mining.get_tip().wait().unwrap();
        assert_eq!(node.calls("Mining.getTip").unwrap(), 3);
        let unknown = node.delay("Mining.tip", LONG).unwrap_err().to_string();
        assert!(unknown.contains("the node has no method Mining.tip"), "{unknown}");
        // Orders are not what they order.
        node.fail("Rpc.executeRpc", 1, "no").unwrap();
        assert_eq!(node.tip().unwrap().height, 1);
    });
}

#[test]
fn it_goes_away_and_comes_back() {
    both(|node| {
        node.mine(3).unwrap();
        let before = mining(node);
        let tip = before.get_tip().wait().unwrap().unwrap();
        let waits = before.wait_tip_changed(tip.hash, LONG).start();
        wait_until("it waits", || node.waiters().unwrap() == 1);
        node.go_away().unwrap();
        assert!(waits.wait().unwrap_err().is_disconnect());
        assert!(!node.socket().exists());
        node.come_back().unwrap();
        assert_eq!(mining(node).get_tip().wait().unwrap(), Some(tip));
    });
}

#[test]
fn a_killed_node_comes_back_with_its_chain() {
    let node = spawned();
    // Of a time to come, and not all of the node's own.
    node.set_time(Some(3_000_000_000)).unwrap();
    node.mine(2).unwrap();
    let before = mining(&node);
    let template =
        before.create_new_block(BlockCreateOptions::default(), false).wait().unwrap().unwrap();
    let mut block = template.get_block().wait().unwrap();
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    assert!(bitcoin_regtest::solve(&mut block.header));
    assert!(before.submit_block(block.clone()).wait().unwrap().is_accepted());
    node.fail("Mining.getTip", 9, "lost with the process").unwrap();
    let first = node.process_id().unwrap();
    for _ in 0..2 {
        node.kill();
        assert!(mining_fails(&before) && node.process_id().is_none());
        assert!(node.socket().exists(), "nobody has removed it");
        let gone = node.tip().unwrap_err();
        assert!(gone.is_disconnect() && gone.to_string().contains("restart it first"), "{gone}");
        node.restart().unwrap();
        assert_eq!(mining(&node).get_tip().wait().unwrap().unwrap().hash, block.block_hash());
        assert_eq!(node.tip().unwrap().height, 3);
    }
    assert_ne!(node.process_id(), Some(first));
    wait_until("the first is gone", || !exists(first));
    // Of the time that was set.
    node.mine(1).unwrap();
    assert!((3_000_000_000..3_000_000_100).contains(&node.block(4).unwrap().header.time));
    let running = node.process_id().unwrap();
    node.mine(1).unwrap();
    node.restart().unwrap();
    assert!(!exists(running), "one that runs is killed before");
    assert_eq!(node.tip().unwrap().height, 5);
}

fn mining_fails(mining: &MiningClient) -> bool {
    mining.get_tip().wait().unwrap_err().is_disconnect()
}

#[test]
fn one_that_others_killed_can_be_restarted() {
    let node = spawned();
    node.mine(1).unwrap();
    node.kill();
    node.restart().unwrap();
    node.mine(1).unwrap();
    let pid = node.process_id().unwrap();
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    wait_until("it is gone", || node.tip().is_err());
    node.restart().unwrap();
    assert_eq!(node.tip().unwrap().height, 1, "the chain of the last kill that was ordered");
}

#[test]
fn nothing_is_left_of_it() {
    for killed in [false, true] {
        let node = spawned();
        let (pid, dir) = (node.process_id().unwrap(), node.datadir().to_owned());
        assert!(exists(pid) && dir.exists());
        if killed {
            node.kill();
        }
        drop(node);
        assert!(!exists(pid) && !dir.exists(), "killed: {killed}");
    }
}

/// Not a test of its own: the process that the next ones start.
#[test]
fn has_a_node_until_it_is_killed() {
    let Some(tell) = std::env::var_os("BITCOIN_REGTEST_TEST") else { return };
    // Renamed, so that what is there is all of it.
    let say = |text: String| {
        let path = Path::new(&tell);
        std::fs::write(path.with_extension("new"), text).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    };
    match RegtestNode::spawn() {
        Ok(node) => {
            say(node.process_id().unwrap().to_string());
            loop {
                std::thread::park();
            }
        }
        Err(error) => say(error.to_string()),
    }
}

/// Runs that in a process: it, and what it says.
fn with_a_node(environment: &[(&str, &str)]) -> (Child, String) {
    let dir = tempfile::tempdir().unwrap();
    let tell = dir.path().join("said");
    let mut parent = Command::new(std::env::current_exe().unwrap());
    parent.args(["has_a_node_until_it_is_killed", "--exact", "-q"]).stdout(Stdio::null());
    parent.env("BITCOIN_REGTEST_TEST", &tell).envs(environment.iter().copied());
    let parent = parent.spawn().unwrap();
    let mut said = None;
    wait_until("it has a node, or not", || {
        said = std::fs::read_to_string(&tell).ok();
        said.is_some()
    });
    (parent, said.unwrap())
}

#[test]
fn it_ends_with_its_parent() {
    let (mut parent, pid) = with_a_node(&[("BITCOIN_REGTEST", PROGRAM)]);
    let pid = pid.parse().unwrap();
    assert!(exists(pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("the node is gone", || !exists(pid));
}

#[test]
fn the_program_is_found_in_the_path_and_else_it_is_said_what_to_do() {
    let dir = Path::new(PROGRAM).parent().unwrap().to_str().unwrap();
    let (mut parent, pid) = with_a_node(&[("BITCOIN_REGTEST", ""), ("PATH", dir)]);
    assert!(exists(pid.parse().unwrap()));
    parent.kill().unwrap();
    parent.wait().unwrap();
    let (mut parent, error) = with_a_node(&[("BITCOIN_REGTEST", ""), ("PATH", "/nowhere")]);
    assert!(parent.wait().unwrap().success());
    assert!(error.contains("cargo install --path crates/bitcoin-regtest"), "{error}");
    assert!(error.contains("or set BITCOIN_REGTEST to its path"), "{error}");
}

/// Also where the kernel does not kill it: it sees its socket close, and ends in order.
#[test]
fn it_ends_in_order_with_its_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("node.sock");
    let command = multiprocess::process::Command::new(PROGRAM).arg(&socket);
    let (child, parent) = command.fd_args(FdArgs::Flag("-ipcfd")).spawn().unwrap();
    let init: InitClient = Connection::new(parent).unwrap().bootstrap().unwrap();
    let rpc = init.make_rpc().wait().unwrap().unwrap();
    rpc.call::<()>("regtest.comeback", ()).wait().unwrap();
    assert!(socket.exists());
    drop((rpc, init));
    let status = child.wait_timeout(LONG).unwrap().expect("it has ended");
    assert!(status.success() && !socket.exists(), "{status}");
}

#[test]
fn what_is_wrong_is_told() {
    let missing = SpawnedNode::start_program("/nowhere/bitcoin-regtest").unwrap_err();
    assert!(matches!(missing, Error::Spawn { .. }), "{missing:?}");
    let other = SpawnedNode::start_program("/bin/true").unwrap_err();
    assert!(other.to_string().contains("/bin/true"), "{other}");

    let run = |args: &[&str]| {
        let output = Command::new(PROGRAM).args(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for args in [&[][..], &["--help"], &["/x", "-ipcfd"], &["/x", "y", "3"]] {
        let (status, text) = run(args);
        assert!(status == Some(2) && text.contains("Usage: bitcoin-regtest SOCKET"), "{text}");
    }
    let (status, text) = run(&["/nowhere/x.sock"]);
    assert!(status == Some(1) && text.contains("bitcoin-regtest: error: "), "{text}");
}

/// As a test in another language uses it.
#[test]
fn the_program_alone_takes_orders_at_its_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("node.sock");
    let mut program = Command::new(PROGRAM).arg(&socket).stdin(Stdio::null()).spawn().unwrap();
    wait_until("it listens", || socket.exists());
    let ipc = Ipc::new(IpcOptions::client("test").datadir(dir.path()));
    let init = ipc.connect_address("unix").unwrap().unwrap();
    let rpc: RpcClient = init.make_rpc().wait().unwrap().unwrap();
    let mined: Vec<String> = rpc.call("generatetodescriptor", (101, "raw(51)")).wait().unwrap();
    assert_eq!(mined.len(), 101);
    let _: String = rpc.call("regtest.payfee", [1000]).wait().unwrap();
    let state: serde_json::Value = rpc.call("regtest.state", ()).wait().unwrap();
    assert_eq!((&state["height"], &state["waiters"]), (&101.into(), &0.into()));
    let help: String = rpc.call("help", ()).wait().unwrap();
    assert!(help.contains("regtest.fail method times message"), "{help}");
    program.kill().unwrap();
    program.wait().unwrap();
}
