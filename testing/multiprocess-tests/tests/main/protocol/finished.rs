//! Questions that are finished early, and what is left when all are over.

use std::sync::atomic::Ordering;

use multiprocess::Error;
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::generated::lab_capnp::counter;
use multiprocess_tests::raw::{COUNTER, Cap, Target};
use multiprocess_tests::{Pair, Relay, eventually, pair, wait_until};

use super::{Bench, CANCELLED, bench};

/// A C++ client does this when it drops a call after it has made a pipelined one.
#[test]
fn a_call_that_is_finished_while_its_result_is_called() {
    let mut bench = bench(1);
    let busy = bench.make(-1);
    let made = bench.make(10);
    let next = bench.next(Target::Answer(made));
    bench.peer.finish(made);
    bench.be_heard();
    bench.end_busy(busy);
    assert_eq!(bench.result(next), 10);
    assert_eq!(bench.peer.wait(made).exception(), "canceled");
    bench.assert_alive();
}

impl Bench {
    /// Lets the call that keeps the thread busy end.
    fn end_busy(&mut self, busy: u32) {
        self.keeper.keep_own();
        self.keeper.open();
        self.peer.wait(busy).results();
    }
}

#[test]
fn a_finished_call_ends_with_the_last_call_of_its_result() {
    let mut bench = bench(1);
    let busy = bench.make(-1);
    let made = bench.make(CANCELLED);
    let split = bench.peer.call(Target::Answer(made), (COUNTER, 2), &[], |content| {
        content.init_as::<counter::split_params::Builder<'_>>().init_context();
    });
    let next = bench.next(Target::Answer(split));
    bench.peer.finish(made);
    bench.peer.finish(split);
    bench.peer.finish(next);
    // Those that wait for another's result end at once.
    assert_eq!(bench.peer.wait(next).exception(), "canceled");
    assert_eq!(bench.peer.wait(split).exception(), "canceled");
    bench.end_busy(busy);
    assert_eq!(bench.peer.wait(made).exception(), "canceled");
    assert!(!bench.keeper.missed.load(Ordering::SeqCst), "the first was cancelled as well");
    bench.assert_alive();
}

#[test]
fn calls_that_wait_for_a_promise_leave_nothing_when_they_are_cancelled() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let kept = bench.keep(Cap::Promise(3));
    let _before = kept.next().start();
    bench.peer.find_call();
    bench.peer.resolve(3, Cap::There(counter));
    bench.peer.find_embargo();
    let before = bench.serving.table_sizes();
    for _ in 0..1_000 {
        drop(kept.next().start());
    }
    assert_eq!(bench.serving.table_sizes(), before);
    bench.assert_alive();
}

#[test]
fn a_call_that_the_peer_does_not_know() {
    let mut bench = bench(1);
    let call = bench.keep(Cap::Here(7)).next().start();
    let (question, _) = bench.peer.find_call();
    bench
        .peer
        .send(|message| message.init_unimplemented().init_call().set_question_id(question))
        .unwrap();
    assert!(matches!(call.wait(), Err(Error::Unimplemented { .. })));
    bench.assert_alive();
}

/// One of several kinds of calls, with capabilities in either direction.
fn any_call(lab: &LabClient, round: i64) {
    let counter = lab.make_counter(round).wait().unwrap();
    match round % 5 {
        0 => assert_eq!(lab.read_counter(counter).wait().unwrap().result, round),
        1 => {
            let counter = lab.make_counter(round).pipelined();
            assert_eq!(counter.next().wait().unwrap(), round);
        }
        2 => {
            let split = counter.split().pipelined();
            assert_eq!(lab.read_counter(split).wait().unwrap().result, round);
        }
        3 => {
            let callback = Relay::client(|lab, _| lab.unwrap().add_inline(1, 2).wait());
            assert_eq!(lab.call_back(callback.clone(), 1).wait().unwrap(), 4);
            lab.hold(Some(callback)).wait().unwrap();
            lab.hold(None).wait().unwrap();
        }
        _ => {
            lab.make_counter(-1).pipelined().next().wait().unwrap_err();
            lab.no_counter().pipelined().next().wait().unwrap_err();
        }
    }
}

#[test]
fn tables_are_as_they_were_after_all_kinds_of_calls() {
    let Pair { server, serving, calling, lab } = pair();
    let sizes = || [calling.table_sizes(), serving.table_sizes()];
    let on_thread = |first: i64, rounds: i64| {
        let lab = lab.clone();
        std::thread::spawn(move || (first..first + rounds).for_each(|n| any_call(&lab, n)))
    };
    on_thread(0, 10).join().unwrap();
    let quiet = || sizes().iter().all(|side| side[0] + side[4] == 0) && server.counters() == 0;
    wait_until("all calls are over", quiet);
    // Objects of the thread that has ended may still be released, which only lowers the counts.
    let before = sizes();
    let within = |more: usize| {
        let side = |now: [usize; 5], then: [usize; 5]| (0..5).all(|at| now[at] <= then[at] + more);
        let now = sizes();
        quiet() && side(now[0], before[0]) && side(now[1], before[1])
    };
    on_thread(0, 500).join().unwrap();
    // Except for a few threads of the peer, on which released objects are dropped.
    assert!(eventually(|| within(8)), "{:?} is more than {before:?}", sizes());
    // Concurrent calls, cancelled at any point. Up to 64 threads for futures stay.
    let callers: Vec<_> = (0..4).map(|first| on_thread(first, 200)).collect();
    for round in 0..500 {
        drop(lab.make_counter(round).start());
    }
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    assert!(eventually(|| within(70)), "{:?} is much more than {before:?}", sizes());
}
