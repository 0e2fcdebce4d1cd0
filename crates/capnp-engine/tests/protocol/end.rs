//! The call that ends an object of the peer.

use capnp_engine::{CallKind, CallOptions, Failure, Stage};

use crate::peer::{Peer, empty};

fn returns(peer: &mut Peer, id: u32) {
    peer.send(|root| {
        let mut answer = root.init_return();
        answer.set_answer_id(id);
        answer.set_no_finish_needed(true);
        answer.init_results();
    })
    .unwrap();
}

fn options(tag: u64, kind: CallKind) -> CallOptions {
    CallOptions { tag, kind, ..CallOptions::default() }
}

#[test]
fn it_waits_for_the_others() {
    let mut peer = Peer::new();
    let first = peer.first();
    let cancelled = peer.call(first, options(1, CallKind::Ordinary));
    peer.call(first, options(2, CallKind::Ordinary));
    assert_eq!(peer.engine.in_flight(first), 2);
    peer.engine.cancel(cancelled.call);
    peer.call(first, options(3, CallKind::Destroy));
    assert_eq!(peer.engine.stage(first), Stage::Closing);
    peer.call(first, options(4, CallKind::Interrupt));
    assert_eq!(peer.written(), ["call 0", "call 1", "finish 0, release", "call 3"]);
    for kind in [CallKind::Ordinary, CallKind::Destroy] {
        assert_eq!(peer.engine.call(first, empty(), options(5, kind)).err(), Some(Failure::Closed));
    }
    returns(&mut peer, 1);
    returns(&mut peer, 3);
    assert_eq!(peer.engine.stage(first), Stage::Closing);
    // A cancelled call is in flight until it has returned.
    returns(&mut peer, 0);
    assert_eq!(peer.written().len(), 1);
    assert_eq!(peer.engine.stage(first), Stage::Closed);
    let interrupt = options(6, CallKind::Interrupt);
    assert_eq!(peer.engine.call(first, empty(), interrupt).err(), Some(Failure::Closed));
    peer.engine.release(first);
}

#[test]
fn it_goes_on_when_it_is_cancelled() {
    let mut peer = Peer::new();
    let first = peer.first();
    peer.call(first, options(1, CallKind::Ordinary));
    let destroy = peer.call(first, options(2, CallKind::Destroy));
    peer.engine.cancel(destroy.call);
    peer.engine.release(first);
    peer.drain();
    assert_eq!(peer.written(), ["call 0"]);
    returns(&mut peer, 0);
    assert_eq!(peer.written(), ["call 1"]);
    assert!(peer.over.is_empty());
    returns(&mut peer, 1);
    assert_eq!(peer.over, [2]);
    assert!(peer.engine.sizes().is_empty());
}

#[test]
fn it_waits_for_calls_of_the_promise_that_became_the_object() {
    let mut peer = Peer::new();
    let first = peer.first();
    let pipeline = Some(vec![]);
    let called = peer.call(first, CallOptions { pipeline, ..options(1, CallKind::Ordinary) });
    let promise = called.promise.unwrap();
    peer.call(promise, options(2, CallKind::Ordinary));
    peer.send(|root| {
        let mut answer = root.init_return();
        answer.set_answer_id(0);
        let mut results = answer.init_results();
        results.reborrow().init_cap_table(1).get(0).set_sender_hosted(4);
        let mut table = Default::default();
        crate::peer::set_cap(results.reborrow().get_content(), &mut table);
    })
    .unwrap();
    let object = peer.answers.pop().unwrap().1.unwrap().caps[0].unwrap();
    assert_eq!(peer.engine.resolved(promise), object);
    peer.engine.add_handle(object);
    peer.engine.add_handle(promise);
    assert!(!peer.engine.is_last_handle(object));
    peer.engine.drop_handle(promise);
    assert!(peer.engine.is_last_handle(object));
    peer.written.clear();
    peer.call(object, options(3, CallKind::Destroy));
    assert!(peer.written().is_empty());
    returns(&mut peer, 1);
    assert_eq!(peer.written(), ["call 0"]);
}
