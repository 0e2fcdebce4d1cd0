//! The draft's Chain, served from a regtest chain.

use bitcoin_ipc_draft::chain::{Chain, RpcCommand};
use bitcoin_ipc_draft::handler::HandlerClient;
use multiprocess::Result;

use crate::split_node::SplitNode;

/// The chain as one wallet process has it.
pub(crate) struct ServedChain {
    node: SplitNode,
}

impl ServedChain {
    pub(crate) fn new(node: SplitNode) -> ServedChain {
        ServedChain { node }
    }
}

impl Chain for ServedChain {
    fn handle_rpc(&self, command: RpcCommand) -> Result<Option<HandlerClient>> {
        Ok(Some(self.node.commands().register(command)))
    }
}
