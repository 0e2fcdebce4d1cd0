//! `NodeSession`: with nodes that come late, are killed and come back, shut down, or are not what they should be.

mod closing;
mod follows;
mod lost;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bitcoin_ipc::bitcoin::{BlockHash, ScriptBuf};
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::session::{NodeSession, SessionBuilder};
use bitcoin_regtest::{Chain, NodeInit, mine_block};
use multiprocess::process::Backoff;
use tempfile::TempDir;

use crate::{LONG, fresh_chain, wait_until};

/// A node in this process, which can go and come back.
struct Node {
    dir: TempDir,
    chain: Arc<Chain>,
    served: NodeInit,
    /// None while it is away.
    ipc: Option<Ipc>,
}

impl Node {
    fn new() -> Node {
        let (dir, chain) = (TempDir::new().unwrap(), fresh_chain());
        let served = NodeInit::new(Arc::clone(&chain));
        let mut node = Node { dir, chain, served, ipc: None };
        node.come();
        node
    }

    /// Listens, on the same chain as before.
    fn come(&mut self) {
        self.served = NodeInit::new(Arc::clone(&self.chain));
        let init = InitClient::new(self.served.clone());
        let options = IpcOptions::new("bitcoin-node", init).datadir(self.dir.path());
        let ipc = Ipc::new(options);
        ipc.listen_address("unix").unwrap();
        self.ipc = Some(ipc);
    }

    /// Ends all connections and listens no more.
    fn go(&mut self) {
        self.ipc = None;
    }

    fn session(&self) -> NodeSession {
        builder(self.dir.path()).connect().unwrap()
    }

    fn mine(&self) -> BlockHash {
        mine_block(&self.chain, ScriptBuf::new_op_return([])).unwrap()
    }

    fn live_templates(&self) -> usize {
        self.served.live_templates()
    }

    fn wait_for_waiters(&self, count: usize) {
        wait_until(&format!("{count} calls wait in the node"), || self.chain.waiters() == count);
    }
}

/// A session that is quick to connect again.
fn builder(datadir: &Path) -> SessionBuilder {
    let first = Duration::from_millis(1);
    NodeSession::builder(IpcOptions::client("client").datadir(datadir).connect_timeout(LONG))
        .backoff(Backoff { first, longest: 10 * first, ..SessionBuilder::BACKOFF })
}
