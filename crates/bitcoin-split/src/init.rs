//! The bootstrap object of the node's process.

use bitcoin_ipc::common::GlobalArgs;
use bitcoin_ipc::echo::EchoClient;
use bitcoin_ipc::init::Init as Released;
use bitcoin_ipc::mining::MiningClient;
use bitcoin_ipc::rpc::{Rpc, RpcClient};
use bitcoin_ipc_draft::chain::ChainHandle;
use bitcoin_ipc_draft::init::{Init, InitClient};
use bitcoin_ipc_draft::node::NodeClient;
use bitcoin_ipc_draft::wallet::WalletLoaderClient;
use multiprocess::Result;

use crate::node::ServedNode;
use crate::{SplitNode, rpc};

/// The bootstrap object of a node's process: what the released interfaces have, so that every client of Bitcoin Core's
/// can be one of this, and what the draft has beside them. `makeWalletLoader` gives the loader of the wallet process
/// that the node has, whatever settings and chain come with the call.
pub fn init(node: &SplitNode) -> InitClient {
    InitClient::new(NodeProcess { node: node.clone() })
}

struct NodeProcess {
    node: SplitNode,
}

impl Init for NodeProcess {
    fn make_echo(&self) -> Result<Option<EchoClient>> {
        self.node.released().make_echo()
    }

    fn make_mining(&self) -> Result<Option<MiningClient>> {
        self.node.released().make_mining()
    }

    fn make_mining_old2(&self) -> Result<()> {
        self.node.released().make_mining_old2()
    }

    fn make_rpc(&self) -> Result<Option<RpcClient>> {
        // With the delays and errors that a test may have ordered.
        self.node.released().faults().meet("Init.makeRpc")?;
        Ok(Some(RpcClient::new(NodeRpc { node: self.node.clone() })))
    }

    fn make_chain(&self) -> Result<Option<ChainHandle>> {
        Ok(Some(self.node.chain_handle()))
    }

    fn make_node(&self) -> Result<Option<NodeClient>> {
        Ok(Some(NodeClient::new(ServedNode::new(self.node.clone()))))
    }

    fn make_wallet_loader(
        &self,
        _settings: GlobalArgs,
        _chain: Option<ChainHandle>,
    ) -> Result<Option<WalletLoaderClient>> {
        self.node.wallets().map(Some)
    }
}

/// The JSON-RPC methods of all processes.
struct NodeRpc {
    node: SplitNode,
}

impl Rpc for NodeRpc {
    fn execute_rpc(&self, request: String, uri: String, user: String) -> Result<String> {
        self.node.released().faults().meet("Rpc.executeRpc")?;
        Ok(rpc::execute(&self.node, &request, &uri, &user))
    }
}
