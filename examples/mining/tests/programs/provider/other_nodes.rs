//! Nodes of other kinds: one whose fees rise, and Bitcoin Core 30.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use bitcoin_ipc::Result;
use bitcoin_ipc::bitcoin::block::{Header, Version};
use bitcoin_ipc::bitcoin::blockdata::constants::genesis_block;
use bitcoin_ipc::bitcoin::consensus::serialize;
use bitcoin_ipc::bitcoin::hashes::Hash;
use bitcoin_ipc::bitcoin::{Amount, BlockHash, CompactTarget, Network, TxMerkleNode};
use bitcoin_ipc::init::{Init, InitClient};
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::{
    BlockCreateOptions, BlockTemplate, BlockTemplateClient, BlockWaitOptions, CoinbaseTx, Mining,
    MiningClient,
};
use mining_examples::template_provider::KEPT;
use multiprocess::{Server, current_call};
use old_core::v30;
use tempfile::TempDir;

use crate::client::Client;
use crate::node::{LONG, wait_until};

/// Waits until the call that is served is cancelled.
fn wait_for_cancel() {
    let (tell, cancelled) = mpsc::channel();
    current_call().unwrap().cancel_token().on_cancel(move || tell.send(()).unwrap());
    let _ = cancelled.recv_timeout(LONG);
}

/// A node whose fees rise with each template, up to `updates`.
#[derive(Clone)]
struct Fees {
    templates: Arc<AtomicUsize>,
    updates: usize,
    own: usize,
}

impl Fees {
    fn next(&self) -> BlockTemplateClient {
        let own = self.templates.fetch_add(1, Ordering::AcqRel);
        BlockTemplateClient::new(Fees { own, ..self.clone() })
    }
}

impl Init for Fees {
    fn make_mining(&self) -> Result<Option<MiningClient>> {
        Ok(Some(MiningClient::new(self.clone())))
    }
}

impl Mining for Fees {
    fn create_new_block(
        &self,
        options: BlockCreateOptions,
        _cooldown: bool,
    ) -> Result<Option<BlockTemplateClient>> {
        assert_eq!(options.block_reserved_weight, 2_000);
        assert_eq!(options.coinbase_output_max_additional_sigops, 4);
        Ok(Some(self.next()))
    }
}

impl BlockTemplate for Fees {
    fn get_block_header(&self) -> Result<Header> {
        Ok(Header {
            version: Version::TWO,
            prev_blockhash: BlockHash::all_zeros(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: 0,
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        })
    }

    fn get_coinbase_tx(&self) -> Result<CoinbaseTx> {
        let mut whole = genesis_block(Network::Regtest).txdata.swap_remove(0);
        whole.output[0].value = Amount::from_sat(1_000 * self.own as u64);
        CoinbaseTx::from_v30(&serialize(&whole))
    }

    fn get_coinbase_merkle_path(&self) -> Result<Vec<TxMerkleNode>> {
        Ok(Vec::new())
    }

    fn wait_next(&self, options: BlockWaitOptions) -> Result<Option<BlockTemplateClient>> {
        assert_eq!(options.fee_threshold, Amount::from_sat(1_000));
        if self.own < self.updates {
            return Ok(Some(self.next()));
        }
        wait_for_cancel();
        Ok(None)
    }
}

#[test]
fn of_many_templates_on_one_tip_the_latest_are_kept() {
    let dir = TempDir::new().unwrap();
    let updates = KEPT + 4;
    let fees = Fees { templates: Arc::default(), updates, own: 0 };
    let alive = Arc::clone(&fees.templates);
    let node = Ipc::new(IpcOptions::new("bitcoin-node", InitClient::new(fees)).datadir(dir.path()));
    node.listen_address("unix").unwrap();
    let mut client = Client::connect(dir.path());
    client.constraints();
    let first = client.job().template;
    assert_eq!(first.coinbase.block_reward_remaining, Amount::ZERO);
    for number in 1..=updates {
        let template = client.template();
        assert!(!template.future_template);
        let reward = Amount::from_sat(1_000 * number as u64);
        assert_eq!(template.coinbase.block_reward_remaining, reward);
    }
    assert_eq!(client.transactions(first.template_id), Err("stale-template-id"));
    // The node has no more than are kept; and itself, its Mining and this test.
    wait_until("the others are destroyed", || Arc::strong_count(&alive) <= KEPT + 4);
}

/// Bitcoin Core 30.
struct Node30;

impl v30::init::Init for Node30 {
    fn make_mining(&self) -> Result<Option<v30::mining::MiningClient>> {
        Ok(Some(v30::mining::MiningClient::new(Node30)))
    }
}

impl v30::mining::Mining for Node30 {
    fn create_new_block(
        &self,
        _options: v30::mining::BlockCreateOptions,
    ) -> Result<Option<v30::mining::BlockTemplateClient>> {
        Ok(Some(v30::mining::BlockTemplateClient::new(Node30)))
    }
}

impl v30::mining::BlockTemplate for Node30 {
    fn get_block_header(&self) -> Result<Vec<u8>> {
        Ok(serialize(&genesis_block(Network::Regtest).header))
    }

    fn get_coinbase_tx(&self) -> Result<Vec<u8>> {
        Ok(serialize(&genesis_block(Network::Regtest).txdata[0]))
    }

    fn get_coinbase_merkle_path(&self) -> Result<Vec<Vec<u8>>> {
        Ok(vec![vec![8; 32]])
    }

    fn wait_next(
        &self,
        _options: v30::mining::BlockWaitOptions,
    ) -> Result<Option<v30::mining::BlockTemplateClient>> {
        wait_for_cancel();
        Ok(None)
    }
}

#[test]
fn templates_of_bitcoin_core_30_are_the_same() {
    let dir = TempDir::new().unwrap();
    let init = v30::init::InitClient::new(Node30);
    let _node = Server::listen(dir.path().join("node.sock"), init).unwrap();
    let mut client = Client::connect(dir.path());
    client.constraints();
    let template = client.job().template;
    let whole = genesis_block(Network::Regtest).txdata.swap_remove(0);
    assert_eq!(template.coinbase.script_sig_prefix, whole.input[0].script_sig);
    assert_eq!(template.coinbase.block_reward_remaining, Amount::from_int_btc(50));
    assert_eq!(template.merkle_path, [TxMerkleNode::from_byte_array([8; 32])]);
    assert!(client.session.close());
}
