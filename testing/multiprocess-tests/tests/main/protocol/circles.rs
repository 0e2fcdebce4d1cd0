//! Promises that resolve in a circle, and more promises and capabilities than are allowed.

use multiprocess_tests::raw::{Cap, Target, bytes_of};
use multiprocess_tests::{pair, wait_until};

use super::{NEXT, bench, next};

#[test]
fn a_result_that_is_itself() {
    let mut bench = bench(2);
    let given = bench.make(-1);
    let kept = bench.keep(Cap::Answer(given));
    let early = bench.next(Target::Answer(given));
    bench.keeper.open();
    // Whatever the promise is resolved to, calls of it fail, and nothing else does.
    bench.peer.wait(early).exception();
    kept.next().wait().unwrap_err();
    let late = bench.next(Target::Answer(given));
    bench.peer.wait(late).exception();
    bench.assert_alive();
}

#[test]
fn a_promise_in_its_embargo_and_an_answer_that_are_each_other() {
    let mut bench = bench(2);
    let kept = bench.keep(Cap::Promise(3));
    let _call = kept.next().start();
    bench.peer.find_call();
    let given = bench.make(-1);
    bench.peer.resolve(3, Cap::Answer(given));
    let (embargo, _) = bench.peer.find_embargo();
    bench.keeper.open();
    bench.peer.wait(given).results();
    bench.peer.end_embargo(embargo);
    kept.next().wait().unwrap_err();
    bench.assert_alive();
}

#[test]
fn a_call_that_waits_for_its_own_argument_goes_with_the_connection() {
    let mut bench = bench(2);
    let object = bench.counter();
    let given = bench.make(-1);
    bench.peer.call(Target::Answer(given), NEXT, &[Cap::Answer(given), Cap::There(object)], |to| {
        next(to);
    });
    drop(bench.peer);
    wait_until("the connection is ended", || !bench.serving.is_connected());
    assert_eq!(bench.serving.table_sizes(), [0; 5]);
    bench.keeper.keep_own();
    bench.keeper.open();
}

/// Each call waits for one answer and names the one before, so that each holds the next.
#[test]
fn a_long_chain_of_promises_that_hold_each_other() {
    const LENGTH: usize = 3_000;
    let mut bench = bench(1);
    let base = bench.make(-1);
    bench.peer.gather();
    let questions: Vec<u32> = (0..LENGTH).map(|_| bench.next(Target::Answer(base))).collect();
    for pair in questions.windows(2) {
        bench.peer.call(Target::Answer(pair[1]), NEXT, &[Cap::Answer(pair[0])], next);
    }
    bench.peer.send_gathered().unwrap();
    wait_until("all are there", || bench.serving.table_sizes()[1] > 2 * LENGTH);
    drop(bench.peer);
    wait_until("the connection is ended", || !bench.serving.is_connected());
    bench.keeper.keep_own();
    bench.keeper.open();
    pair().assert_alive();
}

#[test]
fn a_promise_that_becomes_another_again_and_again() {
    let mut bench = bench(1);
    // Any number of them may come over time, if they are released.
    for round in 0..15_000 {
        let promise = 100 + 2 * round;
        if round % 1_000 == 0 {
            bench.keep(Cap::Promise(promise));
        }
        if round % 1_000 < 900 {
            bench.peer.resolve(promise, Cap::Promise(promise + 2));
        }
    }
    bench.assert_alive();
    // A chain that goes on without being released breaks, and what is kept of it is short.
    let before = bench.serving.table_sizes()[3];
    bench.keep(Cap::Promise(100_000));
    for promise in 100_000..120_000 {
        bench.peer.resolve(promise, Cap::Promise(promise + 1));
    }
    bench.assert_alive();
    assert!(bench.serving.table_sizes()[3] <= before + 1, "{:?}", bench.serving.table_sizes());
}

#[test]
fn more_capabilities_of_an_answer_than_it_can_have() {
    let mut bench = bench(1);
    let base = bench.make(-1);
    bench.peer.gather();
    for field in 0..1_000 {
        let question = bench.peer.question();
        bench
            .peer
            .send(|message| {
                let mut call = message.init_call();
                call.set_question_id(question);
                let mut target = call.init_target().init_promised_answer();
                target.set_question_id(base);
                target.init_transform(1).get(0).set_get_pointer_field(field);
            })
            .unwrap();
    }
    let _ = bench.peer.send_gathered();
    wait_until("the connection is ended", || !bench.serving.is_connected());
    bench.keeper.keep_own();
    bench.keeper.open();
    bench.assert_misbehaved();
}

#[test]
fn a_capability_that_lies_too_deep() {
    let mut bench = bench(1);
    let base = bench.make(-1);
    let _ = bench.peer.send(|message| {
        let mut call = message.init_call();
        call.set_question_id(99);
        let mut target = call.init_target().init_promised_answer();
        target.set_question_id(base);
        let mut ops = target.init_transform(100_000);
        for place in 0..100_000 {
            ops.reborrow().get(place).set_get_pointer_field(0);
        }
    });
    wait_until("the connection is ended", || !bench.serving.is_connected());
    bench.keeper.keep_own();
    bench.keeper.open();
    bench.assert_misbehaved();
}

#[test]
fn a_table_of_capabilities_that_takes_no_room() {
    let mut bench = bench(1);
    let bytes = bytes_of(|message| {
        let mut call = message.init_call();
        call.set_question_id(99);
        call.reborrow().init_target().set_imported_cap(0);
        call.init_params().init_cap_table(1);
    });
    // The table is the list at the end: a tag word with the count, and one descriptor of two words.
    let mut bytes = bytes;
    let tag = bytes.len() - 24;
    // Many structs of no size.
    bytes[tag..tag + 8].copy_from_slice(&(500_u64 << 2).to_le_bytes());
    let _ = bench.peer.send_bytes(&bytes);
    bench.assert_misbehaved();
}
