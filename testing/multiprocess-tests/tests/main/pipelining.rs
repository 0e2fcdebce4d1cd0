//! Calls on results that have not arrived yet.

use futures_executor::block_on;
use multiprocess_tests::{Pair, pair, wait_until};

#[test]
fn calls_on_results_that_are_not_there_yet() {
    let pair = pair();
    let next = pair.lab.make_counter(7).pipelined().split().pipelined().next();
    assert_eq!(next.wait().unwrap(), 7);
    let next = pair.lab.make_counter(8).pipelined().split().pipelined().next();
    assert_eq!(block_on(next).unwrap(), 8);
    wait_until("the counters are dropped", || pair.server.counters() == 0);
}

#[test]
fn a_pipelined_handle_can_be_used_again() {
    let pair = pair();
    let counter = pair.lab.make_counter(0).pipelined();
    for expected in 0..10 {
        assert_eq!(counter.next().wait().unwrap(), expected);
    }
    assert_eq!(pair.lab.read_counter(counter.clone()).wait().unwrap().result, 10);
    counter.close().wait().unwrap();
    assert_eq!(pair.server.counters(), 0);
}

#[test]
fn a_pipelined_handle_as_an_argument() {
    let pair = pair();
    let counter = pair.lab.make_counter(3).pipelined();
    assert_eq!(pair.lab.read_counter(counter).wait().unwrap().result, 3);
}

#[test]
fn the_first_calls_failure_is_that_of_the_rest() {
    let pair = pair();
    let error = pair.lab.make_counter(-1).pipelined().split().pipelined().next().wait();
    let error = error.unwrap_err().to_string();
    assert!(error.contains("a counter starts at zero or above"), "{error}");
    pair.assert_alive();
}

#[test]
fn a_null_result_fails_the_pipelined_calls() {
    let pair = pair();
    let error = pair.lab.no_counter().pipelined().next().wait().unwrap_err();
    assert!(!error.is_disconnect(), "{error}");
    pair.assert_alive();
}

#[test]
fn on_a_connection_that_ended() {
    let Pair { calling, lab, .. } = &pair();
    calling.disconnect();
    let error = lab.make_counter(1).pipelined().next().wait().unwrap_err();
    assert!(error.is_disconnect(), "{error}");
}

#[test]
fn calls_of_a_local_objects_result() {
    let pair = pair();
    let lab = pair.server.client();
    assert_eq!(lab.make_counter(7).pipelined().split().pipelined().next().wait().unwrap(), 7);
    let error = lab.no_counter().pipelined().next().wait().unwrap_err();
    assert!(error.to_string().contains("returned no Counter"), "{error}");
    let error = lab.make_counter(-1).pipelined().next().wait().unwrap_err();
    assert!(error.to_string().contains("zero or above"), "{error}");
}
