//! A node in a process of its own, for tests that kill it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::rpc::{RpcClient, RpcError};
use multiprocess::process::{Child, Command};
use multiprocess::{Connection, Error, Result};
use serde_json::{Value, json};

use super::own_dir::OwnDir;
use super::test_node::TestNode;

/// The program, and the environment variable that has its path.
const PROGRAM: &str = "bitcoin-regtest";
const VARIABLE: &str = "BITCOIN_REGTEST";

/// How long an order may take. Only mining very many blocks takes more than a moment.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same for one that is to be killed, and may be stuck.
const LAST_PATIENCE: Duration = Duration::from_secs(5);
/// The latest time that can be set: it accepts every block.
const LATEST: u32 = u32::MAX - 2 * 60 * 60;

/// A regtest node in a process of its own, on a socket of its own: for tests that kill it, and of programs that look
/// at the node's process. It is steered as [`TestNode`] says, over a connection that its clients do not see.
///
/// **The program** is `bitcoin-regtest`, of this crate: `cargo install --path crates/bitcoin-regtest` in a checkout puts it where it is found,
/// or the environment variable `BITCOIN_REGTEST` has its path, or [`start_program`](Self::start_program) is told. (Cargo
/// builds no programs of dependencies, so a test cannot have it from there. Your own program can be it, with
/// [`program::run`](super::program::run).)
///
/// It ends with this value, and with this process, however that ends.
///
/// ```no_run
/// use bitcoin_regtest::{RegtestNode, TestNode};
///
/// # fn main() -> bitcoin_ipc::Result<()> {
/// let node = RegtestNode::spawn()?;
/// node.mine(100)?;
/// // ... the program that is tested connects to node.socket() ...
/// node.kill();
/// // ... and goes on when the node is back, with its chain.
/// node.restart()?;
/// assert_eq!(node.tip()?.height, 100);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SpawnedNode {
    program: PathBuf,
    socket: PathBuf,
    /// None while it is killed.
    process: Mutex<Option<Process>>,
    /// What comes back with it.
    kept: Mutex<Kept>,
    /// Behind the process, which has its socket there.
    _dir: OwnDir,
}

/// What it was when it was killed.
#[derive(Debug, Default, Clone)]
struct Kept {
    /// The chain in hexadecimal, without the genesis block.
    blocks: Vec<Value>,
    /// The time that was set, or null.
    time: Value,
}

#[derive(Debug)]
struct Process {
    child: Arc<Child>,
    connection: Connection,
    rpc: RpcClient,
}

impl SpawnedNode {
    /// Starts a node at the socket `node.sock` of a new temporary directory.
    ///
    /// # Errors
    /// [`Error::Spawn`] if the program is not found or does not start; the text says what to do. The directory or the
    /// socket cannot be made.
    pub fn start() -> Result<SpawnedNode> {
        let program = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        let program = program.unwrap_or_else(|| OsString::from(PROGRAM));
        SpawnedNode::start_program(program).map_err(|error| match error {
            Error::Spawn { program, problem, .. } => Error::spawn(
                program,
                format!(
                    "{problem}; install it (in a checkout: `cargo install --path \
                     crates/{PROGRAM}`), or set {VARIABLE} to its path"
                ),
            ),
            other => other,
        })
    }

    /// The same with this program; looked up in `PATH` where it has no `/`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_program(program: impl Into<PathBuf>) -> Result<SpawnedNode> {
        let dir = OwnDir::make()?;
        let node = SpawnedNode {
            program: program.into(),
            socket: dir.socket(),
            process: Mutex::default(),
            kept: Mutex::default(),
            _dir: dir,
        };
        node.restart()?;
        Ok(node)
    }

    /// The number of its process; none while it is killed.
    pub fn process_id(&self) -> Option<u32> {
        self.process().as_ref().map(|process| process.child.id())
    }

    /// Kills it: its connections break off, and its socket stays without anybody who listens. Its chain as it is now
    /// comes back with [`restart`](Self::restart), and the time that was set; its memory pool and faults are lost.
    ///
    /// If it is gone already, or stuck so that it cannot tell its chain, that of the kill before comes back.
    pub fn kill(&self) {
        let kept = self.kept();
        // Without a moment to end in order.
        if let Some(process) = self.process().take() {
            let _ = process.child.shutdown(Duration::ZERO);
        }
        if let Ok(kept) = kept {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        }
    }

    /// Starts it again, at the same socket and with the chain that it had when it was [killed](Self::kill).
    /// One that runs is killed before.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn restart(&self) -> Result<()> {
        if self.process_id().is_some() {
            self.kill();
        }
        *self.process() = Some(Process::start(&self.program, &self.socket)?);
        let Kept { blocks, time } =
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Blocks may be of a time that was set once.
        self.order("setmocktime", json!([LATEST]))?;
        for block in blocks {
            self.order("submitblock", json!([block]))?;
        }
        self.set_time(time.as_u64())?;
        self.come_back()
    }

    fn kept(&self) -> Result<Kept> {
        let ask = |method, params| self.order_within(LAST_PATIENCE, method, params);
        let state = ask("regtest.state", Value::Null)?;
        let block = |height| ask("getblock", json!([ask("getblockhash", json!([height]))?, 0]));
        let blocks = (1..=state["height"].as_u64().unwrap_or_default()).map(block);
        Ok(Kept { blocks: blocks.collect::<Result<_>>()?, time: state["mocktime"].clone() })
    }

    fn order_within(&self, patience: Duration, method: &str, params: Value) -> Result<Value> {
        let rpc = self.process().as_ref().map(|process| process.rpc.clone());
        let rpc = rpc.ok_or_else(|| Error::disconnected("the node is killed: restart it first"))?;
        rpc.call(method, params).timeout(patience).wait().map_err(|error| match error {
            RpcError::Node(error) => Error::failed(error.message),
            other => other.into(),
        })
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts the program, which does not listen yet.
    fn start(program: &Path, socket: &Path) -> Result<Process> {
        // One that is stuck is gone with this process, too.
        let command = Command::new(program).arg(socket).parent_death_signal(true);
        let spawned = Ipc::new(IpcOptions::client("test")).spawn_command(command, program)?;
        let rpc = spawned.init.make_rpc().wait()?.ok_or_else(|| {
            Error::failed(format!("{} is not the program {PROGRAM}", program.display()))
        })?;
        Ok(Process { child: spawned.child, connection: spawned.connection, rpc })
    }
}

impl TestNode for SpawnedNode {
    fn socket(&self) -> &Path {
        &self.socket
    }

    fn order(&self, method: &str, params: Value) -> Result<Value> {
        self.order_within(PATIENCE, method, params)
    }
}

impl Drop for SpawnedNode {
    fn drop(&mut self) {
        if let Some(process) = self.process().take() {
            // It ends with its connection.
            drop(process.rpc);
            process.connection.disconnect();
            let _ = process.child.end();
        }
    }
}
