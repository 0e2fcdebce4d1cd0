//! What one peer can make this process hold: at each limit, and one beyond it.

use std::os::unix::net::UnixStream;

use multiprocess_tests::generated::flow::SinkClient;
use multiprocess_tests::generated::flow_capnp::sink;
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::generated::proxy_capnp::thread_map;
use multiprocess_tests::raw::{Cap, LAB, RawPeer, THREAD_MAP, Target, cap};
use multiprocess_tests::{pair_of, pair_with, wait_until};

use multiprocess::{Connection, Error, Interface, Limit, Limits};

use super::{bench_with, block, on_thread};

const MIB: usize = 1 << 20;

/// Twice `call_bytes`, as half may serve calls of this side's.
#[test]
fn bytes_of_calls_that_wait_for_a_busy_thread() {
    // With 1/64 of it for what does not count.
    let limits = Limits::default().message(MIB * 2).call_bytes(8 * MIB);
    let mut bench = bench_with(limits);
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = Cap::There(bench.make_thread(threads).export());
    bench.peer.call(lab, (LAB, 11), &[thread], |content| block(content, "busy", &[thread]));
    let data = vec![7; MIB];
    let calls: Vec<_> = (0..20)
        .map(|_| {
            bench.peer.call(lab, (LAB, 16), &[thread], |content| {
                let mut params: lab::bytes_params::Builder<'_> = content.init_as();
                params.set_data(&data);
                on_thread(params.init_context(), &[thread]);
            })
        })
        .collect();
    for late in &calls[16..] {
        let refused = bench.peer.wait(*late).exception();
        assert!(refused.contains("bytes (Limits::call_bytes)"), "{refused}");
    }
    // Another thread is not in the way, and small calls are taken.
    bench.assert_alive(lab);
    bench.server.let_go("busy");
    for early in &calls[..16] {
        bench.peer.wait(*early).results();
    }
    let again = bench.peer.call(lab, (LAB, 16), &[thread], |content| {
        let mut params: lab::bytes_params::Builder<'_> = content.init_as();
        params.set_data(&data);
        on_thread(params.init_context(), &[thread]);
    });
    bench.peer.wait(again).results();
}

#[test]
fn objects_that_a_peer_has() {
    let pair = pair_of(Limits::default(), Limits::default().objects(50));
    let mut counters = Vec::new();
    let refused = loop {
        match pair.lab.make_counter(1).wait() {
            Ok(counter) => counters.push(counter),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Overloaded { .. }), "{refused}");
    // Beside the counters there are the lab, the ThreadMap and this thread's thread.
    assert_eq!(counters.len(), 47);
    pair.assert_alive();
    wait_until("what was refused is gone", || pair.server.counters() == 47);
    counters.pop();
    wait_until("there is room again", || pair.lab.make_counter(1).wait().is_ok());
}

#[test]
fn objects_that_a_peer_gives() {
    let limits = Limits::default().objects(50);
    let mut bench = bench_with(limits);
    let lab = bench.lab();
    // They are never let go, because the calls wait for their callbacks.
    let call = |bench: &mut super::Bench, id: u32| {
        bench.peer.call(lab, (LAB, 8), &[Cap::Here(id)], |content| {
            let mut params: lab::call_back_inline_params::Builder<'_> = content.init_as();
            params.set_callback(cap());
            params.set_depth(1);
        })
    };
    for id in 0..50 {
        call(&mut bench, id);
    }
    let refused = call(&mut bench, 50);
    let refused = bench.peer.wait(refused).exception();
    assert_eq!(refused, "more than 50 objects on one connection");
    bench.other.assert_alive();
}

#[test]
fn capabilities_of_one_message() {
    // The context has two of its own.
    let mut bench = bench_with(Limits::default().capabilities(10));
    let lab = bench.lab();
    let many: Vec<_> = (0..10).map(Cap::Here).collect();
    let question = bench.peer.call(lab, (LAB, 2), &many, super::add_inline);
    bench.peer.wait(question).results();
    let many: Vec<_> = (0..11).map(Cap::Here).collect();
    bench.peer.call(lab, (LAB, 2), &many, super::add_inline);
    bench.assert_closed();
    assert!(bench.misbehaved());
}

/// Taking a message in may not delay others for long.
#[test]
fn a_message_with_a_million_capabilities() {
    let mut bench = bench_with(Limits::default());
    let lab = bench.lab();
    let many: Vec<_> = (0..1_000_000).map(Cap::Here).collect();
    let _ = bench.peer.try_call(lab, (LAB, 2), &many, super::add_inline);
    bench.assert_closed();
    assert!(bench.misbehaved());
}

#[test]
fn names_of_threads_are_cut() {
    let mut bench = bench_with(Limits::default());
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let made = bench.peer.ask(threads, (THREAD_MAP, 0), &[], |content| {
        let mut params: thread_map::make_thread_params::Builder<'_> = content.init_as();
        params.set_name("\u{e9}".repeat(MIB).as_str());
    });
    let made = made.export();
    let name = bench.peer.ask(Target::Export(made), (0x81c1_e260_0d0b_56c5, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    let words = name.results().size_in_words();
    // 4,096 bytes, and what is around them.
    assert!((512..600).contains(&words), "{words}");
}

/// Honest calls that are refused say so and leave the connection as it is.
#[test]
fn a_call_that_is_refused_for_its_size_ends_nothing() {
    let limits = Limits::default().message(2 * MIB).call_bytes(2 * MIB);
    let pair = pair_with(limits);
    let first = pair.lab.bytes(vec![1; MIB]).start();
    assert_eq!(first.wait().unwrap().len(), MIB);
    pair.assert_alive();
}

/// A streaming call that is refused because it brings too many objects leaves no gap: none after it runs.
#[test]
fn a_refused_streaming_call_ends_its_stream() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let pair = multiprocess_tests::sink();
    let limits = Limits::default().objects(8);
    let serving = Connection::builder().limits(limits).serve(pair.sink.clone()).start(theirs);
    let mut peer = RawPeer::new(ours);
    let sink = Target::Bootstrap(peer.bootstrap());
    let note = |peer: &mut RawPeer, number, objects: &[Cap]| {
        peer.call(sink, (SinkClient::ID, 2), objects, |content| {
            content.init_as::<sink::note_params::Builder<'_>>().set_number(number);
        })
    };
    let first = note(&mut peer, 1, &[]);
    // A streaming call may be answered before it runs.
    peer.wait(first).results();
    wait_until("the first has run", || pair.taken.numbers() == [1]);
    let objects: Vec<_> = (0..9).map(Cap::Here).collect();
    let refused = note(&mut peer, 2, &objects);
    let after = note(&mut peer, 3, &[]);
    let refused = peer.wait(refused).exception();
    assert!(refused.contains("more than 8 objects"), "{refused}");
    let after = peer.wait(after).exception();
    assert!(after.contains("(Limits::objects)"), "{after}");
    assert_eq!(pair.taken.numbers(), [1]);
    assert!(serving.unwrap().is_connected());
    assert!(Limit::Objects.times_met() > 0);
}
