//! The chain as a node's IPC interfaces: Init, Mining, BlockTemplate, Rpc.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bitcoin::block::{self, Header};
use bitcoin::{Amount, Block, BlockHash, Transaction, TxMerkleNode, Txid, Wtxid};
use multiprocess::{CancelToken, Error, Result, current_call};

use super::{Chain, Template, TemplateOptions, Tip};
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
        Ok(Some(MiningClient::new(NodeMining { chain, interrupted: AtomicBool::new(false) })))
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
    /// `interrupt` was called: the next wait that sees it ends and takes it back.
    interrupted: AtomicBool,
}

impl Mining for NodeMining {
    fn is_test_chain(&self) -> Result<bool> {
        Ok(true)
    }

    fn is_initial_block_download(&self) -> Result<bool> {
        Ok(self.chain.is_initial_block_download())
    }

    fn get_tip(&self) -> Result<Option<BlockRef>> {
        Ok(Some(block_ref(self.chain.tip())))
    }

    fn wait_tip_changed(
        &self,
        current_tip: BlockHash,
        timeout: Duration,
    ) -> Result<Option<BlockRef>> {
        Ok(self.wait(current_tip, timeout).map(block_ref))
    }

    fn create_new_block(
        &self,
        options: BlockCreateOptions,
        cooldown: bool,
    ) -> Result<Option<BlockTemplateClient>> {
        if cooldown {
            // While it catches up there is no template, which on a fresh chain is until the first block.
            while self.chain.is_initial_block_download() {
                if self.wait(self.chain.tip().hash, TICK).is_none() {
                    return Ok(None);
                }
            }
        }
        let options = TemplateOptions {
            use_mempool: options.use_mempool,
            block_reserved_weight: options.block_reserved_weight,
            coinbase_output_max_additional_sigops: options.coinbase_output_max_additional_sigops,
        };
        let template = Template::new(&self.chain, options).map_err(Error::failed)?;
        Ok(Some(self.served(template)))
    }

    fn check_block(&self, block: Block, options: BlockCheckOptions) -> Result<Outcome> {
        let checked = self.chain.check_block(&block, options.check_merkle_root, options.check_pow);
        Ok(checked.map_err(Into::into).into())
    }

    fn interrupt(&self) -> Result<()> {
        self.interrupted.store(true, Ordering::Release);
        self.chain.wake_waiters();
        Ok(())
    }

    fn submit_block(&self, block: Block) -> Result<Outcome> {
        Ok(self.chain.submit_block(&block).map_err(Into::into).into())
    }

    fn get_transactions_by_tx_id(&self, txids: Vec<Txid>) -> Result<Vec<Option<Transaction>>> {
        Ok(txids.iter().map(|txid| self.chain.mempool_transaction(txid)).collect())
    }

    fn get_transactions_by_witness_id(
        &self,
        wtxids: Vec<Wtxid>,
    ) -> Result<Vec<Option<Transaction>>> {
        Ok(wtxids.iter().map(|wtxid| self.chain.mempool_transaction_by_wtxid(wtxid)).collect())
    }
}

impl NodeMining {
    /// Waits until the tip is another one, for `timeout` at most; none when it was interrupted or cancelled.
    fn wait(&self, current: BlockHash, timeout: Duration) -> Option<Tip> {
        let token = cancel_token(&self.chain);
        let ended = || cancelled(token.as_ref()) || self.interrupted.swap(false, Ordering::AcqRel);
        self.chain.wait_tip_changed(current, Some(timeout), &ended)
    }

    fn served(&self, template: Template) -> BlockTemplateClient {
        BlockTemplateClient::new(NodeTemplate { chain: Arc::clone(&self.chain), template })
    }
}

struct NodeTemplate {
    chain: Arc<Chain>,
    template: Template,
}

impl BlockTemplate for NodeTemplate {
    fn get_block_header(&self) -> Result<Header> {
        Ok(self.template.header())
    }

    fn get_block(&self) -> Result<Block> {
        Ok(self.template.block())
    }

    fn get_tx_fees(&self) -> Result<Vec<Amount>> {
        Ok(self.template.tx_fees())
    }

    fn get_tx_sigops(&self) -> Result<Vec<i64>> {
        Ok(self.template.tx_sigops())
    }

    fn get_coinbase_tx(&self) -> Result<CoinbaseTx> {
        Ok(self.template.coinbase().clone())
    }

    fn get_coinbase_merkle_path(&self) -> Result<Vec<TxMerkleNode>> {
        Ok(self.template.merkle_path())
    }

    fn submit_solution(
        &self,
        version: block::Version,
        timestamp: u32,
        nonce: u32,
        coinbase: Transaction,
    ) -> Result<Outcome> {
        let submitted = self.template.submit_solution(version, timestamp, nonce, coinbase);
        Ok(submitted.map_err(Into::into).into())
    }

    fn submit_solution_old7(&self) -> Result<()> {
        Err(Error::failed(
            "submitSolution @7 was Bitcoin Core 31's; this node has submitSolution @10, as Bitcoin Core 32",
        ))
    }

    fn wait_next(&self, options: BlockWaitOptions) -> Result<Option<BlockTemplateClient>> {
        let token = cancel_token(&self.chain);
        // Where it is no less than all money that there is, only another tip counts.
        let threshold = Some(options.fee_threshold).filter(|fees| *fees < Amount::MAX_MONEY);
        let next = self
            .template
            .wait_next(Some(options.timeout), threshold, &|| cancelled(token.as_ref()));
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
    BlockRef { hash: tip.hash, height: i32::try_from(tip.height).unwrap_or(i32::MAX) }
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
