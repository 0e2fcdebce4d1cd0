//! The in-memory node over a connection, as a pool uses it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::hashes::Hash;
use bitcoin::{Block, TxMerkleNode};
use bitcoin_ipc::codec::FOREVER;
use bitcoin_ipc::ipc::{Ipc, IpcOptions, Spawned};
use bitcoin_ipc::mining::{
    BlockCheckOptions, BlockTemplateClient, BlockWaitOptions, MiningClient, Outcome, Rejection,
    reason,
};
use bitcoin_ipc::{Error, init::InitClient};
use bitcoin_regtest::{
    Chain, NodeInit, anyone_can_spend, coinbase_transaction, merkle_root, solve,
};

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
    let mut block = template.get_block().wait().unwrap();
    let coinbase = coinbase_transaction(
        &template.get_coinbase_tx().wait().unwrap(),
        b"test",
        anyone_can_spend(),
    );
    let path = template.get_coinbase_merkle_path().wait().unwrap();
    block.header.merkle_root = merkle_root(coinbase.compute_txid(), &path);
    block.txdata[0] = coinbase;
    assert!(solve(&mut block.header));
    block
}

fn submit(template: &BlockTemplateClient, block: &Block) -> Outcome {
    let (header, coinbase) = (block.header, block.txdata[0].clone());
    let call = template.submit_solution(header.version, header.time, header.nonce, coinbase);
    call.wait().unwrap()
}

#[test]
fn a_solved_template_becomes_the_tip_and_wakes_the_waiters() {
    let (_spawned, mining) = spawn();
    let tip = mining.get_tip().wait().unwrap().unwrap();
    let template = template(&mining);
    let block = solved(&template);

    let (for_tip, for_next) = (mining.clone(), template.clone());
    let tip_waiter = std::thread::spawn(move || for_tip.wait_tip_changed(tip.hash, FOREVER).wait());
    let next_waiter =
        std::thread::spawn(move || for_next.wait_next(BlockWaitOptions::default()).wait());
    assert_eq!(submit(&template, &block), Outcome::Accepted);
    let new = tip_waiter.join().unwrap().unwrap().unwrap();
    assert_eq!((new.height, new.hash), (tip.height + 1, block.block_hash()));
    let next = next_waiter.join().unwrap().unwrap().unwrap();
    let header = next.get_block_header().wait().unwrap();
    assert_eq!(header.prev_blockhash, block.block_hash());

    let again = mining.submit_block(block).wait().unwrap();
    assert_eq!(again, Outcome::Rejected(Rejection::new(reason::DUPLICATE, "")));
}

#[test]
fn bad_blocks_are_told_apart_from_bad_bytes() {
    let (_spawned, mining) = spawn();
    let mut block = solved(&template(&mining));
    block.header.merkle_root = TxMerkleNode::all_zeros();
    let check = |block: &Block, pow, root| {
        let options = BlockCheckOptions::default().check_pow(pow).check_merkle_root(root);
        mining.check_block(block.clone(), options).wait().unwrap()
    };
    let rejected = check(&block, false, true).into_result().unwrap_err();
    assert!(rejected.is(reason::BAD_TXNMRKLROOT), "{rejected}");
    assert_eq!(check(&block, false, false), Outcome::Accepted);

    let error = mining.submit_block_raw(vec![1, 2, 3]).wait().unwrap_err();
    assert!(
        matches!(&error, Error::Remote { message, .. } if message.contains("Mining.submitBlock.block: ")),
        "{error:?}"
    );
    let error = mining.wait_tip_changed_raw(vec![0; 31], 0.0).wait().unwrap_err();
    assert!(
        matches!(&error, Error::Remote { message, .. } if message.contains("32 bytes")
            && message.contains("Mining.waitTipChanged.currentTip: ")),
        "{error:?}"
    );
    assert!(mining.is_test_chain().wait().unwrap(), "only those calls failed");
}

#[test]
fn waits_end_by_timeout_interrupt_and_cancel() {
    let (_spawned, mining) = spawn();
    let tip = mining.get_tip().wait().unwrap().unwrap();
    let moment = Duration::from_millis(1);
    let unchanged = mining.wait_tip_changed(tip.hash, moment).wait().unwrap();
    assert_eq!(unchanged.as_ref(), Some(&tip));

    // While the tip is old, as at first, there is always a new template.
    assert!(submit(&template(&mining), &solved(&template(&mining))).is_accepted());
    let tip = mining.get_tip().wait().unwrap().unwrap();
    let template = template(&mining);
    let none = template.wait_next(BlockWaitOptions::default().timeout(moment)).wait().unwrap();
    assert!(none.is_none());

    // An interrupt ends one wait: that which is under way, or if it comes first the next one.
    let waiting = mining.clone();
    let waiter = std::thread::spawn(move || waiting.wait_tip_changed(tip.hash, FOREVER).wait());
    mining.interrupt().wait().unwrap();
    assert_eq!(waiter.join().unwrap().unwrap(), None);

    // A timeout on this side ends the wait in the node as well; otherwise this thread's next call
    // would hang.
    let call = mining.wait_tip_changed(tip.hash, FOREVER).timeout(Duration::from_millis(20));
    assert!(matches!(call.wait(), Err(Error::Timeout(_))));
    assert!(mining.is_test_chain().wait().unwrap());
}

#[test]
fn the_same_objects_without_a_process() {
    let init = InitClient::new(NodeInit::new(Chain::regtest()));
    let mining = init.make_mining().wait().unwrap().unwrap();
    let template = template(&mining);
    assert!(submit(&template, &solved(&template)).is_accepted());
    assert_eq!(mining.get_tip().wait().unwrap().unwrap().height, 1);
    let rpc = init.make_rpc().wait().unwrap().unwrap();
    let count: u32 = rpc.call("getblockcount", ()).wait().unwrap();
    assert_eq!(count, 1);
    let shared: Arc<dyn bitcoin_ipc::mining::Mining> = Arc::new(mining.clone());
    assert!(MiningClient::from(shared).is_test_chain().wait().unwrap());
}
