//! Peers that break the protocol, or use up what they can: each loses its own connection or its
//! own call, and another peer still gets answers.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capnp::any_pointer;
use multiprocess::{Connection, Error, Limits};
use multiprocess_tests::generated::lab_capnp::{callback, counter, lab};
use multiprocess_tests::generated::proxy_capnp::{context, thread_map};
use multiprocess_tests::raw::{
    Answer, COUNTER, Cap, LAB, RawPeer, THREAD, THREAD_MAP, Target, bytes_of, call_bytes, cap,
};
use multiprocess_tests::{LabServer, Pair, Relay, pair, pair_with, wait_until};

/// A lab that serves a raw peer, and a well-behaved one.
struct Bench {
    server: Arc<LabServer>,
    serving: Connection,
    peer: RawPeer,
    other: Pair,
}

fn bench() -> Bench {
    bench_with(Limits::default())
}

fn bench_with(limits: Limits) -> Bench {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = LabServer::new();
    let serving =
        Connection::builder().limits(limits).serve(server.client()).start(theirs).unwrap();
    let other = pair();
    Bench { server, serving, peer: RawPeer::new(ours), other }
}

impl Bench {
    /// The connection is over, by the peer's fault, and only that.
    #[track_caller]
    fn assert_closed(&mut self) {
        wait_until("the connection is closed", || !self.serving.is_connected());
        assert!(self.peer.is_closed());
        self.other.assert_alive();
        assert!(self.serving.drain(Duration::from_secs(60)));
    }

    fn misbehaved(&self) -> bool {
        matches!(self.serving.end_reason(), Some(Error::PeerMisbehaved { .. }))
    }

    fn lab(&mut self) -> Target {
        Target::Bootstrap(self.peer.bootstrap())
    }

    /// The number of the lab's ThreadMap.
    fn thread_map(&mut self, lab: Target) -> Target {
        let answer = self.peer.ask(lab, (LAB, 0), &[], |content| {
            content.init_as::<lab::construct_params::Builder<'_>>();
        });
        Target::Export(answer.export())
    }

    fn make_thread(&mut self, threads: Target) -> Answer {
        self.peer.ask(threads, (THREAD_MAP, 0), &[], |content| {
            content.init_as::<thread_map::make_thread_params::Builder<'_>>().set_name("raw");
        })
    }

    fn make_pool(&mut self, threads: Target, count: u32) -> Answer {
        self.peer.ask(threads, (THREAD_MAP, 1), &[], |content| {
            content.init_as::<thread_map::make_pool_params::Builder<'_>>().set_count(count);
        })
    }

    fn add(&mut self, lab: Target, caps: &[Cap]) -> Answer {
        let question = self.peer.call(lab, (LAB, 1), caps, |content| add(content, 1, 2, caps));
        self.peer.wait(question)
    }

    /// The peer still gets answers.
    #[track_caller]
    fn assert_alive(&mut self, lab: Target) {
        let question = self.peer.call(lab, (LAB, 2), &[], add_inline);
        self.peer.wait(question).results();
        self.other.assert_alive();
    }
}

fn add(content: any_pointer::Builder<'_>, a: i32, b: i32, caps: &[Cap]) {
    let mut params: lab::add_params::Builder<'_> = content.init_as();
    params.set_a(a);
    params.set_b(b);
    on_thread(params.init_context(), caps);
}

/// The first capability is the thread, the second the thread for callbacks.
fn on_thread(mut context: context::Builder<'_>, caps: &[Cap]) {
    if !caps.is_empty() {
        context.set_thread(cap());
    }
    if caps.len() > 1 {
        context.set_callback_thread(cap());
    }
}

fn add_inline(content: any_pointer::Builder<'_>) {
    content.init_as::<lab::add_inline_params::Builder<'_>>();
}

fn block(content: any_pointer::Builder<'_>, name: &str, caps: &[Cap]) {
    let mut params: lab::block_params::Builder<'_> = content.init_as();
    params.set_name(name);
    on_thread(params.init_context(), caps);
}

// ---- bytes

#[test]
fn garbage() {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for round in 0..50 {
        let mut bench = bench();
        let bytes: Vec<u8> = (0..4096)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
                (state >> 56) as u8
            })
            .collect();
        // It may be closed before all is written.
        let _ = bench.peer.send_bytes(&bytes);
        let _ = bench.peer.stream.shutdown(Shutdown::Write);
        bench.assert_closed();
    }
}

#[test]
fn ones_and_zeros() {
    let mut bench = bench();
    let _ = bench.peer.send_bytes(&[0xff; 64]);
    bench.assert_closed();
    assert!(bench.misbehaved());
    // Zeros are empty messages, which say nothing that is known.
    let mut bench = self::bench();
    let _ = bench.peer.send_bytes(&[0; 64]);
    let _ = bench.peer.stream.shutdown(Shutdown::Write);
    bench.assert_closed();
}

#[test]
fn damaged_messages() {
    // Every byte of a good conversation, damaged in turn.
    let good = {
        let mut bytes = bytes_of(|message| message.init_bootstrap().set_question_id(1));
        bytes.extend(call_bytes(2, Target::Bootstrap(1), (LAB, 2), &[], add_inline));
        bytes
    };
    let other = pair();
    let server = LabServer::new();
    for place in 0..good.len() {
        for damage in [0xff, 0x01, 0x80] {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
            let mut bytes = good.clone();
            bytes[place] ^= damage;
            let _ = ours.write_all(&bytes);
            let _ = ours.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            let _ = ours.read_to_end(&mut answer);
            wait_until("closed", || !serving.is_connected());
        }
    }
    other.assert_alive();
}

#[test]
fn a_message_that_begins_and_does_not_go_on() {
    let limits = Limits { partial_message: Duration::from_millis(50), ..Limits::default() };
    for bytes in [
        // One segment of 63 MiB.
        [0, 0, 0, 0].into_iter().chain((63u32 << 17).to_le_bytes()).collect(),
        vec![0],
        vec![0, 0, 0, 0, 2, 0, 0, 0, 1],
    ] {
        let mut bench = bench_with(limits.clone());
        bench.peer.send_bytes(&bytes).unwrap();
        bench.assert_closed();
        assert!(bench.misbehaved());
    }
}

#[test]
fn a_peer_whose_messages_always_come_in_halves_is_not_cut_off() {
    let limit = Duration::from_secs(2);
    let mut bench = bench_with(Limits { partial_message: limit, ..Limits::default() });
    let lab = bench.lab();
    let call = |question| call_bytes(question, lab, (LAB, 2), &[], add_inline);
    let mut question = bench.peer.question();
    let mut half = call(question);
    let mut rest = half.split_off(20);
    bench.peer.send_bytes(&half).unwrap();
    let start = Instant::now();
    while start.elapsed() < limit * 3 / 2 {
        let next = bench.peer.question();
        half = call(next);
        let next_rest = half.split_off(20);
        bench.peer.send_bytes(&[rest, half].concat()).unwrap();
        bench.peer.wait(question).results();
        (question, rest) = (next, next_rest);
    }
    assert!(bench.serving.is_connected());
}

#[test]
fn a_message_one_byte_at_a_time() {
    let mut bench = bench();
    let lab = bench.lab();
    let question = bench.peer.question();
    for byte in call_bytes(question, lab, (LAB, 2), &[], add_inline) {
        bench.peer.send_bytes(&[byte]).unwrap();
    }
    bench.peer.wait(question).results();
}

#[test]
fn too_many_segments() {
    for count in [512u32, 513, 4096, u32::MAX] {
        let mut bench = bench();
        let _ = bench.peer.send_bytes(&(count).to_le_bytes());
        let _ = bench.peer.send_bytes(&[0; 4096]);
        bench.assert_closed();
        assert!(bench.misbehaved());
    }
}

#[test]
fn an_oversized_message() {
    let mut bench = bench_with(Limits { message: 1 << 20, ..Limits::default() });
    let lab = bench.lab();
    let data = vec![0u8; 2 << 20];
    let _ = bench.peer.try_call(lab, (LAB, 16), &[], |content| {
        content.init_as::<lab::bytes_params::Builder<'_>>().set_data(&data);
    });
    bench.assert_closed();
    assert!(bench.misbehaved());
}

#[test]
fn a_list_of_nothing() {
    let mut bench = bench();
    let lab = bench.lab();
    let question = bench.peer.question();
    let mut bytes = bytes_of(|message| {
        let mut call = message.init_call();
        call.set_question_id(question);
        call.set_interface_id(LAB);
        call.set_method_id(2);
        let Target::Bootstrap(bootstrap) = lab else { unreachable!() };
        call.reborrow().init_target().init_promised_answer().set_question_id(bootstrap);
        call.init_params().reborrow().init_cap_table(0x1234);
    });
    // The table's pointer becomes a list of 2^29 - 1 structs of no words.
    let tag = bytes.windows(8).position(|word| word == tag_of(0x1234)).unwrap();
    bytes[tag..tag + 8].copy_from_slice(&tag_of((1 << 29) - 1));
    let _ = bench.peer.send_bytes(&bytes);
    let _ = bench.peer.stream.shutdown(Shutdown::Write);
    bench.assert_closed();
}

/// The tag of a list of `count` capability descriptors that have no size.
fn tag_of(count: u64) -> [u8; 8] {
    // Of the real size to find it: 1 word of data and 1 pointer.
    let size: u64 = if count == 0x1234 { (1 << 32) | (1 << 48) } else { 0 };
    ((count << 2) | size).to_le_bytes()
}

#[test]
fn messages_of_other_kinds_about_nothing() {
    // Each about something that is not there: an error at most of this connection.
    type Write = fn(capnp_rpc::rpc_capnp::message::Builder<'_>);
    let writes: [Write; 8] = [
        |message| message.init_return().set_answer_id(7),
        |message| message.init_finish().set_question_id(7),
        |message| message.init_resolve().set_promise_id(7),
        |message| message.init_release().set_id(7),
        |message| message.init_disembargo().init_context().set_sender_loopback(7),
        |message| message.init_disembargo().init_context().set_receiver_loopback(7),
        |message| message.init_abort().set_reason("enough"),
        |message| message.init_unimplemented().init_call().set_question_id(7),
    ];
    for write in writes {
        let mut bench = bench();
        let _ = bench.peer.send(write);
        let _ = bench.peer.stream.shutdown(Shutdown::Write);
        bench.assert_closed();
    }
}

// ---- threads

#[test]
fn no_thread_and_no_pool() {
    let mut bench = bench();
    let lab = bench.lab();
    let text = bench.add(lab, &[]).exception();
    assert_eq!(text, "no thread specified and no pool configured");
    bench.assert_alive(lab);
}

#[test]
fn a_pool_serves_calls_that_name_no_thread() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    bench.make_pool(threads, 3).results();
    for _ in 0..10 {
        bench.add(lab, &[]).results();
    }
    // As many at once as it has threads, and the rest after.
    let blocks = [(); 5].map(|()| bench.peer.call(lab, (LAB, 11), &[], |c| block(c, "pool", &[])));
    wait_until("three run", || bench.server.blocked() == 3);
    bench.server.let_go("pool");
    for question in blocks {
        bench.peer.wait(question).results();
    }
    let text = bench.make_pool(threads, 3).exception();
    assert!(text.contains("pool already"), "{text}");
    bench.assert_alive(lab);
}

#[test]
fn pools_of_a_size_that_makes_no_sense() {
    for count in [0, 3000, u32::MAX] {
        let mut bench = bench();
        let lab = bench.lab();
        let threads = bench.thread_map(lab);
        bench.make_pool(threads, count).exception();
        bench.make_pool(threads, 2).results();
        bench.add(lab, &[]).results();
        bench.assert_alive(lab);
    }
}

#[test]
fn threads_that_are_none() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let Target::Export(map) = threads else { unreachable!() };
    let counter = {
        let thread = bench.make_thread(threads).export();
        bench
            .peer
            .ask(lab, (LAB, 13), &[Cap::There(thread)], |content| {
                let params: lab::make_counter_params::Builder<'_> = content.init_as();
                on_thread(params.init_context(), &[Cap::There(thread)]);
            })
            .export()
    };
    let made_up = [
        Cap::Here(5),
        Cap::There(map),
        Cap::There(counter),
        Cap::There(9999),
        Cap::Answer(lab_question(lab)),
    ];
    for thread in made_up {
        let text = bench.add(lab, &[thread]).exception();
        assert_eq!(text, "invalid thread handle");
        bench.assert_alive(lab);
    }
}

fn lab_question(lab: Target) -> u32 {
    match lab {
        Target::Bootstrap(question) => question,
        _ => unreachable!(),
    }
}

#[test]
fn a_thread_that_never_resolves_holds_up_only_its_call() {
    let mut bench = bench();
    let lab = bench.lab();
    let caps = [Cap::Promise(3)];
    let question = bench.peer.call(lab, (LAB, 1), &caps, |content| add(content, 1, 2, &caps));
    bench.assert_alive(lab);
    // The end of the connection ends the call.
    bench.peer.finish(question);
    bench.assert_alive(lab);
    bench.peer.stream.shutdown(Shutdown::Both).unwrap();
    bench.assert_closed();
}

#[test]
fn a_thread_is_used_by_its_maker() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = bench.make_thread(threads).export();
    for _ in 0..3 {
        bench.add(lab, &[Cap::There(thread)]).results();
    }
    let used = bench.server.take_threads();
    assert!(used.len() == 3 && used.iter().all(|id| *id == used[0]));
    let name = bench.peer.ask(Target::Export(thread), (THREAD, 0), &[], |_| ()).results();
    drop(name);
    bench.peer.release(thread);
    let text = bench.add(lab, &[Cap::There(thread)]).exception();
    assert_eq!(text, "invalid thread handle");
    bench.assert_alive(lab);
}

#[test]
fn calls_on_one_thread_run_first_in_first_out() {
    for batch in [false, true] {
        let mut bench = bench();
        let lab = bench.lab();
        let threads = bench.thread_map(lab);
        let thread = Cap::There(bench.make_thread(threads).export());
        if batch {
            bench.peer.gather();
        }
        let first = bench.peer.call(lab, (LAB, 11), &[thread], |c| block(c, "first", &[thread]));
        let questions: Vec<_> = (0..100)
            .map(|i| bench.peer.call(lab, (LAB, 1), &[thread], |c| add(c, i, 0, &[thread])))
            .collect();
        if batch {
            bench.peer.send_gathered().unwrap();
        }
        wait_until("the first runs", || bench.server.is_blocked("first"));
        assert!(bench.server.sums().is_empty());
        bench.server.let_go("first");
        bench.peer.wait(first).results();
        for question in questions {
            bench.peer.wait(question).results();
        }
        assert_eq!(bench.server.sums(), (0..100).collect::<Vec<_>>());
    }
}

#[test]
fn calls_on_a_thread_that_is_not_there_yet_run_first_in_first_out() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    bench.peer.gather();
    let made = bench.peer.call(threads, (THREAD_MAP, 0), &[], |content| {
        content.init_as::<thread_map::make_thread_params::Builder<'_>>().set_name("raw");
    });
    let thread = Cap::Answer(made);
    let questions: Vec<_> = (0..100)
        .map(|i| bench.peer.call(lab, (LAB, 1), &[thread], |c| add(c, i, 0, &[thread])))
        .collect();
    bench.peer.send_gathered().unwrap();
    for question in questions {
        bench.peer.wait(question).results();
    }
    assert_eq!(bench.server.sums(), (0..100).collect::<Vec<_>>());
}

#[test]
fn too_many_threads_are_refused() {
    let limits = Limits { threads: 20, ..Limits::default() };
    let mut bench = bench_with(limits);
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let made: Vec<_> = (0..20).map(|_| bench.make_thread(threads).export()).collect();
    for _ in 0..1980 {
        let text = bench.make_thread(threads).exception();
        assert_eq!(text, "more than 20 threads on one connection");
    }
    // The ones that were made serve, and one that is let go makes room.
    bench.add(lab, &[Cap::There(made[7])]).results();
    bench.peer.release(made[3]);
    let again = bench.make_thread(threads);
    drop(again);
    bench.assert_alive(lab);
}

#[test]
fn a_client_with_too_many_threads_is_told_so_and_goes_on_later() {
    let pair = pair_with(Limits { threads: 2, ..Limits::default() });
    let hold = |name: &'static str| {
        let lab = pair.lab.clone();
        std::thread::spawn(move || lab.block(name).wait())
    };
    let (one, other) = (hold("one"), hold("other"));
    wait_until("both run", || pair.server.blocked() == 2);
    for _ in 0..3 {
        let error = pair.lab.add(1, 2).wait().unwrap_err();
        assert!(matches!(error, Error::Overloaded { .. }), "{error}");
        let error = futures_executor::block_on(pair.lab.add(1, 2)).unwrap_err();
        assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    }
    for (name, thread) in [("one", one), ("other", other)] {
        pair.server.let_go(name);
        assert!(thread.join().unwrap().unwrap());
    }
    wait_until("there is room again", || pair.lab.add(1, 2).wait().is_ok());
    wait_until("there too", || futures_executor::block_on(pair.lab.add(1, 2)).is_ok());
}

// ---- calls

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
    let mut bench = bench_with(Limits { calls: 10, ..Limits::default() });
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
    let mut bench = bench_with(Limits { calls: 100, unsent: 1 << 20, ..Limits::default() });
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
    let mut bench = bench_with(Limits { unsent: 1 << 20, ..Limits::default() });
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
    let mut bench = bench_with(Limits { calls: 50, ..Limits::default() });
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = Cap::There(bench.make_thread(threads).export());
    let first = bench.peer.call(lab, (LAB, 11), &[thread], |c| block(c, "first", &[thread]));
    wait_until("it runs", || bench.server.is_blocked("first"));
    bench.peer.finish(first);
    wait_until("its token fired", || bench.server.was_cancelled("first"));
    for round in 0..10_000 {
        // Cancelled before it starts, while it runs, or after: as it happens.
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
    let pair = pair_with(Limits { calls: 2000, ..Limits::default() });
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

// ---- promises

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
    // Whatever comes of it, it is over when the connection is.
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

// ---- a peer that dies

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
