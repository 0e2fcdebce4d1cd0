//! `BlockTemplateClient::updates` and `MiningClient::templates`.

use std::thread;
use std::time::Duration;

use bitcoin_ipc::Error;
use bitcoin_ipc::bitcoin::absolute::LockTime;
use bitcoin_ipc::bitcoin::{Amount, OutPoint, Transaction, TxIn, TxOut, transaction};
use bitcoin_ipc::mining::{BlockCreateOptions, BlockTemplateClient, BlockWaitOptions, Updates};
use bitcoin_regtest::{anyone_can_spend, mine_block};
use futures_executor::block_on;
use futures_util::StreamExt;

use super::{Node, poll_once};

impl Node {
    fn template(&self) -> BlockTemplateClient {
        let options = BlockCreateOptions::default();
        self.mining.create_new_block(options, false).wait().unwrap().unwrap()
    }

    fn templates(&self) -> Updates {
        self.mining.templates(BlockCreateOptions::default(), BlockWaitOptions::default())
    }
}

fn builds_on(template: &BlockTemplateClient) -> bitcoin_ipc::bitcoin::BlockHash {
    template.get_block_header().wait().unwrap().prev_blockhash
}

#[test]
fn each_tip_brings_a_better_template() {
    let node = Node::new();
    let first = node.template();
    let mut updates = first.updates(BlockWaitOptions::default()).into_iter();
    for _ in 0..3 {
        let mined = thread::scope(|scope| {
            let mined = scope.spawn(|| {
                node.wait_for_waiters(1);
                node.mine()
            });
            assert_eq!(builds_on(&updates.next().unwrap().unwrap()), node.chain.tip().hash);
            mined.join().unwrap()
        });
        assert_eq!(mined, node.chain.tip().hash);
    }
    // Also one that came while nobody waited.
    let mined = node.mine();
    assert_eq!(builds_on(&updates.next().unwrap().unwrap()), mined);
}

#[test]
fn templates_begin_with_the_first() {
    let node = Node::new();
    block_on(async {
        let mut templates = node.templates();
        let first = templates.next().await.unwrap().unwrap();
        assert_eq!(builds_on(&first), node.chain.tip().hash);
        assert!(poll_once(&mut templates).is_pending());
        let mined = node.mine();
        assert_eq!(builds_on(&templates.next().await.unwrap().unwrap()), mined);
    });
}

#[test]
fn more_in_fees_brings_a_better_template_on_the_same_tip() {
    let node = Node::new();
    // The first coinbase can be spent then.
    for _ in 0..101 {
        mine_block(&node.chain, anyone_can_spend()).unwrap();
    }
    let wait = BlockWaitOptions::default().fee_threshold(Amount::from_sat(1_000));
    let mut templates = node.mining.templates(BlockCreateOptions::default(), wait).into_iter();
    let first = templates.next().unwrap().unwrap();
    assert!(first.get_tx_fees().wait().unwrap().is_empty());
    let coin = node.chain.block_by_height(1).unwrap().txdata[0].compute_txid();
    let input = TxIn { previous_output: OutPoint::new(coin, 0), ..TxIn::default() };
    let value = Amount::from_int_btc(50) - Amount::from_sat(1_000);
    let output = TxOut { value, script_pubkey: anyone_can_spend() };
    let paying = Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![output],
    };
    node.chain.submit_transaction(paying).unwrap();
    let better = templates.next().unwrap().unwrap();
    assert_eq!(better.get_tx_fees().wait().unwrap(), [Amount::from_sat(1_000)]);
    assert_eq!(builds_on(&better), builds_on(&first));
}

#[test]
fn a_template_that_is_replaced_is_destroyed_unless_it_is_kept() {
    let node = Node::new();
    let mut templates = node.templates().into_iter();
    assert_eq!(templates.get_ref().live(), 0);
    drop(templates.next().unwrap().unwrap());
    for _ in 0..5 {
        node.mine();
        drop(templates.next().unwrap().unwrap());
        assert_eq!(templates.get_ref().live(), 1);
        node.wait_for_templates(1);
    }
    node.mine();
    let kept = templates.next().unwrap().unwrap();
    node.mine();
    let latest = templates.next().unwrap().unwrap();
    assert_eq!(templates.get_ref().live(), 2);
    assert_ne!(builds_on(&kept), builds_on(&latest));
    drop(kept);
    assert_eq!(templates.get_ref().live(), 1);
    node.wait_for_templates(1);
    // The stream ends its own, unless it is kept.
    drop(templates);
    assert_eq!(builds_on(&latest), node.chain.tip().hash);
    drop(latest);
    node.wait_for_templates(0);
}

#[test]
fn too_many_templates_that_are_kept_are_an_error() {
    let node = Node::new();
    let mut templates = node.templates().max_live(3).into_iter();
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(templates.next().unwrap().unwrap());
        node.mine();
    }
    let error = templates.next().unwrap().map(drop).unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error:?}");
    assert!(error.to_string().contains("3 templates of this stream are kept"), "{error}");
    assert!(templates.next().is_none());
    // One that is dropped in time makes room.
    let mut templates = node.templates().max_live(3).into_iter();
    kept.clear();
    for _ in 0..10 {
        kept.push(templates.next().unwrap().unwrap());
        kept.truncate(1);
        node.mine();
    }
}

#[test]
fn it_ends_when_no_better_template_comes_in_time() {
    let node = Node::new();
    let options = BlockWaitOptions::default();
    for timeout in [Duration::ZERO, Duration::from_millis(30)] {
        let first = node.template();
        let mut updates = first.updates(options.clone().timeout(timeout)).into_iter();
        assert!(updates.next().is_none());
        assert!(updates.next().is_none());
        let mut updates = first.updates(options.clone().timeout(timeout)).into_iter();
        node.mine();
        assert!(updates.next().unwrap().is_ok(), "the node looks once");
    }
}

#[test]
fn dropping_it_interrupts_its_own_wait() {
    let node = Node::new();
    let (first, second) = (node.template(), node.template());
    let mut dropped = first.updates(BlockWaitOptions::default());
    let mut other = second.updates(BlockWaitOptions::default());
    let mut tips = node.mining.tips();
    block_on(tips.next()).unwrap().unwrap();
    assert!(poll_once(&mut dropped).is_pending());
    assert!(poll_once(&mut other).is_pending());
    assert!(poll_once(&mut tips).is_pending());
    node.wait_for_waiters(3);
    drop((first, dropped));
    node.wait_for_waiters(2);
    node.wait_for_templates(1);
    assert!(poll_once(&mut other).is_pending() && poll_once(&mut tips).is_pending());
    let mined = node.mine();
    assert_eq!(builds_on(&block_on(other.next()).unwrap().unwrap()), mined);
    assert_eq!(block_on(tips.next()).unwrap().unwrap().hash, mined);
}

#[test]
fn other_calls_of_the_template_are_not_held_up() {
    let node = Node::new();
    let first = node.template();
    let mut updates = first.updates(BlockWaitOptions::default());
    assert!(poll_once(&mut updates).is_pending());
    node.wait_for_waiters(1);
    assert_eq!(builds_on(&first), node.chain.tip().hash);
    assert!(block_on(first.get_coinbase_tx()).is_ok());
    assert_eq!(node.chain.waiters(), 1);
}

#[test]
fn it_ends_when_the_node_shuts_down() {
    let node = Node::new();
    let mut templates = node.templates().into_iter();
    templates.next().unwrap().unwrap();
    node.chain.shutdown();
    assert!(templates.next().is_none());
    assert!(templates.next().is_none());
}

#[test]
fn an_interrupt_that_was_meant_for_another_wait_does_not_end_it() {
    let node = Node::new();
    let first = node.template();
    let mut updates = first.updates(BlockWaitOptions::default());
    assert!(poll_once(&mut updates).is_pending());
    node.wait_for_waiters(1);
    first.interrupt_wait().wait().unwrap();
    node.wait_for_no_calls();
    assert!(poll_once(&mut updates).is_pending());
    node.wait_for_waiters(1);
    node.mine();
    assert!(block_on(updates.next()).unwrap().is_ok());
}

#[test]
fn a_lost_connection_is_its_last_item() {
    let node = Node::new();
    let mut templates = node.templates().into_iter();
    templates.next().unwrap().unwrap();
    node.client.disconnect();
    assert!(matches!(templates.next(), Some(Err(Error::Disconnected { .. }))));
    assert!(templates.next().is_none());
}
