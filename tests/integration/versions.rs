//! One set of handles for the nodes of every version: the version of a peer is found out by calls.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin_ipc::bitcoin::blockdata::constants::genesis_block;
use bitcoin_ipc::bitcoin::consensus::serialize;
use bitcoin_ipc::bitcoin::hashes::Hash;
use bitcoin_ipc::bitcoin::{Block, BlockHash, Network, Transaction, TxMerkleNode, block};
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::mining::{
    BlockCheckOptions, BlockCreateOptions, BlockWaitOptions, MiningClient, Outcome, Rejection,
};
use futures_executor::block_on;
use multiprocess::{Connection, Error, Interface, PeerVersion, Result};
use old_core::{v30, v31};

/// The calls that the served node got, in order.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn genesis() -> Block {
    genesis_block(Network::Regtest)
}

/// A transaction, and its bytes as a node gets them.
fn coinbase() -> (Transaction, Vec<u8>) {
    let coinbase = genesis().txdata[0].clone();
    let bytes = serialize(&coinbase);
    (coinbase, bytes)
}

const VERSION: block::Version = block::Version::ONE;

/// A client of the newest version, connected to `init`. The second connection is the node's.
fn connect<I: Interface>(init: I) -> (InitClient, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let node = Connection::builder().serve(init).start(theirs).unwrap();
    (Connection::new(ours).unwrap().bootstrap().unwrap(), node)
}

struct Init30(Asked);

impl v30::init::Init for Init30 {
    fn make_mining(&self) -> Result<Option<v30::mining::MiningClient>> {
        self.0.note("makeMining".to_owned());
        Ok(Some(v30::mining::MiningClient::new(Mining30(self.0.clone()))))
    }
}

struct Mining30(Asked);

impl v30::mining::Mining for Mining30 {
    fn create_new_block(
        &self,
        options: v30::mining::BlockCreateOptions,
    ) -> Result<Option<v30::mining::BlockTemplateClient>> {
        self.0.note(format!("createNewBlock {options:?}"));
        Ok(Some(v30::mining::BlockTemplateClient::new(Template30(self.0.clone()))))
    }

    fn wait_tip_changed(
        &self,
        current_tip: Vec<u8>,
        timeout: f64,
    ) -> Result<v30::common::BlockRef> {
        self.0.note(format!("waitTipChanged {current_tip:?} {timeout}"));
        Ok(v30::common::BlockRef { hash: BlockHash::from_byte_array([7; 32]), height: 7 })
    }

    fn check_block(
        &self,
        block: Vec<u8>,
        options: v30::mining::BlockCheckOptions,
    ) -> Result<v30::mining::MiningCheckBlockResults> {
        self.0.note(format!("checkBlock {block:?} {options:?}"));
        let (reason, debug) = ("high-hash".to_owned(), "proof of work failed".to_owned());
        Ok(v30::mining::MiningCheckBlockResults { reason, debug, result: false })
    }
}

struct Template30(Asked);

impl v30::mining::BlockTemplate for Template30 {
    fn get_coinbase_tx(&self) -> Result<Vec<u8>> {
        Ok(vec![1, 2, 3])
    }

    fn get_coinbase_commitment(&self) -> Result<Vec<u8>> {
        Ok(vec![4, 5])
    }

    fn get_witness_commitment_index(&self) -> Result<i32> {
        Ok(-1)
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
        self.0.note(format!("submitSolution {version} {timestamp} {nonce} {coinbase:?}"));
        Ok(nonce == 3)
    }

    fn wait_next(
        &self,
        options: v30::mining::BlockWaitOptions,
    ) -> Result<Option<v30::mining::BlockTemplateClient>> {
        self.0.note(format!("waitNext {options:?}"));
        Ok(None)
    }
}

fn mining30() -> (MiningClient, Connection, Asked) {
    let asked = Asked::default();
    let (init, node) = connect(v30::init::InitClient::new(Init30(asked.clone())));
    let mining = init.make_mining().wait().unwrap().unwrap();
    assert_eq!(asked.take(), ["makeMining"]);
    (mining, node, asked)
}

#[test]
fn a_node_of_version_30_is_found_out() {
    let (_mining, _node, _asked) = mining30();
}

#[test]
fn options_arrive_at_30_as_they_are_though_it_has_no_defaults() {
    let (mining, _node, asked) = mining30();
    let options = BlockCreateOptions::default().block_reserved_weight(4000);
    mining.create_new_block(options, false).wait().unwrap().unwrap();
    let then = v30::mining::BlockCreateOptions {
        use_mempool: true,
        block_reserved_weight: 4000,
        coinbase_output_max_additional_sigops: 400,
    };
    assert_eq!(asked.take(), [format!("createNewBlock {then:?}")]);

    let options = BlockCheckOptions::default().check_pow(false);
    let checked = mining.check_block(genesis(), options.clone()).wait().unwrap();
    let rejection = Rejection::new("high-hash", "proof of work failed");
    assert_eq!(checked, Outcome::Rejected(rejection));
    let then = v30::mining::BlockCheckOptions { check_merkle_root: true, check_pow: false };
    let bytes = serialize(&genesis());
    assert_eq!(asked.take(), [format!("checkBlock {bytes:?} {then:?}")]);

    let (current, timeout) = ([6; 32], Duration::from_millis(250));
    let wait = mining.wait_tip_changed(BlockHash::from_byte_array(current), timeout);
    let tip = wait.wait().unwrap().unwrap();
    assert_eq!((tip.hash, tip.height), (BlockHash::from_byte_array([7; 32]), 7));
    assert_eq!(asked.take(), [format!("waitTipChanged {current:?} 250")]);
    // And without codecs, at the same older ordinals.
    let raw = mining.check_block_raw(vec![9], options).wait().unwrap();
    assert_eq!((raw.reason.as_str(), raw.result), ("high-hash", false));
    assert_eq!(asked.take(), [format!("checkBlock [9] {then:?}")]);
}

#[test]
fn a_template_of_30_answers_at_its_own_ordinals() {
    let (mining, _node, asked) = mining30();
    let template =
        mining.create_new_block(BlockCreateOptions::default(), true).wait().unwrap().unwrap();
    asked.take();

    let (coinbase, bytes) = coinbase();
    for (nonce, outcome) in [(3, Outcome::Accepted), (4, Outcome::Rejected(Rejection::new("", "")))]
    {
        let call = template.submit_solution(VERSION, 2, nonce, coinbase.clone());
        assert_eq!(call.wait().unwrap(), outcome);
        assert_eq!(asked.take(), [format!("submitSolution 1 2 {nonce} {bytes:?}")]);
    }
    assert!(template.submit_solution_raw(1, 2, 3, vec![4]).wait().unwrap().result);
    assert_eq!(asked.take(), ["submitSolution 1 2 3 [4]"]);

    let options = BlockWaitOptions::default().timeout(Duration::from_millis(5));
    assert!(template.wait_next(options).wait().unwrap().is_none());
    let then = v30::mining::BlockWaitOptions { timeout: 5.0, fee_threshold: 2_100_000_000_000_000 };
    assert_eq!(asked.take(), [format!("waitNext {then:?}")]);

    let path = template.get_coinbase_merkle_path().wait().unwrap();
    assert_eq!(path, [TxMerkleNode::from_byte_array([8; 32])]);
    assert_eq!(template.get_coinbase_commitment().wait().unwrap(), [4, 5]);
    assert_eq!(template.get_witness_commitment_index().wait().unwrap(), -1);
    // The present getCoinbaseTx returns a struct, that of version 30 a transaction, so they are two
    // methods.
    assert_eq!(template.get_coinbase_tx_v30().wait().unwrap(), [1, 2, 3]);
    let error = template.get_coinbase_tx().wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error}");
}

#[test]
fn what_30_does_not_have_is_unimplemented_and_nothing_else_is_called() {
    let (mining, _node, asked) = mining30();
    for error in [
        mining.submit_block(genesis()).wait().map(drop).unwrap_err(),
        mining.get_transactions_by_tx_id(vec![]).wait().map(drop).unwrap_err(),
        mining.interrupt().wait().unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unimplemented { .. }), "{error}");
    }
    assert_eq!(asked.take(), [""; 0]);
}

#[test]
fn futures_and_pipelined_calls_find_the_version_as_well() {
    let asked = Asked::default();
    let (init, _node) = connect(v30::init::InitClient::new(Init30(asked.clone())));
    let mining = block_on(init.make_mining()).unwrap().unwrap();
    let template = block_on(mining.create_new_block(BlockCreateOptions::default(), true));
    assert!(template.unwrap().is_some());

    let (init, _node) = connect(v30::init::InitClient::new(Init30(asked.clone())));
    let template =
        init.make_mining().pipelined().create_new_block(BlockCreateOptions::default(), true);
    let path = template.pipelined().get_coinbase_merkle_path().timeout(Duration::from_secs(20));
    assert_eq!(path.wait().unwrap(), [TxMerkleNode::from_byte_array([8; 32])]);
}

struct Init31(Asked);

impl v31::init::Init for Init31 {
    fn make_mining(&self) -> Result<Option<v31::mining::MiningClient>> {
        Ok(Some(v31::mining::MiningClient::new(Mining31(self.0.clone()))))
    }

    fn make_mining_old2(&self) -> Result<()> {
        self.0.note("makeMiningOld2".to_owned());
        Err(Error::failed("old"))
    }
}

struct Mining31(Asked);

impl v31::mining::Mining for Mining31 {
    fn create_new_block(
        &self,
        options: v31::mining::BlockCreateOptions,
        cooldown: bool,
    ) -> Result<Option<v31::mining::BlockTemplateClient>> {
        self.0.note(format!("createNewBlock {options:?} {cooldown}"));
        Ok(Some(v31::mining::BlockTemplateClient::new(Template31(self.0.clone()))))
    }
}

struct Template31(Asked);

impl v31::mining::BlockTemplate for Template31 {
    fn submit_solution(
        &self,
        version: u32,
        timestamp: u32,
        nonce: u32,
        coinbase: Vec<u8>,
    ) -> Result<bool> {
        self.0.note(format!("submitSolution {version} {timestamp} {nonce} {coinbase:?}"));
        Ok(true)
    }
}

#[test]
fn a_node_of_version_31_has_the_older_submit_solution() {
    let asked = Asked::default();
    let (init, _node) = connect(v31::init::InitClient::new(Init31(asked.clone())));
    let mining = init.make_mining().wait().unwrap().unwrap();
    let template =
        mining.create_new_block(BlockCreateOptions::default(), false).wait().unwrap().unwrap();
    let then = v31::mining::BlockCreateOptions::default();
    assert_eq!(asked.take(), [format!("createNewBlock {then:?} false")]);
    let (coinbase, bytes) = coinbase();
    for _ in 0..2 {
        let call = template.submit_solution(VERSION, 2, 3, coinbase.clone());
        assert_eq!(call.wait().unwrap(), Outcome::Accepted);
        assert_eq!(asked.take(), [format!("submitSolution 1 2 3 {bytes:?}")]);
    }
}

/// As far as the calls that a program makes anyway can tell.
#[test]
fn which_version_a_node_is_can_be_asked() {
    let version = |init: &InitClient| PeerVersion::of(init).unwrap();
    let (init, _node) = connect(v30::init::InitClient::new(Init30(Asked::default())));
    assert_eq!(version(&init).to_string(), "32 or 31 or 30");
    init.make_mining().wait().unwrap().unwrap();
    assert_eq!((version(&init).possible(), version(&init).is_known()), (&["30"][..], true));

    let (init, _node) = connect(v31::init::InitClient::new(Init31(Asked::default())));
    let mining = init.make_mining().wait().unwrap().unwrap();
    assert_eq!(version(&init).possible(), ["32", "31"]);
    let template = mining.create_new_block(BlockCreateOptions::default(), true).wait();
    let call = template.unwrap().unwrap().submit_solution(VERSION, 2, 3, coinbase().0);
    assert_eq!(call.wait().unwrap(), Outcome::Accepted);
    assert_eq!(version(&init).possible(), ["31"]);
}
