//! The draft's Chain, served from a regtest chain: what Bitcoin Core answers, from there.
//!
//! Each method runs on a thread of the process that calls it. The chain is asked in `blocks`, the memory pool in
//! `mempool` and `fees`; `notifications` has a thread for each subscriber.

mod blocks;
mod fees;
mod mempool;
mod notifications;

use std::sync::Mutex;

use bitcoin::{Amount, BlockHash, OutPoint, Transaction, Txid};
use bitcoin_ipc::common::{BilingualStr, UtilResultVoid};
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::chain::{
    Chain, ChainBroadcastTransactionResults, ChainEstimateSmartFeeResults,
    ChainFindAncestorByHashResults, ChainFindAncestorByHeightResults, ChainFindBlockResults,
    ChainFindCommonAncestorResults, ChainFindFirstBlockWithTimeAndHeightResults,
    ChainGetPackageLimitsResults, ChainGetTransactionAncestryResults, ChainNotificationsClient,
    FoundBlockParam, RpcCommand, SettingsUpdateCallbackClient,
};
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::values::{Broadcast, FilterType, Replaceability, SettingsAction};
use bitcoin_ipc_draft::{Coin, FeeRate, Locator};
use bitcoin_regtest::SubscriptionControl;
use multiprocess::{Error, Result};

use crate::messages::Message;
use crate::split_node::{SplitNode, lock};

/// How often a setting is read again that somebody else changes at the same time.
const TRIES: usize = 100;

/// The chain as one wallet process has it.
pub(crate) struct ServedChain {
    node: SplitNode,
    /// What this process has subscribed to.
    subscribers: Mutex<Vec<SubscriptionControl>>,
}

impl ServedChain {
    pub(crate) fn new(node: SplitNode) -> ServedChain {
        ServedChain { node, subscribers: Mutex::default() }
    }
}

impl Chain for ServedChain {
    fn get_height(&self) -> Result<Option<i32>> {
        Ok(Some(blocks::number(self.node.chain().tip().height)))
    }

    fn get_block_hash(&self, height: i32) -> Result<BlockHash> {
        let hash = u32::try_from(height).ok().and_then(|height| self.node.chain().hash_at(height));
        hash.ok_or_else(|| Error::failed(format!("the chain has no block at height {height}")))
    }

    fn have_block_on_disk(&self, height: i32) -> Result<bool> {
        Ok(u32::try_from(height).is_ok_and(|height| self.node.chain().hash_at(height).is_some()))
    }

    fn find_locator_fork(&self, locator: Locator) -> Result<Option<i32>> {
        Ok(Some(blocks::number(blocks::fork(&self.node.chain().view(), &locator))))
    }

    fn has_block_filter_index(&self, _filter_type: FilterType) -> Result<bool> {
        Ok(false)
    }

    fn block_filter_matches_any(
        &self,
        _filter_type: FilterType,
        _block_hash: BlockHash,
        _filter_set: Vec<Vec<u8>>,
    ) -> Result<Option<bool>> {
        Ok(None)
    }

    fn find_block(&self, hash: BlockHash, block: FoundBlockParam) -> Result<ChainFindBlockResults> {
        let found = blocks::fill(&self.node.chain().view(), Some(hash), &block);
        let result = found.found;
        Ok(ChainFindBlockResults::default().block(found).result(result))
    }

    fn find_first_block_with_time_and_height(
        &self,
        min_time: i64,
        min_height: i32,
        block: FoundBlockParam,
    ) -> Result<ChainFindFirstBlockWithTimeAndHeightResults> {
        let view = self.node.chain().view();
        let found = blocks::fill(&view, blocks::first_since(&view, min_time, min_height), &block);
        let result = found.found;
        Ok(ChainFindFirstBlockWithTimeAndHeightResults::default().block(found).result(result))
    }

    fn find_ancestor_by_height(
        &self,
        block_hash: BlockHash,
        ancestor_height: i32,
        ancestor: FoundBlockParam,
    ) -> Result<ChainFindAncestorByHeightResults> {
        let view = self.node.chain().view();
        let height = u32::try_from(ancestor_height).ok();
        let hash = height.and_then(|height| view.ancestor(&block_hash, height));
        let found = blocks::fill(&view, hash, &ancestor);
        let result = found.found;
        Ok(ChainFindAncestorByHeightResults::default().ancestor(found).result(result))
    }

    fn find_ancestor_by_hash(
        &self,
        block_hash: BlockHash,
        ancestor_hash: BlockHash,
        ancestor: FoundBlockParam,
    ) -> Result<ChainFindAncestorByHashResults> {
        let view = self.node.chain().view();
        let height = view.block(&ancestor_hash).map(|block| block.height);
        let hash = height.and_then(|height| view.ancestor(&block_hash, height));
        let found = blocks::fill(&view, hash.filter(|hash| *hash == ancestor_hash), &ancestor);
        let result = found.found;
        Ok(ChainFindAncestorByHashResults::default().ancestor(found).result(result))
    }

    fn find_common_ancestor(
        &self,
        block_hash1: BlockHash,
        block_hash2: BlockHash,
        ancestor: FoundBlockParam,
        block1: FoundBlockParam,
        block2: FoundBlockParam,
    ) -> Result<ChainFindCommonAncestorResults> {
        let view = self.node.chain().view();
        let common = view.common_ancestor(&block_hash1, &block_hash2);
        let ancestor = blocks::fill(&view, common, &ancestor);
        let block1 = blocks::fill(&view, Some(block_hash1), &block1);
        let block2 = blocks::fill(&view, Some(block_hash2), &block2);
        let result = ancestor.found && block1.found && block2.found;
        let found = ChainFindCommonAncestorResults::default().ancestor(ancestor).block1(block1);
        Ok(found.block2(block2).result(result))
    }

    fn find_coins(
        &self,
        coins: Vec<(OutPoint, Option<Coin>)>,
    ) -> Result<Vec<(OutPoint, Option<Coin>)>> {
        let view = self.node.chain().view();
        let outpoints = coins.into_iter().map(|(outpoint, _)| outpoint);
        Ok(outpoints.map(|outpoint| (outpoint, mempool::coin(&view, &outpoint))).collect())
    }

    fn guess_verification_progress(&self, block_hash: BlockHash) -> Result<f64> {
        Ok(blocks::progress(&self.node.chain().view(), &block_hash))
    }

    fn has_blocks(&self, block_hash: BlockHash, _: i32, _: Option<i32>) -> Result<bool> {
        // Nothing is pruned: a block that is known is there with all before it.
        Ok(self.node.chain().view().block(&block_hash).is_some())
    }

    fn is_rbf_opt_in(&self, tx: Transaction) -> Result<Replaceability> {
        Ok(mempool::replaceability(&self.node.chain().view(), &tx))
    }

    fn is_in_mempool(&self, txid: Txid) -> Result<bool> {
        Ok(self.node.chain().view().mempool_entry(&txid).is_some())
    }

    fn has_descendants_in_mempool(&self, txid: Txid) -> Result<bool> {
        let view = self.node.chain().view();
        Ok(view.mempool_descendants(&txid).is_some_and(|descendants| descendants.len() > 1))
    }

    fn broadcast_transaction(
        &self,
        tx: Transaction,
        max_tx_fee: Amount,
        broadcast_method: Broadcast,
    ) -> Result<ChainBroadcastTransactionResults> {
        let sent = mempool::broadcast(self.node.chain(), tx, max_tx_fee, broadcast_method);
        let result = sent.is_ok();
        let error = sent.err().unwrap_or_default();
        Ok(ChainBroadcastTransactionResults::default().error(error).result(result))
    }

    fn get_transaction_ancestry(&self, txid: Txid) -> Result<ChainGetTransactionAncestryResults> {
        Ok(mempool::ancestry(&self.node.chain().view(), &txid))
    }

    fn calculate_individual_bump_fees(
        &self,
        outpoints: Vec<OutPoint>,
        target_feerate: FeeRate,
    ) -> Result<Vec<(OutPoint, Amount)>> {
        Ok(fees::bump_each(&self.node.chain().view(), &outpoints, target_feerate))
    }

    fn calculate_combined_bump_fee(
        &self,
        outpoints: Vec<OutPoint>,
        target_feerate: FeeRate,
    ) -> Result<Option<i64>> {
        Ok(fees::bump_together(&self.node.chain().view(), &outpoints, target_feerate))
    }

    fn get_package_limits(&self) -> Result<ChainGetPackageLimitsResults> {
        let most = mempool::max_relatives();
        Ok(ChainGetPackageLimitsResults::default().ancestors(most).descendants(most))
    }

    fn check_chain_limits(&self, tx: Transaction) -> Result<UtilResultVoid> {
        Ok(mempool::check_limits(&self.node.chain().view(), &tx))
    }

    fn estimate_smart_fee(
        &self,
        num_blocks: i32,
        _conservative: bool,
        want_calc: bool,
    ) -> Result<ChainEstimateSmartFeeResults> {
        let (rate, calculation) = fees::estimate(&self.node.chain().view(), num_blocks);
        let mut estimate = ChainEstimateSmartFeeResults::new(rate);
        estimate.calc = want_calc.then_some(calculation);
        Ok(estimate)
    }

    fn estimate_max_blocks(&self) -> Result<u32> {
        Ok(fees::MAX_BLOCKS)
    }

    fn mempool_min_fee(&self) -> Result<FeeRate> {
        Ok(fees::MIN_RELAY)
    }

    fn relay_min_fee(&self) -> Result<FeeRate> {
        Ok(fees::MIN_RELAY)
    }

    fn relay_incremental_fee(&self) -> Result<FeeRate> {
        Ok(fees::INCREMENTAL)
    }

    fn relay_dust_fee(&self) -> Result<FeeRate> {
        Ok(fees::DUST)
    }

    fn have_pruned(&self) -> Result<bool> {
        Ok(false)
    }

    fn get_prune_height(&self) -> Result<Option<i32>> {
        Ok(None)
    }

    fn is_ready_to_broadcast(&self) -> Result<bool> {
        Ok(!self.node.chain().is_initial_block_download())
    }

    fn is_initial_block_download(&self) -> Result<bool> {
        Ok(self.node.chain().is_initial_block_download())
    }

    fn shutdown_requested(&self) -> Result<bool> {
        Ok(self.node.shutdown_requested() || self.node.chain().is_shut_down())
    }

    fn init_message(&self, message: String) -> Result<()> {
        self.node.messages().send(Message::Init(message));
        Ok(())
    }

    fn init_warning(&self, message: BilingualStr) -> Result<()> {
        self.node.messages().send(Message::Warning(message));
        Ok(())
    }

    fn init_error(&self, message: BilingualStr) -> Result<()> {
        self.node.messages().send(Message::Error(message));
        Ok(())
    }

    fn show_progress(&self, title: String, progress: i32, resume_possible: bool) -> Result<()> {
        self.node.messages().send(Message::Progress { title, percent: progress, resume_possible });
        Ok(())
    }

    fn handle_notifications(
        &self,
        notifications: Option<ChainNotificationsClient>,
    ) -> Result<Option<HandlerClient>> {
        let notifications = notifications.ok_or_else(|| nothing_given("notifications"))?;
        let (handler, control) = notifications::handle(&self.node, notifications)?;
        let mut subscribers = lock(&self.subscribers);
        subscribers.retain(|subscriber| !subscriber.is_ended());
        subscribers.push(control);
        Ok(Some(handler))
    }

    fn wait_for_notifications_if_tip_changed(&self, old_tip: BlockHash) -> Result<()> {
        if self.node.chain().tip().hash == old_tip { Ok(()) } else { self.wait_for_notifications() }
    }

    fn wait_for_notifications(&self) -> Result<()> {
        let subscribers = lock(&self.subscribers).clone();
        notifications::wait(&subscribers)
    }

    fn handle_rpc(&self, command: RpcCommand) -> Result<Option<HandlerClient>> {
        Ok(Some(self.node.commands().register(command)))
    }

    fn rpc_enable_deprecated(&self, method: String) -> Result<bool> {
        Ok(self.node.settings().list("deprecatedrpc").contains(&Value::String(method)))
    }

    fn get_setting(&self, name: String) -> Result<Value> {
        Ok(self.node.settings().get(&name))
    }

    fn get_settings_list(&self, name: String) -> Result<Vec<Value>> {
        Ok(self.node.settings().list(&name))
    }

    fn get_rw_setting(&self, name: String) -> Result<Value> {
        Ok(self.node.settings().rw(&name))
    }

    fn update_rw_setting(
        &self,
        name: String,
        update: Option<SettingsUpdateCallbackClient>,
    ) -> Result<bool> {
        let update = update.ok_or_else(|| nothing_given("update"))?;
        let settings = self.node.settings();
        // Another process decides, which must not keep the settings from the others: if they have changed meanwhile, it
        // is asked again.
        for _ in 0..TRIES {
            let old = settings.rw(&name);
            let answer = update.call(old.clone()).wait()?;
            let Some(action) = answer.result else { return Ok(false) };
            let action = SettingsAction::from(action);
            if let Some(done) = settings.replace_rw(&name, &old, answer.value, action) {
                return Ok(done);
            }
        }
        Err(Error::failed(format!("the setting {name} is changed all the time: try again")))
    }

    fn overwrite_rw_setting(
        &self,
        name: String,
        value: Value,
        action: SettingsAction,
    ) -> Result<bool> {
        Ok(self.node.settings().set_rw(&name, value, action))
    }

    fn delete_rw_settings(&self, name: String, action: SettingsAction) -> Result<bool> {
        Ok(self.node.settings().set_rw(&name, Value::Null, action))
    }

    fn request_mempool_transactions(
        &self,
        notifications: Option<ChainNotificationsClient>,
    ) -> Result<()> {
        let notifications = notifications.ok_or_else(|| nothing_given("notifications"))?;
        notifications::tell_mempool(&self.node, &notifications)
    }

    fn has_assumed_valid_chain(&self) -> Result<bool> {
        Ok(false)
    }
}

/// A parameter has no object.
fn nothing_given(parameter: &str) -> Error {
    Error::failed(format!("{parameter} must be an object, and is null"))
}
