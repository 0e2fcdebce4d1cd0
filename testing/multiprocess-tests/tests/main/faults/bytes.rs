//! Bytes that are not messages, and empty messages.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use multiprocess::{Connection, Limits};
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::raw::{LAB, Target, bytes_of, call_bytes};
use multiprocess_tests::{LabServer, pair, wait_until};

use super::{add_inline, bench, bench_with};

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
    // Zeros are empty messages, of no known kind.
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
    let limits = Limits::default().partial_message(Duration::from_millis(50));
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
    let mut bench = bench_with(Limits::default().partial_message(limit));
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
    let mut bench = bench_with(Limits::default().message(1 << 20));
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
    // With the real size, to find the tag: 1 word of data and 1 pointer.
    let size: u64 = if count == 0x1234 { (1 << 32) | (1 << 48) } else { 0 };
    ((count << 2) | size).to_le_bytes()
}

#[test]
fn messages_of_other_kinds_about_nothing() {
    // Each names something that does not exist: at most an error of this connection.
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
