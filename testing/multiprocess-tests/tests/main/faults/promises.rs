//! Promises that are resolved wrongly, and objects that are released too often.

use std::net::Shutdown;

use multiprocess_tests::generated::lab_capnp::{callback, counter, lab};
use multiprocess_tests::raw::{Cap, LAB, Target, cap};

use super::{Bench, bench};

/// Gives the lab a callback that is a promise of the peer's.
fn hold_promise(bench: &mut Bench, lab: Target, promise: u32) {
    let threads = bench.thread_map(lab);
    bench.make_pool(threads, 4).results();
    let caps = [Cap::Promise(promise)];
    bench
        .peer
        .ask(lab, (LAB, 9), &caps, |content| {
            let mut params: lab::hold_params::Builder<'_> = content.init_as();
            params.reborrow().init_context();
            params.set_callback(cap::<callback::Client>());
        })
        .results();
}

fn poke(bench: &mut Bench, lab: Target) -> u32 {
    bench.peer.call(lab, (LAB, 10), &[], |content| {
        content.init_as::<lab::poke_params::Builder<'_>>().init_context();
    })
}

#[test]
fn a_promise_resolved_to_itself() {
    for called_before in [false, true] {
        let mut bench = bench();
        let lab = bench.lab();
        hold_promise(&mut bench, lab, 3);
        if called_before {
            poke(&mut bench, lab);
        }
        let _ = bench.peer.send(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(3);
            resolve.init_cap().set_sender_promise(3);
        });
        // The peer may be closed already.
        let _ = bench.peer.try_call(lab, (LAB, 10), &[], |content| {
            content.init_as::<lab::poke_params::Builder<'_>>().init_context();
        });
        bench.other.assert_alive();
        let _ = bench.peer.stream.shutdown(Shutdown::Both);
        bench.assert_closed();
    }
}

#[test]
fn a_promise_resolved_to_an_error() {
    let mut bench = bench();
    let lab = bench.lab();
    hold_promise(&mut bench, lab, 3);
    bench
        .peer
        .send(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(3);
            resolve.init_exception().set_reason("there is none");
        })
        .unwrap();
    let question = poke(&mut bench, lab);
    let text = bench.peer.wait(question).exception();
    assert!(text.contains("there is none"), "{text}");
    bench.assert_alive(lab);
}

#[test]
fn a_promise_resolved_twice_or_to_nothing() {
    for second in [false, true] {
        let mut bench = bench();
        let lab = bench.lab();
        hold_promise(&mut bench, lab, 3);
        let _ = bench.peer.send(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(3);
            if second {
                resolve.init_cap().set_sender_hosted(4);
            } else {
                resolve.init_cap().set_none(());
            }
        });
        let _ = bench.peer.send(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(3);
            resolve.init_cap().set_sender_hosted(5);
        });
        bench.other.assert_alive();
        let _ = bench.peer.stream.shutdown(Shutdown::Write);
        bench.assert_closed();
    }
}

#[test]
fn a_promise_resolved_to_the_labs_own_counter() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    bench.make_pool(threads, 4).results();
    let counter = bench
        .peer
        .ask(lab, (LAB, 13), &[], |content| {
            content.init_as::<lab::make_counter_params::Builder<'_>>().init_context();
        })
        .export();
    let caps = [Cap::Promise(3)];
    let read = bench.peer.call(lab, (LAB, 15), &caps, |content| {
        let mut params: lab::read_counter_params::Builder<'_> = content.init_as();
        params.reborrow().init_context();
        params.set_counter(cap::<counter::Client>());
    });
    bench
        .peer
        .send(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(3);
            resolve.init_cap().set_receiver_hosted(counter);
        })
        .unwrap();
    // Whatever its outcome, it ends with the connection.
    let _ = read;
    bench.assert_alive(lab);
    bench.peer.stream.shutdown(Shutdown::Both).unwrap();
    bench.assert_closed();
}

#[test]
fn an_object_released_too_often() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = bench.make_thread(threads).export();
    for _ in 0..3 {
        let _ = bench.peer.send(|message| {
            let mut release = message.init_release();
            release.set_id(thread);
            release.set_reference_count(1000);
        });
    }
    let _ = bench.peer.stream.shutdown(Shutdown::Write);
    bench.assert_closed();
}
