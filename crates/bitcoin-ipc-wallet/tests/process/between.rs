//! The node's chain as a wallet process has it, where a test comes in between.

use bitcoin_ipc::bitcoin::{Amount, BlockHash, Transaction, Txid};
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::FeeRate;
use bitcoin_ipc_draft::chain::{
    Chain, ChainBroadcastTransactionResults, ChainEstimateSmartFeeResults, ChainFindBlockResults,
    ChainHandle, ChainNotificationsClient, FoundBlockParam, RpcCommand,
    SettingsUpdateCallbackClient,
};
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::values::{Broadcast, Replaceability};
use multiprocess::Result;

/// A call of the wallet's, before it is passed on to the node.
pub(crate) enum Call<'a> {
    /// It asks for the blocks after this one.
    FindBlock(BlockHash),
    /// So many percent of a look at the chain are done.
    Progress(i32),
    /// It has given this to the node, which took it: the call was passed on already.
    Sent(&'a Transaction),
    /// It subscribes, with an object that can be replaced.
    Subscribe(&'a mut ChainNotificationsClient),
    /// It waits for the notifications.
    Wait,
    /// The same, by the method that nodes of February have as well.
    WaitIfTipChanged,
}

/// Passes on what the wallet process asks, unless `hook` says that it fails.
struct Between<F> {
    chain: ChainHandle,
    hook: F,
}

/// The chain with `hook` in between, which runs on the thread of the node that has the call.
pub(crate) fn between(
    chain: ChainHandle,
    hook: impl Fn(Call<'_>) -> Result<()> + Send + Sync + 'static,
) -> ChainHandle {
    ChainHandle::new(Between { chain, hook })
}

impl<F: Fn(Call<'_>) -> Result<()> + Send + Sync + 'static> Chain for Between<F> {
    fn get_height(&self) -> Result<Option<i32>> {
        self.chain.get_height().wait()
    }

    fn get_block_hash(&self, height: i32) -> Result<BlockHash> {
        self.chain.get_block_hash(height).wait()
    }

    fn find_block(&self, hash: BlockHash, block: FoundBlockParam) -> Result<ChainFindBlockResults> {
        (self.hook)(Call::FindBlock(hash))?;
        self.chain.find_block(hash, block).wait()
    }

    fn show_progress(&self, title: String, progress: i32, resume_possible: bool) -> Result<()> {
        (self.hook)(Call::Progress(progress))?;
        self.chain.show_progress(title, progress, resume_possible).wait()
    }

    fn broadcast_transaction(
        &self,
        tx: Transaction,
        max_tx_fee: Amount,
        broadcast_method: Broadcast,
    ) -> Result<ChainBroadcastTransactionResults> {
        let sent = self.chain.broadcast_transaction(tx.clone(), max_tx_fee, broadcast_method);
        let sent = sent.wait()?;
        if sent.result {
            (self.hook)(Call::Sent(&tx))?;
        }
        Ok(sent)
    }

    fn handle_notifications(
        &self,
        notifications: Option<ChainNotificationsClient>,
    ) -> Result<Option<HandlerClient>> {
        let mut notifications = notifications.expect("an object that is told");
        (self.hook)(Call::Subscribe(&mut notifications))?;
        self.chain.handle_notifications(Some(notifications)).wait()
    }

    fn wait_for_notifications(&self) -> Result<()> {
        (self.hook)(Call::Wait)?;
        self.chain.wait_for_notifications().wait()
    }

    fn wait_for_notifications_if_tip_changed(&self, old_tip: BlockHash) -> Result<()> {
        (self.hook)(Call::WaitIfTipChanged)?;
        self.chain.wait_for_notifications_if_tip_changed(old_tip).wait()
    }

    fn request_mempool_transactions(
        &self,
        notifications: Option<ChainNotificationsClient>,
    ) -> Result<()> {
        self.chain.request_mempool_transactions(notifications).wait()
    }

    fn is_in_mempool(&self, txid: Txid) -> Result<bool> {
        self.chain.is_in_mempool(txid).wait()
    }

    fn is_rbf_opt_in(&self, tx: Transaction) -> Result<Replaceability> {
        self.chain.is_rbf_opt_in(tx).wait()
    }

    fn is_ready_to_broadcast(&self) -> Result<bool> {
        self.chain.is_ready_to_broadcast().wait()
    }

    fn estimate_smart_fee(
        &self,
        num_blocks: i32,
        conservative: bool,
        want_calc: bool,
    ) -> Result<ChainEstimateSmartFeeResults> {
        self.chain.estimate_smart_fee(num_blocks, conservative, want_calc).wait()
    }

    fn mempool_min_fee(&self) -> Result<FeeRate> {
        self.chain.mempool_min_fee().wait()
    }

    fn relay_min_fee(&self) -> Result<FeeRate> {
        self.chain.relay_min_fee().wait()
    }

    fn handle_rpc(&self, command: RpcCommand) -> Result<Option<HandlerClient>> {
        self.chain.handle_rpc(command).wait()
    }

    fn get_settings_list(&self, name: String) -> Result<Vec<Value>> {
        self.chain.get_settings_list(name).wait()
    }

    fn update_rw_setting(
        &self,
        name: String,
        update: Option<SettingsUpdateCallbackClient>,
    ) -> Result<bool> {
        self.chain.update_rw_setting(name, update).wait()
    }
}
