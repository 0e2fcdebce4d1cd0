//! A node and its wallet in two processes: what they do for each other, and that a kill -9 of either at any moment
//! loses nothing that was acknowledged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::rpc::{RpcClient, RpcError, Value};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use crate::running::{Running, status_of};
use crate::{IPC, LONG, NODE, wait_until};

/// A node with a wallet process, and its JSON-RPC.
pub(crate) struct Split {
    node: Running,
    rpc: RpcClient,
}

fn socket_in(datadir: &Path) -> PathBuf {
    datadir.join("regtest/node.sock")
}

impl Split {
    pub(crate) fn start(datadir: &Path) -> Split {
        let split = Split::start_with(datadir, &["-wallet"]);
        split.wait_for_wallet();
        split
    }

    /// Does not wait for the wallet.
    pub(crate) fn start_with(datadir: &Path, args: &[&str]) -> Split {
        let mut command = Command::new(&*NODE);
        command.arg("-ipcbind=unix").arg(format!("-datadir={}", datadir.display()));
        command.args(args).stderr(Stdio::piped());
        let node = Running(command.spawn().unwrap());
        let ipc = Ipc::new(IpcOptions::client("test").datadir(datadir.join("regtest")));
        let mut init = None;
        wait_until("the node listens", || {
            init = socket_in(datadir).exists().then(|| ipc.connect_address("unix").ok()).flatten();
            init.is_some()
        });
        let rpc = init.flatten().unwrap().make_rpc().wait().unwrap().unwrap();
        Split { node, rpc }
    }

    /// Ends the node in order; what it wrote to stderr.
    pub(crate) fn end(self) -> String {
        let Split { node, rpc } = self;
        node.signal(Signal::TERM);
        drop(rpc);
        let (status, errors) = node.end();
        assert!(status.success(), "{errors}");
        errors
    }

    fn try_call(&self, wallet: &str, method: &str, params: Value) -> Result<Value, RpcError> {
        let call = match wallet {
            "" => self.rpc.call(method, params),
            name => self.rpc.wallet(name).call(method, params),
        };
        call.timeout(LONG).wait()
    }

    pub(crate) fn call(&self, wallet: &str, method: &str, params: Value) -> Value {
        self.try_call(wallet, method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    pub(crate) fn wait_for_wallet(&self) {
        wait_until("the wallet is ready", || {
            self.try_call("", "getwalletprocess", json!([])).unwrap()["ready"] == true
        });
    }

    pub(crate) fn wallet_process(&self) -> Option<u32> {
        let info = self.try_call("", "getwalletprocess", json!([])).ok()?;
        u32::try_from(info["pid"].as_u64()?).ok()
    }

    /// Mines to a wallet, and so many blocks more that it can spend that.
    pub(crate) fn fund(&self, wallet: &str) {
        let address = self.call(wallet, "getnewaddress", json!([]));
        self.call("", "generatetoaddress", json!([1, address]));
        self.call("", "generatetodescriptor", json!([100, "raw(51)"]));
    }

    pub(crate) fn balance(&self, wallet: &str) -> Value {
        self.call(wallet, "getbalance", json!([]))
    }
}

pub(crate) fn kill(pid: u32) {
    // It may have ended meanwhile.
    let _ = kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL);
}

fn is_gone(pid: u32) -> bool {
    status_of(pid, "State").is_none_or(|state| state.starts_with('Z'))
}

fn ipc(datadir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(IPC);
    command.args(["--chain", "regtest", "--connect", "unix", "--datadir"]).arg(datadir);
    command.args(args).output().unwrap()
}

#[test]
fn they_pay_each_other() {
    let dir = TempDir::new().unwrap();
    let split = Split::start(dir.path());
    for name in ["alice", "bob"] {
        split.call("", "createwallet", json!([name]));
    }
    split.fund("alice");
    assert_eq!(split.balance("alice"), json!(50.0));
    let address = split.call("bob", "getnewaddress", json!(["from alice"]));
    let txid = split.call("alice", "sendtoaddress", json!([address, 1.25]));
    split.call("", "generatetodescriptor", json!([1, "raw(51)"]));
    assert_eq!(split.balance("bob"), json!(1.25));
    let seen = split.call("bob", "gettransaction", json!([txid]));
    assert_eq!((&seen["confirmations"], &seen["amount"]), (&json!(1), &json!(1.25)));
    // As a person asks for it.
    let asked = ipc(dir.path(), &["rpc", "--wallet", "bob", "getbalance"]);
    assert_eq!(String::from_utf8(asked.stdout).unwrap().trim(), "1.25", "{:?}", asked.stderr);
    let asked = ipc(dir.path(), &["rpc", "getbalance"]);
    let errors = String::from_utf8(asked.stderr).unwrap();
    assert!(errors.contains("say --wallet NAME"), "{errors}");

    // In order: both end, and both are there again.
    let wallet = split.wallet_process().unwrap();
    split.end();
    assert!(is_gone(wallet), "the wallet outlives its node");
    let split = Split::start(dir.path());
    assert_eq!(split.call("", "listwallets", json!([])), json!(["alice", "bob"]));
    assert_eq!(split.balance("bob"), json!(1.25));
}

#[test]
fn a_node_outlives_its_wallet_and_starts_it_again() {
    let dir = TempDir::new().unwrap();
    let split = Split::start(dir.path());
    split.call("", "createwallet", json!(["w"]));
    split.fund("w");
    let first = split.wallet_process().unwrap();
    kill(first);
    // The node goes on, and what comes meanwhile is not missed.
    split.call("", "generatetodescriptor", json!([3, "raw(51)"]));
    wait_until("there is another process", || {
        split.wallet_process().is_some_and(|process| process != first)
    });
    split.wait_for_wallet();
    assert_eq!(split.balance("w"), json!(50.0));
    let unspent = split.call("w", "listunspent", json!([]));
    assert_eq!(unspent[0]["confirmations"], json!(104));
}

/// A reorganisation while the wallet is away.
#[test]
fn a_wallet_follows_a_branch_that_it_has_not_seen() {
    let dir = TempDir::new().unwrap();
    let split = Split::start(dir.path());
    split.call("", "createwallet", json!(["w"]));
    split.fund("w");
    let address = split.call("w", "getnewaddress", json!([]));
    let paid = split.call("", "generatetoaddress", json!([1, address]));
    let immature =
        |split: &Split| split.call("w", "getbalances", json!([]))["mine"]["immature"].clone();
    assert_eq!(immature(&split), json!(50.0));
    let first = split.wallet_process().unwrap();
    kill_process(Pid::from_raw(first.try_into().unwrap()).unwrap(), Signal::STOP).unwrap();
    split.call("", "invalidateblock", json!([paid[0]]));
    split.call("", "generatetodescriptor", json!([2, "raw(51)"]));
    kill(first);
    wait_until("there is another process", || {
        split.wallet_process().is_some_and(|process| process != first)
    });
    split.wait_for_wallet();
    assert_eq!(immature(&split), json!(0.0));
    assert_eq!(split.balance("w"), json!(50.0));
}

/// What was acknowledged before one of them was killed.
#[derive(Default)]
struct Acknowledged {
    addresses: Vec<String>,
    payments: Vec<String>,
    labels: Vec<(String, String)>,
    height: u64,
}

/// Works until something fails: addresses, payments, labels, blocks.
fn work(split: &Split, round: u32, known: &Mutex<Acknowledged>, stop: &AtomicBool) {
    for number in 0.. {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let Ok(address) = split.try_call("w", "getnewaddress", json!([])) else { return };
        let address = address.as_str().unwrap().to_owned();
        known.lock().unwrap().addresses.push(address.clone());
        let label = format!("{round}.{number}");
        let Ok(_) = split.try_call("w", "setlabel", json!([address, label])) else { return };
        known.lock().unwrap().labels.push((address.clone(), label));
        let Ok(txid) = split.try_call("w", "sendtoaddress", json!([address, 0.001])) else {
            return;
        };
        known.lock().unwrap().payments.push(txid.as_str().unwrap().to_owned());
        let mined = split.try_call("", "generatetodescriptor", json!([1, "raw(51)"]));
        let Ok(_) = mined else { return };
        let Ok(height) = split.try_call("", "getblockcount", json!([])) else { return };
        known.lock().unwrap().height = height.as_u64().unwrap();
    }
}

/// So many in a test; `SPLIT_KILLS` has it do more.
const KILLS: u32 = 12;

#[test]
fn killed_at_any_moment_they_lose_nothing_that_was_acknowledged() {
    let kills = std::env::var("SPLIT_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let dir = TempDir::new().unwrap();
    let mut split = Split::start(dir.path());
    split.call("", "createwallet", json!(["w"]));
    split.fund("w");
    let known = Mutex::new(Acknowledged::default());
    let mut seed = std::process::id();
    for round in 0..kills {
        // Moments of up to 0.3 s, another row of them in each run.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let moment = Duration::from_millis(u64::from(seed >> 16) % 300);
        let stop = AtomicBool::new(false);
        let kills_node = round % 2 == 0;
        let wallet = split.wallet_process().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| work(&split, round, &known, &stop));
            thread::sleep(moment);
            kill(if kills_node { split.node.0.id() } else { wallet });
            stop.store(true, Ordering::Release);
        });
        if kills_node {
            wait_until("the wallet sees that its node is gone", || is_gone(wallet));
            split = Split::start(dir.path());
        } else {
            wait_until("the wallet is another process", || {
                split.wallet_process().is_some_and(|process| process != wallet)
            });
            split.wait_for_wallet();
        }
        check(&split, &known.lock().unwrap(), round, moment, kills_node);
    }
    // What was paid is mined in the end, and every coin of the wallet is one of the chain.
    split.call("", "generatetodescriptor", json!([2, "raw(51)"]));
    let known = known.into_inner().unwrap();
    assert!(known.payments.len() >= kills as usize / 4, "{} payments", known.payments.len());
    for txid in &known.payments {
        let seen = split.call("w", "gettransaction", json!([txid]));
        assert!(seen["confirmations"].as_i64().unwrap() > 0, "{txid} is not mined: {seen}");
    }
    let unspent = split.call("w", "listunspent", json!([0]));
    for coin in unspent.as_array().unwrap() {
        let of_chain = split.call("", "gettxout", json!([coin["txid"], coin["vout"]]));
        assert_eq!(of_chain["value"], coin["amount"], "{coin}");
    }
}

fn check(split: &Split, known: &Acknowledged, round: u32, moment: Duration, node: bool) {
    let which =
        format!("round {round}, {} killed after {moment:?}", if node { "node" } else { "wallet" });
    let height = split.call("", "getblockcount", json!([])).as_u64().unwrap();
    assert!(height >= known.height, "{which}: {height} of {} blocks", known.height);
    let distinct: BTreeSet<_> = known.addresses.iter().collect();
    assert_eq!(distinct.len(), known.addresses.len(), "{which}: an address was given twice");
    for address in &known.addresses {
        let info = split.call("w", "getaddressinfo", json!([address]));
        assert_eq!(info["ismine"], true, "{which}: {address} is lost");
    }
    for (address, label) in &known.labels {
        let info = split.call("w", "getaddressinfo", json!([address]));
        assert_eq!(info["labels"], json!([label]), "{which}: {address}");
    }
    for txid in &known.payments {
        let seen = split.try_call("w", "gettransaction", json!([txid]));
        assert!(seen.is_ok(), "{which}: {txid} is lost: {seen:?}");
    }
}

#[test]
fn two_of_them_do_not_share_a_directory() {
    let dir = TempDir::new().unwrap();
    let split = Split::start(dir.path());
    let mut second = Command::new(&*NODE);
    second.arg("-ipcbind=unix:other.sock").arg(format!("-datadir={}", dir.path().display()));
    let second = Running(second.arg("-wallet").stderr(Stdio::piped()).spawn().unwrap());
    let (status, errors) = second.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("another") && errors.contains("use"), "{errors}");
    // The first is unharmed.
    assert_eq!(split.call("", "getblockcount", json!([])), json!(0));
    assert_eq!(split.call("", "listwallets", json!([])), json!([]));
}

#[test]
fn a_wallet_program_that_is_none_does_not_harm_the_node() {
    let dir = TempDir::new().unwrap();
    let mut node = Command::new(&*NODE);
    node.arg("-ipcbind=unix").arg(format!("-datadir={}", dir.path().display()));
    node.args(["-wallet", "-walletprogram=/bin/false"]).stderr(Stdio::piped());
    let node = Running(node.spawn().unwrap());
    let began = Instant::now();
    while !ipc(dir.path(), &["tip"]).status.success() {
        assert!(began.elapsed() < LONG, "the node does not serve");
        thread::sleep(Duration::from_millis(10));
    }
    let asked = ipc(dir.path(), &["rpc", "getbalance"]);
    let errors = String::from_utf8(asked.stderr).unwrap();
    assert!(!asked.status.success() && errors.contains("Method not found"), "{errors}");
    node.signal(Signal::TERM);
    let (status, errors) = node.end();
    assert!(status.success(), "{errors}");
    assert!(errors.contains("/bin/false") && errors.contains("exit status: 1"), "{errors}");
}
