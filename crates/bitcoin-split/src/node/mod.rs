//! The draft's Node, served from a regtest chain: what a user interface asks and is told.
//!
//! Each method runs on a thread of the process that calls it. Who has asked to be told of something has a thread here,
//! in `subscribers`; what they are told is in `tips` and `messages`. `transactions` and `commands` hold what takes more
//! than a line.

mod commands;
mod messages;
mod subscribers;
mod tips;
mod transactions;

use bitcoin::{Amount, BlockHash, OutPoint, Transaction};
use bitcoin_ipc::common::{BilingualStr, GlobalArgs, Pair};
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::chain::Chain;
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::node::{
    Banmap, BannedListChangedCallbackClient, BlockAndHeaderTipInfo, ExternalSignerClient,
    InitMessageCallbackClient, InitWalletCallbackClient, LocalServiceInfo,
    MessageBoxCallbackClient, Node, NodeAppInitMainResults, NodeBroadcastTransactionResults,
    NodeGetBannedResults, NodeGetHeaderTipResults, NodeGetNodesStatsResults, NodeGetProxyResults,
    NotifyAlertChangedCallbackClient, NotifyBlockTipCallbackClient, NotifyHeaderTipCallbackClient,
    NotifyNetworkActiveChangedCallbackClient, NotifyNumConnectionsChangedCallbackClient,
    QuestionCallbackClient, ShowNodeProgressCallbackClient,
};
use bitcoin_ipc_draft::values::SettingsAction;
use bitcoin_ipc_draft::wallet::WalletLoaderClient;
use bitcoin_ipc_draft::{Coin, FeeRate};
use multiprocess::{Error, Result};
use serde_json::json;

use crate::chain::{ServedChain, nothing_given};
use crate::split_node::SplitNode;
use tips::Tips;

/// The node as one user interface has it.
pub(crate) struct ServedNode {
    node: SplitNode,
    /// Answers what a wallet can ask, too.
    chain: ServedChain,
}

impl ServedNode {
    pub(crate) fn new(node: SplitNode) -> ServedNode {
        let chain = ServedChain::new(node.clone());
        ServedNode { node, chain }
    }

    fn tips(&self) -> Tips {
        Tips::new(&self.node)
    }
}

impl Node for ServedNode {
    /// It logs already.
    fn init_logging(&self) -> Result<()> {
        Ok(())
    }

    /// Done when it was started.
    fn init_parameter_interaction(&self) -> Result<()> {
        Ok(())
    }

    fn get_warnings(&self) -> Result<BilingualStr> {
        Ok(self.node.warning().unwrap_or_default())
    }

    /// The log has no categories.
    fn get_log_categories(&self) -> Result<u64> {
        Ok(0)
    }

    fn get_exit_status(&self) -> Result<i32> {
        Ok(0)
    }

    /// It runs, with the settings that it has.
    fn base_initialize(&self, _global_args: GlobalArgs) -> Result<bool> {
        Ok(true)
    }

    fn app_init_main(&self) -> Result<NodeAppInitMainResults> {
        let (tip, progress) = (self.tips().newest(), self.get_verification_progress()?);
        let info = BlockAndHeaderTipInfo::default()
            .block_height(tip.block_height)
            .block_time(tip.block_time)
            .header_height(tip.block_height)
            .header_time(tip.block_time)
            .verification_progress(progress);
        Ok(NodeAppInitMainResults::default().tip_info(info).result(true))
    }

    fn app_shutdown(&self) -> Result<()> {
        self.start_shutdown()
    }

    fn start_shutdown(&self) -> Result<()> {
        self.node.start_shutdown();
        Ok(())
    }

    fn shutdown_requested(&self) -> Result<bool> {
        self.chain.shutdown_requested()
    }

    fn is_setting_ignored(&self, name: String) -> Result<bool> {
        Ok(self.node.settings().is_ignored(&name))
    }

    fn get_persistent_setting(&self, name: String) -> Result<Value> {
        Ok(self.node.settings().rw(&name))
    }

    fn update_rw_setting(&self, name: String, value: Value) -> Result<()> {
        written(self.node.settings().set_rw(&name, value, SettingsAction::Write))
    }

    fn force_setting(&self, name: String, value: Value) -> Result<()> {
        self.node.settings().force(&name, value);
        Ok(())
    }

    fn reset_settings(&self) -> Result<()> {
        written(self.node.settings().reset())
    }

    fn get_proxy(&self, _net: i32) -> Result<NodeGetProxyResults> {
        Ok(NodeGetProxyResults::default())
    }

    fn get_node_count(&self, _flags: i32) -> Result<u64> {
        Ok(0)
    }

    fn get_nodes_stats(&self) -> Result<NodeGetNodesStatsResults> {
        Ok(NodeGetNodesStatsResults::default().result(true))
    }

    fn get_banned(&self) -> Result<NodeGetBannedResults> {
        let none = Banmap::default().json(json!([]));
        Ok(NodeGetBannedResults::default().banmap(none).result(true))
    }

    fn disconnect_by_address(&self, _address: Vec<u8>) -> Result<bool> {
        Ok(false)
    }

    fn disconnect_by_id(&self, _id: i64) -> Result<bool> {
        Ok(false)
    }

    fn list_external_signers(&self) -> Result<Vec<Option<ExternalSignerClient>>> {
        Ok(Vec::new())
    }

    fn get_total_bytes_recv(&self) -> Result<i64> {
        Ok(0)
    }

    fn get_total_bytes_sent(&self) -> Result<i64> {
        Ok(0)
    }

    fn get_mempool_size(&self) -> Result<u64> {
        Ok(self.node.chain().view().mempool().count() as u64)
    }

    /// Without what it needs to find them.
    fn get_mempool_dynamic_usage(&self) -> Result<u64> {
        let view = self.node.chain().view();
        Ok(view.mempool().map(|entry| entry.transaction.total_size() as u64).sum())
    }

    /// It has no limit.
    fn get_mempool_max_usage(&self) -> Result<u64> {
        Ok(u64::MAX)
    }

    fn get_header_tip(&self) -> Result<NodeGetHeaderTipResults> {
        let tip = self.tips().newest();
        let found = NodeGetHeaderTipResults::default().height(tip.block_height);
        Ok(found.block_time(tip.block_time).result(true))
    }

    fn get_num_blocks(&self) -> Result<i32> {
        Ok(self.tips().newest().block_height)
    }

    fn get_net_local_addresses(&self) -> Result<Vec<Pair<Vec<u8>, LocalServiceInfo>>> {
        Ok(Vec::new())
    }

    fn get_best_block_hash(&self) -> Result<BlockHash> {
        Ok(self.node.chain().tip().hash)
    }

    fn get_last_block_time(&self) -> Result<i64> {
        Ok(self.tips().newest().block_time)
    }

    fn get_verification_progress(&self) -> Result<f64> {
        self.chain.guess_verification_progress(self.node.chain().tip().hash)
    }

    fn is_initial_block_download(&self) -> Result<bool> {
        self.chain.is_initial_block_download()
    }

    /// They were loaded before it served anybody.
    fn is_loading_blocks(&self) -> Result<bool> {
        Ok(false)
    }

    fn set_network_active(&self, active: bool) -> Result<()> {
        self.node.set_network_active(active);
        Ok(())
    }

    fn get_network_active(&self) -> Result<bool> {
        Ok(self.node.network_active())
    }

    fn get_dust_relay_fee(&self) -> Result<FeeRate> {
        self.chain.relay_dust_fee()
    }

    fn execute_rpc(&self, command: String, params: Value, uri: String) -> Result<Value> {
        Ok(commands::execute(&self.node, &command, params, &uri)?)
    }

    fn list_rpc_commands(&self) -> Result<Vec<String>> {
        Ok(commands::names(&self.node)?)
    }

    fn get_unspent_output(&self, output: OutPoint) -> Result<Option<Coin>> {
        Ok(transactions::unspent(&self.node.chain().view(), &output))
    }

    fn broadcast_transaction(
        &self,
        tx: Transaction,
        max_tx_fee: Amount,
    ) -> Result<NodeBroadcastTransactionResults> {
        transactions::broadcast(&self.chain, tx, max_tx_fee)
    }

    fn custom_wallet_loader(&self) -> Result<Option<WalletLoaderClient>> {
        self.node.wallets().map(Some)
    }

    fn handle_init_message(
        &self,
        callback: Option<InitMessageCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        messages::init(&self.node, given(callback)?).map(Some)
    }

    fn handle_message_box(
        &self,
        callback: Option<MessageBoxCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        messages::boxes(&self.node, given(callback)?).map(Some)
    }

    /// It asks nothing.
    fn handle_question(
        &self,
        callback: Option<QuestionCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        given(callback).map(|callback| Some(subscribers::never(callback)))
    }

    fn handle_show_progress(
        &self,
        callback: Option<ShowNodeProgressCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        messages::progress(&self.node, given(callback)?).map(Some)
    }

    fn handle_init_wallet(
        &self,
        callback: Option<InitWalletCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        messages::wallets(&self.node, given(callback)?).map(Some)
    }

    /// It never has peers.
    fn handle_notify_num_connections_changed(
        &self,
        callback: Option<NotifyNumConnectionsChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        given(callback).map(|callback| Some(subscribers::never(callback)))
    }

    fn handle_notify_network_active_changed(
        &self,
        callback: Option<NotifyNetworkActiveChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        messages::network(&self.node, given(callback)?).map(Some)
    }

    fn handle_notify_alert_changed(
        &self,
        callback: Option<NotifyAlertChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        messages::alerts(&self.node, given(callback)?).map(Some)
    }

    /// Nobody is banned.
    fn handle_banned_list_changed(
        &self,
        callback: Option<BannedListChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        given(callback).map(|callback| Some(subscribers::never(callback)))
    }

    fn handle_notify_block_tip(
        &self,
        callback: Option<NotifyBlockTipCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        let callback = given(callback)?;
        self.tips().tell(move |state, tip, progress| callback.call(state, tip, progress)).map(Some)
    }

    /// A header comes with its block.
    fn handle_notify_header_tip(
        &self,
        callback: Option<NotifyHeaderTipCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        let callback = given(callback)?;
        self.tips().tell(move |state, tip, progress| callback.call(state, tip, progress)).map(Some)
    }
}

fn given<T>(callback: Option<T>) -> Result<T> {
    callback.ok_or_else(|| nothing_given("callback"))
}

/// A setting is only acknowledged when it is on the disk.
fn written(done: bool) -> Result<()> {
    let failed =
        "the settings could not be written, and count until the node ends: its log says why";
    if done { Ok(()) } else { Err(Error::failed(failed)) }
}
