//! A program that follows a draft, with a node that has it and with nodes of releases.

use std::os::unix::net::UnixStream;

use bitcoin_ipc::bitcoin::blockdata::constants::genesis_block;
use bitcoin_ipc::bitcoin::consensus::serialize;
use bitcoin_ipc::bitcoin::{Block, Network};
use bitcoin_ipc::init::InitClient as ReleasedInit;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::Outcome;
use bitcoin_ipc::session::NodeSession;
use bitcoin_regtest::RegtestNode;
use mining_draft::init::{Init, InitClient};
use mining_draft::mining::{
    BlockCreateOptions, BlockTemplate, BlockTemplateClient, Mining, MiningClient,
    MiningSubmitBlockResults,
};
use multiprocess::{Capability, Connection, Error, Interface, PeerVersion, Result};
use old_core::{v30, v31};

fn block() -> Block {
    genesis_block(Network::Regtest)
}

/// A node that has the draft.
struct Node;

impl Init for Node {
    fn make_mining(&self) -> Result<Option<MiningClient>> {
        Ok(Some(MiningClient::new(Node)))
    }
}

impl Mining for Node {
    fn create_new_block(
        &self,
        _options: BlockCreateOptions,
        _cooldown: bool,
    ) -> Result<Option<BlockTemplateClient>> {
        Ok(Some(BlockTemplateClient::new(Node)))
    }

    fn submit_block(&self, block: Block, hurry: bool) -> Result<MiningSubmitBlockResults> {
        let reason = format!("{} {hurry}", block.txdata.len());
        Ok(MiningSubmitBlockResults::default().reason(reason))
    }
}

impl BlockTemplate for Node {
    fn get_hint(&self) -> Result<String> {
        Ok("soon".to_owned())
    }
}

/// A connection to what serves `init`, as bitcoin-ipc makes it; the second one is the node's.
fn connect<I: Interface>(init: I) -> (ReleasedInit, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let node = Connection::builder().serve(init).start(theirs).unwrap();
    (Connection::new(ours).unwrap().bootstrap().unwrap(), node)
}

/// The same Init with the draft's methods.
fn draft(init: ReleasedInit) -> InitClient {
    Capability::from(init).cast().unwrap()
}

fn template(init: &InitClient) -> (MiningClient, BlockTemplateClient) {
    let mining = init.make_mining().wait().unwrap().unwrap();
    let template = mining.create_new_block(BlockCreateOptions::default(), false);
    let template = template.wait().unwrap().unwrap();
    (mining, template)
}

#[test]
fn a_node_that_has_the_draft_is_called_so() {
    let (init, _node) = connect(InitClient::new(Node));
    let init = draft(init);
    let (mining, template) = template(&init);
    assert_eq!(template.get_hint().wait().unwrap(), "soon");
    for hurry in [false, true] {
        let submitted = mining.submit_block(block(), hurry).wait().unwrap();
        assert_eq!(submitted.reason, format!("1 {hurry}"));
    }
    assert_eq!(PeerVersion::of(&init).unwrap().possible(), ["draft"]);
}

#[test]
fn a_node_of_the_newest_release_has_all_the_rest() {
    let node = RegtestNode::start().unwrap();
    let mined = node.mine(1).unwrap()[0];
    // The sessions of bitcoin-ipc stay of use.
    let options = IpcOptions::client("test").datadir(node.datadir());
    let session = NodeSession::builder(options).connect_with(|init| Ok(draft(init.clone())));
    let session = session.unwrap();
    let init = session.try_get().unwrap();
    let (mining, template) = template(&init);
    assert_eq!(mining.get_tip().wait().unwrap().unwrap().hash, mined);
    assert_eq!(template.get_block_header().wait().unwrap().prev_blockhash, mined);
    let missing = template.get_hint().wait().unwrap_err();
    assert!(matches!(missing, Error::Unimplemented { .. }), "{missing:?}");
    // What it would not read is not sent, unless it says nothing.
    let unread = mining.submit_block(block(), true).wait().unwrap_err();
    assert!(matches!(unread, Error::PeerTooOld { .. }), "{unread:?}");
    assert!(unread.to_string().contains("hurry"), "{unread}");
    assert_eq!(node.faults().calls("Mining.submitBlock"), 0);
    let submitted = mining.submit_block(block(), false).wait().unwrap();
    let outcome = Outcome::from_parts(submitted.result, &submitted.reason, &submitted.debug);
    assert!(!outcome.is_accepted(), "the genesis block is no news");
    assert_eq!(node.faults().calls("Mining.submitBlock"), 1);
    // And the handles of bitcoin-ipc, beside.
    let ipc = Ipc::new(IpcOptions::client("test").datadir(node.datadir()));
    let released = ipc.connect_address("unix").unwrap().unwrap();
    assert!(released.make_mining().wait().unwrap().is_some());
}

struct Node31;

impl v31::init::Init for Node31 {
    fn make_mining(&self) -> Result<Option<v31::mining::MiningClient>> {
        Ok(Some(v31::mining::MiningClient::new(Node31)))
    }
}

impl v31::mining::Mining for Node31 {
    fn create_new_block(
        &self,
        _options: v31::mining::BlockCreateOptions,
        _cooldown: bool,
    ) -> Result<Option<v31::mining::BlockTemplateClient>> {
        Ok(Some(v31::mining::BlockTemplateClient::new(Node31)))
    }
}

impl v31::mining::BlockTemplate for Node31 {
    fn get_block_header(&self) -> Result<Vec<u8>> {
        Ok(serialize(&block().header))
    }
}

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
        Ok(serialize(&block().header))
    }

    /// The ordinal that the draft has for something else.
    fn interrupt_wait(&self) -> Result<()> {
        panic!("nobody has called it")
    }
}

#[test]
fn so_have_nodes_of_older_releases() {
    let (of_31, _node31) = connect(v31::init::InitClient::new(Node31));
    let (of_30, _node30) = connect(v30::init::InitClient::new(Node30));
    for init in [draft(of_31), draft(of_30)] {
        let (mining, template) = template(&init);
        assert_eq!(template.get_block_header().wait().unwrap(), block().header);
        let missing = template.get_hint().wait().unwrap_err();
        assert!(matches!(missing, Error::Unimplemented { .. }), "{missing:?}");
        let missing = mining.submit_block(block(), false).wait().unwrap_err();
        assert!(matches!(missing, Error::Unimplemented { .. }), "{missing:?}");
    }
}
