//! Tail calls of the peer: it calls this side with `sendResultsTo.yourself`, and answers a call of
//! this side with `takeFromOtherQuestion`.

use capnp_engine::{CallOptions, Cap, Failure, Serving};

use crate::peer::{INTERFACE, Peer};

/// This side has called the peer, which has called back and wants the results to stay here.
fn called_back(pipeline: bool) -> (Peer, Cap, capnp_engine::Called) {
    let mut peer = Peer::new();
    peer.bootstrap(7);
    let first = peer.first();
    let options =
        CallOptions { tag: 1, pipeline: pipeline.then(Vec::new), ..CallOptions::default() };
    let called = peer.call(first, options);
    assert_eq!(peer.written(), ["call 0"]);
    call_yourself(&mut peer, 5);
    (peer, first, called)
}

fn call_yourself(peer: &mut Peer, id: u32) {
    peer.send(|root| {
        let mut call = root.init_call();
        call.set_question_id(id);
        call.set_interface_id(INTERFACE);
        call.reborrow().init_target().set_imported_cap(0);
        call.init_send_results_to().set_yourself(());
    })
    .unwrap();
}

fn take(peer: &mut Peer, id: u32, from: u32) -> Result<(), capnp_engine::Fatal> {
    peer.send(|root| {
        let mut answer = root.init_return();
        answer.set_answer_id(id);
        answer.set_take_from_other_question(from);
    })
}

fn serving(peer: &mut Peer) -> Serving {
    let call = peer.delivered.pop().unwrap().call;
    peer.engine.begin(call, 50);
    call
}

/// Releases everything and checks that all tables are empty.
fn nothing_left(mut peer: Peer, caps: &[Cap]) {
    for cap in caps {
        peer.engine.release(*cap);
    }
    peer.send(|root| {
        let mut release = root.init_release();
        release.set_id(0);
        release.set_reference_count(1);
    })
    .unwrap();
    let sizes = peer.engine.sizes();
    let first = capnp_engine::Sizes { capabilities: 1, ..Default::default() };
    assert_eq!(sizes, first);
}

#[test]
fn results_are_taken_that_come_later() {
    let (mut peer, first, _) = called_back(false);
    let call = serving(&mut peer);
    take(&mut peer, 0, 5).unwrap();
    assert!(peer.answers.is_empty() && peer.written().is_empty());
    let object = peer.engine.object(8);
    peer.answer(call, vec![object]);
    assert_eq!(peer.written(), ["return 5: elsewhere", "finish 0"]);
    let (tag, answer) = peer.answers.pop().unwrap();
    let results = answer.unwrap();
    assert_eq!((tag, results.caps.as_slice()), (1, [Some(object)].as_slice()));
    peer.finish(5);
    peer.engine.release(object);
    peer.drain();
    assert_eq!(peer.released, [8]);
    nothing_left(peer, &[first]);
}

#[test]
fn results_are_taken_that_came_before() {
    let (mut peer, first, _) = called_back(false);
    let call = serving(&mut peer);
    let object = peer.engine.object(8);
    peer.answer(call, vec![object]);
    assert_eq!(peer.written(), ["return 5: elsewhere"]);
    take(&mut peer, 0, 5).unwrap();
    assert_eq!(peer.written(), ["finish 0"]);
    assert_eq!(peer.answers.pop().unwrap().1.unwrap().caps, [Some(object)]);
    peer.finish(5);
    nothing_left(peer, &[first, object]);
}

#[test]
fn a_finish_does_not_keep_results_from_who_takes_them() {
    let (mut peer, first, _) = called_back(false);
    let call = serving(&mut peer);
    take(&mut peer, 0, 5).unwrap();
    peer.finish(5);
    assert!(peer.cancelled.is_empty());
    peer.answer(call, vec![]);
    assert_eq!(peer.written(), ["return 5: elsewhere", "finish 0"]);
    assert!(peer.answers.pop().unwrap().1.is_ok());
    nothing_left(peer, &[first]);
}

#[test]
fn a_cancel_ends_the_call_whose_results_are_taken() {
    let (mut peer, first, called) = called_back(false);
    let call = serving(&mut peer);
    take(&mut peer, 0, 5).unwrap();
    peer.engine.cancel(called.call);
    peer.drain();
    assert_eq!(
        (peer.cancelled.as_slice(), peer.over.as_slice()),
        ([50].as_slice(), [1].as_slice())
    );
    assert_eq!(peer.written(), ["finish 0, release"]);
    peer.answer(call, vec![]);
    assert_eq!(peer.written(), ["return 5: elsewhere"]);
    peer.finish(5);
    nothing_left(peer, &[first]);
}

#[test]
fn a_cancel_before_the_return_ends_it_as_well() {
    let (mut peer, first, called) = called_back(false);
    let call = serving(&mut peer);
    peer.engine.cancel(called.call);
    peer.drain();
    assert!(peer.cancelled.is_empty() && peer.over.is_empty());
    take(&mut peer, 0, 5).unwrap();
    assert_eq!(
        (peer.cancelled.as_slice(), peer.over.as_slice()),
        ([50].as_slice(), [1].as_slice())
    );
    peer.answer(call, vec![]);
    peer.finish(5);
    nothing_left(peer, &[first]);
}

#[test]
fn exceptions_are_taken_too() {
    let (mut peer, first, _) = called_back(false);
    let call = serving(&mut peer);
    take(&mut peer, 0, 5).unwrap();
    peer.engine.answer(call, Err(capnp_engine::Exception::failed("no")));
    peer.drain();
    let (_, answer) = peer.answers.pop().unwrap();
    assert!(matches!(answer, Err(Failure::Exception(error)) if error.reason == "no"));
    peer.finish(5);
    nothing_left(peer, &[first]);
}

#[test]
fn results_are_not_taken_twice() {
    let (mut peer, first, _) = called_back(false);
    let _ = peer.call(first, CallOptions { tag: 2, ..CallOptions::default() });
    take(&mut peer, 0, 5).unwrap();
    assert!(take(&mut peer, 1, 5).is_err());
}

#[test]
fn calls_of_what_is_taken_wait_for_those_that_went_through_the_peer() {
    let (mut peer, first, called) = called_back(true);
    let call = serving(&mut peer);
    let promise = called.promise.unwrap();
    // This call goes to the peer, which forwards it to question 5.
    peer.call(promise, CallOptions { tag: 2, ..CallOptions::default() });
    assert_eq!(peer.written(), ["call 1"]);
    take(&mut peer, 0, 5).unwrap();
    let object = peer.engine.object(8);
    peer.answer(call, vec![object]);
    let written = peer.written();
    assert_eq!(written.len(), 3, "{written:?}");
    assert!(written[1].starts_with("disembargo (promisedAnswer = (questionId = 0"), "{written:?}");
    assert_eq!(written[2], "finish 0");
    // The second call waits, although its object is here.
    peer.call(promise, CallOptions { tag: 3, ..CallOptions::default() });
    assert!(peer.delivered.is_empty());
    peer.send(|root| {
        let mut passed_on = root.init_call();
        passed_on.set_question_id(6);
        passed_on.reborrow().init_target().init_promised_answer().set_question_id(5);
    })
    .unwrap();
    assert_eq!(peer.delivered.len(), 1);
    peer.send(|root| root.init_disembargo().init_context().set_receiver_loopback(0)).unwrap();
    assert_eq!(peer.delivered.len(), 2);
    for call in std::mem::take(&mut peer.delivered) {
        assert_eq!(call.object, 8);
        peer.answer(call.call, vec![]);
    }
    peer.send(|root| {
        let mut answer = root.init_return();
        answer.set_answer_id(1);
        answer.set_no_finish_needed(true);
        answer.init_results();
    })
    .unwrap();
    peer.finish(5);
    nothing_left(peer, &[first, object, promise]);
}
