//! Calls that do not fit the schema, too many calls, calls that nobody waits for; and callers that
//! die.

use std::net::Shutdown;
use std::time::Duration;

use multiprocess::Limits;
use multiprocess_tests::raw::{COUNTER, Cap, LAB, THREAD_MAP, Target, call_bytes};
use multiprocess_tests::{Pair, Relay, pair, pair_with, wait_until};

use super::{add, add_inline, bench, bench_with, block};

#[test]
fn wrong_interfaces_and_methods() {
    let mut bench = bench();
    let lab = bench.lab();
    for method in [(LAB, 99), (COUNTER, 1), (0, 0), (THREAD_MAP, 0)] {
        let text = bench.peer.ask(lab, method, &[], |_| ()).exception();
        assert!(text.contains("has no method"), "{text}");
    }
    bench.assert_alive(lab);
}

#[test]
fn arguments_of_the_wrong_shape() {
    let mut bench = bench();
    let lab = bench.lab();
    for method in [0, 1, 2, 3, 7, 8, 9, 11, 13, 15, 16, 17] {
        // Nothing at all, and a text where a struct is expected.
        for text in [false, true] {
            let question = bench.peer.call(lab, (LAB, method), &[], |mut content| {
                if text {
                    content.set_as("not a struct").unwrap();
                }
            });
            bench.peer.wait(question);
        }
    }
    bench.assert_alive(lab);
}

#[test]
fn too_many_calls_at_once_are_refused() {
    let mut bench = bench_with(Limits::default().calls(10));
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = Cap::There(bench.make_thread(threads).export());
    let calls: Vec<_> = (0..100)
        .map(|_| bench.peer.call(lab, (LAB, 11), &[thread], |c| block(c, "many", &[thread])))
        .collect();
    for &question in &calls[10..] {
        let text = bench.peer.wait(question).exception();
        assert!(text.contains("calls at once"), "{text}");
    }
    bench.server.let_go("many");
    for &question in &calls[..10] {
        bench.peer.wait(question).results();
    }
    wait_until("they end", || bench.server.blocked() == 0);
    bench.assert_alive(lab);
}

#[test]
fn calls_on_an_answer_that_is_not_there_yet_are_bounded() {
    let mut bench = bench_with(Limits::default().calls(100).unsent(1 << 20));
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = Cap::There(bench.make_thread(threads).export());
    let blocked = bench.peer.call(lab, (LAB, 11), &[thread], |c| block(c, "base", &[thread]));
    wait_until("it runs", || bench.server.is_blocked("base"));
    let target = Target::Answer(blocked);
    for _ in 0..100_000 {
        let question = bench.peer.question();
        let call = call_bytes(question, target, (COUNTER, 1), &[], |_| ());
        if bench.peer.send_bytes(&call).is_err() {
            break;
        }
    }
    bench.assert_closed();
}

#[test]
fn answers_that_nobody_reads_are_bounded() {
    let mut bench = bench_with(Limits::default().unsent(1 << 20));
    let lab = bench.lab();
    let mut sent = 0;
    for _ in 0..200_000 {
        match bench.peer.try_call(lab, (LAB, 2), &[], add_inline) {
            Ok(_) => sent += 1,
            Err(_) => break,
        }
    }
    assert!(sent < 200_000, "it was not stopped");
    bench.assert_closed();
}

#[test]
fn ten_thousand_cancelled_calls() {
    let mut bench = bench_with(Limits::default().calls(50));
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = Cap::There(bench.make_thread(threads).export());
    let first = bench.peer.call(lab, (LAB, 11), &[thread], |c| block(c, "first", &[thread]));
    wait_until("it runs", || bench.server.is_blocked("first"));
    bench.peer.finish(first);
    wait_until("its token fired", || bench.server.was_cancelled("first"));
    for round in 0..10_000 {
        // Cancelled before it starts, while it runs, or after, depending on the timing.
        let question = match round % 3 {
            0 => bench.peer.call(lab, (LAB, 1), &[thread], |c| add(c, 1, 2, &[thread])),
            1 => bench.peer.call(lab, (LAB, 11), &[thread], |c| block(c, "x", &[thread])),
            _ => bench.peer.call(lab, (LAB, 2), &[], add_inline),
        };
        bench.peer.finish(question);
        // A cancelled call is answered too: then its number is free.
        bench.peer.wait(question);
    }
    bench.assert_alive(lab);
    wait_until("none runs", || bench.server.blocked() == 0);
    bench.add(lab, &[thread]).results();
    drop(bench.peer);
    assert!(bench.serving.drain(Duration::from_secs(60)));
}

#[test]
fn ten_thousand_futures_dropped() {
    let pair = pair_with(Limits::default().calls(2000));
    for round in 0..10_000 {
        let call = match round % 4 {
            0 => pair.lab.add_inline(1, 2).start(),
            _ => pair.lab.add(1, 2).start(),
        };
        drop(call);
        if round % 500 == 0 {
            pair.assert_alive();
        }
    }
    pair.assert_alive();
    assert_eq!(futures_executor::block_on(pair.lab.add(1, 2)).unwrap(), 3);
}

#[test]
fn the_same_question_twice() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = Cap::There(bench.make_thread(threads).export());
    let question = bench.peer.call(lab, (LAB, 11), &[thread], |c| block(c, "dup", &[thread]));
    wait_until("it runs", || bench.server.is_blocked("dup"));
    let again = call_bytes(question, lab, (LAB, 2), &[], add_inline);
    bench.peer.send_bytes(&again).unwrap();
    bench.assert_closed();
    wait_until("its token fired", || bench.server.was_cancelled("dup"));
}

#[test]
fn the_peer_dies_during_its_call() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = Cap::There(bench.make_thread(threads).export());
    bench.peer.call(lab, (LAB, 11), &[thread], |c| block(c, "dies", &[thread]));
    wait_until("it runs", || bench.server.is_blocked("dies"));
    bench.peer.stream.shutdown(Shutdown::Both).unwrap();
    wait_until("its token fired", || bench.server.was_cancelled("dies"));
    bench.assert_closed();
}

#[test]
fn the_callbacks_owner_dies_in_the_callback() {
    let Pair { serving, calling, lab, server } = pair();
    let other = pair();
    let callback = Relay::client(move |_, _| {
        calling.disconnect();
        Ok(0)
    });
    assert!(lab.call_back(callback, 1).wait().unwrap_err().is_disconnect());
    assert!(serving.drain(Duration::from_secs(60)));
    assert_eq!(server.blocked(), 0);
    other.assert_alive();
}
