//! One object that was given more than once. A second handle on an object of the peer shares its
//! life. An object of this side with `destroy` that is given twice has two exports, which the peer
//! ends separately.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use multiprocess::Result;
use multiprocess_tests::generated::life::{Guest, GuestClient, Plain, PlainClient};
use multiprocess_tests::raw::Target;
use multiprocess_tests::recorder::{Outcome, Recorder};
use multiprocess_tests::{LONG, wait_until};

use super::{CALL, DESTROY, PLAIN, assert_misuse, bench, calling, given, nothing, numbered};

#[test]
fn closing_one_handle_closes_the_other() {
    let mut bench = bench();
    let (one, other) = (bench.guest(7), bench.guest(7));
    let closing = one.close().start();
    let (place, destroy) = bench.destroy_of(7);
    assert_misuse(other.call(1).timeout(LONG).wait());
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
    assert_misuse(other.call(1).timeout(LONG).wait());
    assert_misuse(other.again().pipelined().call(1).wait());
    other.close().wait().unwrap();
    drop((one, other));
    bench.recorder.release_of(7, 2);
    bench.assert_nothing_after(place, 7);
}

/// The second handle arrives while the first one is being closed.
#[test]
fn a_handle_on_an_object_that_is_closed_already() {
    let mut bench = bench();
    let one = bench.guest(7);
    let closing = one.close().start();
    let (place, destroy) = bench.destroy_of(7);
    let other = bench.guest(7);
    assert_misuse(other.call(1).timeout(LONG).wait());
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
    assert_misuse(other.call(1).timeout(LONG).wait());
    bench.assert_nothing_after(place, 7);
}

#[test]
fn a_call_through_the_other_handle_returns_before_destroy_goes_out() {
    let mut bench = bench();
    let (one, other) = (bench.guest(7), bench.guest(7));
    let call = other.call(5).start();
    let (_, called) = bench.recorder.call_of(CALL);
    let closing = one.close().start();
    assert_misuse(one.call(1).wait());
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0, "a call of it has not returned");
    bench.recorder.answer_number(called.question, called.number);
    let (_, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
    assert_eq!(call.wait().unwrap(), 5);
}

#[test]
fn only_the_last_of_two_handles_destroys() {
    let mut bench = bench();
    let (one, other) = (bench.guest(7), bench.guest(7));
    drop(one);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0);
    let call = other.call(5).start();
    let (_, called) = bench.recorder.call_of(CALL);
    bench.recorder.answer_number(called.question, called.number);
    assert_eq!(call.wait().unwrap(), 5);
    drop(other);
    let (place, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    bench.recorder.release_of(7, 2);
    bench.assert_nothing_after(place, 7);
}

/// When an object is released, its number may be used for another one.
#[test]
fn a_number_that_is_used_again_is_another_object() {
    let mut bench = bench();
    for _ in 0..3 {
        let guest = bench.guest(7);
        let call = guest.call(5).start();
        let (_, called) = bench.recorder.call_of(CALL);
        bench.recorder.answer_number(called.question, called.number);
        assert_eq!(call.wait().unwrap(), 5);
        let closing = guest.close().start();
        let (_, destroy) = bench.destroy_of(7);
        bench.recorder.answer_nothing(destroy.question);
        closing.wait().unwrap();
        drop(guest);
        bench.recorder.release_of(7, 1);
    }
}

// ---- given by this side

/// Counts its destructor.
struct Own(Arc<AtomicUsize>);

impl Drop for Own {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Guest for Own {
    fn call(&self, number: i32) -> Result<i32> {
        Ok(number)
    }

    fn call_inline(&self, number: i32) -> Result<i32> {
        Ok(number)
    }
}

impl Plain for Own {}

/// Calls `callInline` of an object of the other side's.
fn call_inline(recorder: &mut Recorder, export: u32) -> Outcome {
    let question = recorder.peer.call(Target::Export(export), (super::GUEST, 2), &[], |content| {
        content
            .init_as::<multiprocess_tests::generated::life_capnp::guest::call_inline_params::Builder<'_>>()
            .set_number(3);
    });
    let (_, outcome) = recorder.return_of(question);
    recorder.peer.finish(question);
    outcome
}

/// A C++ peer destroys an object at the end of the call in which it got it, even if other calls got
/// it, too.
#[test]
fn destroying_it_in_one_call_leaves_it_to_the_other() {
    let (connection, mut recorder, plain) = calling::<PlainClient>();
    let dropped = Arc::new(AtomicUsize::new(0));
    let own = GuestClient::new(Own(Arc::clone(&dropped)));
    let calls = [plain.give(own.clone()).start(), plain.give(own.clone()).start()];
    let gives = [(); 2].map(|()| recorder.call_of((PLAIN, 1)).1);
    let [one, other] = [given(&gives[0]), given(&gives[1])];
    assert_ne!(one, other, "each is an export of its own");
    let destroy = recorder.peer.call(Target::Export(one), DESTROY, &[], numbered(0));
    let (_, destroyed) = recorder.return_of(destroy);
    assert!(matches!(destroyed, Outcome::Results(_)), "{destroyed:?}");
    recorder.peer.release(one);
    let outcome = call_inline(&mut recorder, other);
    assert!(matches!(outcome, Outcome::Results(_)), "{outcome:?}");
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    assert_eq!(own.call(4).wait().unwrap(), 4, "this side's own handle is not closed");
    for (call, give) in calls.into_iter().zip(gives) {
        recorder.peer.answer(give.question, &[], nothing);
        call.wait().unwrap();
    }
    recorder.peer.release(other);
    drop(own);
    wait_until("it is dropped", || dropped.load(Ordering::SeqCst) == 1);
    assert!(connection.is_connected());
}

/// Only calls of the destroyed export fail.
#[test]
fn what_was_destroyed_cannot_be_called_through_its_own_number() {
    let (connection, mut recorder, plain) = calling::<PlainClient>();
    let own = GuestClient::new(Own(Arc::default()));
    let _calls = [plain.give(own.clone()).start(), plain.give(own).start()];
    let [one, other] = [(); 2].map(|()| given(&recorder.call_of((PLAIN, 1)).1));
    let destroy = recorder.peer.call(Target::Export(one), DESTROY, &[], numbered(0));
    recorder.return_of(destroy);
    assert!(matches!(call_inline(&mut recorder, one), Outcome::Exception(..)));
    assert!(matches!(call_inline(&mut recorder, other), Outcome::Results(_)));
    assert!(connection.is_connected());
}

/// An object without `destroy` keeps its number as long as the peer has it.
#[test]
fn an_object_without_destroy_is_one_export() {
    let (connection, mut recorder, plain) = calling::<PlainClient>();
    let dropped = Arc::new(AtomicUsize::new(0));
    let own = PlainClient::new(Own(Arc::clone(&dropped)));
    let _calls: Vec<_> = (0..3).map(|_| plain.give_plain(own.clone()).start()).collect();
    let numbers = [(); 3].map(|()| given(&recorder.call_of((PLAIN, 2)).1));
    assert_eq!(numbers, [numbers[0]; 3]);
    assert_eq!(connection.table_sizes()[2], 1, "exports");
    drop(own);
    recorder.peer.release(numbers[0]);
    recorder.peer.release(numbers[0]);
    recorder.hear();
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "it was given three times");
    recorder.peer.release(numbers[0]);
    wait_until("it is dropped", || dropped.load(Ordering::SeqCst) == 1);
    assert_eq!(connection.table_sizes()[2], 0, "exports");
    assert!(connection.is_connected());
}
