//! A node of this process, for tests.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Txid};
use bitcoin_ipc::init::InitClient;
use multiprocess::{Error, Result, Server};

use super::chain::Chain;
use super::faults::Faults;
use super::rejection::Rejection;
use super::server::NodeInit;
use super::solve::anyone_can_spend;
use super::template::mine_block;

/// How long a node that goes away waits for the calls that it serves.
const PATIENCE: Duration = Duration::from_secs(10);

/// A regtest node in this process, on a socket of its own, for tests of programs that talk to a node.
///
/// It begins with the genesis block only, so it is a node that still catches up (createNewBlock with `cooldown`
/// waits) until a block is mined. Dropped, it is gone with its socket.
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
    /// Removed at the end.
    own_dir: Option<PathBuf>,
}

impl RegtestNode {
    /// Starts a node at the socket `node.sock` of a new temporary directory.
    ///
    /// # Errors
    /// The directory or the socket cannot be made.
    pub fn start() -> Result<RegtestNode> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let dir = loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("bitcoin-regtest-{}-{number}", std::process::id());
            let dir = std::env::temp_dir().join(name);
            // For this user only, as a data directory is.
            match DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => break dir,
                // Left by a process with this number that was killed.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let dir = dir.display();
                    return Err(Error::failed(format!("cannot make the directory {dir}: {error}")));
                }
            }
        };
        // From here on the directory is removed with the node.
        let node = RegtestNode::new(dir.join("node.sock"), Some(dir));
        node.come_back()?;
        Ok(node)
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

    fn new(socket: PathBuf, own_dir: Option<PathBuf>) -> RegtestNode {
        let init = NodeInit::new(Chain::regtest());
        RegtestNode { init, socket, server: Mutex::new(None), own_dir }
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
    /// As [`mine_block`].
    pub fn mine(&self, blocks: u32) -> Result<Vec<BlockHash>> {
        self.mine_to(blocks, &anyone_can_spend())
    }

    /// The same with the rewards to this script.
    ///
    /// # Errors
    /// As [`mine_block`].
    pub fn mine_to(&self, blocks: u32, script: &ScriptBuf) -> Result<Vec<BlockHash>> {
        let mine = |_| mine_block(self.chain(), script.clone());
        let refused = |rejection: Rejection| Error::failed(rejection.to_string());
        (0..blocks).map(|number| mine(number).map_err(refused)).collect()
    }

    /// Takes so many blocks out of the chain and mines one more than that in their place; returns the hashes
    /// of the new ones. Transactions of the old ones are mined again, if they can be in a block of that height.
    ///
    /// # Errors
    /// The chain has not so many blocks; else as [`mine_block`].
    pub fn reorganize(&self, blocks: u32) -> Result<Vec<BlockHash>> {
        let height = self.chain().tip().height;
        let first = height.checked_sub(blocks).and_then(|height| self.chain().hash_at(height + 1));
        let Some(first) = first.filter(|_| blocks > 0) else {
            return Err(Error::failed(format!(
                "cannot take {blocks} blocks out of a chain of {height}, without the genesis block"
            )));
        };
        self.chain().invalidate_block(&first);
        self.mine(blocks + 1)
    }

    /// Puts a transaction with this fee in the memory pool, from which templates take it; returns its id. It
    /// spends the reward of a block that [`mine`](RegtestNode::mine) made 100 blocks ago or earlier.
    ///
    /// # Errors
    /// There is no such reward, or none that is worth the fee: mine more blocks, 100 at the first time.
    pub fn pay_fee(&self, fee: Amount) -> Result<Txid> {
        let chain = self.chain();
        let newest = (chain.tip().height + 1).saturating_sub(100);
        for height in 1..=newest {
            let Some(block) = chain.block_by_height(height) else { continue };
            let Some(coinbase) = block.txdata.first() else { continue };
            let reward = coinbase.output.first();
            let reward = reward.filter(|output| output.script_pubkey == anyone_can_spend());
            let change = reward.and_then(|output| output.value.checked_sub(fee));
            let Some(change) = change else { continue };
            let coin = OutPoint { txid: coinbase.compute_txid(), vout: 0 };
            let transaction = Transaction {
                version: bitcoin::transaction::Version::TWO,
                lock_time: bitcoin::absolute::LockTime::ZERO,
                input: vec![TxIn { previous_output: coin, ..TxIn::default() }],
                output: vec![TxOut { value: change, script_pubkey: anyone_can_spend() }],
            };
            let txid = transaction.compute_txid();
            // Else it is spent already.
            if chain.submit_transaction(transaction).is_ok() {
                return Ok(txid);
            }
        }
        Err(Error::failed(format!(
            "no reward of {fee} or more is there to spend: mine more blocks (100 at the first time)"
        )))
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

impl Drop for RegtestNode {
    fn drop(&mut self) {
        // Ends the waits, so that no call is left.
        self.chain().shutdown();
        self.go_away();
        if let Some(dir) = &self.own_dir {
            let _ = std::fs::remove_dir(dir);
        }
    }
}
