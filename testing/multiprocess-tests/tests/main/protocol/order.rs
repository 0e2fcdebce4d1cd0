//! The order of calls of a promise, before and after it has become an object of this side's.

use capnp_rpc::rpc_capnp::{message, resolve};
use multiprocess_tests::generated::lab_capnp::counter;
use multiprocess_tests::raw::{Cap, Target, cap};

use super::{Bench, NEXT, bench, next};

/// Ends the embargo of `after` and answers `before`, like the C++ implementation. Both are calls of
/// a promise that has become the keeper's own counter.
fn send_back(bench: &mut Bench, before: u32, embargo: u32, counter: u32) -> u32 {
    let back = bench.peer.call_for_elsewhere(Target::Export(counter), NEXT, next);
    bench.peer.answer_from(before, back);
    bench.peer.end_embargo(embargo);
    back
}

#[test]
fn calls_of_a_promise_before_and_after_it_is_an_object_here() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let kept = bench.keep(Cap::Promise(3));
    let before = kept.next().start();
    let (question, target) = bench.peer.find_call();
    assert_eq!(target, Some(3));
    bench.peer.resolve(3, Cap::There(counter));
    let (embargo, target) = bench.peer.find_embargo();
    assert_eq!(target, Some(3));
    let after = kept.next().start();
    let back = send_back(&mut bench, question, embargo, counter);
    assert_eq!((before.wait().unwrap(), after.wait().unwrap()), (0, 1));
    bench.peer.find_finish(question);
    assert_eq!(bench.peer.wait(back).exception(), "sent elsewhere");
    bench.peer.finish(back);
    bench.assert_alive();
}

#[test]
fn calls_of_an_answers_capability_before_and_after_it_is_an_object_here() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let split = bench.keep(Cap::Here(7)).split().pipelined();
    let (first, target) = bench.peer.find_call();
    assert_eq!(target, Some(7));
    let before = split.next().start();
    let (question, target) = bench.peer.find_call();
    assert_eq!(target, None);
    bench.peer.answer(first, &[Cap::There(counter)], |content| {
        content.init_as::<counter::split_results::Builder<'_>>().set_result(cap());
    });
    let (embargo, _) = bench.peer.find_embargo();
    // The Disembargo names the answer, so that comes before the Finish.
    bench.peer.find_finish(first);
    let after = split.next().start();
    send_back(&mut bench, question, embargo, counter);
    assert_eq!((before.wait().unwrap(), after.wait().unwrap()), (0, 1));
    bench.assert_alive();
}

#[test]
fn calls_of_a_promise_that_becomes_another_before_it_is_an_object_here() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let kept = bench.keep(Cap::Promise(3));
    let before = kept.next().start();
    let (question, _) = bench.peer.find_call();
    bench.peer.resolve(3, Cap::Promise(4));
    bench.peer.resolve(4, Cap::There(counter));
    // The second was not called itself, but calls were made through it.
    let (embargo, target) = bench.peer.find_embargo();
    assert_eq!(target, Some(4));
    let after = kept.next().start();
    send_back(&mut bench, question, embargo, counter);
    assert_eq!((before.wait().unwrap(), after.wait().unwrap()), (0, 1));
    bench.assert_alive();
}

#[test]
fn a_promise_that_was_not_called_needs_no_embargo() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let kept = bench.keep(Cap::Promise(3));
    bench.peer.resolve(3, Cap::There(counter));
    bench.assert_alive();
    assert_eq!(kept.next().wait().unwrap(), 0);
}

#[test]
fn a_promise_that_is_given_on_in_its_embargo_is_resolved_later() {
    let mut bench = bench(1);
    bench.keeper.open();
    let counter = bench.counter();
    let kept = bench.keep(Cap::Promise(3));
    let before = kept.next().start();
    let (question, _) = bench.peer.find_call();
    bench.peer.resolve(3, Cap::There(counter));
    let (embargo, _) = bench.peer.find_embargo();
    let given = bench.make(-1);
    let promise = bench.peer.wait(given).export();
    assert_ne!(promise, counter);
    send_back(&mut bench, question, embargo, counter);
    let (resolved, to) = bench.peer.find(|message| {
        let message::Resolve(Ok(resolve)) = message else { return None };
        let Ok(resolve::Cap(Ok(cap))) = resolve.which() else { return None };
        match cap.which().ok()? {
            capnp_rpc::rpc_capnp::cap_descriptor::SenderHosted(id) => {
                Some((resolve.get_promise_id(), id))
            }
            _ => None,
        }
    });
    assert_eq!((resolved, to), (promise, counter));
    assert_eq!(before.wait().unwrap(), 0);
    // That does not end the counter, which has the other number.
    bench.peer.finish(given);
    let kept = bench.next(Target::Export(counter));
    assert_eq!(bench.result(kept), 1);
    bench.assert_alive();
}

/// An answer's capability stays what the peer was told: a promise of the peer, although this side has
/// learnt meanwhile what that has become.
#[test]
fn a_disembargo_that_crosses_the_resolve() {
    let mut bench = bench(1);
    bench.keeper.open();
    let counter = bench.counter();
    bench.keep(Cap::Promise(3));
    let given = bench.make(-1);
    bench.peer.wait(given).results();
    bench.peer.resolve(3, Cap::There(counter));
    bench
        .peer
        .send(|message| {
            let mut disembargo = message.init_disembargo();
            let mut target = disembargo.reborrow().init_target().init_promised_answer();
            target.set_question_id(given);
            target.init_transform(1).get(0).set_get_pointer_field(0);
            disembargo.init_context().set_sender_loopback(9);
        })
        .unwrap();
    let (embargo, target) = bench.peer.find(|message| {
        use capnp_rpc::rpc_capnp::{disembargo, message_target};
        let message::Disembargo(Ok(disembargo)) = message else { return None };
        let Ok(disembargo::context::ReceiverLoopback(id)) = disembargo.get_context().which() else {
            return None;
        };
        match disembargo.get_target().ok()?.which().ok()? {
            message_target::ImportedCap(target) => Some((id, target)),
            message_target::PromisedAnswer(_) => None,
        }
    });
    assert_eq!((embargo, target), (9, 3));
    // Calls of it take the same path.
    bench.next(Target::Answer(given));
    assert_eq!(bench.peer.find_call().1, Some(3));
    bench.assert_alive();
}
