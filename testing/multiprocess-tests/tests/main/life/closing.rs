//! `close`, and the calls before, beside and after it.

use futures_executor::block_on;
use multiprocess_tests::generated::life_capnp::guest;
use multiprocess_tests::raw::{Cap, Target, cap};
use multiprocess_tests::recorder::Event;

use super::{AGAIN, CALL, DESTROY, assert_misuse, bench, close};

#[test]
fn a_started_call_returns_before_destroy_goes_out() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let call = guest.call(5).start();
    let (_, called) = bench.recorder.call_of(CALL);
    let closing = guest.close().start();
    assert_misuse(guest.call(1).wait());
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0, "its call has not returned");
    bench.recorder.answer_number(called.question, called.number);
    let (place, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    bench.assert_nothing_after(place, 7);
    assert_eq!(call.wait().unwrap(), 5);
    closing.wait().unwrap();
    assert_eq!(bench.recorder.calls_of(CALL), 1, "the call that failed here was not sent");
}

/// All of them, in whichever order they return.
#[test]
fn the_last_of_several_calls_returns_before_destroy_goes_out() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let calls: Vec<_> = (0..4).map(|number| guest.call(number).start()).collect();
    let called: Vec<_> = calls.iter().map(|_| bench.recorder.call_of(CALL).1).collect();
    let closing = guest.close().start();
    assert_misuse(guest.call(1).wait());
    for place in [2, 0, 3, 1] {
        bench.recorder.hear();
        assert_eq!(bench.recorder.calls_of(DESTROY), 0, "calls of it have not returned");
        bench.recorder.answer_number(called[place].question, called[place].number);
    }
    let (_, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    for (number, call) in (0..).zip(calls) {
        assert_eq!(call.wait().unwrap(), number);
    }
    closing.wait().unwrap();
}

/// A call that nobody waits for any more still runs there.
#[test]
fn a_dropped_call_returns_before_destroy_goes_out() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let call = guest.call(5).start();
    let (_, called) = bench.recorder.call_of(CALL);
    drop(call);
    bench.recorder.finish_of(called.question);
    let closing = guest.close().start();
    assert_misuse(guest.call(1).wait());
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0, "its call has not returned");
    bench.recorder.answer_number(called.question, called.number);
    let (_, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
}

#[test]
fn close_waits_for_the_answer_of_destroy() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let closing = close(&guest);
    let (_, destroy) = bench.destroy_of(7);
    bench.recorder.hear();
    assert!(!closing.is_finished());
    bench.recorder.answer_nothing(destroy.question);
    closing.join().unwrap().unwrap();
}

#[test]
fn closing_twice_destroys_once() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let closing = guest.close().start();
    let (place, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
    guest.close().wait().unwrap();
    block_on(guest.clone().close()).unwrap();
    drop(guest);
    bench.recorder.release_of(7, 1);
    bench.assert_nothing_after(place, 7);
}

#[test]
fn calls_of_every_kind_fail_once_it_is_closed() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let described = guest.call(1);
    let clone = guest.clone();
    let closing = guest.close().start();
    let (place, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
    assert_misuse(described.wait());
    for handle in [&guest, &clone] {
        assert_misuse(handle.call(1).wait());
        assert_misuse(handle.call(1).start().wait());
        assert_misuse(block_on(handle.call(1)));
        assert_misuse(handle.call_inline(1).wait());
        assert_misuse(handle.wait().wait());
        assert_misuse(block_on(handle.wait()));
        assert_misuse(handle.interrupt().wait());
        assert_misuse(handle.again().pipelined().call(1).wait());
    }
    bench.assert_nothing_after(place, 7);
}

/// Objects that an object has returned outlive it.
#[test]
fn what_an_object_returned_outlives_its_close() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let asked = guest.again().start();
    let (_, again) = bench.recorder.call_of(AGAIN);
    bench.recorder.peer.answer(again.question, &[Cap::Here(8)], |content| {
        content.init_as::<guest::again_results::Builder<'_>>().set_result(cap());
    });
    let other = asked.wait().unwrap();
    let closing = guest.close().start();
    let (_, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
    let call = other.call(3).start();
    let (_, called) = bench.recorder.call_of(CALL);
    assert_eq!(called.target, Target::Export(8));
    bench.recorder.answer_number(called.question, called.number);
    assert_eq!(call.wait().unwrap(), 3);
}

/// Calls of a promise count as calls of the object that it becomes.
#[test]
fn an_object_that_was_a_promise_is_closed_once_for_both() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let pipelined = guest.again().pipelined();
    let (_, again) = bench.recorder.call_of(AGAIN);
    let closing = pipelined.close().start();
    let (_, destroy) = bench.recorder.call_of(DESTROY);
    bench.recorder.peer.answer(again.question, &[Cap::Here(8)], |content| {
        content.init_as::<guest::again_results::Builder<'_>>().set_result(cap());
    });
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
    assert_misuse(pipelined.call(1).wait());
    drop(pipelined);
    bench.recorder.release_of(8, 1);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 1);
    let calls = bench.recorder.count(|event| matches!(event, Event::Call(_)));
    assert_eq!(calls, 2, "again, destroy");
}
