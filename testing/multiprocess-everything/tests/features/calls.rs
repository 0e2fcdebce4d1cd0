//! Where and when a call runs, and its results.

use std::thread;
use std::time::Duration;

use multiprocess::Error;
use multiprocess_everything::generated::types::Point;
use multiprocess_everything::pair::pair;

/// Asks again and again until `condition` holds.
fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

#[test]
fn with_a_context_on_the_callers_own_thread() {
    let (_server, pair) = pair().unwrap();
    let first = pair.object.thread_name().wait().unwrap();
    assert_eq!(pair.object.thread_name().wait().unwrap(), first);
    let object = pair.object.clone();
    let other = thread::spawn(move || object.thread_name().wait().unwrap()).join().unwrap();
    assert_ne!(other, first);
}

#[test]
fn without_a_context_in_the_order_of_the_calls() {
    let (_server, pair) = pair().unwrap();
    let calls: Vec<_> = (0..50).map(|value| pair.object.note(value).start()).collect();
    assert_eq!(pair.object.notes().wait().unwrap(), (0..50).collect::<Vec<_>>());
    calls.into_iter().for_each(|call| call.wait().unwrap());
}

#[test]
fn several_results_and_none() {
    let (_server, pair) = pair().unwrap();
    let several = pair.object.several().wait().unwrap();
    assert_eq!((several.number, several.text.as_str()), (1, "two"));
    assert_eq!((several.point, several.flags), (Point { x: 3, y: 4 }, vec![true, false]));
    let () = pair.object.nothing(5).wait().unwrap();
    assert_eq!(pair.object.notes().wait().unwrap(), [5]);
}

#[test]
fn values_that_may_be_absent() {
    let (_server, pair) = pair().unwrap();
    assert_eq!(pair.object.maybe(Some(0)).wait().unwrap().as_deref(), Some("0"));
    assert_eq!(pair.object.maybe(None).wait().unwrap(), None);
    let both = pair.object.maybe_both(2).wait().unwrap();
    assert_eq!((both.even, both.odd), (Some(2), None));
    let both = pair.object.maybe_both(3).wait().unwrap();
    assert_eq!((both.even, both.odd), (None, Some(Point { x: 3, y: 0 })));
}

#[test]
fn results_that_are_asked_for() {
    let (server, pair) = pair().unwrap();
    // For a remote object and for one of this process.
    for calls in [pair.object.clone(), server.client()] {
        let wanted = calls.wanted("a b", true, false).wait().unwrap();
        let words = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!((wanted.length, wanted.words, wanted.reversed), (3, Some(words), None));
        assert_eq!(calls.wanted_one(true).wait().unwrap(), Some(Point { x: 5, y: 6 }));
        // The server returns it nevertheless.
        assert_eq!(calls.wanted_one(false).wait().unwrap(), None);
        assert_eq!(calls.wanted_maybe(true).wait().unwrap(), Some(7));
        assert_eq!(calls.wanted_maybe(false).wait().unwrap(), None);
    }
}

#[test]
fn hidden_parameters_and_results() {
    let (_server, pair) = pair().unwrap();
    assert_eq!(pair.object.hidden(1, Point { x: 2, y: 0 }).wait().unwrap(), 3);
}

#[test]
fn a_stream_of_chunks() {
    let (_server, pair) = pair().unwrap();
    let chunks: Vec<_> = (0..100).map(|_| pair.object.chunk(vec![1; 1000]).start()).collect();
    let chunks_so_far = pair.object.chunks().wait().unwrap();
    assert_eq!((chunks_so_far.count, chunks_so_far.total), (100, 100_000));
    chunks.into_iter().for_each(|chunk| chunk.wait().unwrap());
}

#[test]
fn a_wait_is_released_by_name() {
    let (_server, pair) = pair().unwrap();
    let waits = ["a", "b"].map(|name| (name, pair.object.wait(name).start()));
    until(|| pair.object.waiting().wait().unwrap() == 2);
    for (name, wait) in waits {
        pair.object.release(name).wait().unwrap();
        assert!(wait.wait().unwrap());
    }
    assert_eq!(pair.object.waiting().wait().unwrap(), 0);
}

#[test]
fn a_wait_is_interrupted() {
    let (_server, pair) = pair().unwrap();
    let wait = pair.object.wait("never").start();
    until(|| pair.object.waiting().wait().unwrap() == 1);
    pair.object.interrupt().wait().unwrap();
    assert!(!wait.wait().unwrap());
}

#[test]
fn a_wait_that_is_dropped_or_too_long_ends_there_too() {
    let (_server, pair) = pair().unwrap();
    let wait = pair.object.wait("dropped").start();
    until(|| pair.object.waiting().wait().unwrap() == 1);
    drop(wait);
    until(|| pair.object.waiting().wait().unwrap() == 0);
    let error = pair.object.wait("late").timeout(Duration::from_millis(1)).wait().unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    until(|| pair.object.waiting().wait().unwrap() == 0);
    // The thread on which it ran takes further calls.
    assert_eq!(pair.object.maybe(Some(1)).wait().unwrap().as_deref(), Some("1"));
}

#[test]
fn calls_of_several_threads_run_at_once() {
    let (_server, pair) = pair().unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(pair.object.meet(8).wait().unwrap(), 8));
        }
    });
}
