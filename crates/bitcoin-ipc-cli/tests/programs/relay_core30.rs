//! `bitcoin-ipc relay` with clients and nodes of Bitcoin Core 30, whose ordinals are others.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::blockdata::constants::genesis_block;
use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Network, Transaction};
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::{BlockCreateOptions, Outcome};
use bitcoin_regtest::RegtestNode;
use multiprocess::{Error, Result, Server, current_call};
use old_core::v30;
use old_core::v30::mining::{BlockCheckOptions, BlockTemplateClient, BlockWaitOptions};
use tempfile::TempDir;

use crate::client30::{mining30, solve30, template30};
use crate::relay::relay_at;
use crate::running::Running;
use crate::{LONG, wait_until};

/// A node of Bitcoin Core 30, which notes what it is asked.
#[derive(Clone, Default)]
struct Node30(Arc<Mutex<Vec<String>>>);

impl Node30 {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn coinbase() -> Transaction {
        genesis_block(Network::Regtest).txdata[0].clone()
    }
}

impl v30::init::Init for Node30 {
    fn make_mining(&self) -> Result<Option<v30::mining::MiningClient>> {
        Ok(Some(v30::mining::MiningClient::new(self.clone())))
    }
}

impl v30::mining::Mining for Node30 {
    fn get_tip(&self) -> Result<Option<v30::common::BlockRef>> {
        Ok(Some(v30::common::BlockRef { hash: BlockHash::from_byte_array([7; 32]), height: 7 }))
    }

    fn wait_tip_changed(&self, tip: Vec<u8>, timeout: f64) -> Result<v30::common::BlockRef> {
        self.note(format!("waitTipChanged {} {timeout}", tip[0]));
        Ok(v30::common::BlockRef { hash: BlockHash::from_byte_array([8; 32]), height: 8 })
    }

    fn create_new_block(
        &self,
        options: v30::mining::BlockCreateOptions,
    ) -> Result<Option<BlockTemplateClient>> {
        self.note(format!("createNewBlock {}", options.block_reserved_weight));
        Ok(Some(BlockTemplateClient::new(self.clone())))
    }

    fn check_block(
        &self,
        block: Vec<u8>,
        options: BlockCheckOptions,
    ) -> Result<v30::mining::MiningCheckBlockResults> {
        self.note(format!("checkBlock {} {}", block.len(), options.check_pow));
        let (reason, debug) = ("high-hash".to_owned(), "at length".to_owned());
        Ok(v30::mining::MiningCheckBlockResults { reason, debug, result: false })
    }
}

impl v30::mining::BlockTemplate for Node30 {
    fn get_block_header(&self) -> Result<Vec<u8>> {
        Ok(serialize(&genesis_block(Network::Regtest).header))
    }

    fn get_tx_fees(&self) -> Result<Vec<i64>> {
        Ok(vec![1, 2])
    }

    fn get_coinbase_tx(&self) -> Result<Vec<u8>> {
        Ok(serialize(&Node30::coinbase()))
    }

    fn get_coinbase_commitment(&self) -> Result<Vec<u8>> {
        Ok(vec![4, 5])
    }

    fn get_witness_commitment_index(&self) -> Result<i32> {
        Ok(6)
    }

    fn get_coinbase_merkle_path(&self) -> Result<Vec<Vec<u8>>> {
        Ok(vec![vec![8; 32]])
    }

    fn submit_solution(
        &self,
        version: u32,
        timestamp: u32,
        nonce: u32,
        coinbase: Vec<u8>,
    ) -> Result<bool> {
        self.note(format!("submitSolution {version} {timestamp} {nonce} {}", coinbase.len()));
        Ok(nonce == 3)
    }

    fn wait_next(&self, options: BlockWaitOptions) -> Result<Option<BlockTemplateClient>> {
        self.note(format!("waitNext {} {}", options.timeout, options.fee_threshold));
        Ok(None)
    }

    fn interrupt_wait(&self) -> Result<()> {
        self.note("interruptWait".to_owned());
        Ok(())
    }
}

/// Of the one who drops it at last.
impl Drop for Node30 {
    fn drop(&mut self) {
        // The template's call is served here.
        if current_call().is_some() {
            self.note("destroyed".to_owned());
        }
    }
}

/// A relay in front of a node of 30.
struct Relayed30 {
    node: Node30,
    _server: Server,
    _relay: Running,
    dir: TempDir,
}

impl Relayed30 {
    fn start(rules: &str) -> Relayed30 {
        let (node, dir) = (Node30::default(), TempDir::new().unwrap());
        let path = dir.path().join("node.sock");
        let server = Server::listen(&path, v30::init::InitClient::new(node.clone())).unwrap();
        let relay = relay_at(&dir.path().join("relay.sock"), &path, rules);
        let relayed = Relayed30 { node, _server: server, _relay: relay, dir };
        wait_until("it has a node", || mining30(&relayed.socket()).get_tip().wait().is_ok());
        relayed
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("relay.sock")
    }
}

#[test]
fn a_client_of_30_has_a_node_of_30_as_it_is() {
    let relayed = Relayed30::start("");
    let mining = mining30(&relayed.socket());
    let tip = mining.get_tip().wait().unwrap().unwrap();
    assert_eq!((tip.hash, tip.height), (BlockHash::from_byte_array([7; 32]), 7));
    let after = mining.wait_tip_changed(vec![6; 32], 250.0).wait().unwrap();
    assert_eq!((after.hash, after.height), (BlockHash::from_byte_array([8; 32]), 8));
    let block = serialize(&genesis_block(Network::Regtest));
    let options = BlockCheckOptions { check_merkle_root: true, check_pow: false };
    let checked = mining.check_block(block.clone(), options).wait().unwrap();
    assert_eq!((checked.reason.as_str(), checked.debug.as_str()), ("high-hash", "at length"));
    assert!(!checked.result);
    let bytes = block.len();
    let asked = ["waitTipChanged 6 250".to_owned(), format!("checkBlock {bytes} false")];
    assert_eq!(relayed.node.asked(), asked);

    let template = template30(&mining);
    let header = template.get_block_header().wait().unwrap();
    assert_eq!(header, serialize(&genesis_block(Network::Regtest).header));
    assert_eq!(template.get_tx_fees().wait().unwrap(), [1, 2]);
    assert_eq!(template.get_coinbase_tx().wait().unwrap(), serialize(&Node30::coinbase()));
    assert_eq!(template.get_coinbase_commitment().wait().unwrap(), [4, 5]);
    assert_eq!(template.get_witness_commitment_index().wait().unwrap(), 6);
    assert_eq!(template.get_coinbase_merkle_path().wait().unwrap(), [[8; 32]]);
    let coinbase = serialize(&Node30::coinbase());
    for (nonce, accepted) in [(3, true), (4, false)] {
        let submitted = template.submit_solution(1, 2, nonce, coinbase.clone()).wait();
        assert_eq!(submitted.unwrap(), accepted);
    }
    let options = BlockWaitOptions { timeout: 5.0, fee_threshold: 1_000 };
    assert!(template.wait_next(options).wait().unwrap().is_none());
    template.interrupt_wait().wait().unwrap();
    template.close().wait().unwrap();
    let bytes = coinbase.len();
    let asked = [
        "createNewBlock 4000".to_owned(),
        format!("submitSolution 1 2 3 {bytes}"),
        format!("submitSolution 1 2 4 {bytes}"),
        "waitNext 5 1000".to_owned(),
        "interruptWait".to_owned(),
        "destroyed".to_owned(),
    ];
    let mut seen = Vec::new();
    wait_until("the template is destroyed in the node", || {
        seen.extend(relayed.node.asked());
        seen.len() >= asked.len()
    });
    assert_eq!(seen, asked);
}

#[test]
fn rules_hold_for_clients_of_30_and_what_is_wrong_is_told() {
    let relayed = Relayed30::start(",read-only");
    let mining = mining30(&relayed.socket());
    let template = template30(&mining);
    let coinbase = serialize(&Node30::coinbase());
    let refused = template.submit_solution(1, 2, 3, coinbase).wait().unwrap_err().to_string();
    assert!(refused.contains("BlockTemplate.submitSolution is not allowed at"), "{refused}");
    let bad = mining.wait_tip_changed(vec![6; 31], 1.0).wait().unwrap_err().to_string();
    assert!(bad.contains("waitTipChanged") && bad.contains("currentTip"), "{bad}");
    assert_eq!(relayed.node.asked(), ["createNewBlock 4000"], "nothing else has arrived");
}

#[test]
fn a_client_of_30_mines_on_a_newer_node() {
    let (node, dir) = (RegtestNode::start().unwrap(), TempDir::new().unwrap());
    node.mine(101).unwrap();
    node.pay_fee(bitcoin::Amount::from_sat(900)).unwrap();
    let socket = dir.path().join("relay.sock");
    let _relay = relay_at(&socket, node.socket(), "");
    wait_until("it has a node", || mining30(&socket).get_tip().wait().is_ok());
    let mining = mining30(&socket);
    let template = template30(&mining);
    assert_eq!(template.get_tx_fees().wait().unwrap(), [900]);

    let mined = solve30(&template);
    assert_eq!(node.chain().tip().hash, mined);

    // Waits end with another block, and when they are cut off.
    let next = template.wait_next(BlockWaitOptions { timeout: 1e9, fee_threshold: i64::MAX });
    assert!(next.wait().unwrap().is_some());
    let tip = serialize(&mined);
    let cut = mining.wait_tip_changed(tip, 1e9).timeout(Duration::from_millis(5)).wait();
    assert!(matches!(cut, Err(Error::Timeout(_))), "{cut:?}");
    drop(template);
    wait_until("nothing is left", || node.chain().waiters() == 0 && node.live_templates() == 0);
}

#[test]
fn a_newer_client_has_what_a_node_of_30_has() {
    let relayed = Relayed30::start("");
    let ipc = Ipc::new(IpcOptions::client("client").connect_timeout(LONG));
    let address = format!("unix:{}", relayed.socket().display());
    let init: InitClient = ipc.connect_address(&address).unwrap().unwrap();
    let mining = init.make_mining().wait().unwrap().unwrap();
    assert_eq!(mining.get_tip().wait().unwrap().unwrap().height, 7);
    let options = BlockCreateOptions::default();
    let template = mining.create_new_block(options, false).wait().unwrap().unwrap();
    // 30 gives the whole transaction.
    let coinbase = Node30::coinbase();
    let parts = template.get_coinbase_tx().wait().unwrap();
    assert_eq!(parts.script_sig_prefix, coinbase.input[0].script_sig);
    assert_eq!(parts.block_reward_remaining, coinbase.output[0].value);
    let submitted = template.submit_solution(bitcoin::block::Version::ONE, 2, 3, coinbase).wait();
    assert_eq!(submitted.unwrap(), Outcome::Accepted);
    // What it does not have is told, of that call alone.
    for error in [
        mining.submit_block(genesis_block(Network::Regtest)).wait().map(drop).unwrap_err(),
        mining.get_transactions_by_tx_id(vec![]).wait().map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unimplemented { .. }), "{error:?}");
    }
    let rpc = init.make_rpc().wait().unwrap().unwrap();
    let error = rpc.execute_rpc("{}", "/", "").wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error:?}");
    assert_eq!(mining.get_tip().wait().unwrap().unwrap().height, 7);
}
