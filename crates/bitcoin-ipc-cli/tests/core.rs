//! The client against a real Bitcoin Core, on regtest.
//!
//! `BITCOIN_NODE` is the path of its `bitcoin-node`. Without it these tests are shown as ignored.

#[path = "programs/client30.rs"]
mod client30;

use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use bitcoin_ipc::Error;
use bitcoin_ipc::codec::FOREVER;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use client30::{mining30, solve30, template30};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use tempfile::TempDir;

const IPC: &str = env!("CARGO_BIN_EXE_bitcoin-ipc");
const LONG: Duration = Duration::from_secs(60);

/// A node with a fresh chain.
struct Core {
    dir: TempDir,
    child: Child,
}

impl Core {
    fn start() -> Core {
        let node = std::env::var_os("BITCOIN_NODE").expect("only run with BITCOIN_NODE");
        let dir = TempDir::new().unwrap();
        let child = Command::new(&node)
            .args(["-regtest", "-ipcbind=unix", "-server=0", "-listen=0", "-printtoconsole=0"])
            .arg(format!("-datadir={}", dir.path().display()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("BITCOIN_NODE={}: {error}", node.display()));
        let mut core = Core { dir, child };
        let deadline = Instant::now() + LONG;
        while !core.run(&["tip"]).status.success() {
            let ended = core.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the node does not serve ({ended:?})"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        core
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(IPC);
        command.args(["--chain", "regtest", "--connect", "unix", "--datadir"]).arg(self.dir.path());
        command.args(args).output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    fn mine(&self) {
        self.ok(&["rpc", "generatetodescriptor", "1", "raw(51)"]);
    }

    fn connect(&self) -> bitcoin_ipc::init::InitClient {
        let datadir: &Path = &self.dir.path().join("regtest");
        Ipc::new(IpcOptions::client("core-test").datadir(datadir))
            .connect_address("unix")
            .unwrap()
            .unwrap()
    }

    /// The node is well: it answers, and goes when asked.
    fn threads(&self) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        tasks.expect("the node's threads").count()
    }

    fn stop(mut self) {
        assert_eq!(self.ok(&["echo", "still there"]), "still there\n");
        self.ok(&["rpc", "stop"]);
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "the node ended with {status}");
                return;
            }
            assert!(Instant::now() < deadline, "the node does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn commands() -> Result<(), Failed> {
    let core = Core::start();
    assert_eq!(core.json(&["tip", "--json"])["height"], 0);
    assert_eq!(core.ok(&["echo", "hällo"]), "hällo\n");
    assert!(core.ok(&["template"]).contains("coinbase pays"));
    let template = core.json(&["template", "--json"]);
    assert_eq!(template["height"], 1);
    assert_eq!(template["reward"], 5_000_000_000_u64);
    assert_eq!(core.json(&["rpc", "getblockchaininfo"])["chain"], "regtest");
    let error = core.run(&["rpc", "nosuchmethod"]);
    assert_eq!(error.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&error.stderr).contains("Method not found"));
    core.stop();
    Ok(())
}

fn wait_tip_sees_a_block() -> Result<(), Failed> {
    let core = Core::start();
    let mut waiter = Command::new(IPC)
        .args(["--chain", "regtest", "--datadir"])
        .arg(core.dir.path())
        .args(["wait-tip", "--json"])
        .stdout(Stdio::piped())
        .spawn()?;
    // Blocks are made until the waiter has seen one, because the first may come before it waits.
    let deadline = Instant::now() + LONG;
    while waiter.try_wait()?.is_none() {
        assert!(Instant::now() < deadline, "wait-tip sees no block");
        core.mine();
    }
    let waited = waiter.wait_with_output()?;
    assert!(waited.status.success());
    let tip: Value = serde_json::from_slice(&waited.stdout)?;
    assert!(tip["height"].as_u64().unwrap() >= 1);
    core.stop();
    Ok(())
}

fn demonstration_mines_a_block() -> Result<(), Failed> {
    let core = Core::start();
    let shown = core.ok(&["demo"]);
    assert!(shown.contains("accepted") && shown.contains("has it: block 1"), "{shown}");
    assert_eq!(core.json(&["tip", "--json"])["height"], 1);
    core.stop();
    Ok(())
}

/// These used to crash nodes: clients that vanish during a call, objects that are used after their
/// end.
fn rude_clients_leave_the_node_well() -> Result<(), Failed> {
    let core = Core::start();
    for _ in 0..10 {
        let mut waiter = Command::new(IPC)
            .args(["--chain", "regtest", "--connect", "unix", "--datadir"])
            .arg(core.dir.path())
            .arg("wait-tip")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        core.ok(&["echo", "between"]);
        waiter.kill()?;
        waiter.wait()?;
    }
    let init = core.connect();
    let mining = init.make_mining().wait()?.expect("the node has Mining");
    let template = mining.create_new_block(Default::default(), false).wait()?.expect("a template");
    template.close().wait()?;
    template.close().wait()?;
    assert!(
        matches!(template.get_block().wait(), Err(Error::ApiMisuse { .. })),
        "not sent: it would crash the node"
    );
    core.stop();
    Ok(())
}

fn threads_and_waits() -> Result<(), Failed> {
    let core = Core::start();
    let init = core.connect();
    let mining = init.make_mining().wait()?.expect("the node has Mining");
    let tip = mining.get_tip().wait()?.expect("a tip");
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let mining = mining.clone();
            std::thread::spawn(move || mining.wait_tip_changed(tip.hash, LONG).wait())
        })
        .collect();
    // Other threads are served meanwhile.
    for _ in 0..100 {
        assert_eq!(init.make_echo().pipelined().echo("x").wait()?, "x");
    }
    core.mine();
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap()?.expect("a tip").height, 1);
    }
    // On a timeout the tip is unchanged.
    let tip = mining.get_tip().wait()?.expect("a tip");
    let moment = Duration::from_millis(1);
    assert_eq!(mining.wait_tip_changed(tip.hash, moment).wait()?, Some(tip));
    drop((mining, init));
    core.stop();
    Ok(())
}

/// Core goes on running a wait whose caller has gone; later calls must not queue behind it.
fn cut_short_waits_hold_up_no_later_call() -> Result<(), Failed> {
    let core = Core::start();
    let init = core.connect();
    let mining = init.make_mining().wait()?.expect("the node has Mining");
    let tip = mining.get_tip().wait()?.expect("a tip");
    for _ in 0..3 {
        let wait = mining.wait_tip_changed(tip.hash, FOREVER);
        let cut = wait.timeout(Duration::from_millis(20)).wait();
        assert!(matches!(cut, Err(Error::Timeout(_))), "{cut:?}");
        assert_eq!(mining.get_tip().timeout(LONG).wait()?.as_ref(), Some(&tip));

        drop(mining.wait_tip_changed(tip.hash, FOREVER).start());
        let again = futures_executor::block_on(mining.get_tip().timeout(LONG))?;
        assert_eq!(again.as_ref(), Some(&tip));
    }
    drop((mining, init));
    core.stop();
    Ok(())
}

/// A wait that times out ends in the node as well: none of the node's threads is left over.
fn cut_short_waits_end_in_the_node() -> Result<(), Failed> {
    let core = Core::start();
    let init = core.connect();
    let mining = init.make_mining().wait()?.expect("the node has Mining");
    let tip = mining.get_tip().wait()?.expect("a tip");
    let before = core.threads();
    for _ in 0..20 {
        let wait = mining.wait_tip_changed(tip.hash, FOREVER);
        let cut = wait.timeout(Duration::from_millis(5)).wait();
        assert!(matches!(cut, Err(Error::Timeout(_))), "{cut:?}");
    }
    let end = Instant::now() + LONG;
    // The node has one thread for this one, and those of waits that were not interrupted yet.
    while core.threads() > before + 1 {
        assert!(Instant::now() < end, "{} threads, {before} before", core.threads());
        std::thread::sleep(Duration::from_millis(10));
    }
    drop((mining, init));
    core.stop();
    Ok(())
}

/// A pool does this: waits time out, and templates are closed or dropped while calls of them are under
/// way. A call that arrived after the end of its template would crash the node.
fn templates_end_while_calls_of_them_run() -> Result<(), Failed> {
    let core = Core::start();
    core.mine();
    let init = core.connect();
    let mining = init.make_mining().wait()?.expect("the node has Mining");
    let template = || -> Result<_, Failed> {
        let made = mining.create_new_block(Default::default(), false).wait()?;
        Ok(made.expect("a template"))
    };
    let options = || bitcoin_ipc::mining::BlockWaitOptions::default();
    let cut = |result: Result<_, Error>| assert!(matches!(result, Err(Error::Timeout(_))));
    for round in 0..25 {
        let cut_and_closed = template()?;
        cut(cut_and_closed.wait_next(options()).timeout(Duration::from_millis(round % 8)).wait());
        cut_and_closed.close().timeout(LONG).wait()?;

        let dropped_and_closed = template()?;
        drop(dropped_and_closed.wait_next(options()).start());
        dropped_and_closed.close().timeout(LONG).wait()?;

        let asked_and_closed = template()?;
        let block = asked_and_closed.get_block().start();
        asked_and_closed.close().timeout(LONG).wait()?;
        assert!(!block.wait()?.txdata.is_empty());

        // Two waits on one template: the first times out; the second is held back behind it and
        // never sent.
        let held = template()?;
        drop(held.wait_next(options()).start());
        let behind = held.wait_next(options()).start();
        held.close().timeout(LONG).wait()?;
        let _ = behind.timeout(LONG).wait();

        // The last handle is dropped while a call and a wait are under way.
        let let_go = template()?;
        let block = let_go.get_block().start();
        drop(let_go.wait_next(options()).start());
        drop(let_go);
        assert!(!block.wait()?.txdata.is_empty());
    }
    drop((mining, init));
    core.stop();
    Ok(())
}

/// Though the node is of a newer version.
fn a_client_of_30_mines_through_the_relay() -> Result<(), Failed> {
    let core = Core::start();
    let socket = core.dir.path().join("relay.sock");
    let mut relay = Command::new(IPC);
    relay.args(["--chain", "regtest", "--connect", "unix", "--datadir"]).arg(core.dir.path());
    relay.arg("relay").arg("--listen").arg(format!("unix:{}", socket.display()));
    let mut relay = relay.stderr(Stdio::null()).spawn()?;
    let deadline = Instant::now() + LONG;
    while !socket.exists() || mining30(&socket).get_tip().wait().is_err() {
        assert!(Instant::now() < deadline, "the relay has no node");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mining = mining30(&socket);
    for height in 1..=3 {
        let mined = solve30(&template30(&mining));
        let tip = mining.get_tip().wait()?.unwrap();
        assert_eq!((tip.height, tip.hash), (height, mined));
    }
    relay.kill()?;
    relay.wait()?;
    core.stop();
    Ok(())
}

fn main() -> ExitCode {
    let ignored = std::env::var_os("BITCOIN_NODE").is_none();
    let mut args = Arguments::from_args();
    // Each test starts its own node; more than two at once only compete for the processors.
    args.test_threads.get_or_insert(2);
    let tests = [
        ("commands", commands as fn() -> Result<(), Failed>),
        ("wait_tip_sees_a_block", wait_tip_sees_a_block),
        ("demonstration_mines_a_block", demonstration_mines_a_block),
        ("rude_clients_leave_the_node_well", rude_clients_leave_the_node_well),
        ("threads_and_waits", threads_and_waits),
        ("cut_short_waits_hold_up_no_later_call", cut_short_waits_hold_up_no_later_call),
        ("cut_short_waits_end_in_the_node", cut_short_waits_end_in_the_node),
        ("templates_end_while_calls_of_them_run", templates_end_while_calls_of_them_run),
        ("a_client_of_30_mines_through_the_relay", a_client_of_30_mines_through_the_relay),
    ];
    let tests = tests.map(|(name, test)| {
        Trial::test(name, test).with_kind("BITCOIN_NODE").with_ignored_flag(ignored)
    });
    libtest_mimic::run(&args, tests.into()).exit_code()
}
