//! The tip, and who is told of the next ones.

use std::sync::Arc;

use bitcoin_ipc_draft::chain::Chain as _;
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::node::BlockTip;
use bitcoin_regtest::Tip;
use multiprocess::{Call, Result};

use super::subscribers;
use crate::chain::ServedChain;
use crate::split_node::SplitNode;

/// The node catches up with its chain.
const INIT_DOWNLOAD: i32 = 1;
/// It has.
const POST_INIT: i32 = 2;

/// The tip as user interfaces are told of it.
pub(super) struct Tips {
    node: SplitNode,
}

impl Tips {
    pub(super) fn new(node: &SplitNode) -> Tips {
        Tips { node: node.clone() }
    }

    /// The newest block.
    pub(super) fn newest(&self) -> BlockTip {
        self.told(self.node.chain().tip())
    }

    fn told(&self, tip: Tip) -> BlockTip {
        let time = self.node.chain().block_by_hash(&tip.hash).map_or(0, |block| block.header.time);
        BlockTip::default()
            .block_height(i32::try_from(tip.height).unwrap_or(i32::MAX))
            .block_time(time.into())
            .block_hash(Some(tip.hash))
    }

    /// Tells a process of each tip from now on. One that is slow misses those that are past when it has time again, and is
    /// told of the newest: so nothing is kept for it.
    pub(super) fn tell(
        self,
        call: impl Fn(i32, BlockTip, f64) -> Call<()> + Send + 'static,
    ) -> Result<HandlerClient> {
        let (chain, wakes) = (Arc::clone(self.node.chain()), Arc::clone(self.node.chain()));
        let mut last = chain.tip().hash;
        let patience = self.node.patience();
        subscribers::tell(
            move |telling| {
                let tip = chain.wait_tip_changed(last, None, &|| telling.has_ended())?;
                last = tip.hash;
                Some(tip)
            },
            move |tip| {
                let chain = ServedChain::new(self.node.clone());
                let state = match chain.is_initial_block_download()? {
                    true => INIT_DOWNLOAD,
                    false => POST_INIT,
                };
                let progress = chain.guess_verification_progress(tip.hash)?;
                call(state, self.told(tip), progress).timeout(patience).wait()
            },
            move || wakes.wake_waiters(),
        )
    }
}
