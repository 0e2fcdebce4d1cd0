use super::*;
use bitcoin_ipc::bitcoin::Network;
use bitcoin_ipc::bitcoin::constants::genesis_block;
use bitcoin_ipc::bitcoin::hashes::Hash;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

fn disconnected() -> Event {
    Event::Disconnected { hash: BlockHash::all_zeros(), previous: BlockHash::all_zeros() }
}

fn now(queue: &Queue) -> Work {
    queue.next(Instant::now())
}

#[test]
fn events_come_out_in_order_and_catching_up_first() {
    let queue = Queue::default();
    assert!(matches!(now(&queue), Work::Time));
    queue.push(Event::Connected { block: genesis_block(Network::Regtest), height: 0 });
    queue.push(disconnected());
    queue.catch_up(false);
    queue.catch_up(true);
    assert!(matches!(now(&queue), Work::CatchUp { rescan: None }));
    assert!(matches!(now(&queue), Work::Mempool));
    assert!(matches!(now(&queue), Work::Event(Event::Connected { height: 0, .. })));
    queue.hurry();
    assert!(matches!(now(&queue), Work::Time));
    assert!(matches!(now(&queue), Work::Event(Event::Disconnected { .. })));
    assert!(matches!(now(&queue), Work::Time));
    queue.stop();
    queue.push(disconnected());
    assert!(matches!(now(&queue), Work::Stop));
}

#[test]
fn what_does_not_fit_becomes_catching_up() {
    let queue = Queue::default();
    for _ in 0..=MOST_EVENTS {
        queue.push(disconnected());
    }
    assert!(queue.lock().events.is_empty());
    queue.push(disconnected());
    assert!(matches!(now(&queue), Work::CatchUp { rescan: None }));
    assert!(matches!(now(&queue), Work::Mempool));
    assert!(matches!(now(&queue), Work::Event(_)));
    assert!(matches!(now(&queue), Work::Time));
}

#[test]
fn bytes_are_bounded_too() {
    let mut block = genesis_block(Network::Regtest);
    let tx = block.txdata[0].clone();
    block.txdata = vec![tx; 50_000];
    let size = block.total_size();
    let queue = Queue::default();
    for _ in 0..=MOST_BYTES / size {
        queue.push(Event::Connected { block: block.clone(), height: 1 });
    }
    assert!(queue.lock().bytes <= MOST_BYTES);
    assert!(matches!(now(&queue), Work::CatchUp { rescan: None }));
}

#[test]
fn only_the_end_of_the_last_subscription_counts() {
    let queue = Queue::default();
    let (first, second) = (queue.new_subscription(), queue.new_subscription());
    queue.unsubscribed(first);
    assert!(!queue.take_unsubscribed());
    assert!(matches!(now(&queue), Work::Time));
    queue.unsubscribed(second);
    assert!(matches!(now(&queue), Work::CatchUp { rescan: None }));
    assert!(matches!(now(&queue), Work::Mempool));
    assert!(queue.take_unsubscribed() && !queue.take_unsubscribed());
    queue.unsubscribed(second);
    assert_eq!(queue.new_subscription(), 3);
    assert!(!queue.take_unsubscribed(), "another has taken its place");
}

#[test]
fn who_waits_is_woken_when_what_was_there_is_done() {
    let queue = Arc::new(Queue::default());
    assert_eq!(queue.wait_done(|| false), Ok(()));
    queue.push(disconnected());
    queue.push(disconnected());
    let waiting = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            queue.wait_done(|| false).unwrap();
            queue.lock().oldest()
        }
    });
    assert!(matches!(now(&queue), Work::Event(_)));
    assert!(matches!(now(&queue), Work::Event(_)));
    // The second is under way: it ends with the next question.
    assert_eq!(queue.lock().oldest(), 1);
    assert!(matches!(now(&queue), Work::Time));
    assert_eq!(waiting.join().unwrap(), 2);
    assert!(queue.pause(Instant::now()));
    queue.stop();
    assert!(!queue.pause(Instant::now() + Duration::from_secs(60)));
    assert_eq!(queue.wait_done(|| false), Err(NotDone::Stopped));
}

#[test]
fn what_fails_keeps_its_number() {
    let queue = Queue::default();
    let oldest = || queue.lock().oldest();
    let from = BlockId { height: 7, hash: BlockHash::all_zeros() };
    queue.rescan(from);
    queue.push(disconnected());
    // The rescan, whose place is before the event's.
    for times in 1..=2 {
        assert!(matches!(now(&queue), Work::CatchUp { rescan: Some(again) } if again == from));
        assert_eq!(queue.failed("no answer"), times);
        assert_eq!(oldest(), 0);
    }
    // One that cannot begin is left out.
    assert!(matches!(now(&queue), Work::CatchUp { rescan: Some(_) }));
    queue.refused();
    assert_eq!(oldest(), 0);
    assert!(matches!(now(&queue), Work::CatchUp { rescan: None }));
    // What the event told is looked for.
    assert!(matches!(now(&queue), Work::Event(_)));
    queue.failed("no room");
    assert_eq!(oldest(), 1);
    assert!(matches!(now(&queue), Work::CatchUp { rescan: None }));
    assert_eq!(oldest(), 1);
    assert!(matches!(now(&queue), Work::Mempool));
    queue.failed("no room");
    assert_eq!(oldest(), 1);
    assert!(matches!(now(&queue), Work::Mempool));
    assert!(matches!(now(&queue), Work::Time));
    assert_eq!(oldest(), 2);
}

#[test]
fn what_fails_again_and_again_is_not_waited_for() {
    let queue = Queue::default();
    queue.catch_up(true);
    let fail = |problem: &str| {
        assert!(matches!(now(&queue), Work::CatchUp { .. }));
        queue.failed(problem);
    };
    for _ in 1..MOST_FAILURES {
        fail("no answer");
    }
    assert!(queue.lock().failures < MOST_FAILURES, "who waits still does");
    fail("no block");
    assert_eq!(queue.wait_done(|| false), Err(NotDone::Failing("no block".to_owned())));
    assert_eq!(queue.wait_done(|| true), Ok(()));
    // It counts until all of that number is done; what the node tells is not held up by the memory pool meanwhile.
    assert!(matches!(now(&queue), Work::CatchUp { .. }));
    queue.push(disconnected());
    assert!(matches!(now(&queue), Work::Event(_)));
    assert_eq!(queue.wait_done(|| false), Err(NotDone::Failing("no block".to_owned())));
    assert!(matches!(now(&queue), Work::Mempool));
    assert!(matches!(now(&queue), Work::Time));
    assert_eq!(queue.lock().failures, 0);
    assert_eq!(queue.wait_done(|| false), Ok(()));
}
