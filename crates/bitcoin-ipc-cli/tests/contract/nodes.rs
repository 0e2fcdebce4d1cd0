//! The nodes that keep the contract: ours, and a real Bitcoin Core. Each test has its own, on a fresh chain.

use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bitcoin::block::Header;
use bitcoin::{Amount, Block, BlockHash, OutPoint, ScriptBuf, Transaction, TxIn, TxOut};
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::{BlockCreateOptions, BlockTemplateClient, MiningClient, Outcome};
use bitcoin_ipc::rpc::RpcClient;
use bitcoin_regtest::{anyone_can_spend, coinbase_transaction, merkle_root, solve};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Which program is started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The node for development.
    Ours,
    /// The program that `BITCOIN_NODE` names.
    Core,
    /// The same two behind `bitcoin-ipc relay`.
    RelayedOurs,
    RelayedCore,
}

impl Kind {
    pub(crate) fn is_core(self) -> bool {
        matches!(self, Kind::Core | Kind::RelayedCore)
    }
}

/// A node, and a connection to it.
pub(crate) struct Node {
    _children: Vec<Running>,
    pub(crate) init: InitClient,
    pub(crate) mining: MiningClient,
    rpc: RpcClient,
    _dir: TempDir,
}

impl Node {
    pub(crate) fn start(kind: Kind) -> Node {
        let dir = TempDir::new().unwrap();
        let mut command = match kind.is_core() {
            false => {
                // The node is the command line's program by another name.
                let link = dir.path().join("bitcoin-node");
                symlink(env!("CARGO_BIN_EXE_bitcoin-ipc"), &link).unwrap();
                Command::new(link)
            }
            true => {
                let node = std::env::var_os("BITCOIN_NODE").expect("only run with BITCOIN_NODE");
                let mut command = Command::new(node);
                command.args(["-server=0", "-listen=0", "-printtoconsole=0", "-acceptnonstdtxn=1"]);
                command
            }
        };
        command.args(["-regtest", "-ipcbind=unix"]);
        command.arg(format!("-datadir={}", dir.path().display()));
        let mut children = vec![Running::start(&mut command)];
        let mut address = "unix".to_owned();
        if matches!(kind, Kind::RelayedOurs | Kind::RelayedCore) {
            address = format!("unix:{}", dir.path().join("relay.sock").display());
            let mut relay = Command::new(env!("CARGO_BIN_EXE_bitcoin-ipc"));
            relay.args(["--chain=regtest", "relay", "--listen", &address, "--datadir"]);
            children.push(Running::start(relay.arg(dir.path())));
        }
        let ipc = Ipc::new(IpcOptions::client("contract").datadir(dir.path().join("regtest")));
        let end = Instant::now() + LONG;
        let (init, mining, rpc) = loop {
            let init = ipc.connect_address(&address).ok().flatten();
            let found = init.and_then(|init| {
                let mining = init.make_mining().wait().ok()??;
                // Its chain is loaded, and its methods can be called.
                mining.get_tip().wait().ok()??;
                let rpc = init.make_rpc().wait().ok()??;
                let count: u32 = rpc.call("getblockcount", ()).wait().ok()?;
                assert_eq!(count, 0);
                Some((init, mining, rpc))
            });
            if let Some(found) = found {
                break found;
            }
            assert!(Instant::now() < end, "the node does not serve");
            std::thread::sleep(Duration::from_millis(20));
        };
        Node { _children: children, init, mining, rpc, _dir: dir }
    }

    pub(crate) fn call(&self, method: &str, params: Value) -> Result<Value, String> {
        self.rpc.call(method, params).wait().map_err(|error| error.to_string())
    }

    pub(crate) fn mine(&self, blocks: u32) -> Vec<BlockHash> {
        let params = json!([blocks, "raw(51)"]);
        let hashes = self.call("generatetodescriptor", params).unwrap();
        let hashes = hashes.as_array().unwrap().iter();
        hashes.map(|hash| hash.as_str().unwrap().parse().unwrap()).collect()
    }

    pub(crate) fn height(&self) -> i32 {
        self.mining.get_tip().wait().unwrap().unwrap().height
    }

    pub(crate) fn template(&self) -> BlockTemplateClient {
        self.mining.create_new_block(BlockCreateOptions::default(), false).wait().unwrap().unwrap()
    }

    /// The block at this height.
    pub(crate) fn block(&self, height: u32) -> Block {
        let hash = self.call("getblockhash", json!([height])).unwrap();
        let hex = self.call("getblock", json!([hash, 0])).unwrap();
        bitcoin::consensus::encode::deserialize_hex(hex.as_str().unwrap()).unwrap()
    }

    /// Spends the reward of the block at this height, with this fee, into the memory pool.
    pub(crate) fn spend(&self, height: u32, fee: Amount) -> Transaction {
        let block = self.block(height);
        let coin = OutPoint { txid: block.txdata[0].compute_txid(), vout: 0 };
        let transaction = Transaction {
            version: bitcoin::transaction::Version::TWO,
            lock_time: bitcoin::absolute::LockTime::ZERO,
            input: vec![TxIn { previous_output: coin, ..TxIn::default() }],
            // Long enough for Core, which refuses the smallest transactions.
            output: vec![TxOut {
                value: block.txdata[0].output[0].value - fee,
                script_pubkey: ScriptBuf::from_bytes(vec![0x51; 10]),
            }],
        };
        let hex = bitcoin::consensus::encode::serialize_hex(&transaction);
        let txid = self.call("sendrawtransaction", json!([hex])).unwrap();
        assert_eq!(txid, transaction.compute_txid().to_string());
        transaction
    }
}

/// A program that is ended with its node.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The block that a pool makes of a template. `extra`: what makes it another one.
pub(crate) fn solved(template: &BlockTemplateClient, extra: &[u8]) -> Block {
    let mut block = template.get_block().wait().unwrap();
    let parts = template.get_coinbase_tx().wait().unwrap();
    let coinbase = coinbase_transaction(&parts, extra, anyone_can_spend());
    let path = template.get_coinbase_merkle_path().wait().unwrap();
    block.header.merkle_root = merkle_root(coinbase.compute_txid(), &path);
    block.txdata[0] = coinbase;
    assert!(solve(&mut block.header));
    block
}

/// Changes a block and gives it a fitting merkle root and nonce again.
pub(crate) fn changed(block: &Block, change: impl FnOnce(&mut Block)) -> Block {
    let mut block = block.clone();
    change(&mut block);
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    assert!(solve(&mut block.header));
    block
}

pub(crate) fn submit(template: &BlockTemplateClient, block: &Block) -> Outcome {
    let Header { version, time, nonce, .. } = block.header;
    template.submit_solution(version, time, nonce, block.txdata[0].clone()).wait().unwrap()
}

/// The word with which a block was rejected.
#[track_caller]
pub(crate) fn reason(outcome: Outcome) -> String {
    outcome.into_result().unwrap_err().reason.unwrap_or_default()
}
