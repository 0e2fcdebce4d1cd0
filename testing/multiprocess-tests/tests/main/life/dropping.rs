//! Dropping the last handle on an object of the peer's: destroy goes out, once, and is not waited
//! for; for an interface without it, the references are released and nothing else.

use multiprocess::Capability;
use multiprocess_tests::generated::life::GuestClient;
use multiprocess_tests::generated::life_capnp::guest;
use multiprocess_tests::raw::{Cap, Target, cap};
use multiprocess_tests::recorder::Event;
use multiprocess_tests::{eventually, wait_until};

use super::{AGAIN, Bench, CALL, DESTROY, bench};

/// Reads the destroy of an object and the end of the references on it. The destroy comes first.
#[track_caller]
fn assert_destroyed(bench: &mut Bench, export: u32, references: u32) {
    let (place, destroy) = bench.destroy_of(export);
    bench.recorder.answer_nothing(destroy.question);
    let released = bench.recorder.release_of(export, references);
    assert!(place < released);
    bench.assert_nothing_after(place, export);
}

#[test]
fn the_last_handle_destroys_and_waits_for_nothing() {
    let mut bench = bench();
    let guest = bench.guest(7);
    // The drop returns although the peer has answered nothing.
    drop(guest);
    assert_destroyed(&mut bench, 7, 1);
    assert_eq!(bench.recorder.calls_of(DESTROY), 1);
}

#[test]
fn another_handle_keeps_the_object() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let clone = guest.clone();
    drop(guest);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0);
    let call = clone.call(1).start();
    let (_, called) = bench.recorder.call_of(CALL);
    bench.recorder.answer_number(called.question, 1);
    assert_eq!(call.wait().unwrap(), 1);
    drop(clone);
    assert_destroyed(&mut bench, 7, 1);
}

/// A call that was described and not made holds a handle.
#[test]
fn a_call_that_is_not_made_keeps_the_object() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let call = guest.call(1);
    drop(guest);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0);
    drop(call);
    assert_destroyed(&mut bench, 7, 1);
}

#[test]
fn a_call_under_way_returns_before_destroy_goes_out() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let call = guest.call(5).start();
    let (_, called) = bench.recorder.call_of(CALL);
    drop(guest);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0, "its call has not returned");
    bench.recorder.answer_number(called.question, called.number);
    assert_eq!(call.wait().unwrap(), 5);
    assert_destroyed(&mut bench, 7, 1);
}

#[test]
fn a_closed_object_is_not_destroyed_again() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let closing = guest.close().start();
    let (place, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
    drop(guest);
    bench.recorder.release_of(7, 1);
    bench.assert_nothing_after(place, 7);
    assert_eq!(bench.recorder.calls_of(DESTROY), 1);
}

/// The same if the handle is dropped during the close.
#[test]
fn a_closing_object_is_not_destroyed_again() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let closing = guest.close().start();
    let (place, destroy) = bench.destroy_of(7);
    drop(guest);
    bench.recorder.hear();
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
    bench.recorder.release_of(7, 1);
    bench.assert_nothing_after(place, 7);
    assert_eq!(bench.recorder.calls_of(DESTROY), 1);
}

#[test]
fn a_pipelined_handle_destroys_what_it_becomes() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let pipelined = guest.again().pipelined();
    let (_, again) = bench.recorder.call_of(AGAIN);
    bench.recorder.peer.answer(again.question, &[Cap::Here(8)], |content| {
        content.init_as::<guest::again_results::Builder<'_>>().set_result(cap());
    });
    bench.recorder.hear();
    drop(pipelined);
    let (destroyed, destroy) = bench.recorder.call_of(DESTROY);
    assert!(matches!(destroy.target, Target::Export(8) | Target::Answer(_)), "{destroy:?}");
    bench.recorder.answer_nothing(destroy.question);
    let released = bench.recorder.release_of(8, 1);
    assert!(destroyed < released);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 1);
    drop(guest);
    assert_destroyed(&mut bench, 7, 1);
}

/// The question is the only name that the peer has for the object, so it is kept until the destroy
/// has been sent.
#[test]
fn a_pipelined_handle_that_is_dropped_before_the_answer() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let pipelined = guest.again().pipelined();
    let (_, again) = bench.recorder.call_of(AGAIN);
    drop(pipelined);
    bench.recorder.hear();
    bench.recorder.peer.answer(again.question, &[Cap::Here(8)], |content| {
        content.init_as::<guest::again_results::Builder<'_>>().set_result(cap());
    });
    let (destroyed, destroy) = bench.recorder.call_of(DESTROY);
    match destroy.target {
        Target::Answer(question) => {
            assert_eq!(question, again.question);
            let (finished, _) = bench.recorder.finish_of(again.question);
            assert!(destroyed < finished);
        }
        target => assert_eq!(target, Target::Export(8)),
    }
    bench.recorder.answer_nothing(destroy.question);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 1);
}

/// It is known as an interface without destroy; cast to one that has it, it is destroyed with the last handle.
#[test]
fn an_object_that_is_cast_to_an_interface_with_destroy_is_destroyed() {
    let mut bench = bench();
    let plain = bench.plain(7);
    let guest: GuestClient = Capability::from(plain.clone()).cast().unwrap();
    drop(guest);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0, "there is another handle");
    drop(plain);
    assert_destroyed(&mut bench, 7, 1);
    assert_eq!(bench.recorder.calls_of(DESTROY), 1);
}

#[test]
fn an_object_without_destroy_is_released_and_not_called() {
    let mut bench = bench();
    let plain = bench.plain(7);
    let clone = plain.clone();
    drop(plain);
    bench.recorder.hear();
    let released = bench.recorder.count(|event| matches!(event, Event::Release { id: 7, .. }));
    assert_eq!(released, 0);
    let calls = |bench: &Bench| bench.recorder.count(|event| matches!(event, Event::Call(_)));
    drop(clone);
    bench.recorder.release_of(7, 1);
    bench.recorder.hear();
    assert_eq!(calls(&bench), 0);
}

#[test]
fn hooks_run_once_when_the_handle_is_dropped() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let (ran, runs) = std::sync::mpsc::channel();
    guest.add_cleanup(move || ran.send(()).unwrap());
    drop(guest);
    assert_destroyed(&mut bench, 7, 1);
    assert_eq!(runs.iter().count(), 1, "the hook ran and is gone");
}

/// Nothing can be sent any more.
#[test]
fn a_handle_that_outlives_its_connection() {
    let mut bench = bench();
    let guest = bench.guest(7);
    bench.serving.disconnect();
    wait_until("the end is seen", || !bench.serving.is_connected());
    drop(guest);
    assert!(bench.recorder.peer.is_closed());
}

/// A peer that never answers a destroy delays nobody.
#[test]
fn a_thousand_handles_whose_destroys_are_not_answered() {
    let mut bench = bench();
    let guests: Vec<_> = (0..1_000).map(|export| bench.guest(1_000 + export)).collect();
    drop(guests);
    for _ in 0..1_000 {
        bench.recorder.call_of(DESTROY);
    }
    bench.assert_alive();
    drop(bench.recorder);
    assert!(eventually(|| !bench.serving.is_connected()));
}
