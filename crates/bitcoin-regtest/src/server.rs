//! The chain as a node's IPC interfaces: Init, Mining, BlockTemplate, Rpc.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bitcoin::block::{self, Header};
use bitcoin::{Amount, Block, BlockHash, Transaction, TxMerkleNode, Txid, Wtxid};
use multiprocess::{CancelToken, Error, Result, current_call};

use super::{Chain, Faults, Template, TemplateOptions, Tip, rpc};
use bitcoin_ipc::echo::{EchoClient, EchoServer};
use bitcoin_ipc::init::Init;
use bitcoin_ipc::mining::{
    BlockCheckOptions, BlockCreateOptions, BlockRef, BlockTemplate, BlockTemplateClient,
    BlockWaitOptions, CoinbaseTx, Mining, MiningClient, Outcome,
};
use bitcoin_ipc::rpc::{Rpc, RpcClient};

/// A wait for the end of the initial block download looks that often.
const TICK: Duration = Duration::from_secs(1);

/// The bootstrap object of the node.
#[derive(Clone, Debug)]
pub struct NodeInit {
    node: Arc<Node>,
}

/// What all its objects share.
#[derive(Debug)]
struct Node {
    chain: Arc<Chain>,
    faults: Faults,
    /// How many templates there are.
    templates: AtomicUsize,
}

impl NodeInit {
    /// The Init of a node on `chain`.
    pub fn new(chain: Arc<Chain>) -> NodeInit {
        let (faults, templates) = (Faults::default(), AtomicUsize::new(0));
        NodeInit { node: Arc::new(Node { chain, faults, templates }) }
    }

    pub(super) fn chain(&self) -> &Arc<Chain> {
        &self.node.chain
    }

    /// Delays and errors that the node shows on order.
    pub fn faults(&self) -> &Faults {
        &self.node.faults
    }

    /// How many block templates the node holds for its clients.
    pub fn live_templates(&self) -> usize {
        self.node.templates.load(Ordering::Relaxed)
    }
}

impl Init for NodeInit {
    fn make_echo(&self) -> Result<Option<EchoClient>> {
        self.node.faults.meet("Init.makeEcho")?;
        Ok(Some(EchoClient::new(EchoServer)))
    }

    fn make_mining(&self) -> Result<Option<MiningClient>> {
        self.node.faults.meet("Init.makeMining")?;
        let node = Arc::clone(&self.node);
        Ok(Some(MiningClient::new(NodeMining { node, interrupted: AtomicBool::new(false) })))
    }

    fn make_rpc(&self) -> Result<Option<RpcClient>> {
        self.node.faults.meet("Init.makeRpc")?;
        Ok(Some(RpcClient::new(NodeRpc { init: self.clone() })))
    }

    fn make_mining_old2(&self) -> Result<()> {
        Err(Error::failed(
            "makeMining @2 was Bitcoin Core 30's; this node has makeMining @3, as Bitcoin Core 31 and newer",
        ))
    }
}

/// One client's view of the chain.
struct NodeMining {
    node: Arc<Node>,
    /// `interrupt` was called: the next wait that sees it ends and takes it back.
    interrupted: AtomicBool,
}

impl Mining for NodeMining {
    fn is_test_chain(&self) -> Result<bool> {
        self.node.faults.meet("Mining.isTestChain")?;
        Ok(true)
    }

    fn is_initial_block_download(&self) -> Result<bool> {
        self.node.faults.meet("Mining.isInitialBlockDownload")?;
        Ok(self.node.chain.is_initial_block_download())
    }

    fn get_tip(&self) -> Result<Option<BlockRef>> {
        self.node.faults.meet("Mining.getTip")?;
        Ok(Some(block_ref(self.node.chain.tip())))
    }

    fn wait_tip_changed(
        &self,
        current_tip: BlockHash,
        timeout: Duration,
    ) -> Result<Option<BlockRef>> {
        self.node.faults.meet("Mining.waitTipChanged")?;
        Ok(self.wait(current_tip, timeout).map(block_ref))
    }

    fn create_new_block(
        &self,
        options: BlockCreateOptions,
        cooldown: bool,
    ) -> Result<Option<BlockTemplateClient>> {
        self.node.faults.meet("Mining.createNewBlock")?;
        if cooldown {
            // While it catches up there is no template, which on a fresh chain is until the first block.
            let token = cancel_token(&self.node.chain);
            while self.node.chain.is_initial_block_download() {
                let tip = self.node.chain.tip();
                if self.wait_with(token.as_ref(), tip.hash, TICK).is_none() {
                    return Ok(None);
                }
            }
        }
        let options = TemplateOptions {
            use_mempool: options.use_mempool,
            block_reserved_weight: options.block_reserved_weight,
            coinbase_output_max_additional_sigops: options.coinbase_output_max_additional_sigops,
        };
        let template = Template::new(&self.node.chain, options).map_err(Error::failed)?;
        Ok(Some(NodeTemplate::served(&self.node, template)))
    }

    fn check_block(&self, block: Block, options: BlockCheckOptions) -> Result<Outcome> {
        self.node.faults.meet("Mining.checkBlock")?;
        let checked =
            self.node.chain.check_block(&block, options.check_merkle_root, options.check_pow);
        Ok(checked.map_err(Into::into).into())
    }

    fn interrupt(&self) -> Result<()> {
        self.interrupted.store(true, Ordering::Release);
        self.node.chain.wake_waiters();
        Ok(())
    }

    fn submit_block(&self, block: Block) -> Result<Outcome> {
        self.node.faults.meet("Mining.submitBlock")?;
        Ok(self.node.chain.submit_block(&block).map_err(Into::into).into())
    }

    fn get_transactions_by_tx_id(&self, txids: Vec<Txid>) -> Result<Vec<Option<Transaction>>> {
        self.node.faults.meet("Mining.getTransactionsByTxID")?;
        Ok(txids.iter().map(|txid| self.node.chain.mempool_transaction(txid)).collect())
    }

    fn get_transactions_by_witness_id(
        &self,
        wtxids: Vec<Wtxid>,
    ) -> Result<Vec<Option<Transaction>>> {
        self.node.faults.meet("Mining.getTransactionsByWitnessID")?;
        Ok(wtxids.iter().map(|wtxid| self.node.chain.mempool_transaction_by_wtxid(wtxid)).collect())
    }
}

impl NodeMining {
    /// Waits until the tip is another one, for `timeout` at most; none when it was interrupted or cancelled.
    fn wait(&self, current: BlockHash, timeout: Duration) -> Option<Tip> {
        self.wait_with(cancel_token(&self.node.chain).as_ref(), current, timeout)
    }

    /// The same with the token of the call.
    fn wait_with(
        &self,
        token: Option<&CancelToken>,
        current: BlockHash,
        timeout: Duration,
    ) -> Option<Tip> {
        let ended = || cancelled(token) || self.interrupted.swap(false, Ordering::AcqRel);
        self.node.chain.wait_tip_changed(current, Some(timeout), &ended)
    }
}

struct NodeTemplate {
    node: Arc<Node>,
    template: Template,
}

impl NodeTemplate {
    fn served(node: &Arc<Node>, template: Template) -> BlockTemplateClient {
        node.templates.fetch_add(1, Ordering::Relaxed);
        BlockTemplateClient::new(NodeTemplate { node: Arc::clone(node), template })
    }
}

impl Drop for NodeTemplate {
    fn drop(&mut self) {
        self.node.templates.fetch_sub(1, Ordering::Relaxed);
    }
}

impl BlockTemplate for NodeTemplate {
    fn get_block_header(&self) -> Result<Header> {
        self.node.faults.meet("BlockTemplate.getBlockHeader")?;
        Ok(self.template.header())
    }

    fn get_block(&self) -> Result<Block> {
        self.node.faults.meet("BlockTemplate.getBlock")?;
        Ok(self.template.block())
    }

    fn get_tx_fees(&self) -> Result<Vec<Amount>> {
        self.node.faults.meet("BlockTemplate.getTxFees")?;
        Ok(self.template.tx_fees())
    }

    fn get_tx_sigops(&self) -> Result<Vec<i64>> {
        self.node.faults.meet("BlockTemplate.getTxSigops")?;
        Ok(self.template.tx_sigops())
    }

    fn get_coinbase_tx(&self) -> Result<CoinbaseTx> {
        self.node.faults.meet("BlockTemplate.getCoinbaseTx")?;
        Ok(self.template.coinbase().clone())
    }

    fn get_coinbase_merkle_path(&self) -> Result<Vec<TxMerkleNode>> {
        self.node.faults.meet("BlockTemplate.getCoinbaseMerklePath")?;
        Ok(self.template.merkle_path())
    }

    fn submit_solution(
        &self,
        version: block::Version,
        timestamp: u32,
        nonce: u32,
        coinbase: Transaction,
    ) -> Result<Outcome> {
        self.node.faults.meet("BlockTemplate.submitSolution")?;
        let submitted = self.template.submit_solution(version, timestamp, nonce, coinbase);
        Ok(submitted.map_err(Into::into).into())
    }

    /// Clients of Bitcoin Core 31 call this. As there, a stale or repeated solution counts as taken.
    fn submit_solution_old7(
        &self,
        version: block::Version,
        timestamp: u32,
        nonce: u32,
        coinbase: Transaction,
    ) -> Result<bool> {
        self.node.faults.meet("BlockTemplate.submitSolution")?;
        let submitted = self.template.submit_solution(version, timestamp, nonce, coinbase);
        Ok(submitted.err().is_none_or(|refused| refused.is_stale()))
    }

    fn wait_next(&self, options: BlockWaitOptions) -> Result<Option<BlockTemplateClient>> {
        self.node.faults.meet("BlockTemplate.waitNext")?;
        let token = cancel_token(&self.node.chain);
        // Where it is no less than all money that there is, only another tip counts.
        let threshold = Some(options.fee_threshold).filter(|fees| *fees < Amount::MAX_MONEY);
        let next = self
            .template
            .wait_next(Some(options.timeout), threshold, &|| cancelled(token.as_ref()));
        Ok(next.map(|template| NodeTemplate::served(&self.node, template)))
    }

    fn interrupt_wait(&self) -> Result<()> {
        self.template.interrupt_wait();
        Ok(())
    }
}

struct NodeRpc {
    init: NodeInit,
}

impl Rpc for NodeRpc {
    fn execute_rpc(&self, request: String, _uri: String, _user: String) -> Result<String> {
        self.init.faults().meet("Rpc.executeRpc")?;
        Ok(rpc::execute_for(rpc::Target::Node(&self.init), &request))
    }
}

fn block_ref(tip: Tip) -> BlockRef {
    // Heights of a chain in memory are far below 2^31.
    BlockRef::new(tip.hash).height(i32::try_from(tip.height).unwrap_or(i32::MAX))
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
