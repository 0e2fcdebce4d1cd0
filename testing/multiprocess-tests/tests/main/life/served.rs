//! Handles that a served method drops: the destroy goes out before the answer of the call, and asks
//! to run on the thread that waits for that answer. A C++ caller relies on this: objects that its
//! callback owns are gone when the call returns.

use std::sync::Arc;

use multiprocess::{Error, Result};
use multiprocess_tests::generated::life::{GuestClient, HouseAsync, HouseClient};
use multiprocess_tests::generated::life_capnp::house;
use multiprocess_tests::raw::{Cap, cap};
use multiprocess_tests::recorder::{Given, Outcome};

use super::{Bench, DESTROY, HOUSE, Hall, bench, bench_of};

/// Reads the answer of a `take`, and the destroy of its guest, which is to be before that.
#[track_caller]
fn assert_destroyed_before(bench: &mut Bench, question: u32, export: u32) {
    let (returned, _) = bench.recorder.return_of(question);
    assert_eq!(bench.recorder.calls_of(DESTROY), 1, "before the answer");
    let (place, destroy) = bench.destroy_of(export);
    assert!(place < returned);
    // The answer of the `take` did not wait for the destroy, which is answered only now.
    bench.recorder.answer_nothing(destroy.question);
    bench.recorder.peer.finish(question);
    bench.recorder.release_of(export, 1);
    bench.assert_nothing_after(place, export);
}

#[test]
fn an_argument_that_is_dropped_is_destroyed_before_the_answer() {
    let mut bench = bench();
    bench.hall.then(|guest| {
        drop(guest);
        Ok(0)
    });
    let question = bench.take(7);
    assert_destroyed_before(&mut bench, question, 7);
}

/// The same, however the method ends.
#[test]
fn where_the_method_fails_or_panics() {
    let mut bench = bench();
    bench.hall.then(|_guest| Err(Error::failed("no room")));
    let question = bench.take(7);
    let (returned, outcome) = bench.recorder.return_of(question);
    assert!(matches!(outcome, Outcome::Exception(..)), "{outcome:?}");
    let (place, _) = bench.destroy_of(7);
    assert!(place < returned);
    bench.hall.then(|_guest| panic!("as it was asked to"));
    let question = bench.take(8);
    let (returned, _) = bench.recorder.return_of(question);
    let (place, _) = bench.destroy_of(8);
    assert!(place < returned);
}

#[test]
fn it_runs_on_the_thread_that_waits_for_the_call() {
    let mut bench = bench();
    bench.hall.then(|_guest| Ok(0));
    let question = bench.take(7);
    let (_, destroy) = bench.destroy_of(7);
    let (thread, callback) = destroy.context;
    assert_eq!(thread, Some(Given::Here(99)), "the caller's callback thread");
    assert_eq!(callback, Some(Given::There(bench.thread)), "the thread that served the call");
    bench.recorder.answer_nothing(destroy.question);
    bench.recorder.return_of(question);
}

#[test]
fn in_a_method_without_a_context() {
    let mut bench = bench();
    bench.hall.then(|_guest| Ok(0));
    let caps = [Cap::Here(7)];
    let question = bench.recorder.peer.call(bench.house, (HOUSE, 2), &caps, |content| {
        content.init_as::<house::take_inline_params::Builder<'_>>().set_guest(cap());
    });
    assert_destroyed_before(&mut bench, question, 7);
}

/// The same for a guest that an earlier call brought.
#[test]
fn what_was_kept_and_is_dropped_during_another_call() {
    let mut bench = bench();
    let kept = bench.guest(7);
    bench.hall.then(move |guest| {
        drop(kept);
        std::mem::forget(guest);
        Ok(0)
    });
    let question = bench.take(8);
    assert_destroyed_before(&mut bench, question, 7);
}

#[test]
fn two_that_are_dropped_are_both_destroyed_before_the_answer() {
    let mut bench = bench();
    let kept = bench.guest(7);
    bench.hall.then(move |guest| {
        drop((kept, guest));
        Ok(0)
    });
    let question = bench.take(8);
    let (returned, _) = bench.recorder.return_of(question);
    for export in [7, 8] {
        let (place, _) = bench.destroy_of(export);
        assert!(place < returned);
    }
}

/// A guest that the method keeps is not destroyed when the method ends.
#[test]
fn what_is_kept_is_not_destroyed() {
    let mut bench = bench();
    let guest = bench.guest(7);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0);
    drop(guest);
    bench.destroy_of(7);
}

/// The same of methods that are futures.
struct Futures;

impl HouseAsync for Futures {
    async fn take(&self, guest: GuestClient) -> Result<i32> {
        drop(guest);
        Ok(0)
    }
}

#[test]
fn in_a_future() {
    // Tasks run on a thread of their own, one after the other.
    let (spawn, tasks) = std::sync::mpsc::channel();
    std::thread::spawn(move || tasks.into_iter().for_each(futures_executor::block_on));
    let object = HouseClient::new_async(Futures, move |task| drop(spawn.send(task)));
    let mut bench = bench_of(object, Arc::new(Hall::default()));
    let question = bench.take(7);
    assert_destroyed_before(&mut bench, question, 7);
}
