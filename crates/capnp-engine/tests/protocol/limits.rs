//! Limits for what the peer can make this side hold: at each of them, and one beyond it.

use capnp_engine::{CallOptions, Cap, Draft, Exceeded, Fatal, Heap, Limits, cap_hook};
use capnp_rpc::rpc_capnp::{message_target, payload};

use crate::peer::{INTERFACE, Peer};

/// A call with this many bytes of parameters and a table of capabilities, each with its own export id.
fn call(
    peer: &mut Peer,
    id: u32,
    target: impl FnOnce(message_target::Builder<'_>),
    bytes: usize,
    caps: std::ops::Range<u32>,
) -> Result<(), Fatal> {
    peer.send(|root| {
        let mut call = root.init_call();
        call.set_question_id(id);
        target(call.reborrow().init_target());
        let mut params = call.init_params();
        let mut table = params.reborrow().init_cap_table(caps.len() as u32);
        for (place, id) in (0..).zip(caps) {
            table.reborrow().get(place).set_sender_hosted(id);
        }
        params.get_content().set_as::<capnp::data::Owned>(&vec![0; bytes][..]).unwrap();
    })
}

fn first(peer: &mut Peer, id: u32, bytes: usize) {
    call(peer, id, |mut target| target.set_imported_cap(0), bytes, 0..0).unwrap();
}

/// A call of the result of question 0, which is not answered.
fn waits(peer: &mut Peer, id: u32, bytes: usize) {
    let target = |target: message_target::Builder<'_>| {
        target.init_promised_answer().set_question_id(0);
    };
    call(peer, id, target, bytes, 0..0).unwrap();
}

fn ready(limits: Limits) -> Peer {
    let mut peer = Peer::limited(limits);
    peer.bootstrap(7);
    peer
}

const KIB: usize = 1024;

#[test]
fn bytes_of_calls_that_wait() {
    // Each is a little longer than its parameters.
    let mut peer = ready(Limits { bytes: 21 * KIB, ..Limits::NONE });
    first(&mut peer, 0, 0);
    waits(&mut peer, 1, 10 * KIB);
    waits(&mut peer, 2, 10 * KIB);
    assert!(peer.written().is_empty());
    waits(&mut peer, 3, 10 * KIB);
    let refused = peer.written();
    assert_eq!(refused, ["return 3: more than 21504 bytes of calls wait on one connection"]);
    assert_eq!(peer.refused, [(None, Exceeded::Bytes)]);
    // Small calls are taken.
    waits(&mut peer, 4, 100);
    assert!(peer.written().is_empty());
    // With the answer there is room again.
    peer.finish(2);
    peer.written.clear();
    waits(&mut peer, 5, 10 * KIB);
    assert!(peer.written().is_empty());
    // With the one that was refused, which the peer has not finished.
    assert_eq!(peer.engine.sizes().answers, 5);
}

/// Calls that lead back to the peer are forwarded, and wait here for their answers.
#[test]
fn bytes_of_calls_that_are_forwarded() {
    let mut peer = ready(Limits { bytes: 21 * KIB, ..Limits::NONE });
    let there = peer.first();
    peer.engine.set_bootstrap(there);
    peer.send(|root| root.init_bootstrap().set_question_id(1)).unwrap();
    peer.written.clear();
    for id in 2..5 {
        let target = |target: message_target::Builder<'_>| {
            target.init_promised_answer().set_question_id(1);
        };
        call(&mut peer, id, target, 10 * KIB, 0..0).unwrap();
    }
    let written = peer.written();
    assert_eq!(written[..2], ["call 0", "call 1"]);
    assert_eq!(written[2], "return 4: more than 21504 bytes of calls wait on one connection");
}

/// A call that is delivered is the user's to refuse, who may have to tell the object.
#[test]
fn bytes_of_calls_that_are_delivered() {
    let mut peer = ready(Limits { bytes: 21 * KIB, ..Limits::NONE });
    for id in 0..3 {
        first(&mut peer, id, 10 * KIB);
        // With the parameters come some 100 bytes.
        assert_eq!(peer.engine.exceeds_bytes(10 * KIB + 100), id == 2);
        assert!(!peer.engine.exceeds_bytes(KIB));
    }
    assert_eq!(peer.delivered.len(), 3);
    let first = peer.delivered.remove(0).call;
    peer.answer(first, vec![]);
    assert!(!peer.engine.exceeds_bytes(10 * KIB + 100));
}

/// Results stay as long as calls can be made on them.
#[test]
fn bytes_of_results_that_are_kept() {
    let mut peer = ready(Limits { bytes: 25 * KIB, ..Limits::NONE });
    let answer = |peer: &mut Peer, id: u32| {
        first(peer, id, 0);
        let call = peer.delivered.pop().unwrap().call;
        let object = peer.engine.object(9);
        let draft = Draft::results(&Heap, call, |to| {
            // Any struct with a capability and 10 KiB of something else.
            let mut results: payload::Builder<'_> = to.init_as();
            results.reborrow().init_cap_table(640);
            results.get_content().set_as_capability(cap_hook(0));
            Ok::<_, ()>(vec![Some(object)])
        });
        peer.engine.answer(call, Ok(draft.unwrap()));
        peer.drain();
    };
    for id in 0..2 {
        answer(&mut peer, id);
        assert_eq!(peer.written(), [format!("return {id}: results")]);
    }
    answer(&mut peer, 2);
    let refused = peer.written();
    assert_eq!(refused, ["return 2: more than 25600 bytes of results are kept on one connection"]);
    assert_eq!(peer.refused, [(None, Exceeded::Bytes)]);
    assert_eq!(peer.released, [9]);
    peer.finish(0);
    answer(&mut peer, 3);
    assert_eq!(peer.written(), ["return 3: results"]);
}

#[test]
fn objects_that_the_peer_is_given() {
    let mut peer = ready(Limits { objects: 3, ..Limits::NONE });
    let give = |peer: &mut Peer, id: u32| -> Cap {
        first(peer, id, 0);
        let call = peer.delivered.pop().unwrap().call;
        let object = peer.engine.object(u64::from(id));
        peer.engine.retain(object);
        peer.answer(call, vec![object]);
        object
    };
    // With the first object they are three.
    let known = give(&mut peer, 1);
    give(&mut peer, 2);
    peer.written.clear();
    give(&mut peer, 3);
    assert_eq!(peer.written(), ["return 3: more than 3 objects on one connection"]);
    assert_eq!(peer.refused, [(None, Exceeded::Objects)]);
    // One that it has can be given again, also to it as an argument.
    first(&mut peer, 4, 0);
    let call = peer.delivered.pop().unwrap().call;
    peer.answer(call, vec![known]);
    assert_eq!(peer.written(), ["return 4: results"]);
    let there = peer.first();
    let another = peer.engine.object(20);
    let error = peer.engine.call(there, gives(another), CallOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "more than 3 objects on one connection");
    peer.drain();
    assert!(peer.released.contains(&20));
    peer.send(|root| {
        let mut release = root.init_release();
        release.set_id(2);
        release.set_reference_count(1);
    })
    .unwrap();
    let another = peer.engine.object(21);
    peer.call(there, CallOptions::default());
    peer.engine.call(there, gives(another), CallOptions::default()).unwrap();
    peer.drain();
}

fn gives(cap: Cap) -> Draft {
    let draft = Draft::call(&Heap, (INTERFACE, 0), |mut to| {
        to.set_as_capability(cap_hook(0));
        Ok::<_, ()>(vec![Some(cap)])
    });
    draft.unwrap()
}

#[test]
fn objects_that_the_peer_gives() {
    let mut peer = ready(Limits { objects: 3, ..Limits::NONE });
    let target = |mut target: message_target::Builder<'_>| {
        target.set_imported_cap(0);
    };
    call(&mut peer, 0, target, 0, 0..3).unwrap();
    assert_eq!(peer.delivered.len(), 1);
    call(&mut peer, 1, target, 0, 3..4).unwrap();
    let written = peer.written();
    assert_eq!(written, ["release 3 1", "return 1: more than 3 objects on one connection"]);
    // The object is told, because it may serve a stream.
    assert_eq!(peer.refused, [(Some(7), Exceeded::Objects)]);
    assert_eq!(peer.delivered.len(), 1);
    let held = peer.delivered.pop().unwrap();
    peer.engine.release_all(held.params.caps);
    peer.drain();
    call(&mut peer, 2, target, 0, 3..4).unwrap();
    assert_eq!(peer.delivered.len(), 1);
}

#[test]
fn capabilities_of_one_message() {
    let mut peer = ready(Limits { capabilities: 4, ..Limits::NONE });
    let target = |mut target: message_target::Builder<'_>| {
        target.set_imported_cap(0);
    };
    call(&mut peer, 0, target, 0, 0..4).unwrap();
    let there = peer.first();
    let many = |peer: &mut Peer, count: usize| {
        let objects: Vec<_> = (0..count as u64).map(|n| Some(peer.engine.object(n))).collect();
        let draft = Draft::call(&Heap, (INTERFACE, 0), |mut to| {
            (0..count).for_each(|place| to.set_as_capability(cap_hook(place)));
            Ok::<_, ()>(objects)
        });
        peer.engine.call(there, draft.unwrap(), CallOptions::default())
    };
    many(&mut peer, 4).unwrap();
    let error = many(&mut peer, 5).unwrap_err();
    assert_eq!(error.to_string(), "more than 4 capabilities in one message");
    let result = call(&mut peer, 1, target, 0, 4..9);
    let Err(Fatal::Misbehaved(problem)) = result else { panic!("{result:?}") };
    assert_eq!(problem, "sent a message with 5 capabilities; 4 is the limit");
}

/// Longer ones would end the connection at the peer.
#[test]
fn bytes_of_one_message_of_this_sides() {
    let mut peer = ready(Limits { message: 10 * KIB, ..Limits::NONE });
    let there = peer.first();
    let draft = |bytes: usize| {
        let draft = Draft::call(&Heap, (INTERFACE, 0), |mut to| {
            to.set_as::<capnp::data::Owned>(&vec![0; bytes][..]).unwrap();
            Ok::<_, ()>(vec![])
        });
        draft.unwrap()
    };
    peer.engine.call(there, draft(10 * KIB - 200), CallOptions::default()).unwrap();
    let long = draft(10 * KIB);
    let bytes = long.bytes();
    let error = peer.engine.call(there, long, CallOptions::default()).unwrap_err();
    let said =
        format!("a message of {bytes} bytes was not sent: 10240 is the limit (Limits::message)");
    assert_eq!(error.to_string(), said);
    peer.drain();
    assert_eq!(peer.written(), ["call 0"]);
    for (id, bytes) in [(1, 10 * KIB - 200), (2, 10 * KIB)] {
        first(&mut peer, id, 0);
        let call = peer.delivered.pop().unwrap().call;
        let draft = Draft::results(&Heap, call, |mut to| {
            to.set_as::<capnp::data::Owned>(&vec![0; bytes][..]).unwrap();
            Ok::<_, ()>(vec![])
        });
        peer.engine.answer(call, Ok(draft.unwrap()));
        peer.drain();
    }
    let written = peer.written();
    assert_eq!(written[0], "return 1: results");
    assert!(written[1].ends_with("10240 is the limit (Limits::message)"), "{written:?}");
}
