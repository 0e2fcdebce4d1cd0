//! A node and its wallet process for a test: in one process, over a real socket pair.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin_ipc::bitcoin::{Address, BlockHash, ScriptBuf};
use bitcoin_ipc::common::GlobalArgs;
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::CommandError;
use bitcoin_ipc_draft::chain::ChainHandle;
use bitcoin_ipc_draft::init::InitClient;
use bitcoin_ipc_draft::wallet::{WalletClient, WalletLoaderClient};
use bitcoin_ipc_wallet::WalletProcess;
use bitcoin_regtest::{Chain, mine_block};
use bitcoin_split::SplitNode;
use multiprocess::{Connection, PeerVersion};
use serde_json::json;

/// How long something may take that is waited for.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A node, whose wallet process can end and come back.
pub(crate) struct Node {
    pub(crate) split: SplitNode,
    pub(crate) chain: Arc<Chain>,
    datadir: PathBuf,
}

/// A wallet process of it.
pub(crate) struct Process {
    pub(crate) process: WalletProcess,
    /// The wallet's end of the connection.
    pub(crate) serving: Connection,
    /// The node's.
    pub(crate) connection: Connection,
    pub(crate) init: InitClient,
    pub(crate) loader: WalletLoaderClient,
}

impl Node {
    /// A node in this directory, with an empty chain.
    pub(crate) fn new(datadir: &Path) -> Node {
        Node::with(datadir, Chain::regtest())
    }

    /// A node in this directory.
    pub(crate) fn with(datadir: &Path, chain: Arc<Chain>) -> Node {
        let split = SplitNode::new(Arc::clone(&chain), datadir.to_owned()).unwrap();
        Node { split, chain, datadir: datadir.to_owned() }
    }

    /// The settings that its wallet process gets.
    pub(crate) fn settings(&self) -> GlobalArgs {
        let mut args = self.split.settings().global_args();
        let datadir = json!(self.datadir.to_str().unwrap());
        args.settings.forced_settings.insert("datadir".to_owned(), datadir.to_string());
        args.settings.forced_settings.insert("chain".to_owned(), json!("regtest").to_string());
        args
    }

    /// Connects a wallet process that has made its loader, and nothing more.
    pub(crate) fn connect(&self) -> Process {
        self.connect_to(self.split.chain_handle())
    }

    /// The same with another chain than the node's own.
    pub(crate) fn connect_to(&self, chain: ChainHandle) -> Process {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let process = WalletProcess::new();
        let serving = Connection::builder().serve(process.init()).start(theirs).unwrap();
        let connection = Connection::new(ours).unwrap();
        let init: InitClient = connection.bootstrap().unwrap();
        PeerVersion::assume(&init, "2026-07").unwrap();
        let loader = init.make_wallet_loader(self.settings(), Some(chain)).wait().unwrap();
        Process { process, serving, connection, init, loader: loader.unwrap() }
    }

    /// Starts a wallet process, in the order in which a node does.
    pub(crate) fn start(&self) -> Process {
        self.start_on(self.split.chain_handle())
    }

    /// The same with another chain than the node's own.
    pub(crate) fn start_on(&self, chain: ChainHandle) -> Process {
        let process = self.connect_to(chain);
        process.loader.register_rpcs().wait().unwrap();
        assert!(process.loader.verify().wait().unwrap());
        assert!(process.loader.load().wait().unwrap());
        process.loader.start().wait().unwrap();
        process
    }

    /// Calls a command, as a client of the node's.
    pub(crate) fn try_call(
        &self,
        uri: &str,
        name: &str,
        params: Value,
    ) -> Result<Value, CommandError> {
        let answered = self.split.commands().execute(name, params, uri, "");
        answered.unwrap_or_else(|| panic!("there is no command {name}"))
    }

    /// The same where there is one wallet, for what must succeed.
    pub(crate) fn call(&self, name: &str, params: Value) -> Value {
        self.call_at("/", name, params)
    }

    /// The same for the wallet of a path.
    pub(crate) fn call_at(&self, uri: &str, name: &str, params: Value) -> Value {
        self.try_call(uri, name, params).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The number and text of a command's error.
    pub(crate) fn error(&self, uri: &str, name: &str, params: Value) -> (i64, String) {
        match self.try_call(uri, name, params) {
            Err(CommandError::Rpc(error)) => (error.code, error.message),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Mines blocks to a script.
    pub(crate) fn mine(&self, blocks: usize, to: &ScriptBuf) -> Vec<BlockHash> {
        (0..blocks).map(|_| mine_block(&self.chain, to.clone()).unwrap()).collect()
    }

    /// Mines blocks to nobody.
    pub(crate) fn mine_empty(&self, blocks: usize) -> Vec<BlockHash> {
        self.mine(blocks, &nobody())
    }

    /// A new address of the only wallet.
    pub(crate) fn address(&self) -> Address {
        address(&self.call("getnewaddress", json!([])))
    }

    /// The balance of the only wallet, in bitcoins.
    pub(crate) fn balance(&self) -> f64 {
        self.call("getbalance", json!([])).as_f64().unwrap()
    }
}

impl Process {
    /// Ends the connection, as a node does that dies, and waits until the process has ended its work.
    pub(crate) fn lose_node(self) {
        self.connection.disconnect();
        self.serving.wait_disconnected();
        self.process.stop();
    }

    /// The wallet of this name.
    pub(crate) fn wallet(&self, name: &str) -> WalletClient {
        let wallets = self.loader.get_wallets().wait().unwrap();
        let mut wallets = wallets.into_iter().flatten();
        wallets.find(|wallet| wallet.get_wallet_name().wait().unwrap() == name).unwrap()
    }
}

/// An address as a command gives it.
pub(crate) fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse::<Address<_>>().unwrap().assume_checked()
}

/// A script that pays to no wallet.
pub(crate) fn nobody() -> ScriptBuf {
    ScriptBuf::from_bytes(vec![0x51])
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
