//! Long chains, in which each element waits for the one before: the stack must not grow with them.

use capnp_engine::{CallId, CallOptions, Draft, Exception, Heap, Limits};

use crate::peer::{Peer, empty};

const LENGTH: u32 = 20_000;

fn chain() -> Peer {
    let many = 2 * LENGTH as usize;
    let mut peer = Peer::limited(Limits { unanswered: many, unfinished: many, ..Limits::NONE });
    peer.bootstrap(7);
    for id in 0..LENGTH {
        peer.send(|root| {
            let mut call = root.init_call();
            call.set_question_id(id);
            let mut target = call.init_target();
            match id {
                0 => target.set_imported_cap(0),
                _ => target.init_promised_answer().set_question_id(id - 1),
            }
        })
        .unwrap();
    }
    assert_eq!(peer.delivered.len(), 1);
    peer
}

#[test]
fn a_chain_of_the_peers_fails() {
    let mut peer = chain();
    let first = peer.delivered.pop().unwrap();
    peer.engine.answer(first.call, Err(Exception::failed("no")));
    peer.drain();
    assert_eq!(peer.written.len(), LENGTH as usize);
    assert!(peer.written.iter().all(|written| written.ends_with(": no")));
}

#[test]
fn a_chain_of_the_peers_is_cancelled() {
    let mut peer = chain();
    for id in (0..LENGTH).rev() {
        peer.finish(id);
    }
    let first = peer.delivered.pop().unwrap();
    peer.answer(first.call, vec![]);
    assert_eq!(peer.written.len(), LENGTH as usize);
    assert!(peer.written.iter().all(|written| written.ends_with(": canceled")));
    assert_eq!(peer.engine.sizes().answers, 0);
}

#[test]
fn a_chain_of_the_peers_is_cancelled_from_its_beginning() {
    let mut peer = chain();
    for id in 0..LENGTH {
        peer.finish(id);
    }
    assert_eq!(peer.written.len(), LENGTH as usize - 1);
    let first = peer.delivered.pop().unwrap();
    peer.answer(first.call, vec![]);
    assert_eq!(peer.engine.sizes().answers, 0);
}

/// Calls that this side makes of an object of its own.
fn own_chain() -> (Peer, capnp_engine::Cap, Vec<CallId>) {
    let mut peer = Peer::new();
    let object = peer.engine.object(7);
    let mut next = object;
    let mut calls = vec![];
    for tag in 0..u64::from(LENGTH) {
        let options = CallOptions { tag, pipeline: Some(vec![]), ..CallOptions::default() };
        let called = peer.engine.call(next, empty(), options).unwrap();
        peer.engine.release(next);
        next = called.promise.unwrap();
        calls.push(called.call);
    }
    peer.drain();
    (peer, next, calls)
}

#[test]
fn a_chain_of_this_sides_fails() {
    let (mut peer, last, _) = own_chain();
    let first = peer.delivered.pop().unwrap();
    peer.answer(first.call, vec![]);
    assert_eq!(peer.answers.len(), LENGTH as usize);
    // In the order in which they failed.
    assert!(peer.answers.iter().map(|(tag, _)| *tag).eq(0..u64::from(LENGTH)));
    peer.engine.release(last);
    assert!(peer.engine.sizes().is_empty());
}

#[test]
fn a_chain_of_this_sides_is_cancelled() {
    let (mut peer, last, calls) = own_chain();
    peer.engine.cancel(calls[0]);
    peer.drain();
    assert_eq!(peer.answers.len(), LENGTH as usize - 1);
    peer.engine.release(last);
    assert!(peer.engine.sizes().is_empty());
}

#[test]
fn parameters_within_parameters_are_let_go_of() {
    let mut peer = Peer::new();
    let object = peer.engine.object(7);
    let called = peer
        .engine
        .call(object, empty(), CallOptions { pipeline: Some(vec![]), ..CallOptions::default() })
        .unwrap();
    let mut next = called.promise.unwrap();
    let first = next;
    for _ in 0..LENGTH {
        // A call that waits, with the promise before it as its parameter.
        let draft = Draft::call(&Heap, (1, 0), |mut to| {
            to.set_as_capability(capnp_engine::cap_hook(0));
            Ok::<_, ()>(vec![Some(next)])
        });
        let options = CallOptions { pipeline: Some(vec![]), ..CallOptions::default() };
        next = peer.engine.call(first, draft.unwrap(), options).unwrap().promise.unwrap();
    }
    peer.drain();
    let served = peer.delivered.pop().unwrap();
    peer.engine.answer(served.call, Err(Exception::failed("no")));
    peer.drain();
    peer.engine.release(next);
    peer.engine.release(object);
    peer.drain();
    assert!(peer.engine.sizes().is_empty(), "{:?}", peer.engine.sizes());
}
