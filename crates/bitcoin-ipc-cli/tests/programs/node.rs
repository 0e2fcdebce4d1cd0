//! The in-memory node over a connection, as a pool uses it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{Block, Transaction, TxMerkleNode, TxOut};
use bitcoin_ipc::ipc::{Ipc, IpcOptions, Spawned};
use bitcoin_ipc::mining::{
    BlockCheckOptions, BlockTemplateClient, BlockWaitOptions, MiningClient, decode,
    timeout_from_ms, timeout_ms,
};
use bitcoin_ipc::{Error, init::InitClient};
use bitcoin_regtest::{Chain, CoinbaseParts, NodeInit, coinbase_transaction, merkle_root, solve};

fn spawn() -> (Spawned, MiningClient) {
    let spawned = Ipc::new(IpcOptions::client("pool")).spawn(Path::new(&*crate::NODE)).unwrap();
    let mining = spawned.init.make_mining().wait().unwrap().unwrap();
    (spawned, mining)
}

fn template(mining: &MiningClient) -> BlockTemplateClient {
    mining.create_new_block(Default::default(), false).wait().unwrap().unwrap()
}

/// Solves a template: the whole block.
fn solved(template: &BlockTemplateClient) -> Block {
    let mut block: Block = decode("block", &template.get_block().wait().unwrap()).unwrap();
    let parts = template.get_coinbase_tx().wait().unwrap();
    let outputs =
        parts.required_outputs.iter().map(|bytes| decode::<TxOut>("output", bytes).unwrap());
    let coinbase = coinbase_transaction(
        &CoinbaseParts {
            version: parts.version,
            sequence: parts.sequence,
            script_sig_prefix: parts.script_sig_prefix,
            witness: Some(parts.witness).filter(|witness| !witness.is_empty()),
            block_reward_remaining: parts.block_reward_remaining,
            required_outputs: outputs.collect(),
            lock_time: parts.lock_time,
        },
        b"test",
    );
    let path = template.get_coinbase_merkle_path().wait().unwrap();
    let path: Vec<_> = path.iter().map(|hash| TxMerkleNode::from_slice(hash).unwrap()).collect();
    block.header.merkle_root = merkle_root(coinbase.compute_txid(), &path);
    block.txdata[0] = coinbase;
    assert!(solve(&mut block.header));
    block
}

fn submit(template: &BlockTemplateClient, block: &Block) -> bool {
    let coinbase: &Transaction = &block.txdata[0];
    let version = block.header.version.to_consensus() as u32;
    let call = template.submit_solution(
        version,
        block.header.time,
        block.header.nonce,
        serialize(coinbase),
    );
    call.wait().unwrap().result
}

#[test]
fn a_solved_template_becomes_the_tip_and_wakes_the_waiters() {
    let (_spawned, mining) = spawn();
    let tip = mining.get_tip().wait().unwrap().unwrap();
    let template = template(&mining);
    let block = solved(&template);

    let (for_tip, for_next) = (mining.clone(), template.clone());
    let genesis = tip.hash.clone();
    let tip_waiter =
        std::thread::spawn(move || for_tip.wait_tip_changed(genesis, timeout_ms(None)).wait());
    let next_waiter =
        std::thread::spawn(move || for_next.wait_next(BlockWaitOptions::default()).wait());
    assert!(submit(&template, &block));
    let new = tip_waiter.join().unwrap().unwrap().unwrap();
    assert_eq!(
        (new.height, new.hash),
        (tip.height + 1, block.block_hash().to_byte_array().to_vec())
    );
    let next = next_waiter.join().unwrap().unwrap().unwrap();
    let header: bitcoin::block::Header =
        decode("header", &next.get_block_header().wait().unwrap()).unwrap();
    assert_eq!(header.prev_blockhash, block.block_hash());

    let again = mining.submit_block(serialize(&block)).wait().unwrap();
    assert_eq!((again.reason.as_str(), again.result), ("duplicate", false));
}

#[test]
fn bad_blocks_are_told_apart_from_bad_bytes() {
    let (_spawned, mining) = spawn();
    let mut block = solved(&template(&mining));
    block.header.merkle_root = TxMerkleNode::all_zeros();
    let check = |block: &Block, pow, root| {
        let options = BlockCheckOptions { check_pow: pow, check_merkle_root: root };
        mining.check_block(serialize(block), options).wait().unwrap()
    };
    assert_eq!(check(&block, false, true).reason, "bad-txnmrklroot");
    assert!(check(&block, false, false).result);

    let error = mining.submit_block(vec![1, 2, 3]).wait().unwrap_err();
    assert!(matches!(&error, Error::Remote { message } if message.contains("block")), "{error:?}");
    let error = mining.wait_tip_changed(vec![0; 31], 0.0).wait().unwrap_err();
    assert!(
        matches!(&error, Error::Remote { message } if message.contains("32 bytes")
            && message.contains("Mining.waitTipChanged.currentTip: ")),
        "{error:?}"
    );
    assert!(mining.is_test_chain().wait().unwrap(), "only those calls failed");
}

#[test]
fn waits_end_by_timeout_interrupt_and_cancel() {
    let (_spawned, mining) = spawn();
    let tip = mining.get_tip().wait().unwrap().unwrap();
    let unchanged = mining.wait_tip_changed(tip.hash.clone(), 1.0).wait().unwrap();
    assert_eq!(unchanged.as_ref(), Some(&tip));

    let template = template(&mining);
    let none =
        template.wait_next(BlockWaitOptions { timeout: 1.0, ..Default::default() }).wait().unwrap();
    assert!(none.is_none());

    // An interrupt ends the waits that are under way. It is repeated, because it may come before
    // the wait begins.
    let waiting = mining.clone();
    let hash = tip.hash.clone();
    let waiter =
        std::thread::spawn(move || waiting.wait_tip_changed(hash, timeout_ms(None)).wait());
    crate::wait_until("the interrupt has ended the wait", || {
        mining.interrupt().wait().unwrap();
        waiter.is_finished()
    });
    assert_eq!(waiter.join().unwrap().unwrap(), None);

    // A timeout on this side ends the wait in the node as well; otherwise this thread's next call
    // would hang.
    let call =
        mining.wait_tip_changed(tip.hash, timeout_ms(None)).timeout(Duration::from_millis(20));
    assert!(matches!(call.wait(), Err(Error::Timeout(_))));
    assert!(mining.is_test_chain().wait().unwrap());
    assert_eq!(timeout_from_ms(timeout_ms(None)), None);
}

#[test]
fn the_same_objects_without_a_process() {
    let init = InitClient::new(NodeInit::new(Chain::regtest()));
    let mining = init.make_mining().wait().unwrap().unwrap();
    let template = template(&mining);
    assert!(submit(&template, &solved(&template)));
    assert_eq!(mining.get_tip().wait().unwrap().unwrap().height, 1);
    let rpc = init.make_rpc().wait().unwrap().unwrap();
    let count = bitcoin_ipc::rpc::execute(&rpc, "getblockcount", &serde_json::json!([])).unwrap();
    assert_eq!(count, 1);
    let shared: Arc<dyn bitcoin_ipc::mining::Mining> = Arc::new(mining.clone());
    assert!(MiningClient::from(shared).is_test_chain().wait().unwrap());
}
