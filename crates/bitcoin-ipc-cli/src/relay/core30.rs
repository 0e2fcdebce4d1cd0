//! What the relay serves to clients of Bitcoin Core 30: Mining and BlockTemplate with the ordinals of 30, in front of
//! the relay's own, whatever version the node is.

use std::time::Duration;

use bitcoin::block::{self, Header};
use bitcoin::consensus::serialize;
use bitcoin::{Amount, Block, BlockHash, Transaction};
use bitcoin_ipc::mining::{
    BlockCheckOptions, BlockCreateOptions, BlockTemplate as _, BlockTemplateClient,
    BlockWaitOptions, Mining as _,
};
use multiprocess::{Error, Result};

use super::generated::common::BlockRef;
use super::generated::mining::{
    self, BlockTemplate, Mining, MiningCheckBlockResults, MiningClient,
};
use super::objects::{RelayedMining, RelayedTemplate};

/// How the script of an output begins that commits to the witnesses (BIP 141); the hash follows.
const COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
const COMMITMENT_LENGTH: usize = COMMITMENT.len() + 32;

/// The handle on a client's Mining.
pub(super) fn served(mining: RelayedMining) -> MiningClient {
    MiningClient::new(Mining30(mining))
}

struct Mining30(RelayedMining);

impl Mining for Mining30 {
    fn is_test_chain(&self) -> Result<bool> {
        self.0.is_test_chain()
    }

    fn is_initial_block_download(&self) -> Result<bool> {
        self.0.is_initial_block_download()
    }

    fn get_tip(&self) -> Result<Option<BlockRef>> {
        Ok(self.0.get_tip()?.map(block_ref))
    }

    fn wait_tip_changed(&self, current: BlockHash, timeout: Duration) -> Result<Option<BlockRef>> {
        Ok(self.0.wait_tip_changed(current, timeout)?.map(block_ref))
    }

    /// 30 never waits for the end of the initial block download.
    fn create_new_block(
        &self,
        options: mining::BlockCreateOptions,
    ) -> Result<Option<mining::BlockTemplateClient>> {
        let options = BlockCreateOptions::default()
            .use_mempool(options.use_mempool)
            .block_reserved_weight(options.block_reserved_weight)
            .coinbase_output_max_additional_sigops(options.coinbase_output_max_additional_sigops);
        Ok(self.0.template(options, false)?.map(Template30::served))
    }

    fn check_block(
        &self,
        block: Block,
        options: mining::BlockCheckOptions,
    ) -> Result<MiningCheckBlockResults> {
        let options = BlockCheckOptions::default()
            .check_merkle_root(options.check_merkle_root)
            .check_pow(options.check_pow);
        let outcome = self.0.check_block(block, options)?;
        let (result, reason, debug) = outcome.parts();
        Ok(MiningCheckBlockResults { reason: reason.into(), debug: debug.into(), result })
    }
}

struct Template30(RelayedTemplate);

impl Template30 {
    fn served(template: RelayedTemplate) -> mining::BlockTemplateClient {
        mining::BlockTemplateClient::new(Template30(template))
    }

    /// The placeholder coinbase of a node that does not tell it by itself, as only 30 does.
    fn coinbase(&self, method: &str) -> Result<Transaction> {
        let block = self.0.run(method, BlockTemplateClient::get_block)?;
        let coinbase = block.txdata.into_iter().next();
        coinbase.ok_or_else(|| Error::failed("the node's template has no coinbase transaction"))
    }
}

impl BlockTemplate for Template30 {
    fn get_block_header(&self) -> Result<Header> {
        self.0.get_block_header()
    }

    fn get_block(&self) -> Result<Block> {
        self.0.get_block()
    }

    fn get_tx_fees(&self) -> Result<Vec<i64>> {
        let fees = self.0.get_tx_fees()?;
        Ok(fees.into_iter().map(|fee| fee.to_sat().cast_signed()).collect())
    }

    fn get_tx_sigops(&self) -> Result<Vec<i64>> {
        self.0.get_tx_sigops()
    }

    fn get_coinbase_tx(&self) -> Result<Vec<u8>> {
        let method = "BlockTemplate.getCoinbaseTx";
        match self.0.run(method, BlockTemplateClient::get_coinbase_tx_v30) {
            Err(Error::Unimplemented { .. }) => Ok(serialize(&self.coinbase(method)?)),
            told => told,
        }
    }

    fn get_coinbase_commitment(&self) -> Result<Vec<u8>> {
        let method = "BlockTemplate.getCoinbaseCommitment";
        match self.0.run(method, BlockTemplateClient::get_coinbase_commitment) {
            Err(Error::Unimplemented { .. }) => {
                let coinbase = self.coinbase(method)?;
                let output = commitment(&coinbase).and_then(|index| coinbase.output.get(index));
                Ok(output.map(|output| output.script_pubkey.to_bytes()).unwrap_or_default())
            }
            told => told,
        }
    }

    fn get_witness_commitment_index(&self) -> Result<i32> {
        let method = "BlockTemplate.getWitnessCommitmentIndex";
        match self.0.run(method, BlockTemplateClient::get_witness_commitment_index) {
            Err(Error::Unimplemented { .. }) => {
                let index = commitment(&self.coinbase(method)?);
                Ok(index.and_then(|index| i32::try_from(index).ok()).unwrap_or(-1))
            }
            told => told,
        }
    }

    fn get_coinbase_merkle_path(&self) -> Result<Vec<Vec<u8>>> {
        let path = self.0.get_coinbase_merkle_path()?;
        Ok(path.iter().map(serialize).collect())
    }

    fn submit_solution(
        &self,
        version: block::Version,
        timestamp: u32,
        nonce: u32,
        coinbase: Transaction,
    ) -> Result<bool> {
        self.0.submit_solution_old7(version, timestamp, nonce, coinbase)
    }

    fn wait_next(
        &self,
        options: mining::BlockWaitOptions,
    ) -> Result<Option<mining::BlockTemplateClient>> {
        // Clients write a number that is larger than all money for none, too.
        let threshold = Amount::from_sat(u64::try_from(options.fee_threshold).unwrap_or_default());
        let options = BlockWaitOptions::default()
            .timeout(options.timeout)
            .fee_threshold(threshold.min(Amount::MAX_MONEY));
        Ok(self.0.next(options)?.map(Template30::served))
    }

    fn interrupt_wait(&self) -> Result<()> {
        self.0.interrupt_wait()
    }
}

fn block_ref(tip: bitcoin_ipc::mining::BlockRef) -> BlockRef {
    BlockRef::new(tip.hash).height(tip.height)
}

/// The place of the last output that commits to the witnesses.
fn commitment(coinbase: &Transaction) -> Option<usize> {
    coinbase.output.iter().rposition(|output| {
        let script = output.script_pubkey.as_bytes();
        script.len() >= COMMITMENT_LENGTH && script.starts_with(&COMMITMENT)
    })
}
