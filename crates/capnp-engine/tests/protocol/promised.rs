//! Promises of results that are asked for after the call was made.

use capnp_engine::{CallOptions, State};

use crate::order::returns;
use crate::peer::Peer;

#[test]
fn calls_of_it_follow_the_call_to_the_peer() {
    let mut peer = Peer::new();
    let first = peer.first();
    let call = peer.call(first, CallOptions::default()).call;
    let promise = peer.engine.promise_in(call, vec![]).expect("the call is under way");
    let again = peer.engine.promise_in(call, vec![]).expect("and so it is");
    peer.call(promise, CallOptions::default());
    // It is sent at once, and not when the first one is answered.
    assert_eq!(peer.written(), ["call 0", "call 1"]);
    returns(&mut peer, 0, |mut to| to.set_sender_hosted(3));
    for promise in [promise, again] {
        assert_eq!(peer.engine.state(promise), State::Peer);
        peer.engine.release(promise);
    }
}

/// One that was called has an embargo, one that was not has none: each for itself.
#[test]
fn it_keeps_the_order_of_the_calls_of_one_that_was_there_before() {
    let mut peer = Peer::new();
    peer.bootstrap(7);
    let first = peer.first();
    let options = CallOptions { pipeline: Some(vec![]), ..CallOptions::default() };
    let called = peer.call(first, options);
    let early = called.promise.expect("it was asked for");
    peer.call(early, CallOptions::default());
    let late = peer.engine.promise_in(called.call, vec![]).expect("the call is under way");
    peer.written();
    returns(&mut peer, 0, |mut to| to.set_receiver_hosted(0));
    assert!(peer.written()[0].starts_with("disembargo"));
    peer.call(early, CallOptions::default());
    assert!(peer.delivered.is_empty(), "it would overtake the first");
    peer.call(late, CallOptions::default());
    assert_eq!(peer.delivered.len(), 1);
}

#[test]
fn of_a_call_of_an_object_of_this_side_it_waits_here() {
    let mut peer = Peer::new();
    let object = peer.engine.object(8);
    let call = peer.call(object, CallOptions::default()).call;
    let promise = peer.engine.promise_in(call, vec![]).expect("the call is under way");
    peer.call(promise, CallOptions::default());
    assert_eq!(peer.delivered.len(), 1);
    assert_eq!(peer.engine.state(promise), State::Waiting);
    let serving = peer.delivered.pop().unwrap().call;
    let result = peer.engine.object(9);
    peer.answer(serving, vec![result]);
    assert_eq!(peer.delivered.len(), 1);
    assert_eq!(peer.delivered[0].object, 9);
}

#[test]
fn there_is_none_of_a_call_that_is_over() {
    let mut peer = Peer::new();
    let first = peer.first();
    let cancelled = peer.call(first, CallOptions::default()).call;
    peer.engine.cancel(cancelled);
    assert!(peer.engine.promise_in(cancelled, vec![]).is_none());
    let answered = peer.call(first, CallOptions::default()).call;
    returns(&mut peer, 1, |mut to| to.set_sender_hosted(3));
    assert!(peer.engine.promise_in(answered, vec![]).is_none());
    assert_eq!(peer.engine.sizes().questions, 1, "the one that the peer has not ended");
}
