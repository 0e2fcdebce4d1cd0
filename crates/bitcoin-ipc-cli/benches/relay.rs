//! What a call costs through `bitcoin-ipc relay`, beside the same call without it. Both in one run, in turns, so
//! that noise of the machine is in both.
//!
//! A call is a wake of a thread there and one back, through the relay two each. What a wake costs depends first
//! of all on whether the thread runs on the same processor: on virtual machines one of a sleeping processor can
//! cost ten times the other. Two programs that call each other tend to be put on one processor, three do not.
//! So the programs are also put where each wake of one side has its like on the other.
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
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tempfile::TempDir;

const IPC: &str = env!("CARGO_BIN_EXE_bitcoin-ipc");
const TURNS: usize = 30;
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

/// Which processors the programs run on: the client, the relay and the node. As numbers of those that this
/// program may use.
struct Places {
    name: &'static str,
    processors: Option<[usize; 3]>,
}

const PLACES: [Places; 4] = [
    Places { name: "where the system puts them", processors: None },
    Places { name: "all on one processor", processors: Some([0, 0, 0]) },
    Places { name: "the node on another", processors: Some([0, 0, 1]) },
    Places { name: "each on its own", processors: Some([0, 1, 2]) },
];

impl Places {
    /// Programs and threads that are started from now on run there.
    fn put(&self, program: usize, all: &CpuSet) {
        let mut set = *all;
        if let Some(processors) = self.processors {
            let one = usable(all).nth(processors[program]).expect("checked before");
            set = CpuSet::new();
            set.set(one);
        }
        sched_setaffinity(None, &set).expect("a processor");
    }
}

fn usable(all: &CpuSet) -> impl Iterator<Item = usize> + '_ {
    (0..CpuSet::MAX_CPU).filter(|number| all.is_set(*number))
}

fn main() {
    let all = sched_getaffinity(None).expect("processors");
    println!("{:<28} {:>10} {:>10} {:>7}", "call", "direct", "relayed", "ratio");
    for places in &PLACES {
        let needed =
            places.processors.map_or(0, |places| places.into_iter().max().unwrap_or(0) + 1);
        if needed > usable(&all).count() {
            println!("{}: needs {needed} processors", places.name);
            continue;
        }
        println!("{}:", places.name);
        round(places, &all);
    }
}

/// All calls, with the programs at these places.
fn round(places: &Places, all: &CpuSet) {
    let dir = TempDir::new().expect("a directory");
    let at = |name: &str| format!("unix:{}", dir.path().join(name).display());
    let node = dir.path().join("bitcoin-node");
    symlink(IPC, &node).expect("a link");
    places.put(2, all);
    let _node = Running::start(Command::new(node).arg(format!("-ipcbind={}", at("node.sock"))));
    places.put(1, all);
    let mut relay = Command::new(IPC);
    relay.args(["--connect", &at("node.sock"), "relay", "--listen", &at("relay.sock")]);
    let _relay = Running::start(&mut relay);
    places.put(0, all);
    // A thread starts where the one is that starts it.
    std::thread::scope(|scope| {
        scope.spawn(|| calls(&mining(&at("node.sock")), &mining(&at("relay.sock"))));
    });
}

fn calls(direct: &MiningClient, relayed: &MiningClient) {
    let template = |mining: &MiningClient| {
        let made = mining.create_new_block(BlockCreateOptions::default(), false).wait();
        made.expect("an answer").expect("a template")
    };
    let (near, far) = (template(direct), template(relayed));
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
    println!("  {name:<26} {one:>10.1?} {other:>10.1?} {ratio:>7.2}");
}
