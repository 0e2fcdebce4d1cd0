//! Texts of the peer's errors: they are cut where they are read, and what is kept of them is counted.

use capnp_engine::{CallOptions, Cap, Exceeded, Exception, Failure, Fatal, Limits, State};
use capnp_rpc::rpc_capnp::exception;

use crate::peer::Peer;

const LONGEST: usize = Exception::LONGEST;

/// What becomes of a text: all of it, or its beginning with the mark.
fn is_cut(read: &str, sent: &str) {
    let kept = read.strip_suffix("… (cut off)").expect("the mark");
    assert!(sent.starts_with(kept));
    // A character has four bytes at most.
    assert!((LONGEST - 3..=LONGEST).contains(&kept.len()), "{} bytes", kept.len());
}

fn fails(peer: &mut Peer, id: u32, reason: &str) {
    peer.send(|root| {
        let mut answer = root.init_return();
        answer.set_answer_id(id);
        answer.init_exception().set_reason(reason);
    })
    .unwrap();
}

/// The reason of a call of this side that fails with this one.
fn failed_with(write: impl FnOnce(exception::Builder<'_>)) -> String {
    let mut peer = Peer::new();
    let first = peer.first();
    peer.call(first, CallOptions::default());
    peer.send(|root| {
        let mut answer = root.init_return();
        answer.set_answer_id(0);
        write(answer.init_exception());
    })
    .unwrap();
    let Some((_, Err(Failure::Exception(error)))) = peer.answers.pop() else { panic!("no error") };
    error.reason.clone()
}

/// One byte in front moves the boundaries between characters.
#[test]
fn errors_of_calls() {
    for (unit, count) in
        [("a", LONGEST), ("ä", LONGEST / 2), ("€", LONGEST / 3), ("𝄞", LONGEST / 4)]
    {
        let full = "b".repeat(LONGEST - count * unit.len()) + &unit.repeat(count);
        assert_eq!(failed_with(|mut error| error.set_reason(full.as_str())), full);
        for front in ["", "b", "bb", "bbb"] {
            let long = front.to_owned() + &unit.repeat(10 * count);
            is_cut(&failed_with(|mut error| error.set_reason(long.as_str())), &long);
        }
    }
}

/// Bytes that are no UTF-8 are longer as text.
#[test]
fn errors_that_are_no_text() {
    let bytes = vec![0xff; LONGEST];
    let reason = failed_with(|mut error| error.set_reason(capnp::text::Reader::from(&bytes[..])));
    is_cut(&reason, &String::from_utf8_lossy(&bytes));
    let reason =
        failed_with(|mut error| error.set_reason(capnp::text::Reader::from(&b"a\xff"[..])));
    assert_eq!(reason, "a\u{fffd}");
}

#[test]
fn errors_of_promises() {
    let mut peer = Peer::new();
    let promise = promised(&mut peer, 3);
    let long = "no".repeat(LONGEST);
    peer.send(|root| {
        let mut resolve = root.init_resolve();
        resolve.set_promise_id(3);
        resolve.init_exception().set_reason(long.as_str());
    })
    .unwrap();
    let State::Broken(failure) = peer.engine.state(promise) else { panic!("not broken") };
    is_cut(&failure.to_string(), &long);
}

/// A promise of the peer's that the user holds.
fn promised(peer: &mut Peer, id: u32) -> Cap {
    let first = peer.first();
    peer.call(first, CallOptions::default());
    peer.send(|root| {
        let mut answer = root.init_return();
        answer.set_answer_id(0);
        answer.init_results().init_cap_table(1).get(0).set_sender_promise(id);
    })
    .unwrap();
    peer.answers.pop().unwrap().1.unwrap().caps[0].unwrap()
}

#[test]
fn the_reason_of_an_abort() {
    let long = "no".repeat(LONGEST);
    let result = Peer::new().send(|root| root.init_abort().set_reason(long.as_str()));
    let Err(Fatal::Aborted(reason)) = result else { panic!("{result:?}") };
    is_cut(&reason, &long);
}

/// A peer that calls its own object by way of this side, where the errors stay until it finishes the calls.
#[test]
fn errors_that_are_kept() {
    const KIB: usize = 1024;
    let mut peer = Peer::limited(Limits { bytes: 25 * KIB, ..Limits::NONE });
    let there = peer.first();
    peer.engine.set_bootstrap(there);
    peer.send(|root| root.init_bootstrap().set_question_id(1)).unwrap();
    peer.written.clear();
    let long = "no".repeat(5 * KIB);
    let before = peer.engine.held_bytes();
    for (nth, id) in (2..6).enumerate() {
        calls_answer(&mut peer, id, 1);
        assert_eq!(peer.written(), ["call 0"]);
        fails(&mut peer, 0, &long);
        assert_eq!(peer.written(), ["finish 0".to_owned(), format!("return {id}: {long}")]);
        let held = peer.engine.held_bytes() - before;
        assert!(held >= nth.min(1) * 10 * KIB && held <= 25 * KIB, "{held} bytes");
    }
    // The first two are kept.
    assert_eq!(peer.refused, [(None, Exceeded::Bytes); 2]);
    calls_answer(&mut peer, 10, 3);
    assert_eq!(peer.written(), [format!("return 10: {long}")]);
    peer.finish(10);
    calls_answer(&mut peer, 11, 4);
    let instead = "more than 25600 bytes of results are kept on one connection";
    assert_eq!(peer.written(), [format!("return 11: {instead}")]);
    (2..6).chain([11]).for_each(|id| peer.finish(id));
    assert_eq!(peer.engine.held_bytes(), before);
}

fn calls_answer(peer: &mut Peer, id: u32, question: u32) {
    peer.send(|root| {
        let mut call = root.init_call();
        call.set_question_id(id);
        call.init_target().init_promised_answer().set_question_id(question);
    })
    .unwrap();
}
