//! Counts of references on the other side's objects, and how they are released: by a Finish, by a
//! Release, and both at once.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, mpsc};

use capnp_rpc::rpc_capnp::exception::Type;
use multiprocess::{Connection, Error, Interface, Result};
use multiprocess_tests::generated::lab_capnp::{callback, counter, lab};
use multiprocess_tests::generated::life::{House, HouseClient, PlainClient};
use multiprocess_tests::generated::life_capnp::{house, plain};
use multiprocess_tests::generated::proxy_capnp::thread_map;
use multiprocess_tests::raw::{Answer, COUNTER, Cap, LAB, THREAD_MAP, Target, cap};
use multiprocess_tests::recorder::{Event, Outcome, Recorder};
use multiprocess_tests::{LabServer, eventually, pair, wait_until};

const HOUSE: u64 = HouseClient::ID;
const PLAIN: u64 = PlainClient::ID;
const NEXT: (u64, u16) = (COUNTER, 1);

struct Bench {
    server: Arc<LabServer>,
    serving: Connection,
    recorder: Recorder,
    lab: Target,
}

fn bench() -> Bench {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = LabServer::new();
    let serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
    let mut recorder = Recorder::new(ours);
    let lab = Target::Bootstrap(recorder.peer.bootstrap());
    let map = recorder.peer.ask(lab, (LAB, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    let map = Target::Export(map.export());
    recorder
        .peer
        .ask(map, (THREAD_MAP, 1), &[], |content| {
            content.init_as::<thread_map::make_pool_params::Builder<'_>>().set_count(2);
        })
        .results();
    Bench { server, serving, recorder, lab }
}

impl Bench {
    /// Makes a counter. The question that made it, which is not finished, and its number.
    fn counter(&mut self) -> (u32, u32) {
        let question = self.recorder.peer.call(self.lab, (LAB, 13), &[], |content| {
            content.init_as::<lab::make_counter_params::Builder<'_>>().init_context();
        });
        let export = self.recorder.peer.wait(question).export();
        assert_eq!(self.server.counters(), 1);
        (question, export)
    }

    fn finish(&mut self, question: u32, release: bool) {
        self.recorder
            .peer
            .send(|message| {
                let mut finish = message.init_finish();
                finish.set_question_id(question);
                finish.set_release_result_caps(release);
            })
            .unwrap();
    }

    fn next(&mut self, export: u32) -> Answer {
        self.recorder.peer.ask(Target::Export(export), NEXT, &[], |content| {
            let params = content.init_as::<counter::next_params::Builder<'_>>();
            params.init_context();
        })
    }

    /// Asserts that this connection has ended, by the peer's fault, and no other.
    #[track_caller]
    fn assert_misbehaved(self) {
        wait_until("the connection is ended", || !self.serving.is_connected());
        let reason = self.serving.end_reason();
        assert!(matches!(reason, Some(Error::PeerMisbehaved { .. })), "{reason:?}");
        wait_until("its counters are dropped", || self.server.counters() == 0);
        pair().assert_alive();
    }
}

// ---- what the peer's Finish says

#[test]
fn a_finish_that_releases_lets_the_results_go() {
    let mut bench = bench();
    let (question, _) = bench.counter();
    bench.finish(question, true);
    wait_until("the counter is dropped", || bench.server.counters() == 0);
    bench.recorder.hear();
    assert!(bench.serving.is_connected());
}

#[test]
fn a_finish_that_does_not_release_leaves_the_results() {
    let mut bench = bench();
    for _ in 0..10 {
        let (question, export) = bench.counter();
        bench.finish(question, false);
        bench.recorder.hear();
        bench.next(export).results();
        assert_eq!(bench.server.counters(), 1);
        bench.recorder.peer.release(export);
        wait_until("the counter is dropped", || bench.server.counters() == 0);
    }
    assert!(bench.serving.is_connected());
}

/// The Finish comes before the answer, so the results are released as soon as they exist.
#[test]
fn a_finish_before_the_answer() {
    let mut bench = bench();
    let block = bench.recorder.peer.call(bench.lab, (LAB, 11), &[], |content| {
        let mut params = content.init_as::<lab::block_params::Builder<'_>>();
        params.set_name("gate");
        params.init_context();
    });
    wait_until("it runs", || bench.server.is_blocked("gate"));
    bench.finish(block, true);
    wait_until("it is cancelled", || bench.server.was_cancelled("gate"));
    bench.recorder.return_of(block);
    let exports = bench.serving.table_sizes()[2];
    let question = bench.recorder.peer.call(bench.lab, (LAB, 13), &[], |content| {
        content.init_as::<lab::make_counter_params::Builder<'_>>().init_context();
    });
    bench.finish(question, true);
    bench.recorder.return_of(question);
    wait_until("nothing is left", || bench.server.counters() == 0);
    bench.recorder.hear();
    assert!(eventually(|| bench.serving.table_sizes()[2] == exports));
}

// ---- what the peer's Release says

#[test]
fn more_references_than_there_were() {
    let mut bench = bench();
    let (_, export) = bench.counter();
    let _ = bench.recorder.peer.send(|message| {
        let mut release = message.init_release();
        release.set_id(export);
        release.set_reference_count(2);
    });
    bench.assert_misbehaved();
}

#[test]
fn an_object_that_was_released_is_released_again() {
    let mut bench = bench();
    let (question, export) = bench.counter();
    bench.finish(question, false);
    bench.recorder.peer.release(export);
    wait_until("the counter is dropped", || bench.server.counters() == 0);
    let _ = bench.recorder.peer.send(|message| {
        let mut release = message.init_release();
        release.set_id(export);
        release.set_reference_count(1);
    });
    bench.assert_misbehaved();
}

#[test]
fn an_object_that_was_never_given() {
    let mut bench = bench();
    bench.counter();
    bench.recorder.peer.release(12_345);
    bench.assert_misbehaved();
}

/// The Finish has already released the references of the results.
#[test]
fn a_release_of_what_a_finish_has_released() {
    let mut bench = bench();
    let (question, export) = bench.counter();
    bench.finish(question, true);
    wait_until("the counter is dropped", || bench.server.counters() == 0);
    bench.recorder.peer.release(export);
    bench.assert_misbehaved();
}

// ---- what this side says

/// No Release follows the Finish: a handle keeps the references of the results, or there were none.
#[test]
fn this_sides_finish_keeps_what_it_holds() {
    let mut bench = bench();
    bench
        .recorder
        .peer
        .ask(bench.lab, (LAB, 9), &[Cap::Here(7)], |content| {
            let mut params = content.init_as::<lab::hold_params::Builder<'_>>();
            params.reborrow().init_context();
            params.set_callback(cap::<callback::Client>());
        })
        .results();
    let call = bench.server.kept().unwrap().call(None, 1).start();
    let place = bench.recorder.find(|event| matches!(event, Event::Call(_)));
    let Event::Call(called) = bench.recorder.log()[place].clone() else { unreachable!() };
    drop(call);
    let (_, release) = bench.recorder.finish_of(called.question);
    assert!(release, "nobody holds its results");
    bench.recorder.hear();
    assert_eq!(bench.recorder.count(|event| matches!(event, Event::Release { .. })), 0);
}

/// Keeps a plain object, and gives it out when its gate is opened.
struct Keeps {
    gate: Mutex<mpsc::Receiver<()>>,
    kept: Mutex<Option<PlainClient>>,
}

impl House for Keeps {
    fn take_plain(&self, plain: PlainClient) -> Result<i32> {
        *self.kept.lock().unwrap() = Some(plain);
        Ok(0)
    }

    fn fetch_plain(&self) -> Result<PlainClient> {
        let _ = self.gate.lock().unwrap().recv();
        self.kept.lock().unwrap().take().ok_or_else(|| Error::failed("nothing is kept"))
    }
}

/// A house that keeps what it is given, served to a raw peer.
struct Hands {
    _serving: Connection,
    recorder: Recorder,
    house: Target,
    thread: u32,
}

/// The object with its gate, which opens when the sender is dropped.
fn hands() -> (mpsc::Sender<()>, Hands) {
    let (gate, opened) = mpsc::channel();
    let object = HouseClient::new(Keeps { gate: Mutex::new(opened), kept: Mutex::default() });
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let mut recorder = Recorder::new(ours);
    let house = Target::Bootstrap(recorder.peer.bootstrap());
    let map = recorder.peer.ask(house, (HOUSE, 0), &[], |content| {
        content.init_as::<house::construct_params::Builder<'_>>();
    });
    let map = Target::Export(map.export());
    let thread = recorder.peer.ask(map, (THREAD_MAP, 0), &[], |content| {
        content.init_as::<thread_map::make_thread_params::Builder<'_>>().set_name("raw");
    });
    (gate, Hands { _serving: serving, recorder, house, thread: thread.export() })
}

impl Hands {
    fn take_plain(&mut self, export: u32) -> u32 {
        let caps = [Cap::There(self.thread), Cap::Here(export)];
        self.recorder.peer.call(self.house, (HOUSE, 3), &caps, |content| {
            let mut params = content.init_as::<house::take_plain_params::Builder<'_>>();
            params.reborrow().init_context().set_thread(cap());
            params.set_plain(cap::<plain::Client>());
        })
    }
}

/// When one argument replaces another that was kept, the old one is released with the answer or right
/// after it, without another message of the peer.
#[test]
fn an_argument_is_released_when_the_next_takes_its_place() {
    let (_gate, mut hands) = hands();
    let first = hands.take_plain(7);
    hands.recorder.return_of(first);
    let second = hands.take_plain(8);
    hands.recorder.return_of(second);
    hands.recorder.release_of(7, 1);
    let released = hands.recorder.count(|event| matches!(event, Event::Release { id: 8, .. }));
    assert_eq!(released, 0);
}

/// The object that a promise of the peer has become is released when nobody holds the promise any
/// more.
#[test]
fn a_promise_that_was_let_go_of_and_then_becomes_an_object() {
    let mut bench = bench();
    let hold = |bench: &mut Bench, cap_: Option<Cap>| {
        let caps: Vec<Cap> = cap_.into_iter().collect();
        let some = !caps.is_empty();
        let question = bench.recorder.peer.call(bench.lab, (LAB, 9), &caps, |content| {
            let mut params = content.init_as::<lab::hold_params::Builder<'_>>();
            params.reborrow().init_context();
            if some {
                params.set_callback(cap::<callback::Client>());
            }
        });
        bench.recorder.return_of(question);
        bench.recorder.peer.finish(question);
    };
    hold(&mut bench, Some(Cap::Promise(3)));
    // There is a call, so it is still used after the handle is dropped.
    let call = bench.server.kept().unwrap().call(None, 1).start();
    let place = bench.recorder.find(|event| matches!(event, Event::Call(_)));
    let Event::Call(called) = bench.recorder.log()[place].clone() else { unreachable!() };
    bench.recorder.peer.resolve(3, Cap::Here(8));
    hold(&mut bench, None);
    bench.recorder.answer_number(called.question, 4);
    assert_eq!(call.wait().unwrap(), 4);
    bench.recorder.release_of(3, 1);
    bench.recorder.release_of(8, 1);
    let (_, outcome) = {
        let question = bench.recorder.peer.bootstrap();
        bench.recorder.return_of(question)
    };
    assert!(matches!(outcome, Outcome::Results(_)));
}

/// Calls that waited for an answer go to the object that it brings. When they have returned,
/// nothing holds that object, and it is released without another message of the peer.
#[test]
fn an_object_that_only_calls_waited_for() {
    let (gate, mut hands) = hands();
    let kept = hands.take_plain(7);
    hands.recorder.return_of(kept);
    let caps = [Cap::There(hands.thread)];
    let fetched = hands.recorder.peer.call(hands.house, (HOUSE, 5), &caps, |content| {
        let params = content.init_as::<house::fetch_plain_params::Builder<'_>>();
        params.init_context().set_thread(cap());
    });
    let called = hands.recorder.peer.call(Target::Answer(fetched), (PLAIN, 0), &[], |content| {
        content.init_as::<plain::call_params::Builder<'_>>().set_number(5);
    });
    // C++ does this when it drops a call after it has made a pipelined one.
    hands.recorder.peer.finish(fetched);
    hands.recorder.peer.finish(kept);
    hands.recorder.hear();
    drop(gate);
    let (_, passed_on) = hands.recorder.call_of((PLAIN, 0));
    assert_eq!(passed_on.target, Target::Export(7));
    hands.recorder.answer_number(passed_on.question, 5);
    assert!(matches!(hands.recorder.return_of(called).1, Outcome::Results(_)));
    hands.recorder.release_of(7, 1);
}

/// Threads that were promises are released with the call that waited for them.
#[test]
fn promises_of_the_threads_of_a_call() {
    let (_gate, mut hands) = hands();
    let caps = [Cap::Promise(3), Cap::Promise(4), Cap::Here(7)];
    let question = hands.recorder.peer.call(hands.house, (HOUSE, 3), &caps, |content| {
        let mut params = content.init_as::<house::take_plain_params::Builder<'_>>();
        let mut context = params.reborrow().init_context();
        context.set_thread(cap());
        context.set_callback_thread(cap());
        params.set_plain(cap::<plain::Client>());
    });
    hands.recorder.hear();
    hands.recorder.peer.resolve(4, Cap::Here(9));
    hands.recorder.peer.resolve(3, Cap::There(hands.thread));
    hands.recorder.return_of(question);
    for export in [3, 4, 9] {
        hands.recorder.release_of(export, 1);
    }
}

/// Calls the answer of a call that has not ended, with an object as argument; `method` is of `Plain`.
/// When that call ends, this one fails, and this is the only reason for this side to release the
/// argument.
#[track_caller]
fn assert_argument_released(kept: bool, method: u16) {
    let (gate, mut hands) = hands();
    if kept {
        let question = hands.take_plain(7);
        hands.recorder.return_of(question);
    }
    let caps = [Cap::There(hands.thread)];
    let fetched = hands.recorder.peer.call(hands.house, (HOUSE, 5), &caps, |content| {
        let params = content.init_as::<house::fetch_plain_params::Builder<'_>>();
        params.init_context().set_thread(cap());
    });
    let method = (PLAIN, method);
    let called =
        hands.recorder.peer.call(Target::Answer(fetched), method, &[Cap::Here(8)], |content| {
            let mut params = content.init_as::<plain::give_plain_params::Builder<'_>>();
            params.set_plain(cap::<plain::Client>());
        });
    hands.recorder.hear();
    drop(gate);
    if kept {
        let (_, passed_on) = hands.recorder.call_of(method);
        hands.recorder.fail(passed_on.question, Type::Unimplemented, "it has no such method");
    }
    let (_, outcome) = hands.recorder.return_of(called);
    assert!(matches!(outcome, Outcome::Exception(..)), "{outcome:?}");
    if !kept {
        hands.recorder.release_of(8, 1);
    }
}

#[test]
fn an_argument_of_a_call_of_what_does_not_come() {
    assert_argument_released(false, 2);
}

#[test]
fn an_argument_of_a_call_that_is_passed_back() {
    assert_argument_released(true, 2);
}

/// The same where an object of this side does not have the method.
#[test]
fn an_argument_of_a_call_that_the_object_does_not_know() {
    let mut bench = bench();
    let block = bench.recorder.peer.call(bench.lab, (LAB, 11), &[], |content| {
        let mut params = content.init_as::<lab::block_params::Builder<'_>>();
        params.set_name("gate");
        params.init_context();
    });
    let block_too = bench.recorder.peer.call(bench.lab, (LAB, 11), &[], |content| {
        let mut params = content.init_as::<lab::block_params::Builder<'_>>();
        params.set_name("gate");
        params.init_context();
    });
    wait_until("both run", || bench.server.blocked() == 2);
    // The pool's threads are busy: the counter is made later.
    let made = bench.recorder.peer.call(bench.lab, (LAB, 13), &[], |content| {
        content.init_as::<lab::make_counter_params::Builder<'_>>().init_context();
    });
    let unknown = (COUNTER, 77);
    let called =
        bench.recorder.peer.call(Target::Answer(made), unknown, &[Cap::Here(8)], |content| {
            let mut params = content.init_as::<plain::give_plain_params::Builder<'_>>();
            params.set_plain(cap::<plain::Client>());
        });
    bench.recorder.hear();
    bench.server.let_go("gate");
    for question in [block, block_too, made, called] {
        bench.recorder.return_of(question);
    }
    bench.recorder.release_of(8, 1);
}
