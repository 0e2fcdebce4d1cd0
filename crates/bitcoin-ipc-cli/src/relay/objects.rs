//! What the relay serves: the node's interfaces, each method forwarded on the client's own thread.
//!
//! A client's thread has a thread of its own here, and that one has its own in the node, so calls wait for
//! each other as they would without the relay. A cancel is passed on. Objects of the node's are made again when
//! the node comes back, but for templates: they are gone with it.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::block::{self, Header};
use bitcoin::{Amount, Block, BlockHash, Transaction, TxMerkleNode, Txid, Wtxid};
use bitcoin_ipc::echo::{Echo, EchoClient};
use bitcoin_ipc::mining::{
    BlockCheckOptions, BlockCreateOptions, BlockRef, BlockTemplate, BlockTemplateClient,
    BlockWaitOptions, CoinbaseTx, Mining, MiningClient, Outcome,
};
use bitcoin_ipc::rpc::{Rpc, RpcClient};
use multiprocess::{Call, Capability, Error, Result};

use super::core30;
use super::generated::init::Init;
use super::policy::{Policy, TemplatePlace};
use super::upstream::{Remade, Upstream, to_client};

/// What the objects of one socket share.
#[derive(Clone)]
pub(super) struct Relay {
    pub(super) upstream: Arc<Upstream>,
    pub(super) policy: Arc<Policy>,
}

impl Relay {
    /// Runs a client's call: if it is allowed, with the object of the node's that `object` gives.
    fn run<O, T: Send + 'static>(
        &self,
        method: &str,
        object: impl FnOnce() -> Result<O>,
        call: impl FnOnce(&O) -> Call<T>,
    ) -> Result<T> {
        self.reach(method, || call(&object()?).wait().map_err(to_client))
    }

    /// Runs a client's call that goes to the node: if it is allowed, and the node can take it.
    fn reach<T>(&self, method: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.policy.run(method, || {
            self.upstream.check_load()?;
            work()
        })
    }
}

/// Without making one there: that is done, and made again, when it is first used. So a client keeps its objects
/// while the node is away.
impl Init for Relay {
    fn make_echo(&self) -> Result<Capability> {
        self.policy.run("Init.makeEcho", || {
            Ok(EchoClient::new(RelayedEcho { relay: self.clone(), echo: Remade::default() }).into())
        })
    }

    fn make_mining(&self) -> Result<Capability> {
        let mining = self.policy.run("Init.makeMining", || Ok(RelayedMining::new(self)))?;
        Ok(MiningClient::new(mining).into())
    }

    fn make_mining30(&self) -> Result<Capability> {
        let mining = self.policy.run("Init.makeMining", || Ok(RelayedMining::new(self)))?;
        Ok(core30::served(mining).into())
    }

    fn make_rpc(&self) -> Result<Capability> {
        self.policy.run("Init.makeRpc", || {
            Ok(RpcClient::new(RelayedRpc { relay: self.clone(), rpc: Remade::default() }).into())
        })
    }
}

struct RelayedEcho {
    relay: Relay,
    echo: Remade<EchoClient>,
}

impl Echo for RelayedEcho {
    fn echo(&self, echo: String) -> Result<String> {
        let object = || {
            self.echo.get(&self.relay.upstream, |init| init.make_echo().wait().map_err(to_client))
        };
        self.relay.run("Echo.echo", object, |node| node.echo(echo))
    }
}

struct RelayedRpc {
    relay: Relay,
    rpc: Remade<RpcClient>,
}

impl Rpc for RelayedRpc {
    fn execute_rpc(&self, request: String, uri: String, user: String) -> Result<String> {
        let object =
            || self.rpc.get(&self.relay.upstream, |init| init.make_rpc().wait().map_err(to_client));
        self.relay.run("Rpc.executeRpc", object, |node| node.execute_rpc(request, uri, user))
    }
}

/// Serves as Mining of the newest version, and `core30` makes that of 30 of it.
pub(super) struct RelayedMining {
    relay: Relay,
    mining: Remade<MiningClient>,
}

impl RelayedMining {
    fn new(relay: &Relay) -> RelayedMining {
        RelayedMining { relay: relay.clone(), mining: Remade::default() }
    }

    pub(super) fn template(
        &self,
        options: BlockCreateOptions,
        cooldown: bool,
    ) -> Result<Option<RelayedTemplate>> {
        self.relay.reach("Mining.createNewBlock", || {
            let place = self.relay.policy.take_template()?;
            let made =
                self.node()?.create_new_block(options, cooldown).wait().map_err(to_client)?;
            Ok(made.map(|template| RelayedTemplate::new(&self.relay, template, place)))
        })
    }

    fn run<T: Send + 'static>(
        &self,
        method: &str,
        call: impl FnOnce(&MiningClient) -> Call<T>,
    ) -> Result<T> {
        self.relay.run(method, || self.node(), call)
    }

    fn node(&self) -> Result<MiningClient> {
        self.mining.get(&self.relay.upstream, |init| init.make_mining().wait().map_err(to_client))
    }
}

impl Mining for RelayedMining {
    fn is_test_chain(&self) -> Result<bool> {
        self.run("Mining.isTestChain", MiningClient::is_test_chain)
    }

    fn is_initial_block_download(&self) -> Result<bool> {
        self.run("Mining.isInitialBlockDownload", MiningClient::is_initial_block_download)
    }

    fn get_tip(&self) -> Result<Option<BlockRef>> {
        self.run("Mining.getTip", MiningClient::get_tip)
    }

    fn wait_tip_changed(&self, current: BlockHash, timeout: Duration) -> Result<Option<BlockRef>> {
        self.run("Mining.waitTipChanged", |node| node.wait_tip_changed(current, timeout))
    }

    fn create_new_block(
        &self,
        options: BlockCreateOptions,
        cooldown: bool,
    ) -> Result<Option<BlockTemplateClient>> {
        Ok(self.template(options, cooldown)?.map(BlockTemplateClient::new))
    }

    fn check_block(&self, block: Block, options: BlockCheckOptions) -> Result<Outcome> {
        self.run("Mining.checkBlock", |node| node.check_block(block, options))
    }

    fn interrupt(&self) -> Result<()> {
        self.run("Mining.interrupt", MiningClient::interrupt)
    }

    fn submit_block(&self, block: Block) -> Result<Outcome> {
        self.run("Mining.submitBlock", |node| node.submit_block(block))
    }

    fn get_transactions_by_tx_id(&self, txids: Vec<Txid>) -> Result<Vec<Option<Transaction>>> {
        self.run("Mining.getTransactionsByTxID", |node| node.get_transactions_by_tx_id(txids))
    }

    fn get_transactions_by_witness_id(
        &self,
        wtxids: Vec<Wtxid>,
    ) -> Result<Vec<Option<Transaction>>> {
        self.run("Mining.getTransactionsByWitnessID", |node| {
            node.get_transactions_by_witness_id(wtxids)
        })
    }
}

pub(super) struct RelayedTemplate {
    relay: Relay,
    template: BlockTemplateClient,
    _place: TemplatePlace,
}

impl RelayedTemplate {
    fn new(relay: &Relay, template: BlockTemplateClient, place: TemplatePlace) -> RelayedTemplate {
        RelayedTemplate { relay: relay.clone(), template, _place: place }
    }

    pub(super) fn next(&self, options: BlockWaitOptions) -> Result<Option<RelayedTemplate>> {
        self.relay.reach("BlockTemplate.waitNext", || {
            let place = self.relay.policy.take_template()?;
            let next = self.template.wait_next(options).wait().map_err(to_client)?;
            Ok(next.map(|template| RelayedTemplate::new(&self.relay, template, place)))
        })
    }

    pub(super) fn run<T: Send + 'static>(
        &self,
        method: &str,
        call: impl FnOnce(&BlockTemplateClient) -> Call<T>,
    ) -> Result<T> {
        self.relay.run(method, || Ok(self.template.clone()), call)
    }
}

impl BlockTemplate for RelayedTemplate {
    fn get_block_header(&self) -> Result<Header> {
        self.run("BlockTemplate.getBlockHeader", BlockTemplateClient::get_block_header)
    }

    fn get_block(&self) -> Result<Block> {
        self.run("BlockTemplate.getBlock", BlockTemplateClient::get_block)
    }

    fn get_tx_fees(&self) -> Result<Vec<Amount>> {
        self.run("BlockTemplate.getTxFees", BlockTemplateClient::get_tx_fees)
    }

    fn get_tx_sigops(&self) -> Result<Vec<i64>> {
        self.run("BlockTemplate.getTxSigops", BlockTemplateClient::get_tx_sigops)
    }

    fn get_coinbase_tx(&self) -> Result<CoinbaseTx> {
        let method = "BlockTemplate.getCoinbaseTx";
        match self.run(method, BlockTemplateClient::get_coinbase_tx) {
            // Bitcoin Core 30 gives the whole transaction.
            Err(Error::Unimplemented { .. }) => {
                CoinbaseTx::from_v30(&self.run(method, BlockTemplateClient::get_coinbase_tx_v30)?)
            }
            parts => parts,
        }
    }

    fn get_coinbase_merkle_path(&self) -> Result<Vec<TxMerkleNode>> {
        self.run(
            "BlockTemplate.getCoinbaseMerklePath",
            BlockTemplateClient::get_coinbase_merkle_path,
        )
    }

    fn submit_solution(
        &self,
        version: block::Version,
        timestamp: u32,
        nonce: u32,
        coinbase: Transaction,
    ) -> Result<Outcome> {
        self.run("BlockTemplate.submitSolution", |node| {
            node.submit_solution(version, timestamp, nonce, coinbase)
        })
    }

    /// For clients of Bitcoin Core 31: whatever form of it the node has.
    fn submit_solution_old7(
        &self,
        version: block::Version,
        timestamp: u32,
        nonce: u32,
        coinbase: Transaction,
    ) -> Result<bool> {
        let outcome = self.submit_solution(version, timestamp, nonce, coinbase)?;
        // As there: one that comes late, or twice, counts as taken.
        Ok(outcome.into_result().err().is_none_or(|why| why.is_stale()))
    }

    fn wait_next(&self, options: BlockWaitOptions) -> Result<Option<BlockTemplateClient>> {
        Ok(self.next(options)?.map(BlockTemplateClient::new))
    }

    fn interrupt_wait(&self) -> Result<()> {
        self.run("BlockTemplate.interruptWait", BlockTemplateClient::interrupt_wait)
    }
}
