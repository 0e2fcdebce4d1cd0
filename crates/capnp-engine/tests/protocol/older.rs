//! Peers that implement less of the protocol.

use capnp_engine::{CallOptions, Draft, ExceptionKind, Failure, Heap, cap_hook};
use capnp_rpc::rpc_capnp::message;

use crate::peer::Peer;

/// Calls the peer with an object as the parameter.
fn call_with_object(peer: &mut Peer, first: capnp_engine::Cap) {
    let object = peer.engine.object(9);
    let draft = Draft::call(&Heap, (1, 0), |mut to| {
        to.set_as_capability(cap_hook(0));
        Ok::<_, ()>(vec![Some(object)])
    });
    let options = CallOptions { tag: 1, ..CallOptions::default() };
    peer.engine.call(first, draft.unwrap(), options).unwrap();
    peer.drain();
    assert_eq!(peer.written(), ["call 0"]);
}

#[test]
fn a_return_may_release_the_parameters() {
    let mut peer = Peer::new();
    let first = peer.first();
    call_with_object(&mut peer, first);
    peer.send(|root| {
        // `releaseParamCaps` is true unless it is set.
        root.init_return().init_results();
    })
    .unwrap();
    assert_eq!(peer.released, [9]);
    assert_eq!(peer.written(), ["finish 0"]);
    peer.engine.release(first);
    assert!(peer.engine.sizes().is_empty());
}

#[test]
fn a_call_may_be_unknown() {
    let mut peer = Peer::new();
    let first = peer.first();
    call_with_object(&mut peer, first);
    peer.send(|root| {
        let message: message::Builder<'_> = root.init_unimplemented();
        message.init_call().set_question_id(0);
    })
    .unwrap();
    assert_eq!(peer.released, [9]);
    let (_, answer) = peer.answers.pop().unwrap();
    let unknown = |error: &Failure| matches!(error, Failure::Exception(error) if error.kind == ExceptionKind::Unimplemented);
    assert!(answer.is_err_and(|error| unknown(&error)));
    peer.engine.release(first);
    assert!(peer.engine.sizes().is_empty());
}

#[test]
fn a_resolve_may_be_unknown() {
    let mut peer = Peer::new();
    peer.bootstrap(7);
    let object = peer.engine.object(8);
    let own = peer
        .engine
        .call(
            object,
            crate::peer::empty(),
            CallOptions { tag: 3, pipeline: Some(vec![]), ..CallOptions::default() },
        )
        .unwrap();
    peer.drain();
    let own_serving = peer.delivered.pop().unwrap().call;
    peer.send(|root| {
        let mut call = root.init_call();
        call.set_question_id(0);
        call.init_target().set_imported_cap(0);
    })
    .unwrap();
    let served = peer.delivered.pop().unwrap().call;
    // The promise is exported as 1, and what it becomes as 2.
    peer.answer(served, vec![own.promise.unwrap()]);
    let result = peer.engine.object(9);
    peer.answer(own_serving, vec![result]);
    assert_eq!(peer.written(), ["return 0: results", "resolve 1"]);
    for (_, answer) in std::mem::take(&mut peer.answers) {
        peer.engine.release_all(answer.unwrap().caps);
    }
    peer.finish(0);
    peer.send(|root| {
        let message: message::Builder<'_> = root.init_unimplemented();
        let mut resolve = message.init_resolve();
        resolve.set_promise_id(1);
        resolve.init_cap().set_sender_hosted(2);
    })
    .unwrap();
    // The peer uses the promise as before.
    peer.send(|root| {
        let mut call = root.init_call();
        call.set_question_id(1);
        call.init_target().set_imported_cap(1);
    })
    .unwrap();
    let call = peer.delivered.pop().unwrap();
    assert_eq!(call.object, 9);
    peer.answer(call.call, vec![]);
    peer.send(|root| {
        let mut release = root.init_release();
        release.set_id(1);
        release.set_reference_count(1);
    })
    .unwrap();
    assert_eq!(peer.released, [9]);
}

#[test]
fn a_kind_of_message_may_be_unknown_here() {
    let mut peer = Peer::new();
    peer.send(|root| {
        root.init_provide();
    })
    .unwrap();
    assert_eq!(peer.written(), ["unimplemented"]);
}

/// capnp-rpc 0.27 sends these Returns back.
#[test]
fn a_return_without_results_may_be_unknown() {
    let mut peer = Peer::new();
    for canceled in [true, false] {
        peer.send(|root| {
            let message: message::Builder<'_> = root.init_unimplemented();
            let mut answer = message.init_return();
            match canceled {
                true => answer.set_canceled(()),
                false => answer.set_results_sent_elsewhere(()),
            }
        })
        .unwrap();
    }
    assert!(peer.written().is_empty());
}
