//! A node for tests of programs that use one: in this process, with its socket in a directory of its own. It can
//! go and come back.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin_ipc::bitcoin::{BlockHash, ScriptBuf};
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_regtest::{Chain, NodeInit, mine_block};
use tempfile::TempDir;

/// The longest time that anything in these tests may take.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) struct Node {
    dir: TempDir,
    pub(crate) chain: Arc<Chain>,
    /// None while it is away.
    ipc: Option<Ipc>,
}

impl Node {
    pub(crate) fn new() -> Node {
        let dir = TempDir::new().unwrap();
        let chain = Chain::regtest();
        // A minute old: on an old tip a test network has a better template every second.
        let genesis = chain.block_by_height(0).unwrap();
        chain.set_time(Some(u64::from(genesis.header.time) + 60));
        let mut node = Node { dir, chain, ipc: None };
        node.come();
        node
    }

    pub(crate) fn datadir(&self) -> &Path {
        self.dir.path()
    }

    /// Begins to listen, on the same chain as before.
    pub(crate) fn come(&mut self) {
        let init = InitClient::new(NodeInit::new(Arc::clone(&self.chain)));
        let ipc = Ipc::new(IpcOptions::new("bitcoin-node", init).datadir(self.dir.path()));
        ipc.listen_address("unix").unwrap();
        self.ipc = Some(ipc);
    }

    /// Ends its connections and listens no more.
    pub(crate) fn go(&mut self) {
        self.ipc = None;
    }

    /// Mines a block, as another miner would.
    pub(crate) fn mine(&self) -> BlockHash {
        mine_block(&self.chain, ScriptBuf::new_op_return([])).unwrap()
    }
}

/// Waits until `done` is true; panics with `what` if it takes too long.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
