//! How fast a process is told what happens in the chain, and what that costs in memory: 50,000 notifications from this
//! process to another (this program again), over a socket pair. And how fast that process reads blocks.
//!
//! ```sh
//! cargo bench -p bitcoin-split --bench notifications
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bitcoin_ipc_draft::chain::{
    BlockInfo, ChainHandle, ChainNotifications, ChainNotificationsClient, ChainstateRole,
    FoundBlockParam,
};
use bitcoin_ipc_draft::init::{Init, InitClient};
use bitcoin_regtest::{Chain, anyone_can_spend, mine_block};
use bitcoin_split::SplitNode;
use multiprocess::{Connection, PeerVersion, Result};

/// Set in the process that is told.
const CHILD: &str = "BITCOIN_SPLIT_BENCH_CHILD";
/// Blocks of the chain.
const BLOCKS: u32 = 100;
/// Notifications of each part: a block leaves and comes back, which is four of them.
const PART: u64 = 10_000;
const PARTS: u64 = 5;
/// Blocks that are read.
const READS: u32 = 10_000;

fn main() {
    if std::env::var_os(CHILD).is_some() { follow() } else { serve() }
}

struct Process(SplitNode);

impl Init for Process {
    fn make_chain(&self) -> Result<Option<ChainHandle>> {
        Ok(Some(self.0.chain_handle()))
    }
}

/// The node. By settings the other process says how far it is, and is told when to begin with the next task.
fn serve() {
    let dir = tempfile::tempdir().expect("a directory");
    let chain = Chain::regtest();
    for _ in 0..BLOCKS {
        mine_block(&chain, anyone_can_spend()).expect("a block");
    }
    let node = SplitNode::new(Arc::clone(&chain), dir.path().to_owned()).expect("settings");
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let init = InitClient::new(Process(node.clone()));
    let serving = Connection::builder().serve(init).start(ours).expect("a connection");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .env(CHILD, "")
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .expect("the process that is told");
    let told = || node.settings().rw("told").as_u64();
    // It says when it has subscribed, and when it has been told of a part.
    while told().is_none() {
        std::thread::yield_now();
    }
    println!("notifications  per second  memory here  memory there");
    let tip = chain.tip().hash;
    for part in 1..=PARTS {
        let start = Instant::now();
        for _ in 0..PART / 4 {
            assert!(chain.invalidate_block(&tip) && chain.reconsider_block(&tip));
        }
        while told() != Some(part * PART) {
            std::thread::yield_now();
        }
        let rate = PART as f64 / start.elapsed().as_secs_f64();
        let (here, there) = (memory("self"), memory(&child.id().to_string()));
        println!("{:>13}  {rate:>10.0}  {here:>8} KiB  {there:>9} KiB", part * PART);
    }
    node.settings().force("read", true.into());
    assert!(child.wait().expect("its end").success());
    drop(serving);
}

/// The process that is told, and that then reads blocks.
fn follow() {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().expect("a socket");
    let connection = Connection::new(UnixStream::from(socket)).expect("a connection");
    let init: InitClient = connection.bootstrap().expect("an Init");
    PeerVersion::assume(&init, "2026-07").expect("a version");
    let chain = init.make_chain().wait().expect("an answer").expect("a chain");
    let counter = Counter { told: AtomicU64::new(0), chain: chain.clone() };
    let notifications = ChainNotificationsClient::new(counter);
    let _handler = chain.handle_notifications(Some(notifications)).wait().expect("an answer");
    say(&chain, 0);
    while chain.get_setting("read").wait().expect("a setting").is_null() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let next = || Box::new(FoundBlockParam::default().want_hash(true));
    let start = Instant::now();
    let mut hash = chain.get_block_hash(0).wait().expect("the first block");
    let first = hash;
    for _ in 0..READS {
        let asked = FoundBlockParam::default().want_data(true).next_block(next());
        let found = chain.find_block(hash, asked).wait().expect("a block").block;
        assert!(found.data.is_some());
        hash = found.next_block.and_then(|next| next.hash).unwrap_or(first);
    }
    let rate = f64::from(READS) / start.elapsed().as_secs_f64();
    println!("{READS} blocks read, one call each: {rate:.0} per second");
}

fn say(chain: &ChainHandle, told: u64) {
    let action = bitcoin_ipc_draft::values::SettingsAction::SkipWrite;
    assert!(chain.overwrite_rw_setting("told", told.into(), action).wait().expect("an answer"));
}

struct Counter {
    told: AtomicU64,
    chain: ChainHandle,
}

impl Counter {
    fn count(&self) -> Result<()> {
        let told = self.told.fetch_add(1, Ordering::Relaxed) + 1;
        if told.is_multiple_of(PART) {
            say(&self.chain, told);
        }
        Ok(())
    }
}

impl ChainNotifications for Counter {
    fn block_connected(&self, _role: ChainstateRole, _block: BlockInfo) -> Result<()> {
        self.count()
    }

    fn block_disconnected(&self, _block: BlockInfo) -> Result<()> {
        self.count()
    }

    fn updated_block_tip(&self) -> Result<()> {
        self.count()
    }
}

/// What a process holds in memory, in KiB (Linux).
fn memory(process: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()).unwrap_or("?").to_owned()
}
