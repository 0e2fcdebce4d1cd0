//! A Disembargo of the peer for an object of its own: this side's answer named the answer of one of
//! this side's questions (`receiverAnswer`), and the peer has answered that question meanwhile. The
//! Disembargo crosses the Return, which the protocol allows.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use multiprocess::{Connection, Error, Result};
use multiprocess_tests::generated::lab::{
    Counter, CounterClient, Lab, LabClient, LabReadCounterResults,
};
use multiprocess_tests::generated::lab_capnp::{counter, lab};
use multiprocess_tests::generated::proxy_capnp::thread_map;
use multiprocess_tests::raw::{COUNTER, Cap, LAB, THREAD_MAP, Target, cap};
use multiprocess_tests::recorder::{Event, Outcome, Recorder};

const NEXT: (u64, u16) = (COUNTER, 1);
const SPLIT: (u64, u16) = (COUNTER, 2);

/// Gives out the handle that it keeps, and counts.
#[derive(Default)]
struct Keeper(Mutex<Option<CounterClient>>);

struct Served(Arc<Keeper>);

impl Lab for Served {
    fn read_counter(&self, counter: CounterClient) -> Result<LabReadCounterResults> {
        *self.0.0.lock().unwrap() = Some(counter);
        Ok(LabReadCounterResults { result: 0, is_local: false })
    }

    /// For a negative number the counter that is kept, otherwise a new one that starts there.
    fn make_counter(&self, start: i64) -> Result<CounterClient> {
        if start >= 0 {
            return Ok(CounterClient::new(Numbers(Mutex::new(start))));
        }
        self.0.0.lock().unwrap().clone().ok_or_else(|| Error::failed("nothing is kept"))
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

struct Bench {
    keeper: Arc<Keeper>,
    serving: Connection,
    recorder: Recorder,
    lab: Target,
}

/// All calls run on one thread, in the order in which they are delivered.
fn bench() -> Bench {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let keeper = Arc::new(Keeper::default());
    let object = LabClient::new(Served(Arc::clone(&keeper)));
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let mut recorder = Recorder::new(ours);
    let lab = Target::Bootstrap(recorder.peer.bootstrap());
    let map = recorder.peer.ask(lab, (LAB, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    let map = Target::Export(map.export());
    recorder
        .peer
        .ask(map, (THREAD_MAP, 1), &[], |content| {
            content.init_as::<thread_map::make_pool_params::Builder<'_>>().set_count(1);
        })
        .results();
    Bench { keeper, serving, recorder, lab }
}

impl Bench {
    fn make(&mut self, start: i64) -> u32 {
        self.recorder.peer.call(self.lab, (LAB, 13), &[], |content| {
            let mut params = content.init_as::<lab::make_counter_params::Builder<'_>>();
            params.reborrow().init_context();
            params.set_start(start);
        })
    }

    /// The number of a counter of the keeper's.
    fn counter(&mut self) -> u32 {
        let question = self.make(0);
        self.recorder.peer.wait(question).export()
    }

    fn next(&mut self, target: Target) -> u32 {
        self.recorder.peer.call(target, NEXT, &[], |content| {
            content.init_as::<counter::next_params::Builder<'_>>().init_context();
        })
    }

    /// Makes this side ask the peer for a counter, and give the peer what that question will return.
    /// Returns the handle on it, this side's question, and the peer's.
    fn promised(&mut self) -> (CounterClient, u32, u32) {
        let question = self.recorder.peer.call(self.lab, (LAB, 15), &[Cap::Here(7)], |content| {
            let mut params = content.init_as::<lab::read_counter_params::Builder<'_>>();
            params.reborrow().init_context();
            params.set_counter(cap::<counter::Client>());
        });
        self.recorder.return_of(question);
        let kept = self.keeper.0.lock().unwrap().take().expect("it was given");
        let promised = kept.split().pipelined();
        // It is not dropped while it is used, so that no messages about its end get in the way.
        std::mem::forget(kept);
        *self.keeper.0.lock().unwrap() = Some(promised.clone());
        let (_, split) = self.recorder.call_of(SPLIT);
        let given = self.make(-1);
        (promised, split.question, given)
    }

    fn answer_split(&mut self, question: u32, counter: u32) {
        self.recorder.peer.answer(question, &[Cap::There(counter)], |content| {
            content.init_as::<counter::split_results::Builder<'_>>().set_result(cap());
        });
    }

    fn ask_embargo(&mut self, given: u32) {
        self.recorder
            .peer
            .send(|message| {
                let mut disembargo = message.init_disembargo();
                let mut target = disembargo.reborrow().init_target().init_promised_answer();
                target.set_question_id(given);
                target.init_transform(1).get(0).set_get_pointer_field(0);
                disembargo.init_context().set_sender_loopback(9);
            })
            .unwrap();
    }

    #[track_caller]
    fn echo(&mut self) -> usize {
        self.recorder.find(|event| matches!(event, Event::Echo { id: 9, .. }))
    }

    #[track_caller]
    fn assert_alive(&mut self) {
        self.recorder.hear();
        assert_eq!(self.serving.end_reason().map(|error| error.to_string()), None);
    }
}

/// Asserts that the peer's answer is described as one of its own answers.
#[track_caller]
fn assert_described(bench: &mut Bench, given: u32, question: u32) {
    use multiprocess_tests::recorder::Given;
    let (_, outcome) = bench.recorder.return_of(given);
    assert_eq!(outcome, Outcome::Results(vec![Given::Answer(question)]));
}

#[test]
fn the_question_returned_with_an_object_of_this_side() {
    let mut bench = bench();
    let counter = bench.counter();
    let (_promised, question, given) = bench.promised();
    assert_described(&mut bench, given, question);
    bench.answer_split(question, counter);
    bench.ask_embargo(given);
    bench.echo();
    bench.assert_alive();
}

#[test]
fn the_question_returned_with_an_error() {
    let mut bench = bench();
    let (promised, question, given) = bench.promised();
    assert_described(&mut bench, given, question);
    bench.recorder.fail(question, capnp_rpc::rpc_capnp::exception::Type::Failed, "there is none");
    bench.ask_embargo(given);
    bench.echo();
    assert!(promised.next().wait().unwrap_err().to_string().contains("there is none"));
    bench.assert_alive();
}

#[test]
fn the_question_returned_with_an_object_of_the_peers() {
    let mut bench = bench();
    let (_promised, question, given) = bench.promised();
    assert_described(&mut bench, given, question);
    bench.recorder.peer.answer(question, &[Cap::Here(8)], |content| {
        content.init_as::<counter::split_results::Builder<'_>>().set_result(cap());
    });
    bench.ask_embargo(given);
    bench.echo();
    bench.assert_alive();
}

/// The purpose of a Disembargo: the calls that the peer had made through this side come back to it
/// before the echo.
#[test]
fn calls_that_came_before_are_passed_on_before_the_echo() {
    let mut bench = bench();
    let (_promised, question, given) = bench.promised();
    assert_described(&mut bench, given, question);
    let calls = [(); 2].map(|()| bench.next(Target::Answer(given)));
    bench.ask_embargo(given);
    let echo = bench.echo();
    for call in calls {
        let (place, passed_on) = bench.recorder.call_of(NEXT);
        assert!(place < echo);
        bench.recorder.peer.answer(passed_on.question, &[], |content| {
            content.init_as::<counter::next_results::Builder<'_>>().set_result(4);
        });
        assert!(matches!(bench.recorder.return_of(call).1, Outcome::Results(_)));
    }
    bench.assert_alive();
}

/// This side has an embargo of its own on the same object: calls of the peer's wait for its end, and
/// the echo must not come before they are delivered.
#[test]
fn calls_that_wait_for_this_sides_own_embargo_are_delivered_before_the_echo() {
    let mut bench = bench();
    let counter = bench.counter();
    let (promised, question, given) = bench.promised();
    assert_described(&mut bench, given, question);
    // A call of this side's is on its way to the peer: so there is an embargo when it resolves.
    let before = promised.next().start();
    let (_, passed_on) = bench.recorder.call_of(NEXT);
    bench.answer_split(question, counter);
    let place = bench.recorder.find(|event| matches!(event, Event::Embargo { .. }));
    let Event::Embargo { id, .. } = bench.recorder.log()[place] else { unreachable!() };
    let waits = bench.next(Target::Answer(given));
    bench.ask_embargo(given);
    bench.recorder.hear();
    // The peer sends this side's call back to where it is, ends the embargo, and calls for itself.
    let back = bench.recorder.peer.call_for_elsewhere(Target::Export(counter), NEXT, |content| {
        content.init_as::<counter::next_params::Builder<'_>>().init_context();
    });
    bench.recorder.peer.answer_from(passed_on.question, back);
    bench.recorder.peer.end_embargo(id);
    bench.echo();
    let after = bench.next(Target::Export(counter));
    let number = |bench: &mut Bench, question: u32| bench.recorder.number_of(question);
    // One thread runs them all, in the order of their delivery.
    assert_eq!(before.wait().unwrap(), 0);
    assert_eq!(number(&mut bench, waits), 1);
    assert_eq!(number(&mut bench, after), 2);
    bench.assert_alive();
}
