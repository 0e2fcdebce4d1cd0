//! Nodes in processes of their own, to be killed. The program is this one, run again.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_regtest::{Chain, NodeInit};

/// The data directory of the process that is to be a node.
const DATADIR: &str = "BITCOIN_IPC_TEST_NODE";

/// Does nothing where the variable is not set, as when all tests are run.
#[test]
fn serve_as_a_node() {
    let Some(datadir) = std::env::var_os(DATADIR) else { return };
    let init = InitClient::new(NodeInit::new(Chain::regtest()));
    let node = Ipc::new(IpcOptions::new("bitcoin-node", init).datadir(datadir));
    node.listen_address("unix").unwrap();
    // Until it is killed, or until the test has gone, which has the other end of this pipe.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// A process that is killed with the test.
pub(crate) struct NodeProcess(Child);

impl NodeProcess {
    /// Starts a node that listens in this directory, without waiting for it.
    pub(crate) fn start(datadir: &Path) -> NodeProcess {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["nodes::serve_as_a_node", "--exact", "--nocapture", "-q"])
            .env(DATADIR, datadir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        NodeProcess(child.unwrap())
    }

    /// Kills it at once, as `kill -9` does.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
