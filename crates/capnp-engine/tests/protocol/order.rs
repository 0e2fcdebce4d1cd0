//! The path of calls while promises resolve, step by step. The simulation checks the order of
//! calls; some of these cases are rare there.

use capnp_engine::{CallKind, CallOptions, Cap, Serving, Stage};
use capnp_rpc::rpc_capnp::{cap_descriptor, message_target};

use crate::peer::{Peer, empty, set_cap};

fn options(tag: u64) -> CallOptions {
    CallOptions { tag, pipeline: Some(vec![]), ..CallOptions::default() }
}

/// The peer returns one capability.
pub(crate) fn returns(
    peer: &mut Peer,
    id: u32,
    describe: impl FnOnce(cap_descriptor::Builder<'_>),
) {
    peer.send(|root| {
        let mut answer = root.init_return();
        answer.set_answer_id(id);
        answer.set_release_param_caps(false);
        let mut results = answer.init_results();
        describe(results.reborrow().init_cap_table(1).get(0));
        let mut table = Default::default();
        set_cap(results.reborrow().get_content(), &mut table);
    })
    .unwrap();
}

pub(crate) fn calls(peer: &mut Peer, id: u32, target: impl FnOnce(message_target::Builder<'_>)) {
    peer.send(|root| {
        let mut call = root.init_call();
        call.set_question_id(id);
        target(call.init_target());
    })
    .unwrap();
}

fn calls_answer(peer: &mut Peer, id: u32, question: u32) {
    calls(peer, id, |target| target.init_promised_answer().set_question_id(question));
}

pub(crate) fn resolves(
    peer: &mut Peer,
    id: u32,
    describe: impl FnOnce(cap_descriptor::Builder<'_>),
) {
    peer.send(|root| {
        let mut resolve = root.init_resolve();
        resolve.set_promise_id(id);
        describe(resolve.init_cap());
    })
    .unwrap();
}

/// The peer's question 5 is served with the engine's bootstrap capability, which is the peer's
/// import 0.
fn serves(peer: &mut Peer) -> Serving {
    calls(peer, 5, |mut target| target.set_imported_cap(0));
    peer.delivered.pop().unwrap().call
}

/// An unanswered call of an object of the engine, and the promise of its result.
fn own_promise(peer: &mut Peer) -> (Serving, Cap) {
    let object = peer.engine.object(8);
    let called = peer.call(object, options(8));
    (peer.delivered.pop().unwrap().call, called.promise.unwrap())
}

/// The peer gets a promise of this side as import 1, which then resolves to `to`.
pub(crate) fn leads_back(peer: &mut Peer, to: Cap) {
    let (own, through) = own_promise(peer);
    let question = serves(peer);
    peer.answer(question, vec![through]);
    peer.engine.retain(to);
    peer.answer(own, vec![to]);
}

/// The peer's question 6 is answered with a promise, which the peer gets as import 2.
fn gives(peer: &mut Peer, promise: Cap) {
    calls(peer, 6, |mut target| target.set_imported_cap(0));
    let question = peer.delivered.pop().unwrap().call;
    peer.engine.retain(promise);
    peer.answer(question, vec![promise]);
}

fn ready() -> (Peer, Cap) {
    let mut peer = Peer::new();
    peer.bootstrap(7);
    let first = peer.first();
    (peer, first)
}

fn is_disembargo(written: &str, target: &str) {
    assert!(written.starts_with(&format!("disembargo ({target}")), "{written}");
}

#[test]
fn a_promise_of_the_peers_that_was_called_has_an_embargo() {
    for called in [true, false] {
        let (mut peer, first) = ready();
        peer.call(first, CallOptions::default());
        returns(&mut peer, 0, |mut to| to.set_sender_promise(3));
        let promise = peer.answers.pop().unwrap().1.unwrap().caps[0].unwrap();
        if called {
            peer.call(promise, CallOptions::default());
        }
        peer.written.clear();
        resolves(&mut peer, 3, |mut to| to.set_receiver_hosted(0));
        let written = peer.written();
        peer.call(promise, CallOptions::default());
        match called {
            true => {
                is_disembargo(&written[0], "importedCap = 3");
                assert_eq!(written[1..], ["release 3 1"]);
                assert!(peer.delivered.is_empty());
            }
            false => {
                assert_eq!(written, ["release 3 1"]);
                assert_eq!(peer.delivered.len(), 1);
            }
        }
    }
}

#[test]
fn a_promise_that_follows_one_that_was_called_has_an_embargo() {
    let (mut peer, first) = ready();
    let promise = peer.call(first, options(1)).promise.unwrap();
    peer.call(promise, CallOptions::default());
    returns(&mut peer, 0, |mut to| to.set_sender_promise(3));
    assert_eq!(peer.written(), ["call 0", "call 1", "finish 0"]);
    resolves(&mut peer, 3, |mut to| to.set_receiver_hosted(0));
    is_disembargo(&peer.written()[0], "importedCap = 3");
    peer.call(promise, CallOptions::default());
    assert!(peer.delivered.is_empty());
    peer.send(|root| root.init_disembargo().init_context().set_receiver_loopback(0)).unwrap();
    assert_eq!(peer.delivered.len(), 1);
}

#[test]
fn calls_that_waited_go_out_before_the_peer_knows_the_object() {
    let (mut peer, first) = ready();
    let (own, promise) = own_promise(&mut peer);
    let question = serves(&mut peer);
    peer.answer(question, vec![promise]);
    calls_answer(&mut peer, 6, 5);
    calls(&mut peer, 7, |mut target| target.set_imported_cap(1));
    assert_eq!(peer.written(), ["return 5: results"]);
    peer.answer(own, vec![first]);
    assert_eq!(peer.written(), ["call 1", "call 2", "resolve 1"]);
}

#[test]
fn what_leads_through_this_side_to_the_peer_again_waits_for_the_calls_before() {
    let (mut peer, first) = ready();
    let pipelined = peer.call(first, options(1)).promise.unwrap();
    peer.call(pipelined, CallOptions::default());
    // The peer has a promise of this side as import 1, and has not released it.
    leads_back(&mut peer, first);
    peer.written.clear();
    // So the call of `pipelined` comes back from the peer, and is sent there again.
    returns(&mut peer, 0, |mut to| to.set_receiver_hosted(1));
    // A peer that knows already what the promise has resolved to would abort on a Disembargo.
    assert_eq!(peer.written(), ["finish 0"]);
    peer.call(pipelined, CallOptions::default());
    assert!(peer.written().is_empty());
    calls(&mut peer, 6, |mut target| target.set_imported_cap(1));
    assert_eq!(peer.written(), ["call 2"]);
    // Once the call before has returned, the later one goes directly to the peer.
    peer.send(|root| {
        let mut answer = root.init_return();
        answer.set_answer_id(1);
        answer.set_release_param_caps(false);
        answer.init_results();
    })
    .unwrap();
    assert_eq!(peer.written(), ["finish 1", "call 0"]);
}

#[test]
fn a_promise_does_not_wait_for_calls_that_wait_at_it() {
    let (mut peer, first) = ready();
    let promise = peer.call(first, options(1)).promise.unwrap();
    peer.call(promise, CallOptions::default());
    let other = peer.call(first, options(2)).promise.unwrap();
    peer.call(other, CallOptions::default());
    leads_back(&mut peer, first);
    // It leads through this side to the peer again, and waits for question 1 to return.
    returns(&mut peer, 0, |mut to| to.set_receiver_hosted(1));
    // The peer gets it as import 2, and resolves the other promise to it.
    gives(&mut peer, promise);
    peer.written.clear();
    returns(&mut peer, 2, |mut to| to.set_receiver_hosted(2));
    is_disembargo(&peer.written()[0], "promisedAnswer = (questionId = 2");
    // So question 3 comes back. It waits here, and does not return before the promise resolves.
    calls(&mut peer, 7, |mut target| target.set_imported_cap(2));
    peer.send(|root| root.init_disembargo().init_context().set_receiver_loopback(0)).unwrap();
    assert!(peer.written().is_empty());
    returns(&mut peer, 1, |mut to| to.set_none(()));
    assert_eq!(peer.written(), ["finish 1", "call 1", "resolve 2"]);
}

#[test]
fn the_end_of_an_object_waits_with_a_promise_that_nobody_holds() {
    let (mut peer, first) = ready();
    let promise = peer.call(first, options(1)).promise.unwrap();
    peer.call(promise, CallOptions::default());
    // It waits for question 1.
    peer.call(promise, CallOptions { kind: CallKind::Destroy, ..options(2) });
    leads_back(&mut peer, first);
    // The promise leads through this side to the peer again, and waits for question 1 too.
    returns(&mut peer, 0, |mut to| to.set_receiver_hosted(1));
    peer.engine.release(promise);
    peer.written.clear();
    returns(&mut peer, 1, |mut to| to.set_none(()));
    assert_eq!(peer.written(), ["finish 1", "call 2"]);
}

/// The engine has answered question 5 with the promise of the result of its own call 0, to the peer.
fn answered_with_a_promise_of_the_peers() -> (Peer, Cap) {
    let (mut peer, first) = ready();
    let promise = peer.call(first, options(1)).promise.unwrap();
    let question = serves(&mut peer);
    peer.answer(question, vec![promise]);
    assert_eq!(peer.written(), ["call 0", "return 5: results"]);
    (peer, first)
}

#[test]
fn a_disembargo_comes_behind_calls_that_wait_for_another() {
    let (mut peer, _) = answered_with_a_promise_of_the_peers();
    calls_answer(&mut peer, 6, 5);
    assert_eq!(peer.written(), ["call 1"]);
    returns(&mut peer, 0, |mut to| to.set_receiver_hosted(0));
    is_disembargo(&peer.written()[0], "promisedAnswer = (questionId = 0");
    calls_answer(&mut peer, 7, 5);
    peer.send(|root| {
        let mut disembargo = root.init_disembargo();
        disembargo.reborrow().init_context().set_sender_loopback(4);
        disembargo.init_target().init_promised_answer().set_question_id(5);
    })
    .unwrap();
    assert!(peer.delivered.is_empty() && peer.written().is_empty());
    peer.send(|root| root.init_disembargo().init_context().set_receiver_loopback(0)).unwrap();
    assert_eq!(peer.delivered.len(), 1);
    is_disembargo(&peer.written()[0], "promisedAnswer = (questionId = 0");
}

#[test]
fn calls_go_strictly_to_what_the_peer_was_told() {
    let (mut peer, first) = ready();
    peer.call(first, CallOptions::default());
    returns(&mut peer, 0, |mut to| to.set_sender_promise(3));
    let promise = peer.answers.pop().unwrap().1.unwrap().caps[0].unwrap();
    let question = serves(&mut peer);
    peer.engine.retain(promise);
    peer.answer(question, vec![promise]);
    resolves(&mut peer, 3, |mut to| to.set_receiver_hosted(0));
    peer.written.clear();
    // Not to the object of this side to which it has resolved by now: the peer may have sent calls
    // of 3 before.
    calls_answer(&mut peer, 6, 5);
    assert_eq!(peer.written(), ["call 0"]);
    assert!(peer.delivered.is_empty());
    peer.call(promise, CallOptions::default());
    assert_eq!(peer.delivered.len(), 1);
}

/// The C++ implementation keeps the id of a failed promise for those who still have it, and gives
/// the id again.
#[test]
fn a_promise_is_given_again_that_has_resolved() {
    let (mut peer, first) = ready();
    peer.call(first, CallOptions::default());
    returns(&mut peer, 0, |mut to| to.set_sender_promise(3));
    let promise = peer.answers.pop().unwrap().1.unwrap().caps[0].unwrap();
    // The answer holds the capability that the peer has with this id.
    let question = serves(&mut peer);
    peer.engine.retain(promise);
    peer.answer(question, vec![promise]);
    peer.send(|root| {
        let mut resolve = root.init_resolve();
        resolve.set_promise_id(3);
        resolve.init_exception().set_reason("broken");
    })
    .unwrap();
    peer.engine.release(promise);
    peer.call(first, CallOptions::default());
    returns(&mut peer, 0, |mut to| to.set_sender_promise(3));
    let promise = peer.answers.pop().unwrap().1.unwrap().caps[0].unwrap();
    peer.written.clear();
    peer.call(promise, CallOptions::default());
    assert_eq!(peer.written(), ["call 0"]);
}

#[test]
fn a_cancel_is_passed_on_with_the_call() {
    let (mut peer, _) = answered_with_a_promise_of_the_peers();
    calls_answer(&mut peer, 6, 5);
    assert_eq!(peer.written(), ["call 1"]);
    peer.finish(6);
    assert_eq!(peer.written(), ["finish 1, release", "return 6: canceled"]);
    // Its id is not free until it returns.
    assert_eq!(peer.engine.sizes().questions, 2);
    returns(&mut peer, 1, |mut to| to.set_none(()));
    assert_eq!(peer.engine.sizes().questions, 1);
}

#[test]
fn calls_of_the_peers_pass_when_the_object_is_closed() {
    let (mut peer, first) = ready();
    let (own, promise) = own_promise(&mut peer);
    let question = serves(&mut peer);
    peer.answer(question, vec![promise]);
    peer.engine.retain(first);
    peer.answer(own, vec![first]);
    peer.written.clear();
    peer.call(first, CallOptions { kind: CallKind::Destroy, ..options(2) });
    assert_eq!(peer.engine.stage(first), Stage::Closed);
    assert!(peer.engine.call(promise, empty(), options(3)).is_err());
    assert_eq!(peer.written(), ["call 0"]);
    calls(&mut peer, 6, |mut target| target.set_imported_cap(1));
    assert_eq!(peer.written(), ["call 1"]);
}

#[test]
fn a_promise_that_was_closed_stays_so_when_it_leads_back_here() {
    let (mut peer, first) = ready();
    let question = serves(&mut peer);
    let promise = peer.call(first, options(1)).promise.unwrap();
    peer.call(promise, CallOptions { kind: CallKind::Destroy, ..options(2) });
    // It resolves to a result of the peer's own question, which is not answered.
    returns(&mut peer, 0, |to| to.init_receiver_answer().set_question_id(5));
    peer.send(|root| root.init_disembargo().init_context().set_receiver_loopback(0)).unwrap();
    assert_eq!(peer.engine.stage(promise), Stage::Closed);
    peer.engine.retain(first);
    peer.answer(question, vec![first]);
    assert_eq!(peer.engine.stage(promise), Stage::Closed);
    assert!(peer.engine.call(promise, empty(), options(3)).is_err());
}

/// The call that returns is none of those that the end of the object waits for.
#[test]
fn the_end_of_an_object_that_waits_goes_out_before_the_calls_behind_it() {
    let (mut peer, first) = ready();
    let promise = peer.call(first, options(1)).promise.unwrap();
    peer.call(promise, CallOptions::default());
    leads_back(&mut peer, first);
    returns(&mut peer, 0, |mut to| to.set_receiver_hosted(1));
    gives(&mut peer, promise);
    let end = CallOptions { kind: CallKind::Destroy, tag: 2, ..CallOptions::default() };
    let end = peer.call(promise, end).call;
    assert_eq!(peer.engine.sizes().questions, 2);
    calls(&mut peer, 7, |mut target| target.set_imported_cap(2));
    peer.written.clear();
    returns(&mut peer, 1, |mut to| to.set_none(()));
    assert!(peer.engine.is_open(end));
    assert_eq!(peer.written(), ["finish 1", "call 0", "call 1", "resolve 2"]);
}

/// Calls that come back from the peer are sent to what the peer was told, and count for the promise
/// that has this id.
#[test]
fn calls_by_the_id_of_a_promise_are_calls_of_the_promise() {
    let (mut peer, first) = ready();
    let promise = peer.call(first, options(1)).promise.unwrap();
    peer.call(promise, CallOptions::default());
    let (own, through) = own_promise(&mut peer);
    let question = serves(&mut peer);
    peer.answer(question, vec![through]);
    returns(&mut peer, 0, |mut to| to.set_receiver_hosted(1));
    // Import 1 resolves to promise 3 of the peer, which has not been called.
    peer.call(first, CallOptions::default());
    returns(&mut peer, 0, |mut to| to.set_sender_promise(3));
    let third = peer.answers.pop().unwrap().1.unwrap().caps[0].unwrap();
    peer.answer(own, vec![third]);
    peer.written.clear();
    // The call of the first promise comes back, and goes to promise 3. The next follows.
    calls(&mut peer, 6, |mut target| target.set_imported_cap(1));
    assert_eq!(peer.written(), ["call 2"]);
    peer.send(|root| root.init_disembargo().init_context().set_receiver_loopback(0)).unwrap();
    resolves(&mut peer, 3, |mut to| to.set_receiver_hosted(0));
    is_disembargo(&peer.written()[0], "importedCap = 3");
    peer.call(promise, CallOptions::default());
    assert!(peer.delivered.is_empty(), "it overtakes the call before");
    peer.send(|root| root.init_disembargo().init_context().set_receiver_loopback(0)).unwrap();
    assert_eq!(peer.delivered.len(), 1);
}

#[test]
fn promises_that_wait_for_each_other_are_broken() {
    let (mut peer, first) = ready();
    let promise = peer.call(first, options(1)).promise.unwrap();
    peer.call(promise, CallOptions::default());
    let other = peer.call(first, options(2)).promise.unwrap();
    // It resolves to the other one, by way of this side, and waits for question 1.
    leads_back(&mut peer, other);
    returns(&mut peer, 0, |mut to| to.set_receiver_hosted(1));
    gives(&mut peer, promise);
    // Question 1 comes back, and goes on to the other one,
    calls(&mut peer, 7, |mut target| target.set_imported_cap(1));
    // which resolves to the first. So it comes back once more, and waits there.
    returns(&mut peer, 2, |mut to| to.set_receiver_hosted(2));
    calls(&mut peer, 8, |mut target| target.set_imported_cap(2));
    peer.written.clear();
    peer.send(|root| root.init_disembargo().init_context().set_receiver_loopback(0)).unwrap();
    let written = peer.written();
    assert!(
        written.contains(&"return 8: the promise was resolved to itself".into()),
        "{written:?}"
    );
    let call = peer.engine.call(promise, empty(), options(3)).unwrap();
    peer.drain();
    assert!(!peer.engine.is_open(call.call));
}

/// What is not watched for any more leaves nothing at the promise, nor a reference on it.
#[test]
fn a_watch_that_is_taken_back() {
    let run = |watches: &[u64], back: &[u64]| {
        let mut peer = Peer::new();
        let (call, promise) = own_promise(&mut peer);
        assert!(watches.iter().all(|tag| peer.engine.watch(promise, *tag)));
        back.iter().for_each(|tag| peer.engine.unwatch(promise, *tag));
        peer.engine.release(promise);
        peer.drain();
        let unresolved = peer.engine.sizes().capabilities;
        let object = peer.engine.object(9);
        peer.answer(call, vec![object]);
        (unresolved, peer.engine.sizes().capabilities, peer.resolved)
    };
    let (unwatched, over, _) = run(&[], &[]);
    let watched = run(&[0, 1, 2], &[0, 2, 7]);
    assert_eq!(watched, (unwatched, over, vec![1]));
    assert_eq!(run(&[3], &[3]), (unwatched, over, vec![]));
}
