//! What a call costs through `bitcoin-ipc relay`, beside the same call without it. Both in one run, in turns, so
//! that noise of the machine is in both.
//!
//! `cargo bench -p bitcoin-ipc-cli --bench relay`

use std::hint::black_box;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::{BlockCreateOptions, MiningClient};
use multiprocess::Result;
use tempfile::TempDir;

const IPC: &str = env!("CARGO_BIN_EXE_bitcoin-ipc");
const TURNS: usize = 40;
const CALLS: u32 = 500;

/// A program that ends with this one.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        Running(command.stderr(Stdio::null()).spawn().expect("the program starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The node's Mining at this address, once it answers.
fn mining(address: &str) -> MiningClient {
    let ipc = Ipc::new(IpcOptions::client("bench").datadir("/"));
    let find = || -> Result<Option<MiningClient>> {
        let init: Option<InitClient> = ipc.connect_address(address)?;
        let Some(init) = init else { return Ok(None) };
        let mining = init.make_mining().wait()?;
        if let Some(mining) = &mining {
            mining.get_tip().wait()?;
        }
        Ok(mining)
    };
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match find() {
            Ok(Some(mining)) => return mining,
            outcome => assert!(Instant::now() < end, "{address}: {outcome:?}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn main() {
    let dir = TempDir::new().expect("a directory");
    let at = |name: &str| format!("unix:{}", dir.path().join(name).display());
    let node = dir.path().join("bitcoin-node");
    symlink(IPC, &node).expect("a link");
    let _node = Running::start(Command::new(node).arg(format!("-ipcbind={}", at("node.sock"))));
    let direct = mining(&at("node.sock"));
    let mut relay = Command::new(IPC);
    relay.args(["--connect", &at("node.sock"), "relay", "--listen", &at("relay.sock")]);
    let _relay = Running::start(&mut relay);
    let relayed = mining(&at("relay.sock"));

    let template = |mining: &MiningClient| {
        let made = mining.create_new_block(BlockCreateOptions::default(), false).wait();
        made.expect("an answer").expect("a template")
    };
    let (near, far) = (template(&direct), template(&relayed));
    println!("{:<28} {:>10} {:>10} {:>7}", "call", "direct", "relayed", "ratio");
    compare(
        "Mining.isTestChain",
        || {
            black_box(direct.is_test_chain().wait().expect("an answer"));
        },
        || {
            black_box(relayed.is_test_chain().wait().expect("an answer"));
        },
    );
    compare(
        "Mining.getTip",
        || {
            black_box(direct.get_tip().wait().expect("an answer"));
        },
        || {
            black_box(relayed.get_tip().wait().expect("an answer"));
        },
    );
    compare(
        "BlockTemplate.getBlock",
        || {
            black_box(near.get_block().wait().expect("an answer"));
        },
        || {
            black_box(far.get_block().wait().expect("an answer"));
        },
    );
}

/// The medians of all turns.
fn compare(name: &str, direct: impl Fn(), relayed: impl Fn()) {
    let turn = |call: &dyn Fn()| {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        start.elapsed() / CALLS
    };
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        one.push(turn(&direct));
        other.push(turn(&relayed));
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let (one, other) = (median(&mut one), median(&mut other));
    let ratio = other.as_secs_f64() / one.as_secs_f64();
    println!("{name:<28} {one:>10.1?} {other:>10.1?} {ratio:>7.2}");
}
