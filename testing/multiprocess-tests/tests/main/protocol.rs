//! What the RPC protocol says of promises, of results that stay where they are, and of what is let
//! go of: a raw peer sends what the C++ implementation sends, in the order that is hard to get right.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use capnp_rpc::rpc_capnp::{message, resolve};
use multiprocess::{Connection, Error, Result, current_call};
use multiprocess_tests::generated::lab::{
    Counter, CounterClient, Lab, LabClient, LabReadCounterResults,
};
use multiprocess_tests::generated::lab_capnp::{counter, lab};
use multiprocess_tests::generated::proxy_capnp::thread_map;
use multiprocess_tests::raw::{COUNTER, Cap, LAB, RawPeer, THREAD_MAP, Target, bytes_of, cap};
use multiprocess_tests::{Pair, Relay, eventually, pair, wait_until};

/// A counter that starts here is made when its call has been cancelled.
const CANCELLED: i64 = 1_000_000;

const NEXT: (u64, u16) = (COUNTER, 1);

/// A lab that keeps the counters it is given, and gives them back when it is let.
#[derive(Default)]
struct Keeper {
    kept: Mutex<Option<CounterClient>>,
    open: Mutex<bool>,
    opened: Condvar,
    /// A call that was to be cancelled was not.
    missed: AtomicBool,
}

impl Keeper {
    fn kept(&self) -> CounterClient {
        wait_until("a counter is kept", || self.kept.lock().unwrap().is_some());
        self.kept.lock().unwrap().clone().unwrap()
    }

    fn keep_own(&self) {
        *self.kept.lock().unwrap() = Some(CounterClient::new(Numbers(Mutex::new(0))));
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// Serves the keeper that the test has too.
struct Kept(Arc<Keeper>);

impl Lab for Kept {
    fn read_counter(&self, counter: CounterClient) -> Result<LabReadCounterResults> {
        *self.0.kept.lock().unwrap() = Some(counter);
        Ok(LabReadCounterResults { result: 0, is_local: false })
    }

    /// From zero on a new one. Otherwise the one that is kept, when the keeper is opened.
    fn make_counter(&self, start: i64) -> Result<CounterClient> {
        if start == CANCELLED {
            let call = current_call().ok_or_else(|| Error::failed("not in a call"))?;
            let was_cancelled = eventually(|| call.is_cancelled());
            self.0.missed.fetch_or(!was_cancelled, Ordering::SeqCst);
        }
        if start >= 0 {
            return Ok(CounterClient::new(Numbers(Mutex::new(start))));
        }
        let mut open = self.0.open.lock().unwrap();
        while !*open {
            open = self.0.opened.wait(open).unwrap();
        }
        Ok(self.0.kept())
    }
}

struct Numbers(Mutex<i64>);

impl Counter for Numbers {
    fn next(&self) -> Result<i64> {
        let mut next = self.0.lock().unwrap();
        *next += 1;
        Ok(*next - 1)
    }
}

/// A keeper that is served to a raw peer.
struct Bench {
    keeper: Arc<Keeper>,
    serving: Connection,
    peer: RawPeer,
    lab: Target,
}

/// `threads`: how many calls it serves at once.
fn bench(threads: u32) -> Bench {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let keeper = Arc::new(Keeper::default());
    let object = LabClient::new(Kept(Arc::clone(&keeper)));
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let lab = Target::Bootstrap(peer.bootstrap());
    let map = peer.ask(lab, (LAB, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    let map = Target::Export(map.export());
    peer.ask(map, (THREAD_MAP, 1), &[], |content| {
        content.init_as::<thread_map::make_pool_params::Builder<'_>>().set_count(threads);
    })
    .results();
    Bench { keeper, serving, peer, lab }
}

impl Bench {
    /// Asks for a counter; a negative one is the one that is kept, when the keeper is opened.
    fn make(&mut self, start: i64) -> u32 {
        self.peer.call(self.lab, (LAB, 13), &[], |content| {
            let mut params = content.init_as::<lab::make_counter_params::Builder<'_>>();
            params.reborrow().init_context();
            params.set_start(start);
        })
    }

    /// The number of a new counter of the keeper's.
    fn counter(&mut self) -> u32 {
        let question = self.make(0);
        self.peer.wait(question).export()
    }

    fn next(&mut self, target: Target) -> u32 {
        self.peer.call(target, NEXT, &[], next)
    }

    /// Has the keeper keep a counter.
    fn keep(&mut self, counter: Cap) -> CounterClient {
        let question = self.peer.call(self.lab, (LAB, 15), &[counter], |content| {
            let mut params = content.init_as::<lab::read_counter_params::Builder<'_>>();
            params.reborrow().init_context();
            params.set_counter(cap::<counter::Client>());
        });
        self.peer.wait(question).results();
        self.keeper.kept()
    }

    fn result(&mut self, question: u32) -> i64 {
        number(&self.peer.wait(question).results())
    }

    /// Waits until all that was sent before has been taken in.
    fn be_heard(&mut self) {
        let question = self.peer.bootstrap();
        self.peer.wait(question).results();
    }

    #[track_caller]
    fn assert_alive(&mut self) {
        assert_eq!(self.serving.end_reason().map(|error| error.to_string()), None);
        self.counter();
    }

    #[track_caller]
    fn assert_misbehaved(self) {
        wait_until("the connection is ended", || !self.serving.is_connected());
        let reason = self.serving.end_reason();
        assert!(matches!(reason, Some(Error::PeerMisbehaved { .. })), "{reason:?}");
        pair().assert_alive();
    }
}

fn next(content: capnp::any_pointer::Builder<'_>) {
    content.init_as::<counter::next_params::Builder<'_>>().init_context();
}

/// The result of a `next`.
fn number(message: &multiprocess_tests::raw::Incoming) -> i64 {
    use capnp_rpc::rpc_capnp::return_;
    let message::Return(Ok(ret)) = multiprocess_tests::raw::which(message) else {
        panic!("not a return")
    };
    let Ok(return_::Results(Ok(payload))) = ret.which() else { panic!("no results") };
    payload.get_content().get_as::<counter::next_results::Reader<'_>>().unwrap().get_result()
}

// ---- the order of calls

/// Ends the embargo of `after` and answers `before`, both calls of a promise that has become the
/// keeper's own counter: what the C++ implementation does.
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
    // No call was made of the second, but through it.
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
    // Its end is not the end of the counter, which has the other number.
    bench.peer.finish(given);
    let kept = bench.next(Target::Export(counter));
    assert_eq!(bench.result(kept), 1);
    bench.assert_alive();
}

/// What the peer was told that an answer's capability is, it stays: a promise of the peer's, although
/// this side has heard meanwhile what that has become.
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
    // And calls of it go the way that it went.
    bench.next(Target::Answer(given));
    assert_eq!(bench.peer.find_call().1, Some(3));
    bench.assert_alive();
}

// ---- results that stay where they are

#[test]
fn results_that_were_given_are_not_cancelled_by_a_finish() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let call = bench.keep(Cap::Here(7)).next().start();
    let (question, _) = bench.peer.find_call();
    // The thread is busy: the call that comes back waits.
    let busy = bench.make(-1);
    let back = bench.peer.call_for_elsewhere(Target::Export(counter), NEXT, next);
    bench.peer.answer_from(question, back);
    bench.peer.finish(back);
    bench.be_heard();
    bench.keeper.open();
    bench.peer.wait(busy).results();
    assert_eq!(call.wait().unwrap(), 0);
    bench.peer.find_finish(question);
    bench.assert_alive();
}

#[test]
fn results_that_were_given_and_are_not_wanted_any_more() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let kept = bench.keep(Cap::Here(7));
    let busy = bench.make(-1);
    let before = bench.serving.table_sizes()[0];
    let call = kept.next().start();
    let (question, _) = bench.peer.find_call();
    let back = bench.peer.call_for_elsewhere(Target::Export(counter), NEXT, next);
    bench.peer.answer_from(question, back);
    bench.be_heard();
    drop(call);
    bench.peer.find_finish(question);
    assert_eq!(bench.serving.table_sizes()[0], before);
    bench.peer.finish(back);
    bench.be_heard();
    bench.keeper.open();
    assert_eq!(bench.peer.wait(back).exception(), "canceled");
    bench.peer.wait(busy).results();
    bench.assert_alive();
}

#[test]
fn capabilities_of_results_that_are_still_to_be_given_are_called_by_their_question() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let split = bench.keep(Cap::Here(7)).split().pipelined();
    let (question, _) = bench.peer.find_call();
    let busy = bench.make(-1);
    let back = bench.peer.call_for_elsewhere(Target::Export(counter), NEXT, next);
    bench.peer.answer_from(question, back);
    // Its Finish has not gone out, or this would name a question that is none.
    let call = split.next().start();
    let mut finished = false;
    let second = bench.peer.find(|message| match message {
        message::Finish(Ok(finish)) => {
            finished |= finish.get_question_id() == question;
            None
        }
        message::Call(Ok(call)) => Some(call.get_question_id()),
        _ => None,
    });
    assert!(!finished);
    bench.peer.answer(second, &[], |content| {
        content.init_as::<counter::next_results::Builder<'_>>().set_result(5);
    });
    assert_eq!(call.wait().unwrap(), 5);
    bench.keeper.open();
    bench.peer.wait(busy).results();
    bench.peer.find_finish(question);
    bench.assert_alive();
}

#[test]
fn results_are_given_once() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let kept = bench.keep(Cap::Here(7));
    let _busy = bench.make(-1);
    let (_one, _two) = (kept.next().start(), kept.next().start());
    let (one, _) = bench.peer.find_call();
    let (two, _) = bench.peer.find_call();
    let back = bench.peer.call_for_elsewhere(Target::Export(counter), NEXT, next);
    bench.peer.answer_from(one, back);
    bench.peer.answer_from(two, back);
    wait_until("the connection is ended", || !bench.serving.is_connected());
    bench.keeper.open();
    bench.assert_misbehaved();
}

/// Each call is passed on to the peer, which gives it the results of the one before.
#[test]
fn a_long_chain_of_results_that_are_given_on() {
    const LENGTH: usize = 3_000;
    let mut bench = bench(1);
    bench.keeper.open();
    bench.keep(Cap::Here(7));
    let given = bench.make(-1);
    bench.peer.wait(given).results();
    let (mut calls, mut passed_on) = (Vec::new(), Vec::new());
    for _ in 0..LENGTH {
        calls.push(bench.peer.call_for_elsewhere(Target::Answer(given), NEXT, next));
        passed_on.push(bench.peer.find_call().0);
    }
    for place in 1..LENGTH {
        bench.peer.answer_from(passed_on[place], calls[place - 1]);
    }
    bench.peer.answer(passed_on[0], &[], |content| {
        content.init_as::<counter::next_results::Builder<'_>>();
    });
    for call in calls {
        assert_eq!(bench.peer.wait(call).exception(), "sent elsewhere");
        bench.peer.finish(call);
    }
    bench.assert_alive();
}

// ---- questions that are finished early

/// What a C++ client does that drops a call once it has made one of its result.
#[test]
fn a_call_that_is_finished_while_its_result_is_called() {
    let mut bench = bench(1);
    let busy = bench.make(-1);
    let made = bench.make(10);
    let next = bench.next(Target::Answer(made));
    bench.peer.finish(made);
    bench.be_heard();
    bench.end_busy(busy);
    assert_eq!(bench.result(next), 10);
    assert_eq!(bench.peer.wait(made).exception(), "canceled");
    bench.assert_alive();
}

impl Bench {
    /// Lets the call that keeps the thread busy end.
    fn end_busy(&mut self, busy: u32) {
        self.keeper.keep_own();
        self.keeper.open();
        self.peer.wait(busy).results();
    }
}

#[test]
fn a_finished_call_ends_with_the_last_call_of_its_result() {
    let mut bench = bench(1);
    let busy = bench.make(-1);
    let made = bench.make(CANCELLED);
    let split = bench.peer.call(Target::Answer(made), (COUNTER, 2), &[], |content| {
        content.init_as::<counter::split_params::Builder<'_>>().init_context();
    });
    let next = bench.next(Target::Answer(split));
    bench.peer.finish(made);
    bench.peer.finish(split);
    bench.peer.finish(next);
    // Those that wait for another's result end at once.
    assert_eq!(bench.peer.wait(next).exception(), "canceled");
    assert_eq!(bench.peer.wait(split).exception(), "canceled");
    bench.end_busy(busy);
    assert_eq!(bench.peer.wait(made).exception(), "canceled");
    assert!(!bench.keeper.missed.load(Ordering::SeqCst), "the first was cancelled as well");
    bench.assert_alive();
}

#[test]
fn calls_that_wait_for_a_promise_leave_nothing_when_they_are_cancelled() {
    let mut bench = bench(1);
    let counter = bench.counter();
    let kept = bench.keep(Cap::Promise(3));
    let _before = kept.next().start();
    bench.peer.find_call();
    bench.peer.resolve(3, Cap::There(counter));
    bench.peer.find_embargo();
    let before = bench.serving.table_sizes();
    for _ in 0..1_000 {
        drop(kept.next().start());
    }
    assert_eq!(bench.serving.table_sizes(), before);
    bench.assert_alive();
}

// ---- circles, and more than is good

#[test]
fn a_result_that_is_itself() {
    let mut bench = bench(2);
    let given = bench.make(-1);
    let kept = bench.keep(Cap::Answer(given));
    let early = bench.next(Target::Answer(given));
    bench.keeper.open();
    // Whatever it is told to be, calls of it fail, and nothing else does.
    bench.peer.wait(early).exception();
    kept.next().wait().unwrap_err();
    let late = bench.next(Target::Answer(given));
    bench.peer.wait(late).exception();
    bench.assert_alive();
}

#[test]
fn a_promise_in_its_embargo_and_an_answer_that_are_each_other() {
    let mut bench = bench(2);
    let kept = bench.keep(Cap::Promise(3));
    let _call = kept.next().start();
    bench.peer.find_call();
    let given = bench.make(-1);
    bench.peer.resolve(3, Cap::Answer(given));
    let (embargo, _) = bench.peer.find_embargo();
    bench.keeper.open();
    bench.peer.wait(given).results();
    bench.peer.end_embargo(embargo);
    kept.next().wait().unwrap_err();
    bench.assert_alive();
}

#[test]
fn a_call_that_waits_for_its_own_argument_goes_with_the_connection() {
    let mut bench = bench(2);
    let object = bench.counter();
    let given = bench.make(-1);
    bench.peer.call(Target::Answer(given), NEXT, &[Cap::Answer(given), Cap::There(object)], |to| {
        next(to);
    });
    drop(bench.peer);
    wait_until("the connection is ended", || !bench.serving.is_connected());
    assert_eq!(bench.serving.table_sizes(), [0; 5]);
    bench.keeper.keep_own();
    bench.keeper.open();
}

/// Each call waits for one answer and names the one before, so that each holds the next.
#[test]
fn a_long_chain_of_promises_that_hold_each_other() {
    const LENGTH: usize = 3_000;
    let mut bench = bench(1);
    let base = bench.make(-1);
    bench.peer.gather();
    let questions: Vec<u32> = (0..LENGTH).map(|_| bench.next(Target::Answer(base))).collect();
    for pair in questions.windows(2) {
        bench.peer.call(Target::Answer(pair[1]), NEXT, &[Cap::Answer(pair[0])], next);
    }
    bench.peer.send_gathered().unwrap();
    wait_until("all are there", || bench.serving.table_sizes()[1] > 2 * LENGTH);
    drop(bench.peer);
    wait_until("the connection is ended", || !bench.serving.is_connected());
    bench.keeper.keep_own();
    bench.keeper.open();
    pair().assert_alive();
}

#[test]
fn a_promise_that_becomes_another_again_and_again() {
    let mut bench = bench(1);
    // Over time there may be any number of them.
    for round in 0..15_000 {
        let promise = 100 + 2 * round;
        if round % 1_000 == 0 {
            bench.keep(Cap::Promise(promise));
        }
        if round % 1_000 < 900 {
            bench.peer.resolve(promise, Cap::Promise(promise + 2));
        }
    }
    bench.assert_alive();
    // But not one after the other.
    bench.keep(Cap::Promise(100_000));
    for promise in 100_000..120_000 {
        let sent = bench.peer.send(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(promise);
            resolve.init_cap().set_sender_promise(promise + 1);
        });
        if sent.is_err() {
            break;
        }
    }
    bench.assert_misbehaved();
}

#[test]
fn more_capabilities_of_an_answer_than_it_can_have() {
    let mut bench = bench(1);
    let base = bench.make(-1);
    bench.peer.gather();
    for field in 0..1_000 {
        let question = bench.peer.question();
        bench
            .peer
            .send(|message| {
                let mut call = message.init_call();
                call.set_question_id(question);
                let mut target = call.init_target().init_promised_answer();
                target.set_question_id(base);
                target.init_transform(1).get(0).set_get_pointer_field(field);
            })
            .unwrap();
    }
    let _ = bench.peer.send_gathered();
    wait_until("the connection is ended", || !bench.serving.is_connected());
    bench.keeper.keep_own();
    bench.keeper.open();
    bench.assert_misbehaved();
}

#[test]
fn a_capability_that_lies_too_deep() {
    let mut bench = bench(1);
    let base = bench.make(-1);
    let _ = bench.peer.send(|message| {
        let mut call = message.init_call();
        call.set_question_id(99);
        let mut target = call.init_target().init_promised_answer();
        target.set_question_id(base);
        let mut ops = target.init_transform(100_000);
        for place in 0..100_000 {
            ops.reborrow().get(place).set_get_pointer_field(0);
        }
    });
    wait_until("the connection is ended", || !bench.serving.is_connected());
    bench.keeper.keep_own();
    bench.keeper.open();
    bench.assert_misbehaved();
}

#[test]
fn a_table_of_capabilities_that_takes_no_room() {
    let mut bench = bench(1);
    let bytes = bytes_of(|message| {
        let mut call = message.init_call();
        call.set_question_id(99);
        call.reborrow().init_target().set_imported_cap(0);
        call.init_params().init_cap_table(1);
    });
    // The table is the list at the end: a word that says how many, and one descriptor of two words.
    let mut bytes = bytes;
    let tag = bytes.len() - 24;
    // Many structs of nothing.
    bytes[tag..tag + 8].copy_from_slice(&(500_u64 << 2).to_le_bytes());
    let _ = bench.peer.send_bytes(&bytes);
    bench.assert_misbehaved();
}

// ---- peers that know less

#[test]
fn a_call_that_the_peer_does_not_know() {
    let mut bench = bench(1);
    let call = bench.keep(Cap::Here(7)).next().start();
    let (question, _) = bench.peer.find_call();
    bench
        .peer
        .send(|message| message.init_unimplemented().init_call().set_question_id(question))
        .unwrap();
    assert!(matches!(call.wait(), Err(Error::Unimplemented { .. })));
    bench.assert_alive();
}

// ---- what is left

/// One of several kinds of calls, with capabilities either way.
fn any_call(lab: &LabClient, round: i64) {
    let counter = lab.make_counter(round).wait().unwrap();
    match round % 5 {
        0 => assert_eq!(lab.read_counter(counter).wait().unwrap().result, round),
        1 => {
            let counter = lab.make_counter(round).pipelined();
            assert_eq!(counter.next().wait().unwrap(), round);
        }
        2 => {
            let split = counter.split().pipelined();
            assert_eq!(lab.read_counter(split).wait().unwrap().result, round);
        }
        3 => {
            let callback = Relay::client(|lab, _| lab.unwrap().add_inline(1, 2).wait());
            assert_eq!(lab.call_back(callback.clone(), 1).wait().unwrap(), 4);
            lab.hold(Some(callback)).wait().unwrap();
            lab.hold(None).wait().unwrap();
        }
        _ => {
            lab.make_counter(-1).pipelined().next().wait().unwrap_err();
            lab.no_counter().pipelined().next().wait().unwrap_err();
        }
    }
}

#[test]
fn tables_are_as_they_were_after_all_kinds_of_calls() {
    let Pair { server, serving, calling, lab } = pair();
    let sizes = || [calling.table_sizes(), serving.table_sizes()];
    let on_thread = |first: i64, rounds: i64| {
        let lab = lab.clone();
        std::thread::spawn(move || (first..first + rounds).for_each(|n| any_call(&lab, n)))
    };
    on_thread(0, 10).join().unwrap();
    let quiet = || sizes().iter().all(|side| side[0] + side[4] == 0) && server.counters() == 0;
    wait_until("all calls are over", quiet);
    // What the thread that has ended had may still be let go of: that only makes it less.
    let before = sizes();
    let within = |more: usize| {
        let side = |now: [usize; 5], then: [usize; 5]| (0..5).all(|at| now[at] <= then[at] + more);
        let now = sizes();
        quiet() && side(now[0], before[0]) && side(now[1], before[1])
    };
    on_thread(0, 500).join().unwrap();
    // But for a few of the peer's threads, on which objects are ended that were let go of.
    assert!(eventually(|| within(8)), "{:?} is more than {before:?}", sizes());
    // At once, and cancelled at any point: but for threads for futures, of which up to 64 stay.
    let callers: Vec<_> = (0..4).map(|first| on_thread(first, 200)).collect();
    for round in 0..500 {
        drop(lab.make_counter(round).start());
    }
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    assert!(eventually(|| within(70)), "{:?} is much more than {before:?}", sizes());
}
