//! Promises of the peer's that are kept here, resolved or not, and what waits at them: at each of their
//! limits, and one beyond it.

use capnp_engine::{CallOptions, Cap, Exceeded, Fatal, Limits, Payload, State};

use crate::order::{calls, leads_back, resolves, returns};
use crate::peer::Peer;

/// Why calls are refused with a limit of three objects.
const TOO_MANY: &str = "more than 3 objects on one connection";

fn three() -> (Peer, Cap) {
    ready(Limits { objects: 3, ..Limits::NONE })
}

fn ready(limits: Limits) -> (Peer, Cap) {
    let mut peer = Peer::limited(limits);
    peer.bootstrap(7);
    let first = peer.first();
    (peer, first)
}

/// Calls the peer, which returns a promise with this id.
fn asks(peer: &mut Peer, first: Cap, id: u32) -> Cap {
    let call = peer.call(first, CallOptions::default());
    returns(peer, 0, |mut to| to.set_sender_promise(id));
    assert!(!peer.engine.is_open(call.call));
    peer.answers.pop().unwrap().1.unwrap().caps[0].unwrap()
}

/// The peer calls with one capability as its argument, which the user keeps, or is refused.
fn gives_promise(peer: &mut Peer, question: u32, id: u32) -> Option<Cap> {
    peer.send(|root| {
        let mut call = root.init_call();
        call.set_question_id(question);
        call.reborrow().init_target().set_imported_cap(0);
        call.init_params().init_cap_table(1).get(0).set_sender_promise(id);
    })
    .unwrap();
    let Payload { caps, .. } = peer.delivered.pop()?.params;
    caps[0]
}

fn breaks(peer: &mut Peer, id: u32) {
    peer.send(|root| {
        let mut resolve = root.init_resolve();
        resolve.set_promise_id(id);
        resolve.init_exception().set_reason("broken");
    })
    .unwrap();
}

fn is_broken(peer: &Peer, cap: Cap, reason: &str) {
    let State::Broken(failure) = peer.engine.state(cap) else { panic!("not broken") };
    assert_eq!(failure.to_string(), reason);
}

/// A promise that has resolved takes none of the peer's ids any more, but it is there.
#[test]
fn promises_that_have_failed() {
    let (mut peer, _) = three();
    let mut held = vec![];
    for id in 1..=3 {
        let cap = gives_promise(&mut peer, id, id).unwrap();
        breaks(&mut peer, id);
        is_broken(&peer, cap, "broken");
        held.push(cap);
    }
    // Beside the first object.
    assert_eq!((peer.engine.promises(), peer.engine.sizes().imports), (3, 1));
    // One more counts as an object, also when it has failed.
    for id in 4..=5 {
        let cap = gives_promise(&mut peer, id, id).unwrap();
        breaks(&mut peer, id);
        assert_eq!(peer.engine.state(cap), State::Peer);
        held.push(cap);
    }
    assert_eq!((peer.engine.promises(), peer.engine.sizes().imports), (3, 3));
    peer.written.clear();
    assert!(gives_promise(&mut peer, 6, 6).is_none());
    assert_eq!(peer.written(), ["release 6 1".to_owned(), format!("return 6: {TOO_MANY}")]);
    // Where one is released, there is room.
    peer.engine.release(held[0]);
    assert_eq!(peer.engine.promises(), 2);
    peer.engine.release(held[4]);
    let cap = gives_promise(&mut peer, 7, 7).unwrap();
    breaks(&mut peer, 7);
    is_broken(&peer, cap, "broken");
}

/// Calls of a promise that is taken for an object are the peer's to pass on, whatever it resolves to.
#[test]
fn a_promise_beyond_the_limit() {
    let (mut peer, first) = three();
    for id in 1..=3 {
        asks(&mut peer, first, id);
    }
    let fourth = asks(&mut peer, first, 4);
    peer.written.clear();
    resolves(&mut peer, 4, |mut to| to.set_receiver_hosted(0));
    resolves(&mut peer, 4, |mut to| to.set_sender_promise(5));
    assert_eq!(peer.written(), ["release 5 1"]);
    peer.call(fourth, CallOptions::default());
    assert_eq!(peer.written(), ["call 0"]);
    peer.engine.release(fourth);
    returns(&mut peer, 0, |mut to| to.set_none(()));
    assert_eq!(peer.written(), ["finish 0", "release 4 1"]);
}

#[test]
fn promises_that_resolve_each_to_the_next() {
    const LONGEST: u32 = 128;
    let (mut peer, first) = ready(Limits::default());
    let start = peer.engine.sizes().capabilities;
    let promise = asks(&mut peer, first, 1);
    for id in 1..=LONGEST {
        resolves(&mut peer, id, |mut to| to.set_sender_promise(id + 1));
        assert_eq!(peer.engine.promises(), id as usize + 1);
    }
    peer.call(promise, CallOptions::default());
    returns(&mut peer, 0, |mut to| to.set_none(()));
    assert_eq!(peer.engine.state(promise), State::Peer);
    peer.written.clear();
    let last = LONGEST + 1;
    resolves(&mut peer, last, |mut to| to.set_sender_promise(last + 1));
    assert!(peer.written().contains(&format!("release {} 1", last + 1)));
    is_broken(&peer, promise, "more than 128 promises resolved each to the next");
    peer.engine.release(promise);
    assert_eq!((peer.engine.promises(), peer.engine.sizes().capabilities), (0, start));
}

/// The end of a chain may be an object.
#[test]
fn the_longest_chain_resolves() {
    let (mut peer, first) = ready(Limits::default());
    let promise = asks(&mut peer, first, 1);
    (1..=128).for_each(|id| resolves(&mut peer, id, |mut to| to.set_sender_promise(id + 1)));
    resolves(&mut peer, 129, |mut to| to.set_receiver_hosted(0));
    assert_eq!(peer.engine.state(promise), State::Object(7));
}

/// A chain of promises of which each is the result of a question that is over: the peer calls its own
/// object by way of this side, where the results stay, and answers each call with the promise of the next.
#[test]
fn a_chain_of_results_that_are_finished() {
    let (mut peer, first) = three();
    peer.engine.set_bootstrap(first);
    peer.send(|root| root.init_bootstrap().set_question_id(1)).unwrap();
    let asks = |peer: &mut Peer, id: u32| {
        peer.send(|root| {
            let mut call = root.init_call();
            call.set_question_id(id);
            call.reborrow().init_target().init_promised_answer().set_question_id(1);
            call.init_send_results_to().set_yourself(());
        })
        .unwrap();
    };
    asks(&mut peer, 2);
    for id in 2..10 {
        // This side has forwarded it as this question.
        let question = id % 2;
        asks(&mut peer, id + 1);
        peer.written.clear();
        returns(&mut peer, question, |to| to.init_receiver_answer().set_question_id(id + 1));
        assert_eq!(peer.written()[1], format!("return {id}: elsewhere"));
        if id > 2 {
            peer.finish(id);
        }
        let kept = (id as usize - 1).min(3);
        assert_eq!(peer.engine.promises(), kept, "with question {id}");
    }
    assert!(peer.refused.contains(&(None, Exceeded::Objects)));
}

#[test]
fn promises_of_one_answer() {
    let (mut peer, _) = three();
    calls(&mut peer, 0, |mut target| target.set_imported_cap(0));
    let served = peer.delivered.pop().unwrap().call;
    let field = |peer: &mut Peer, id: u32, field: u16| {
        calls(peer, id, |target| {
            let mut answer = target.init_promised_answer();
            answer.set_question_id(0);
            answer.init_transform(1).get(0).set_get_pointer_field(field);
        });
    };
    (1..=3).for_each(|id| field(&mut peer, id, id as u16));
    assert!(peer.written().is_empty());
    // The same ones again, and another.
    field(&mut peer, 4, 1);
    assert!(peer.written().is_empty());
    field(&mut peer, 5, 5);
    assert_eq!(peer.written(), [format!("return 5: {TOO_MANY}")]);
    assert_eq!(peer.refused, [(None, Exceeded::Objects)]);
    peer.answer(served, vec![]);
    (0..=5).for_each(|id| peer.finish(id));
    assert_eq!(peer.engine.promises(), 0);
}

/// A promise whose calls wait for the peer to end an embargo has no id of the peer's, and nobody else may
/// hold it.
#[test]
fn promises_with_an_embargo() {
    let (mut peer, first) = three();
    let embargo = |peer: &mut Peer, id: u32| {
        let promise = asks(peer, first, id);
        peer.call(promise, CallOptions::default());
        returns(peer, 0, |mut to| to.set_none(()));
        resolves(peer, id, |mut to| to.set_receiver_hosted(0));
        peer.engine.release(promise);
        peer.drain();
        (peer.engine.promises(), peer.engine.sizes().embargoes)
    };
    assert_eq!([1, 2, 3].map(|id| embargo(&mut peer, id)), [(1, 1), (2, 2), (3, 3)]);
    // It is taken for an object, whose calls need no embargo.
    assert_eq!(embargo(&mut peer, 4), (3, 3));
    peer.send(|root| root.init_disembargo().init_context().set_receiver_loopback(1)).unwrap();
    assert_eq!(peer.engine.promises(), 2);
    assert_eq!(embargo(&mut peer, 5), (3, 3));
}

/// Objects of the peer's that it names by the number of a promise of this side's.
#[test]
fn capabilities_that_lead_back() {
    let (mut peer, first) = three();
    leads_back(&mut peer, first);
    peer.send(|root| {
        let mut call = root.init_call();
        call.set_question_id(8);
        call.reborrow().init_target().set_imported_cap(0);
        let mut table = call.init_params().init_cap_table(4);
        (0..4).for_each(|place| table.reborrow().get(place).set_receiver_hosted(1));
    })
    .unwrap();
    let caps = peer.delivered.pop().unwrap().params.caps;
    assert_eq!(peer.engine.promises(), 3);
    assert_eq!(peer.engine.state(caps[2].unwrap()), State::Peer);
    is_broken(&peer, caps[3].unwrap(), TOO_MANY);
    peer.engine.release_all(caps);
    assert_eq!(peer.engine.promises(), 0);
}

/// The peer wants them back behind its calls that wait for an embargo, which it does not end at first.
#[test]
fn disembargoes_that_wait() {
    let (mut peer, first) = ready(Limits { unanswered: 3, ..Limits::NONE });
    // The peer calls a promise of its own as the result of this question of its.
    let waits = |peer: &mut Peer, question: u32| {
        let options = CallOptions { tag: 1, pipeline: Some(vec![]), ..CallOptions::default() };
        let promise = peer.call(first, options).promise.unwrap();
        calls(peer, question, |mut target| target.set_imported_cap(0));
        let served = peer.delivered.pop().unwrap().call;
        peer.answer(served, vec![promise]);
        peer.call(promise, CallOptions::default());
        returns(peer, 1, |mut to| to.set_none(()));
        returns(peer, 0, |mut to| to.set_receiver_hosted(0));
        peer.written.clear();
    };
    let disembargo = |peer: &mut Peer, question: u32, embargo: u32| {
        peer.send(|root| {
            let mut disembargo = root.init_disembargo();
            disembargo.reborrow().init_context().set_sender_loopback(embargo);
            disembargo.init_target().init_promised_answer().set_question_id(question);
        })
    };
    for question in [5, 6] {
        waits(&mut peer, question);
        (0..3).for_each(|embargo| disembargo(&mut peer, question, embargo).unwrap());
        assert!(peer.written().is_empty());
        let problem = "sent more than 3 Disembargoes that wait".to_owned();
        assert_eq!(disembargo(&mut peer, question, 3), Err(Fatal::Misbehaved(problem)));
        // When they go back, there is room for others.
        peer.send(|root| root.init_disembargo().init_context().set_receiver_loopback(0)).unwrap();
        assert_eq!(peer.written().len(), 3);
    }
}
