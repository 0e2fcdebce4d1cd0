//! `MiningClient::tips`.

use std::thread;
use std::time::Duration;

use bitcoin_ipc::Error;
use bitcoin_ipc::codec::FOREVER;
use bitcoin_ipc::mining::BlockCreateOptions;
use futures_executor::block_on;
use futures_util::StreamExt;

use super::{Node, poll_once};
use crate::LONG;

#[test]
fn the_present_tip_and_then_each_further_one() {
    let node = Node::new();
    let genesis = node.chain.tip().hash;
    let mut tips = node.mining.tips().into_iter();
    assert_eq!(tips.get_ref().last(), None);
    assert_eq!(tips.next().unwrap().unwrap().hash, genesis);
    assert_eq!(tips.get_ref().last(), Some(genesis));
    for height in 1..=3 {
        let mined = thread::scope(|scope| {
            let mined = scope.spawn(|| {
                node.wait_for_waiters(1);
                node.mine()
            });
            let tip = tips.next().unwrap().unwrap();
            assert_eq!((tip.height, tip.hash), (height, node.chain.tip().hash));
            mined.join().unwrap()
        });
        assert_eq!(tips.get_ref().last(), Some(mined));
    }
}

#[test]
fn as_a_stream_it_is_the_same() {
    let node = Node::new();
    block_on(async {
        let mut tips = node.mining.tips();
        assert_eq!(tips.next().await.unwrap().unwrap().height, 0);
        assert!(poll_once(&mut tips).is_pending());
        let hash = node.mine();
        let tip = tips.next().await.unwrap().unwrap();
        assert_eq!((tip.height, tip.hash), (1, hash));
    });
}

#[test]
fn a_tip_that_comes_between_two_waits_is_told() {
    let node = Node::new();
    let mut tips = node.mining.tips().into_iter();
    assert_eq!(tips.next().unwrap().unwrap().height, 0);
    // Nobody waits meanwhile; of two blocks the later one is told, once.
    node.mine();
    let second = node.mine();
    assert_eq!(node.chain.waiters(), 0);
    assert_eq!(tips.next().unwrap().unwrap().hash, second);
    assert!(tips.next_within(Duration::from_millis(20)).is_pending());
    // The wait that was not waited for any more goes on, and brings the next.
    node.wait_for_waiters(1);
    let third = node.mine();
    assert_eq!(tips.next().unwrap().unwrap().hash, third);
}

#[test]
fn a_next_that_is_dropped_loses_nothing() {
    let node = Node::new();
    block_on(async {
        let mut tips = node.mining.tips();
        tips.next().await.unwrap().unwrap();
        for _ in 0..3 {
            // As `select!` does with the branch that was slower.
            let mut next = Box::pin(tips.next());
            assert!(futures_util::poll!(&mut next).is_pending());
            node.wait_for_waiters(1);
            let hash = node.mine();
            node.wait_for_no_calls();
            drop(next);
            assert_eq!(tips.next().await.unwrap().unwrap().hash, hash);
        }
    });
}

#[test]
fn it_goes_on_where_another_has_ended() {
    let node = Node::new();
    let known = node.mine();
    let mut tips = node.mining.tips_after(known).into_iter();
    assert!(tips.next_within(Duration::from_millis(20)).is_pending());
    let next = node.mine();
    assert_eq!(tips.next().unwrap().unwrap().hash, next);
    let mut tips = node.mining.tips_after(known).into_iter();
    assert_eq!(tips.next().unwrap().unwrap().hash, next);
}

#[test]
fn other_calls_are_not_held_up() {
    let node = Node::new();
    let mut tips = node.mining.tips();
    block_on(tips.next()).unwrap().unwrap();
    assert!(poll_once(&mut tips).is_pending());
    node.wait_for_waiters(1);
    // From the same thread, and from a future, also of the object that waits.
    let options = BlockCreateOptions::default;
    assert!(node.mining.create_new_block(options(), false).timeout(LONG).wait().unwrap().is_some());
    assert!(node.mining.get_tip().timeout(LONG).wait().unwrap().is_some());
    assert!(block_on(node.mining.create_new_block(options(), false).timeout(LONG)).is_ok());
    assert_eq!(node.chain.waiters(), 1);
}

#[test]
fn dropping_one_ends_its_wait_and_no_other() {
    let node = Node::new();
    let tip = node.chain.tip().hash;
    let mut others = [node.mining.tips(), node.mining.tips()];
    let mut dropped = node.mining.tips();
    for tips in others.iter_mut().chain([&mut dropped]) {
        block_on(tips.next()).unwrap().unwrap();
        assert!(poll_once(tips).is_pending());
    }
    let mining = node.mining.clone();
    let waits = thread::spawn(move || mining.wait_tip_changed(tip, FOREVER).wait());
    node.wait_for_waiters(4);
    drop(dropped);
    node.wait_for_waiters(3);
    for tips in &mut others {
        assert!(poll_once(tips).is_pending());
    }
    let mined = node.mine();
    assert_eq!(waits.join().unwrap().unwrap().unwrap().hash, mined);
    for tips in &mut others {
        assert_eq!(block_on(tips.next()).unwrap().unwrap().hash, mined);
    }
}

#[test]
fn it_ends_when_the_node_shuts_down() {
    let node = Node::new();
    let mut tips = node.mining.tips().into_iter();
    tips.next().unwrap().unwrap();
    node.chain.shutdown();
    assert!(tips.next().is_none());
    assert!(tips.next().is_none());
}

#[test]
fn an_interrupt_that_was_meant_for_another_wait_does_not_end_it() {
    let node = Node::new();
    let mut tips = node.mining.tips();
    block_on(tips.next()).unwrap().unwrap();
    assert!(poll_once(&mut tips).is_pending());
    node.wait_for_waiters(1);
    node.mining.interrupt().wait().unwrap();
    node.wait_for_no_calls();
    assert!(poll_once(&mut tips).is_pending());
    node.wait_for_waiters(1);
    let hash = node.mine();
    assert_eq!(block_on(tips.next()).unwrap().unwrap().hash, hash);
}

#[test]
fn a_lost_connection_is_its_last_item() {
    let node = Node::new();
    let mut tips = node.mining.tips().into_iter();
    tips.next().unwrap().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            node.wait_for_waiters(1);
            node.client.disconnect();
        });
        assert!(matches!(tips.next(), Some(Err(Error::Disconnected { .. }))));
    });
    assert!(tips.next().is_none());
}
