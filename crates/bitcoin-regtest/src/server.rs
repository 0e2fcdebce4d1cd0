//! The chain as a node's IPC interfaces: Init, Mining, BlockTemplate, Rpc.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{Block, Transaction};
use multiprocess::{CancelToken, Error, Result, current_call};

use super::{Chain, Rejection, Template, TemplateOptions, Tip};
use bitcoin_ipc::echo::{EchoClient, EchoServer};
use bitcoin_ipc::init::Init;
use bitcoin_ipc::mining::{
    BlockCheckOptions, BlockCreateOptions, BlockRef, BlockTemplate, BlockTemplateClient,
    BlockTemplateSubmitSolutionResults, BlockWaitOptions, CoinbaseTx, Mining,
    MiningCheckBlockResults, MiningClient, MiningSubmitBlockResults, decode, decode_hash,
    timeout_from_ms,
};
use bitcoin_ipc::rpc::{Rpc, RpcClient};

/// The bootstrap object of the node.
#[derive(Clone)]
pub struct NodeInit {
    chain: Arc<Chain>,
}

impl NodeInit {
    /// The Init of a node on `chain`.
    pub fn new(chain: Arc<Chain>) -> NodeInit {
        NodeInit { chain }
    }
}

impl Init for NodeInit {
    fn make_echo(&self) -> Result<Option<EchoClient>> {
        Ok(Some(EchoClient::new(EchoServer)))
    }

    fn make_mining(&self) -> Result<Option<MiningClient>> {
        let chain = Arc::clone(&self.chain);
        Ok(Some(MiningClient::new(NodeMining { chain, interrupts: AtomicU64::new(0) })))
    }

    fn make_rpc(&self) -> Result<Option<RpcClient>> {
        Ok(Some(RpcClient::new(NodeRpc { chain: Arc::clone(&self.chain) })))
    }

    fn make_mining_old2(&self) -> Result<()> {
        Err(Error::failed(
            "makeMining @2 was Bitcoin Core 30's; this node has makeMining @3, as Bitcoin Core 31 and newer",
        ))
    }
}

/// One client's view of the chain.
struct NodeMining {
    chain: Arc<Chain>,
    /// How often `interrupt` was called: a wait that sees it change ends.
    interrupts: AtomicU64,
}

impl Mining for NodeMining {
    fn is_test_chain(&self) -> Result<bool> {
        Ok(true)
    }

    fn is_initial_block_download(&self) -> Result<bool> {
        Ok(false)
    }

    fn get_tip(&self) -> Result<Option<BlockRef>> {
        Ok(Some(block_ref(self.chain.tip())))
    }

    fn wait_tip_changed(&self, current_tip: Vec<u8>, timeout: f64) -> Result<Option<BlockRef>> {
        let current = decode_hash("Mining.waitTipChanged.currentTip", &current_tip)?;
        let interrupts = self.interrupts.load(Ordering::Acquire);
        let token = cancel_token(&self.chain);
        let ended =
            || cancelled(token.as_ref()) || self.interrupts.load(Ordering::Acquire) != interrupts;
        Ok(self.chain.wait_tip_changed(current, timeout_from_ms(timeout), &ended).map(block_ref))
    }

    fn create_new_block(
        &self,
        options: BlockCreateOptions,
        _cooldown: bool,
    ) -> Result<Option<BlockTemplateClient>> {
        // The chain never has to catch up, so the cooldown has nothing to wait for.
        let options = TemplateOptions {
            use_mempool: options.use_mempool,
            block_reserved_weight: options.block_reserved_weight,
            coinbase_output_max_additional_sigops: options.coinbase_output_max_additional_sigops,
        };
        let template = Template::new(&self.chain, options).map_err(Error::failed)?;
        Ok(Some(self.served(template)))
    }

    fn check_block(
        &self,
        block: Vec<u8>,
        options: BlockCheckOptions,
    ) -> Result<MiningCheckBlockResults> {
        let block: Block = decode("Mining.checkBlock.block", &block)?;
        let checked = self.chain.check_block(&block, options.check_merkle_root, options.check_pow);
        let (reason, debug, result) = verdict(checked);
        Ok(MiningCheckBlockResults { reason, debug, result })
    }

    fn interrupt(&self) -> Result<()> {
        self.interrupts.fetch_add(1, Ordering::AcqRel);
        self.chain.wake_waiters();
        Ok(())
    }

    fn submit_block(&self, block: Vec<u8>) -> Result<MiningSubmitBlockResults> {
        let block: Block = decode("Mining.submitBlock.block", &block)?;
        let (reason, debug, result) = verdict(self.chain.submit_block(&block));
        Ok(MiningSubmitBlockResults { reason, debug, result })
    }

    fn get_transactions_by_tx_id(&self, txids: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        none_of(&txids, "Mining.getTransactionsByTxID.txids")
    }

    fn get_transactions_by_witness_id(&self, wtxids: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        none_of(&wtxids, "Mining.getTransactionsByWitnessID.wtxids")
    }
}

impl NodeMining {
    fn served(&self, template: Template) -> BlockTemplateClient {
        BlockTemplateClient::new(NodeTemplate { chain: Arc::clone(&self.chain), template })
    }
}

/// These methods ask the memory pool, which this node does not have.
fn none_of(ids: &[Vec<u8>], field: &str) -> Result<Vec<Vec<u8>>> {
    match ids.iter().position(|id| id.len() != 32) {
        Some(index) => Err(Error::decode(format!("{field}[{index}]"), "an id has 32 bytes")),
        None => Ok(vec![Vec::new(); ids.len()]),
    }
}

struct NodeTemplate {
    chain: Arc<Chain>,
    template: Template,
}

impl BlockTemplate for NodeTemplate {
    fn get_block_header(&self) -> Result<Vec<u8>> {
        Ok(serialize(&self.template.header()))
    }

    fn get_block(&self) -> Result<Vec<u8>> {
        Ok(serialize(self.template.block()))
    }

    fn get_tx_fees(&self) -> Result<Vec<i64>> {
        Ok(self.template.tx_fees())
    }

    fn get_tx_sigops(&self) -> Result<Vec<i64>> {
        Ok(self.template.tx_sigops())
    }

    fn get_coinbase_tx(&self) -> Result<CoinbaseTx> {
        let parts = self.template.coinbase();
        Ok(CoinbaseTx {
            version: parts.version,
            sequence: parts.sequence,
            script_sig_prefix: parts.script_sig_prefix.clone(),
            witness: parts.witness.clone().unwrap_or_default(),
            block_reward_remaining: parts.block_reward_remaining,
            required_outputs: parts.required_outputs.iter().map(serialize).collect(),
            lock_time: parts.lock_time,
        })
    }

    fn get_coinbase_merkle_path(&self) -> Result<Vec<Vec<u8>>> {
        Ok(self.template.merkle_path().iter().map(|hash| hash.to_byte_array().to_vec()).collect())
    }

    fn submit_solution(
        &self,
        version: u32,
        timestamp: u32,
        nonce: u32,
        coinbase: Vec<u8>,
    ) -> Result<BlockTemplateSubmitSolutionResults> {
        let coinbase: Transaction = decode("BlockTemplate.submitSolution.coinbase", &coinbase)?;
        let outcome = self.template.submit_solution(version, timestamp, nonce, coinbase);
        let (reason, debug, result) = verdict(outcome);
        Ok(BlockTemplateSubmitSolutionResults { reason, debug, result })
    }

    fn submit_solution_old7(&self) -> Result<()> {
        Err(Error::failed(
            "submitSolution @7 was Bitcoin Core 31's; this node has submitSolution @10, as Bitcoin Core 32",
        ))
    }

    fn wait_next(&self, options: BlockWaitOptions) -> Result<Option<BlockTemplateClient>> {
        let token = cancel_token(&self.chain);
        let next = self
            .template
            .wait_next(timeout_from_ms(options.timeout), &|| cancelled(token.as_ref()));
        let chain = Arc::clone(&self.chain);
        Ok(next.map(|template| BlockTemplateClient::new(NodeTemplate { chain, template })))
    }

    fn interrupt_wait(&self) -> Result<()> {
        self.template.interrupt_wait();
        Ok(())
    }
}

struct NodeRpc {
    chain: Arc<Chain>,
}

impl Rpc for NodeRpc {
    fn execute_rpc(&self, request: String, _uri: String, _user: String) -> Result<String> {
        Ok(super::rpc::execute(&self.chain, &request))
    }
}

fn block_ref(tip: Tip) -> BlockRef {
    // Heights of a chain in memory are far below 2^31.
    BlockRef {
        hash: tip.hash.to_byte_array().to_vec(),
        height: i32::try_from(tip.height).unwrap_or(i32::MAX),
    }
}

fn verdict(outcome: std::result::Result<(), Rejection>) -> (String, String, bool) {
    match outcome {
        Ok(()) => (String::new(), String::new(), true),
        Err(rejection) => (rejection.reason.into_owned(), rejection.debug, false),
    }
}

/// The token of the call that is being served. When it fires, the chain's waiters are woken to check their
/// own.
fn cancel_token(chain: &Arc<Chain>) -> Option<CancelToken> {
    let token = current_call()?.cancel_token();
    let chain = Arc::downgrade(chain);
    token.on_cancel(move || {
        if let Some(chain) = chain.upgrade() {
            chain.wake_waiters();
        }
    });
    Some(token)
}

fn cancelled(token: Option<&CancelToken>) -> bool {
    token.is_some_and(CancelToken::is_cancelled)
}
