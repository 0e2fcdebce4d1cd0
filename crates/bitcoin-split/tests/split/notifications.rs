//! What subscribers are told.

use std::time::Duration;

use bitcoin_ipc_draft::chain::{ChainNotifications, ChainNotificationsClient};
use bitcoin_regtest::Chain;
use multiprocess::{Error, Result};

use crate::support::{LONG, Recorder, child_of, serve, serve_chain, subscribe, wait_until};

#[test]
fn blocks_are_told_with_all_that_bitcoin_core_tells() {
    let served = serve();
    let (recorder, _handler) = served.subscribe();
    served.mine(2);
    served.chain.wait_for_notifications().wait().unwrap();
    assert_eq!(recorder.told(), ["+1", "tip", "+2", "tip"]);
    let blocks = recorder.blocks();
    let chain = served.node.chain();
    let block = chain.block_by_height(2).unwrap();
    assert_eq!(blocks[1].hash, Some(served.hash(2)));
    assert_eq!(blocks[1].prev_hash, Some(served.hash(1)));
    assert_eq!((blocks[1].height, blocks[1].file_number, blocks[1].data_pos), (2, -1, 0));
    assert_eq!(blocks[1].data.as_ref(), Some(&*block));
    assert_eq!(blocks[1].undo_data, None);
    let latest = chain.block_by_height(1).unwrap().header.time.max(block.header.time);
    assert_eq!(blocks[1].chain_time_max, latest);
    assert_eq!(blocks[0].prev_hash, Some(served.hash(0)));
}

#[test]
fn a_reorganization_is_told_in_the_order_in_which_it_happens() {
    let served = serve();
    served.mine(103);
    let kept = served.paying(1, 500);
    served.submit(&kept);
    served.mine(1);
    let (recorder, _handler) = served.subscribe();
    // Two blocks leave, and three others join at once.
    let other = Chain::regtest();
    for height in 1..=102 {
        other.submit_block(&served.node.chain().block_by_height(height).unwrap()).unwrap();
    }
    let script = bitcoin::ScriptBuf::from_bytes(vec![0x52]);
    for _ in 0..3 {
        let hash = bitcoin_regtest::mine_block(&other, script.clone()).unwrap();
        let _ = served.node.chain().submit_block(&other.block_by_hash(&hash).unwrap());
    }
    served.chain.wait_for_notifications().wait().unwrap();
    let back = format!("in {}", kept.output[0].value.to_sat());
    let expected = ["-104", "-103", "+103", "+104", "+105", &back, "tip"];
    assert_eq!(recorder.told(), expected);
    let blocks = recorder.blocks();
    assert_eq!(blocks[1].prev_hash, Some(served.hash(102)));
    assert_eq!(blocks[2].prev_hash, Some(served.hash(102)));
    assert_eq!(blocks[4].hash, Some(served.hash(105)));
}

#[test]
fn the_memory_pool_is_told_but_for_what_a_block_tells() {
    let served = serve();
    served.mine(103);
    let (recorder, _handler) = served.subscribe();
    let (first, second) = (served.paying(1, 500), served.paying(2, 500));
    let child = child_of(&first, 100);
    let better = served.paying(1, 700);
    for tx in [&first, &second, &child, &better] {
        served.submit(tx);
    }
    served.chain.wait_for_notifications().wait().unwrap();
    let sat = |tx: &bitcoin::Transaction| tx.output[0].value.to_sat();
    let expected = [
        format!("in {}", sat(&first)),
        format!("in {}", sat(&second)),
        format!("in {}", sat(&child)),
        format!("out {} Replaced", sat(&first)),
        format!("out {} Replaced", sat(&child)),
        format!("in {}", sat(&better)),
    ];
    assert_eq!(recorder.told(), expected);
    served.mine(1);
    served.chain.wait_for_notifications().wait().unwrap();
    assert_eq!(recorder.told(), ["+104", "tip"]);
}

#[test]
fn the_memory_pool_of_this_moment_is_told_on_request() {
    let served = serve();
    served.mine(102);
    let first = served.paying(1, 500);
    let child = child_of(&first, 100);
    served.submit(&first);
    served.submit(&child);
    let recorder = Recorder::default();
    let notifications = ChainNotificationsClient::new(recorder.clone());
    served.chain.request_mempool_transactions(Some(notifications)).wait().unwrap();
    let sat = [&first, &child].map(|tx| format!("in {}", tx.output[0].value.to_sat()));
    assert_eq!(recorder.told(), sat);
    let nothing = served.chain.request_mempool_transactions(None).wait().unwrap_err();
    assert!(nothing.to_string().contains("notifications must be an object"), "{nothing}");
    assert!(served.chain.handle_notifications(None).wait().is_err());
}

#[test]
fn a_disconnect_ends_exactly_that_one() {
    let served = serve();
    let (first, handler) = served.subscribe();
    let (second, _other) = served.subscribe();
    served.mine(1);
    served.chain.wait_for_notifications().wait().unwrap();
    handler.disconnect().wait().unwrap();
    served.mine(1);
    served.chain.wait_for_notifications().wait().unwrap();
    assert_eq!(first.told(), ["+1", "tip"]);
    assert_eq!(second.told(), ["+1", "tip", "+2", "tip"]);
    // A second time it does nothing; and the end of the handle does the same.
    handler.disconnect().wait().unwrap();
    let (third, handler) = served.subscribe();
    handler.close().wait().unwrap();
    served.mine(1);
    served.chain.wait_for_notifications().wait().unwrap();
    assert_eq!(third.told(), Vec::<String>::new());
    assert_eq!(second.told(), ["+3", "tip"]);
}

#[test]
fn a_disconnect_waits_for_what_is_under_way_and_nothing_comes_after_it() {
    let served = serve();
    let (recorder, handler) = served.subscribe();
    recorder.hold(true);
    served.mine(50);
    wait_until("the first block is told", || recorder.waiting() == 1);
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| handler.disconnect().wait());
        recorder.hold(false);
        ended.join().unwrap().unwrap();
    });
    let told = recorder.told();
    assert!(!told.is_empty() && told.len() < 100, "{}", told.len());
    served.mine(1);
    // Another one is told of that block, so this one would have been, too.
    let (other, _handler) = served.subscribe();
    served.mine(1);
    served.chain.wait_for_notifications().wait().unwrap();
    assert_eq!(other.told(), ["+52", "tip"]);
    assert_eq!(recorder.told(), Vec::<String>::new());
}

#[test]
fn who_is_slow_holds_up_nobody() {
    let served = serve();
    let (slow, _first) = served.subscribe();
    // Another process's view, whose waits are for its own subscribers.
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let _serving = crate::support::serve_at(&served.node, theirs);
    let (chain, _wallet) = crate::support::chain_at(ours);
    let quick = Recorder::default();
    let _second = subscribe(&chain, &quick);
    slow.hold(true);
    served.mine(10);
    chain.wait_for_notifications().wait().unwrap();
    assert_eq!(quick.told().len(), 20);
    assert_eq!(slow.told(), ["+1"]);
    // The slow one's own wait is the one that waits.
    let before = served.hash(9);
    let wait = served.chain.wait_for_notifications_if_tip_changed(before);
    let error = wait.timeout(Duration::from_millis(20)).wait().unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    let same = served.hash(10);
    served.chain.wait_for_notifications_if_tip_changed(same).wait().unwrap();
    slow.hold(false);
    served.chain.wait_for_notifications_if_tip_changed(before).timeout(LONG).wait().unwrap();
    assert_eq!(slow.told().len(), 19);
}

#[test]
fn who_takes_too_long_is_let_go_and_learns_it() {
    let served = serve();
    served.node.set_patience(Duration::from_millis(30));
    let recorder = Recorder::default();
    let notifications = ChainNotificationsClient::new(recorder.clone());
    let gone = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let noted = gone.clone();
    notifications.add_cleanup(move || noted.store(true, std::sync::atomic::Ordering::SeqCst));
    let handler = served.chain.handle_notifications(Some(notifications)).wait().unwrap().unwrap();
    recorder.hold(true);
    served.mine(1);
    // The node lets the object go, which ends it when its call has returned.
    served.chain.wait_for_notifications().timeout(LONG).wait().unwrap();
    recorder.hold(false);
    wait_until("its object is destroyed", || gone.load(std::sync::atomic::Ordering::SeqCst));
    served.mine(1);
    served.chain.wait_for_notifications().wait().unwrap();
    // On a busy machine the time can be over before the first one begins; the second one is never told.
    let told = recorder.told();
    assert!(told.is_empty() || told == ["+1"], "{told:?}");
    handler.disconnect().wait().unwrap();
}

#[test]
fn a_subscriber_that_fails_or_leaves_methods_out_is_told_on() {
    struct Odd(Recorder);
    impl ChainNotifications for Odd {
        fn block_connected(
            &self,
            role: bitcoin_ipc_draft::chain::ChainstateRole,
            block: bitcoin_ipc_draft::chain::BlockInfo,
        ) -> Result<()> {
            let height = block.height;
            self.0.block_connected(role, block)?;
            if height == 1 { Err(Error::failed("the disk is full")) } else { Ok(()) }
        }
    }
    let served = serve();
    let recorder = Recorder::default();
    let odd = ChainNotificationsClient::new(Odd(recorder.clone()));
    let _handler = served.chain.handle_notifications(Some(odd)).wait().unwrap().unwrap();
    served.mine(3);
    served.chain.wait_for_notifications().wait().unwrap();
    assert_eq!(recorder.told(), ["+1", "+2", "+3"]);
}

#[test]
fn a_chain_on_disk_tells_up_to_where_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::open(&dir.path().join("chain")).unwrap();
    let served = serve_chain(chain, dir);
    let (recorder, _handler) = served.subscribe();
    served.mine(2);
    served.chain.wait_for_notifications().wait().unwrap();
    assert_eq!(recorder.told(), ["+1", "tip", "flushed 2", "+2", "tip", "flushed 3"]);
}

#[test]
fn a_thousand_blocks_are_told_without_a_gap() {
    let served = serve();
    let (recorder, _handler) = served.subscribe();
    std::thread::scope(|scope| {
        scope.spawn(|| served.mine(1_000));
    });
    served.chain.wait_for_notifications().timeout(LONG).wait().unwrap();
    let expected: Vec<String> =
        (1..=1_000).flat_map(|height| [format!("+{height}"), "tip".to_owned()]).collect();
    assert_eq!(recorder.told(), expected);
    let blocks = recorder.blocks();
    let links = blocks.windows(2).all(|pair| pair[1].prev_hash == pair[0].hash);
    assert!(links && blocks.len() == 1_000);
}
