//! Every method of Mining and BlockTemplate over a connection, in rust-bitcoin's types and as the values
//! travel; and peers that send what is no such value.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use bitcoin_ipc::bitcoin::consensus::{deserialize, serialize};
use bitcoin_ipc::bitcoin::hashes::Hash;
use bitcoin_ipc::bitcoin::{
    Amount, Block, Network, ScriptBuf, Transaction, Txid, Witness, Wtxid,
    blockdata::constants::genesis_block,
};
use bitcoin_ipc::codec::FOREVER;
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::mining::{
    BlockCheckOptions, BlockCreateOptions, BlockRef, BlockTemplateClient, BlockWaitOptions,
    MiningClient, Outcome, Rejection, reason,
};
use bitcoin_ipc::{Error, Result};
use bitcoin_regtest::{
    Chain, NodeInit, anyone_can_spend, coinbase_transaction, merkle_root, solve,
};
use multiprocess::{Connection, Interface};
use old_core::v31;

/// The bootstrap object of a process that serves `init`.
fn connect<I: Interface>(init: I) -> (InitClient, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let node = Connection::builder().serve(init).start(theirs).unwrap();
    (Connection::new(ours).unwrap().bootstrap().unwrap(), node)
}

fn node() -> (MiningClient, Connection) {
    let (init, node) = connect(InitClient::new(NodeInit::new(Chain::regtest())));
    (init.make_mining().wait().unwrap().unwrap(), node)
}

fn template(mining: &MiningClient) -> BlockTemplateClient {
    mining.create_new_block(BlockCreateOptions::default(), false).wait().unwrap().unwrap()
}

/// The block that a pool makes of a template.
fn solved(template: &BlockTemplateClient) -> Block {
    let mut block = template.get_block().wait().unwrap();
    let coinbase = coinbase_transaction(
        &template.get_coinbase_tx().wait().unwrap(),
        b"typed",
        anyone_can_spend(),
    );
    let path = template.get_coinbase_merkle_path().wait().unwrap();
    block.header.merkle_root = merkle_root(coinbase.compute_txid(), &path);
    block.txdata[0] = coinbase;
    assert!(solve(&mut block.header));
    block
}

fn rejected(outcome: Outcome, reason: &str) -> Rejection {
    let rejection = outcome.into_result().unwrap_err();
    assert!(rejection.is(reason), "{rejection}");
    rejection
}

#[test]
fn a_template_is_read_solved_and_submitted() {
    let (mining, _node) = node();
    let genesis = genesis_block(Network::Regtest).block_hash();
    assert_eq!(mining.get_tip().wait().unwrap(), Some(BlockRef::new(genesis)));
    let first = template(&mining);
    let header = first.get_block_header().wait().unwrap();
    assert_eq!(header.prev_blockhash, genesis);
    assert_eq!(first.get_block().wait().unwrap().header, header);
    assert_eq!(first.get_tx_fees().wait().unwrap(), [Amount::ZERO; 0]);
    assert_eq!(first.get_tx_sigops().wait().unwrap(), [0_i64; 0]);
    let parts = first.get_coinbase_tx().wait().unwrap();
    assert_eq!(parts.block_reward_remaining, Amount::from_int_btc(50));
    assert_eq!((parts.version.0, parts.sequence.0), (2, 0xffff_fffe));
    assert_eq!(parts.lock_time.to_consensus_u32(), 0);
    assert_eq!(parts.script_sig_prefix, ScriptBuf::from_bytes(vec![0x51]));
    assert_eq!(parts.witness, Witness::from_slice(&[[0; 32]]));
    assert_eq!(parts.required_outputs.len(), 1);
    assert!(parts.required_outputs[0].script_pubkey.is_op_return());

    let block = solved(&first);
    let checked = mining.check_block(block.clone(), BlockCheckOptions::default()).wait().unwrap();
    assert_eq!(checked, Outcome::Accepted);
    let (sent, coinbase) = (block.header, block.txdata[0].clone());
    let submit = first.submit_solution(sent.version, sent.time, sent.nonce, coinbase.clone());
    assert_eq!(submit.wait().unwrap(), Outcome::Accepted);
    let tip = BlockRef::new(block.block_hash()).height(1);
    assert_eq!(mining.wait_tip_changed(genesis, FOREVER).wait().unwrap(), Some(tip));

    let again = first.submit_solution(sent.version, sent.time, sent.nonce, coinbase);
    assert!(rejected(again.wait().unwrap(), reason::DUPLICATE).is_stale());
    rejected(mining.submit_block(block).wait().unwrap(), reason::DUPLICATE);
    let next = first.wait_next(BlockWaitOptions::default()).wait().unwrap().unwrap();
    assert_eq!(next.get_block_header().wait().unwrap().prev_blockhash, tip.hash);
    let second = solved(&next);
    assert_eq!(mining.submit_block(second).wait().unwrap(), Outcome::Accepted);
}

#[test]
fn a_rejection_has_the_nodes_words() {
    let (mining, _node) = node();
    let mut block = solved(&template(&mining));
    block.header.time = 0;
    let options = BlockCheckOptions::default().check_pow(false);
    rejected(mining.check_block(block, options).wait().unwrap(), reason::TIME_TOO_OLD);
}

#[test]
fn transactions_that_are_not_there_are_none() {
    let (mining, _node) = node();
    let none: [Option<Transaction>; 2] = [None, None];
    let txids = vec![Txid::all_zeros(), Txid::from_byte_array([1; 32])];
    assert_eq!(mining.get_transactions_by_tx_id(txids).wait().unwrap(), none);
    let wtxids = vec![Wtxid::all_zeros(), Wtxid::from_byte_array([1; 32])];
    assert_eq!(mining.get_transactions_by_witness_id(wtxids).wait().unwrap(), none);
}

#[test]
fn waits_take_durations() {
    let (mining, _node) = node();
    let tip = mining.get_tip().wait().unwrap();
    let unchanged = |timeout| mining.wait_tip_changed(tip.unwrap().hash, timeout).wait();
    assert_eq!(unchanged(Duration::ZERO).unwrap(), tip);
    assert_eq!(unchanged(Duration::from_micros(300)).unwrap(), tip);
    // A peer may send a time that has passed already.
    let hash = tip.unwrap().hash.to_byte_array();
    assert!(mining.wait_tip_changed_raw(hash, -5.0).wait().unwrap().is_some());
    // While the tip is old there is always a new template.
    let moment = || BlockWaitOptions::default().timeout(Duration::from_millis(1));
    assert!(template(&mining).wait_next(moment()).wait().unwrap().is_some());
    let block = solved(&template(&mining));
    assert!(mining.submit_block(block).wait().unwrap().is_accepted());
    assert!(template(&mining).wait_next(moment()).wait().unwrap().is_none());
}

#[test]
fn raw_methods_have_the_values_as_they_travel() {
    let (mining, _node) = node();
    let template = template(&mining);
    let block = template.get_block().wait().unwrap();
    assert_eq!(template.get_block_raw().wait().unwrap(), serialize(&block));
    let header = template.get_block_header_raw().wait().unwrap();
    assert_eq!((header.len(), header), (80, serialize(&block.header)));
    assert_eq!(template.get_tx_fees_raw().wait().unwrap(), [0_i64; 0]);
    assert_eq!(template.get_coinbase_merkle_path_raw().wait().unwrap(), [[0_u8; 0]; 0]);

    let block = solved(&template);
    let bytes = serialize(&block);
    let checked = mining.check_block_raw(bytes.clone(), BlockCheckOptions::default());
    assert!(checked.wait().unwrap().result);
    let (header, coinbase) = (block.header, serialize(&block.txdata[0]));
    let version = header.version.to_consensus().cast_unsigned();
    let submit = template.submit_solution_raw(version, header.time, header.nonce, coinbase);
    assert!(submit.wait().unwrap().result);
    let refused = mining.submit_block_raw(bytes).wait().unwrap();
    assert_eq!((refused.result, refused.reason.as_str()), (false, "duplicate"));
    let ids = vec![vec![1; 32]];
    assert_eq!(mining.get_transactions_by_tx_id_raw(ids.clone()).wait().unwrap(), [[0_u8; 0]]);
    assert_eq!(mining.get_transactions_by_witness_id_raw(ids).wait().unwrap(), [[0_u8; 0]]);
}

/// The error of a call, which names the method and the field, whoever says it.
#[track_caller]
fn assert_names<T>(outcome: Result<T>, field: &str, problem: &str) {
    let text = outcome.err().expect("an error").to_string();
    assert!(text.contains(&format!("{field}: ")) && text.contains(problem), "{text}");
}

#[test]
fn a_client_that_sends_garbage_is_told_which_field() {
    let (mining, _node) = node();
    let template = template(&mining);
    let short = || vec![0; 31];
    let options = BlockCheckOptions::default;
    let wait = |hash, timeout| mining.wait_tip_changed_raw(hash, timeout).wait();
    assert_names(wait(short(), 0.0), "Mining.waitTipChanged.currentTip", "has 31");
    assert_names(wait(vec![0; 32], f64::NAN), "Mining.waitTipChanged.timeout", "not a number");
    let block = serialize(&genesis_block(Network::Regtest));
    let longer = [block.clone(), vec![0]].concat();
    for (garbage, problem) in [(short(), "UnexpectedEof"), (longer, "not consumed entirely")] {
        let checked = mining.check_block_raw(garbage.clone(), options()).wait();
        assert_names(checked, "Mining.checkBlock.block", problem);
        assert_names(mining.submit_block_raw(garbage).wait(), "Mining.submitBlock.block", problem);
    }
    let ids = || vec![vec![0; 32], short()];
    let found = mining.get_transactions_by_tx_id_raw(ids()).wait();
    assert_names(found, "Mining.getTransactionsByTxID.txids[1]", "has 31");
    let found = mining.get_transactions_by_witness_id_raw(ids()).wait();
    assert_names(found, "Mining.getTransactionsByWitnessID.wtxids[1]", "has 31");
    let submitted = template.submit_solution_raw(1, 2, 3, short()).wait();
    assert_names(submitted, "BlockTemplate.submitSolution.coinbase", "");
    assert!(mining.is_test_chain().wait().unwrap(), "only those calls failed");
}

#[test]
fn what_cannot_be_sent_is_the_callers_error() {
    let (mining, _node) = node();
    let options = BlockWaitOptions::default().fee_threshold(Amount::MAX);
    let error = template(&mining).wait_next(options).wait().map(drop).unwrap_err();
    assert!(matches!(error, Error::ApiMisuse { .. }), "{error:?}");
    let text = "BlockTemplate.waitNext.options.feeThreshold: a value cannot be sent: an amount has";
    assert!(error.to_string().starts_with(text), "{error}");
    assert!(mining.is_test_chain().wait().unwrap());
}

/// A node whose values are none.
struct Garbage;

impl v31::init::Init for Garbage {
    fn make_mining(&self) -> Result<Option<v31::mining::MiningClient>> {
        Ok(Some(v31::mining::MiningClient::new(Garbage)))
    }
}

impl v31::mining::Mining for Garbage {
    fn create_new_block(
        &self,
        _options: v31::mining::BlockCreateOptions,
        _cooldown: bool,
    ) -> Result<Option<v31::mining::BlockTemplateClient>> {
        Ok(Some(v31::mining::BlockTemplateClient::new(Garbage)))
    }

    fn get_transactions_by_tx_id(&self, _txids: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        Ok(vec![Vec::new(), vec![1, 2]])
    }

    fn get_transactions_by_witness_id(&self, _wtxids: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        Ok(vec![serialize(&genesis_block(Network::Regtest).txdata[0])])
    }
}

impl v31::mining::BlockTemplate for Garbage {
    fn get_block_header(&self) -> Result<Vec<u8>> {
        Ok(vec![0; 79])
    }

    fn get_block(&self) -> Result<Vec<u8>> {
        // A block without transactions has 81.
        Ok(vec![0; 82])
    }

    fn get_tx_fees(&self) -> Result<Vec<i64>> {
        Ok(vec![0, 1, -1])
    }

    fn get_coinbase_tx(&self) -> Result<v31::mining::CoinbaseTx> {
        Ok(v31::mining::CoinbaseTx {
            version: 2,
            sequence: 0,
            script_sig_prefix: Vec::new(),
            witness: Vec::new(),
            block_reward_remaining: 0,
            required_outputs: vec![vec![7]],
            lock_time: 0,
        })
    }

    fn get_coinbase_merkle_path(&self) -> Result<Vec<Vec<u8>>> {
        Ok(vec![vec![0; 33]])
    }
}

#[test]
fn a_node_that_answers_with_garbage_fails_those_calls_only() {
    let (init, _node) = connect(v31::init::InitClient::new(Garbage));
    let mining = init.make_mining().wait().unwrap().unwrap();
    let template = template(&mining);
    let field = |method: &str| format!("BlockTemplate.{method}.result");
    assert_names(template.get_block_header().wait(), &field("getBlockHeader"), "UnexpectedEof");
    assert_names(template.get_block().wait(), &field("getBlock"), "not consumed entirely");
    let fees = field("getTxFees") + "[2]";
    assert_names(template.get_tx_fees().wait(), &fees, "not -1");
    let outputs = field("getCoinbaseTx") + ".requiredOutputs[0]";
    assert_names(template.get_coinbase_tx().wait(), &outputs, "UnexpectedEof");
    let path = field("getCoinbaseMerklePath") + "[0]";
    assert_names(template.get_coinbase_merkle_path().wait(), &path, "has 33");
    let found = mining.get_transactions_by_tx_id(vec![]).wait();
    assert!(matches!(found, Err(Error::Decode { .. })));
    assert_names(found, "Mining.getTransactionsByTxID.result[1]", "UnexpectedEof");

    // Other calls of the same peer do.
    let found = mining.get_transactions_by_witness_id(vec![Wtxid::all_zeros()]).wait().unwrap();
    assert_eq!(found, [Some(genesis_block(Network::Regtest).txdata[0].clone())]);
    let raw = template.get_block_raw().wait().unwrap();
    assert!(deserialize::<Block>(&raw).is_err());
}
