//! A served node, and a subscriber that notes what it is told.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, BlockHash, OutPoint, Sequence, Transaction, TxIn, TxOut, transaction};
use bitcoin_ipc_draft::Locator;
use bitcoin_ipc_draft::chain::{
    BlockInfo, ChainHandle, ChainNotifications, ChainNotificationsClient, ChainstateRole,
};
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::init::{Init, InitClient};
use bitcoin_ipc_draft::values::RemovalReason;
use bitcoin_regtest::{Chain, anyone_can_spend, mine_block, subsidy};
use bitcoin_split::SplitNode;
use multiprocess::{Connection, PeerVersion, Result};
use tempfile::TempDir;

/// No test waits longer.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A node, and the chain that a process on the other side of a socket has of it.
pub(crate) struct Served {
    pub(crate) node: SplitNode,
    pub(crate) chain: ChainHandle,
    /// The wallet process's end.
    pub(crate) wallet: Connection,
    _serving: Connection,
    pub(crate) dir: TempDir,
}

struct Process(SplitNode);

impl Init for Process {
    fn make_chain(&self) -> Result<Option<ChainHandle>> {
        Ok(Some(self.0.chain_handle()))
    }
}

pub(crate) fn serve() -> Served {
    let dir = tempfile::tempdir().unwrap();
    serve_chain(Chain::regtest(), dir)
}

pub(crate) fn serve_chain(chain: Arc<Chain>, dir: TempDir) -> Served {
    let node = SplitNode::new(chain, dir.path().to_owned()).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = serve_at(&node, theirs);
    let (chain, wallet) = chain_at(ours);
    Served { node, chain, wallet, _serving: serving, dir }
}

pub(crate) fn serve_at(node: &SplitNode, socket: UnixStream) -> Connection {
    let init = InitClient::new(Process(node.clone()));
    Connection::builder().serve(init).start(socket).unwrap()
}

/// The chain of a node at the other end of a socket.
pub(crate) fn chain_at(socket: UnixStream) -> (ChainHandle, Connection) {
    let connection = Connection::new(socket).unwrap();
    let init: InitClient = connection.bootstrap().unwrap();
    PeerVersion::assume(&init, "2026-07").unwrap();
    (init.make_chain().wait().unwrap().unwrap(), connection)
}

impl Served {
    pub(crate) fn mine(&self, blocks: u32) {
        for _ in 0..blocks {
            mine_block(self.node.chain(), anyone_can_spend()).unwrap();
        }
    }

    pub(crate) fn hash(&self, height: u32) -> BlockHash {
        self.node.chain().hash_at(height).unwrap()
    }

    /// One that spends the reward of this height with this fee.
    pub(crate) fn paying(&self, height: u32, fee: u64) -> Transaction {
        let block = self.node.chain().block_by_height(height).unwrap();
        let coinbase = OutPoint { txid: block.txdata[0].compute_txid(), vout: 0 };
        spend(coinbase, subsidy(height) - Amount::from_sat(fee))
    }

    pub(crate) fn submit(&self, transaction: &Transaction) {
        self.node.chain().submit_transaction(transaction.clone()).unwrap();
    }

    /// A subscriber of this process's.
    pub(crate) fn subscribe(&self) -> (Recorder, HandlerClient) {
        let recorder = Recorder::default();
        let handler = subscribe(&self.chain, &recorder);
        (recorder, handler)
    }

    pub(crate) fn datadir(&self) -> &Path {
        self.dir.path()
    }
}

pub(crate) fn subscribe(chain: &ChainHandle, recorder: &Recorder) -> HandlerClient {
    let notifications = ChainNotificationsClient::new(recorder.clone());
    chain.handle_notifications(Some(notifications)).wait().unwrap().unwrap()
}

/// It does not say that it can be replaced.
pub(crate) fn spend(outpoint: OutPoint, value: Amount) -> Transaction {
    let input = TxIn { previous_output: outpoint, sequence: Sequence::MAX, ..TxIn::default() };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![TxOut { value, script_pubkey: anyone_can_spend() }],
    }
}

/// One that spends the first output of this with this fee.
pub(crate) fn child_of(parent: &Transaction, fee: u64) -> Transaction {
    let outpoint = OutPoint { txid: parent.compute_txid(), vout: 0 };
    spend(outpoint, parent.output[0].value - Amount::from_sat(fee))
}

/// Notes what it is told, in short: `+5` a block connected, `-5` disconnected, `tip`, `in` and `out Conflict` with the
/// satoshis of a transaction's first output, `gone` when it was dropped.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Inner>);

#[derive(Default)]
struct Inner {
    told: Mutex<Vec<String>>,
    blocks: Mutex<Vec<BlockInfo>>,
    /// While it is true a notification does not return.
    held: Mutex<bool>,
    changed: Condvar,
    /// How many notifications wait because of that.
    waiting: Mutex<usize>,
}

/// What the node has: its end is noted.
impl Recorder {
    pub(crate) fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.told.lock().unwrap())
    }

    pub(crate) fn blocks(&self) -> Vec<BlockInfo> {
        std::mem::take(&mut *self.0.blocks.lock().unwrap())
    }

    pub(crate) fn hold(&self, held: bool) {
        *self.0.held.lock().unwrap() = held;
        self.0.changed.notify_all();
    }

    pub(crate) fn waiting(&self) -> usize {
        *self.0.waiting.lock().unwrap()
    }

    fn note(&self, what: String) -> Result<()> {
        self.0.told.lock().unwrap().push(what);
        *self.0.waiting.lock().unwrap() += 1;
        let mut held = self.0.held.lock().unwrap();
        while *held {
            held = self.0.changed.wait(held).unwrap();
        }
        *self.0.waiting.lock().unwrap() -= 1;
        Ok(())
    }
}

impl ChainNotifications for Recorder {
    fn transaction_added_to_mempool(&self, tx: Transaction) -> Result<()> {
        self.note(format!("in {}", tx.output[0].value.to_sat()))
    }

    fn transaction_removed_from_mempool(&self, tx: Transaction, why: RemovalReason) -> Result<()> {
        self.note(format!("out {} {why:?}", tx.output[0].value.to_sat()))
    }

    fn block_connected(&self, role: ChainstateRole, block: BlockInfo) -> Result<()> {
        assert!(role.validated && !role.historical);
        let height = block.height;
        self.0.blocks.lock().unwrap().push(block);
        self.note(format!("+{height}"))
    }

    fn block_disconnected(&self, block: BlockInfo) -> Result<()> {
        let height = block.height;
        self.0.blocks.lock().unwrap().push(block);
        self.note(format!("-{height}"))
    }

    fn updated_block_tip(&self) -> Result<()> {
        self.note("tip".to_owned())
    }

    fn chain_state_flushed(&self, _: ChainstateRole, locator: Locator) -> Result<()> {
        self.note(format!("flushed {}", locator.hashes().len()))
    }
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + LONG;
    while !done() {
        assert!(std::time::Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
