//! A node of this process, for tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin::{Amount, BlockHash, ScriptBuf, Txid};
use bitcoin_ipc::init::InitClient;
use multiprocess::{Result, Server};
use serde_json::Value;

use super::chain::Chain;
use super::faults::Faults;
use super::own_dir::OwnDir;
use super::server::NodeInit;
use super::solve::anyone_can_spend;
use super::spawned::SpawnedNode;
use super::test_node::TestNode;
use super::{orders, rpc};

/// How long a node that goes away waits for the calls that it serves.
const PATIENCE: Duration = Duration::from_secs(10);

/// A regtest node in this process, on a socket of its own, for tests of programs that talk to a node.
///
/// It begins with the genesis block only, so it is a node that still catches up (createNewBlock with `cooldown`
/// waits) until a block is mined. Dropped, it is gone with its socket. [`RegtestNode::spawn`] starts one that is a
/// process of its own; a test is written for both forms with [`TestNode`].
///
/// ```
/// use std::time::Duration;
/// use bitcoin_ipc::bitcoin::Amount;
/// use bitcoin_ipc::ipc::{Ipc, IpcOptions};
/// use bitcoin_regtest::RegtestNode;
///
/// # fn main() -> bitcoin_ipc::Result<()> {
/// let node = RegtestNode::start()?;
/// node.mine(100)?;
///
/// // What is tested; another process can do the same.
/// let ipc = Ipc::new(IpcOptions::client("my-monitor").datadir(node.datadir()));
/// let init = ipc.connect_address("unix")?.expect("an address");
/// let mining = init.make_mining().wait()?.expect("the node has Mining");
/// let tip = mining.get_tip().wait()?.expect("a tip");
/// assert_eq!(tip.height, 100);
///
/// // Things happen to the node.
/// node.reorganize(2)?;
/// assert_eq!(mining.get_tip().wait()?.expect("a tip").height, 101);
/// node.pay_fee(Amount::from_sat(1_000))?;
/// node.faults().delay("Mining.getTip", Duration::from_millis(5));
/// node.go_away();
/// assert!(mining.get_tip().wait().unwrap_err().is_disconnect());
/// node.come_back()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RegtestNode {
    init: NodeInit,
    socket: PathBuf,
    server: Mutex<Option<Server>>,
    /// Removed at the end, after the socket.
    _own_dir: Option<OwnDir>,
}

impl RegtestNode {
    /// Starts a node at the socket `node.sock` of a new temporary directory.
    ///
    /// # Errors
    /// The directory or the socket cannot be made.
    pub fn start() -> Result<RegtestNode> {
        let dir = OwnDir::make()?;
        let node = RegtestNode::new(dir.socket(), Some(dir));
        node.come_back()?;
        Ok(node)
    }

    /// Starts a node that is a process of its own, which can be killed and started again: see
    /// [`SpawnedNode`]. It runs the program `bitcoin-regtest`.
    ///
    /// # Errors
    /// The program is not found or does not start, or the directory or the socket cannot be made.
    pub fn spawn() -> Result<SpawnedNode> {
        SpawnedNode::start()
    }

    /// Starts a node at this socket.
    ///
    /// # Errors
    /// The path cannot be listened on; the text says why.
    pub fn start_at(socket: impl Into<PathBuf>) -> Result<RegtestNode> {
        let node = RegtestNode::new(socket.into(), None);
        node.come_back()?;
        Ok(node)
    }

    /// One that does not listen yet.
    pub(super) fn new(socket: PathBuf, own_dir: Option<OwnDir>) -> RegtestNode {
        RegtestNode::with_chain(socket, Chain::regtest(), own_dir)
    }

    /// The same with this chain.
    pub(super) fn with_chain(
        socket: PathBuf,
        chain: Arc<Chain>,
        own_dir: Option<OwnDir>,
    ) -> RegtestNode {
        let init = NodeInit::new(chain);
        RegtestNode { init, socket, server: Mutex::new(None), _own_dir: own_dir }
    }

    /// The path of the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The directory of the socket: the chain's own, for
    /// [`IpcOptions::datadir`](bitcoin_ipc::ipc::IpcOptions::datadir), where the socket is named `node.sock`.
    pub fn datadir(&self) -> &Path {
        self.socket.parent().unwrap_or(Path::new("/"))
    }

    /// Its address, for [`Ipc::connect_address`](bitcoin_ipc::ipc::Ipc) and the programs' `--connect`.
    pub fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Its Init, without a connection.
    pub fn init(&self) -> InitClient {
        InitClient::new(self.init.clone())
    }

    pub(super) fn served(&self) -> &NodeInit {
        &self.init
    }

    /// Its chain.
    pub fn chain(&self) -> &Arc<Chain> {
        self.init.chain()
    }

    /// Delays and errors to order.
    pub fn faults(&self) -> &Faults {
        self.init.faults()
    }

    /// How many block templates it holds for its clients.
    pub fn live_templates(&self) -> usize {
        self.init.live_templates()
    }

    /// Mines so many blocks, whose rewards anyone can spend; returns their hashes.
    ///
    /// # Errors
    /// As [`mine_block`](super::mine_block).
    pub fn mine(&self, blocks: u32) -> Result<Vec<BlockHash>> {
        self.mine_to(blocks, &anyone_can_spend())
    }

    /// The same with the rewards to this script.
    ///
    /// # Errors
    /// As [`mine_block`](super::mine_block).
    pub fn mine_to(&self, blocks: u32, script: &ScriptBuf) -> Result<Vec<BlockHash>> {
        orders::mine(self.chain(), blocks, script)
    }

    /// Takes so many blocks out of the chain and mines one more than that in their place; returns the hashes
    /// of the new ones. Transactions of the old ones are mined again, if they can be in a block of that height.
    ///
    /// # Errors
    /// The chain has not so many blocks; else as [`mine_block`](super::mine_block).
    pub fn reorganize(&self, blocks: u32) -> Result<Vec<BlockHash>> {
        orders::reorganize(self.chain(), blocks)
    }

    /// Puts a transaction with this fee in the memory pool, from which templates take it; returns its id. It
    /// spends the reward of a block that [`mine`](RegtestNode::mine) made 100 blocks ago or earlier.
    ///
    /// # Errors
    /// There is no such reward, or none that is worth the fee: mine more blocks, 100 at the first time.
    pub fn pay_fee(&self, fee: Amount) -> Result<Txid> {
        orders::pay_fee(self.chain(), fee)
    }

    /// Ends all connections and removes the socket, as a node does that ends. The chain stays.
    pub fn go_away(&self) {
        let server = self.server().take();
        if let Some(server) = server {
            server.disconnect_all(PATIENCE);
        }
    }

    /// Listens again after [`go_away`](RegtestNode::go_away).
    ///
    /// # Errors
    /// The path cannot be listened on; the text says why.
    pub fn come_back(&self) -> Result<()> {
        let mut server = self.server();
        if server.is_none() {
            *server = Some(Server::listen(&self.socket, self.init())?);
        }
        Ok(())
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TestNode for RegtestNode {
    fn socket(&self) -> &Path {
        &self.socket
    }

    fn order(&self, method: &str, params: Value) -> Result<Value> {
        rpc::order(rpc::Target::Whole(self), method, params)
    }
}

impl Drop for RegtestNode {
    fn drop(&mut self) {
        // Ends the waits, so that no call is left.
        self.chain().shutdown();
        self.go_away();
    }
}
