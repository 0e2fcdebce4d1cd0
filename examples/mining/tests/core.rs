//! The examples with a real Bitcoin Core, on regtest.
//!
//! `BITCOIN_NODE` is the path of its `bitcoin-node`. Without it these tests are shown as ignored.

#[path = "programs/client.rs"]
mod client;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::task::Poll;
use std::time::{Duration, Instant};

use bitcoin_ipc::ipc::IpcOptions;
use bitcoin_ipc::mining::{BlockCreateOptions, BlockWaitOptions, Outcome};
use bitcoin_ipc::session::{Event, NodeSession};
use client::Client;
use libtest_mimic::{Arguments, Failed, Trial};
use mining_examples::template_provider::Message;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);

/// A node with a chain of its own. It begins to run with `start`.
struct Core {
    dir: TempDir,
    child: Option<Child>,
}

impl Core {
    fn new() -> Core {
        Core { dir: TempDir::new().unwrap(), child: None }
    }

    fn start(&mut self) {
        let node = std::env::var_os("BITCOIN_NODE").expect("only run with BITCOIN_NODE");
        let mut command = Command::new(&node);
        command.args(["-regtest", "-ipcbind=unix", "-server=0", "-listen=0", "-printtoconsole=0"]);
        command.arg(format!("-datadir={}", self.dir.path().display())).stdout(Stdio::null());
        let child = command.spawn();
        let failed = |error| panic!("BITCOIN_NODE={}: {error}", node.display());
        self.child = Some(child.unwrap_or_else(failed));
    }

    /// Kills it, as `kill -9` does.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Where it has its socket.
    fn datadir(&self) -> PathBuf {
        self.dir.path().join("regtest")
    }

    fn session(&self) -> NodeSession {
        let options = IpcOptions::client("test").datadir(self.datadir());
        NodeSession::builder(options).wait_for_node(LONG).connect().unwrap()
    }

    fn threads(&self) -> usize {
        let pid = self.child.as_ref().unwrap().id();
        std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
    }

    /// It ends in order, which it does not where a call of a client is still waiting.
    fn stop(&mut self) {
        let session = self.session();
        let rpc = session.get(LONG).unwrap().init().make_rpc().wait().unwrap().unwrap();
        let _: String = rpc.call("stop", ()).wait().unwrap();
        let mut child = self.child.take().unwrap();
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return assert!(status.success(), "the node ended with {status}");
            }
            assert!(Instant::now() < deadline, "the node does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Mines blocks with the example.
fn mine(core: &Core, blocks: u32) {
    let mut miner = Command::new(env!("CARGO_BIN_EXE_solo-miner"));
    miner.arg(core.datadir()).args(["51", &blocks.to_string()]).stdout(Stdio::null());
    assert!(miner.status().unwrap().success());
}

fn notifier_tells_tips_over_the_end_of_the_node() -> Result<(), Failed> {
    let mut core = Core::new();
    let mut notifier = Command::new(env!("CARGO_BIN_EXE_tip-notifier"));
    notifier.arg(core.datadir()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut notifier = notifier.spawn()?;
    let mut lines = BufReader::new(notifier.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    core.start();
    assert!(next().starts_with("block 0 "));
    mine(&core, 1);
    assert!(next().starts_with("block 1 "));
    core.kill();
    assert!(next().starts_with("lost the node: "));
    core.start();
    assert!(next().starts_with("block "));
    drop(notifier.stdin.take());
    assert_eq!(next(), "ended in order: true");
    assert!(notifier.wait()?.success());
    core.stop();
    Ok(())
}

fn watcher_tells_templates_over_the_end_of_the_node() -> Result<(), Failed> {
    let mut core = Core::new();
    let mut watcher = Command::new(env!("CARGO_BIN_EXE_template-watcher"));
    watcher.arg(core.datadir()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut watcher = watcher.spawn()?;
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    // On an old tip there is a template each second.
    let mut next = |begin: &str, why: &str| loop {
        let line = lines.next().expect(why).unwrap();
        if line.starts_with(begin) && line.contains(why) {
            return;
        }
        assert!(line.ends_with("(an old tip)"), "{line}");
    };
    core.start();
    next("1 on 0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206: ", "(the first)");
    mine(&core, 1);
    next("2 on ", ": 1 transactions, 0 BTC in fees (another tip)");
    core.kill();
    next("no template: disconnected: ", "");
    core.start();
    next("", "(the first)");
    drop(watcher.stdin.take());
    assert!(watcher.wait()?.success());
    core.stop();
    Ok(())
}

fn provider_gives_templates_and_takes_solutions() -> Result<(), Failed> {
    let mut core = Core::new();
    core.start();
    mine(&core, 1);
    let mut client = Client::connect(&core.datadir());
    client.constraints();
    let mut job = client.job();
    for _ in 0..3 {
        let (hash, outcome) = client.submit(&job);
        assert_eq!(outcome, Some(Outcome::Accepted));
        let late = client.job();
        assert_eq!(late.prev_hash, hash);
        // Another miner.
        mine(&core, 1);
        job = client.job();
        // The node still has its template. (The first of 32 say yes to a block that comes late.)
        assert!(client.submit(&late).1.is_some());
    }
    core.kill();
    loop {
        if let Message::NodeLost(_) = client.message() {
            break;
        }
    }
    core.start();
    // The chain may be that of its beginning, which is too old to mine on with `cooldown`.
    mine(&core, 1);
    let job = client.job();
    assert!(client.submit(&job).1.is_some());
    assert!(client.session.close());
    client.provider.join().unwrap()?;
    core.stop();
    Ok(())
}

fn waits_that_are_cut_off_end_in_the_node() -> Result<(), Failed> {
    let mut core = Core::new();
    core.start();
    mine(&core, 1);
    let session = core.session();
    let cut = || {
        let mut tips = session.tips().into_iter();
        let (create, wait) = (BlockCreateOptions::default(), BlockWaitOptions::default());
        let mut templates = session.templates(create, wait).into_iter();
        assert!(matches!(tips.next(), Some(Ok(Event::Next(_)))));
        assert!(matches!(templates.next(), Some(Ok(Event::Next(_)))));
        assert!(matches!(tips.next_within(Duration::ZERO), Poll::Pending));
        assert!(matches!(templates.next_within(Duration::ZERO), Poll::Pending));
    };
    let threads = core.threads();
    (0..300).for_each(|_| cut());
    // A connection has 128 threads for waits at most, which are used again.
    assert!(core.threads() <= threads + 128, "{} threads, and {threads} before", core.threads());
    assert!(session.close(), "all waits have ended");
    core.stop();
    Ok(())
}

fn main() -> ExitCode {
    let ignored = std::env::var_os("BITCOIN_NODE").is_none();
    let tests = [
        (
            "notifier_tells_tips_over_the_end_of_the_node",
            notifier_tells_tips_over_the_end_of_the_node as fn() -> Result<(), Failed>,
        ),
        (
            "watcher_tells_templates_over_the_end_of_the_node",
            watcher_tells_templates_over_the_end_of_the_node,
        ),
        (
            "provider_gives_templates_and_takes_solutions",
            provider_gives_templates_and_takes_solutions,
        ),
        ("waits_that_are_cut_off_end_in_the_node", waits_that_are_cut_off_end_in_the_node),
    ];
    let tests = tests.map(|(name, test)| {
        Trial::test(name, test).with_kind("BITCOIN_NODE").with_ignored_flag(ignored)
    });
    libtest_mimic::run(&Arguments::from_args(), tests.into()).exit_code()
}
