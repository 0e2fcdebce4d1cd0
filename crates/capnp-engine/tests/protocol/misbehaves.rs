//! Errors of the peer: they end the connection and nothing else.

use capnp_engine::{Exception, Fatal, Limits};

use crate::peer::Peer;

fn is_mistake(result: Result<(), Fatal>) {
    assert!(matches!(result, Err(Fatal::Misbehaved(_))), "{result:?}");
}

fn call(peer: &mut Peer, id: u32, target: u32) -> Result<(), Fatal> {
    peer.send(|root| {
        let mut call = root.init_call();
        call.set_question_id(id);
        call.init_target().set_imported_cap(target);
    })
}

fn ready() -> Peer {
    let mut peer = Peer::new();
    peer.bootstrap(7);
    peer
}

#[test]
fn it_calls_what_it_was_not_given() {
    is_mistake(call(&mut ready(), 0, 1));
}

#[test]
fn it_asks_a_question_twice() {
    let mut peer = ready();
    call(&mut peer, 3, 0).unwrap();
    is_mistake(call(&mut peer, 3, 0));
}

#[test]
fn it_asks_too_much() {
    let mut peer = Peer::limited(Limits { unanswered: 2, unfinished: 3, ..Limits::NONE });
    peer.bootstrap(7);
    call(&mut peer, 0, 0).unwrap();
    call(&mut peer, 1, 0).unwrap();
    let first = peer.delivered.remove(0).call;
    is_mistake(call(&mut peer, 2, 0));
    let object = peer.engine.object(8);
    peer.answer(first, vec![object]);
    call(&mut peer, 2, 0).unwrap();
    let first = peer.delivered.remove(0).call;
    let object = peer.engine.object(9);
    peer.answer(first, vec![object]);
    is_mistake(call(&mut peer, 3, 0).and_then(|()| call(&mut peer, 4, 0)));
}

#[test]
fn it_releases_too_much() {
    for (id, count) in [(0, 2), (1, 1)] {
        is_mistake(ready().send(|root| {
            let mut release = root.init_release();
            release.set_id(id);
            release.set_reference_count(count);
        }));
    }
}

#[test]
fn it_answers_what_was_not_asked() {
    is_mistake(ready().send(|root| {
        root.init_return().init_results();
    }));
}

#[test]
fn it_ends_an_embargo_that_is_none() {
    is_mistake(ready().send(|root| root.init_disembargo().init_context().set_receiver_loopback(0)));
}

#[test]
fn it_wants_an_object_of_this_sides_back() {
    is_mistake(ready().send(|root| {
        let mut disembargo = root.init_disembargo();
        disembargo.reborrow().init_context().set_sender_loopback(0);
        disembargo.init_target().set_imported_cap(0);
    }));
}

#[test]
fn it_gives_up() {
    let mut peer = ready();
    let result = peer.send(|root| root.init_abort().set_reason("enough"));
    assert_eq!(result, Err(Fatal::Aborted("enough".to_owned())));
    peer.engine.abort(&Exception::failed("so be it"));
    peer.engine.end(Exception::failed("over").into());
    peer.drain();
    assert_eq!(peer.written(), ["abort"]);
    assert_eq!(peer.released, [7]);
    assert!(peer.engine.sizes().is_empty());
}
