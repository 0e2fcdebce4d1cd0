//! Results that stay with the callee, for another question (`sendResultsTo.yourself`).

use capnp_rpc::rpc_capnp::message;
use multiprocess_tests::generated::lab_capnp::counter;
use multiprocess_tests::raw::{Cap, Target};
use multiprocess_tests::wait_until;

use super::{NEXT, bench, next};

#[test]
fn results_that_were_given_are_not_cancelled_by_a_finish() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let call = bench.keep(Cap::Here(7)).next().start();
    let (question, _) = bench.peer.find_call();
    // The thread is busy: the call that comes back waits.
    let busy = bench.make(-1);
    let back = bench.peer.call_for_elsewhere(Target::Export(counter), NEXT, next);
    bench.peer.answer_from(question, back);
    bench.peer.finish(back);
    bench.be_heard();
    bench.keeper.open();
    bench.peer.wait(busy).results();
    assert_eq!(call.wait().unwrap(), 0);
    bench.peer.find_finish(question);
    bench.assert_alive();
}

#[test]
fn results_that_were_given_and_are_not_wanted_any_more() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let kept = bench.keep(Cap::Here(7));
    let busy = bench.make(-1);
    let before = bench.serving.table_sizes()[0];
    let call = kept.next().start();
    let (question, _) = bench.peer.find_call();
    let back = bench.peer.call_for_elsewhere(Target::Export(counter), NEXT, next);
    bench.peer.answer_from(question, back);
    bench.be_heard();
    drop(call);
    bench.peer.find_finish(question);
    assert_eq!(bench.serving.table_sizes()[0], before);
    bench.peer.finish(back);
    bench.be_heard();
    bench.keeper.open();
    // It leaves its queue as soon as nobody wants its results, which may be before its Finish comes.
    let ended = bench.peer.wait(back).exception();
    assert!(["canceled", "sent elsewhere"].contains(&&*ended), "{ended}");
    bench.peer.wait(busy).results();
    bench.assert_alive();
}

#[test]
fn capabilities_of_results_that_are_still_to_be_given_are_called_by_their_question() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let split = bench.keep(Cap::Here(7)).split().pipelined();
    let (question, _) = bench.peer.find_call();
    let busy = bench.make(-1);
    let back = bench.peer.call_for_elsewhere(Target::Export(counter), NEXT, next);
    bench.peer.answer_from(question, back);
    // Its Finish has not gone out; otherwise this would name a question that does not exist.
    let call = split.next().start();
    let mut finished = false;
    let second = bench.peer.find(|message| match message {
        message::Finish(Ok(finish)) => {
            finished |= finish.get_question_id() == question;
            None
        }
        message::Call(Ok(call)) => Some(call.get_question_id()),
        _ => None,
    });
    assert!(!finished);
    bench.peer.answer(second, &[], |content| {
        content.init_as::<counter::next_results::Builder<'_>>().set_result(5);
    });
    assert_eq!(call.wait().unwrap(), 5);
    bench.keeper.open();
    bench.peer.wait(busy).results();
    bench.peer.find_finish(question);
    bench.assert_alive();
}

#[test]
fn results_are_given_once() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let kept = bench.keep(Cap::Here(7));
    let _busy = bench.make(-1);
    let (_one, _two) = (kept.next().start(), kept.next().start());
    let (one, _) = bench.peer.find_call();
    let (two, _) = bench.peer.find_call();
    let back = bench.peer.call_for_elsewhere(Target::Export(counter), NEXT, next);
    bench.peer.answer_from(one, back);
    bench.peer.answer_from(two, back);
    wait_until("the connection is ended", || !bench.serving.is_connected());
    bench.keeper.open();
    bench.assert_misbehaved();
}

/// Each call is passed on to the peer, which gives it the results of the one before.
#[test]
fn a_long_chain_of_results_that_are_given_on() {
    const LENGTH: usize = 3_000;
    let mut bench = bench(1);
    bench.keeper.open();
    bench.keep(Cap::Here(7));
    let given = bench.make(-1);
    bench.peer.wait(given).results();
    let (mut calls, mut passed_on) = (Vec::new(), Vec::new());
    for _ in 0..LENGTH {
        calls.push(bench.peer.call_for_elsewhere(Target::Answer(given), NEXT, next));
        passed_on.push(bench.peer.find_call().0);
    }
    for place in 1..LENGTH {
        bench.peer.answer_from(passed_on[place], calls[place - 1]);
    }
    bench.peer.answer(passed_on[0], &[], |content| {
        content.init_as::<counter::next_results::Builder<'_>>();
    });
    for call in calls {
        assert_eq!(bench.peer.wait(call).exception(), "sent elsewhere");
        bench.peer.finish(call);
    }
    bench.assert_alive();
}
