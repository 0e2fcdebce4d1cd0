//! How often either side has been given an object of the other's, and who lets go of it when: with a
//! Finish, with a Release, and at once.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use multiprocess::{Connection, Error, Limits};
use multiprocess_tests::generated::lab_capnp::{callback, lab};
use multiprocess_tests::generated::life::{House, HouseClient, PlainClient};
use multiprocess_tests::generated::life_capnp::{house, plain};
use multiprocess_tests::generated::proxy_capnp::thread_map;
use multiprocess_tests::raw::{Answer, Cap, LAB, THREAD_MAP, Target, cap};
use multiprocess_tests::recorder::{Event, Outcome, Recorder};
use multiprocess_tests::{LabServer, eventually, pair, wait_until};

struct Bench {
    server: Arc<LabServer>,
    serving: Connection,
    recorder: Recorder,
    lab: Target,
}

fn bench() -> Bench {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = LabServer::new();
    let serving = Connection::builder()
        .limits(Limits::default())
        .serve(server.client())
        .start(theirs)
        .unwrap();
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
        let method = (multiprocess_tests::raw::COUNTER, 1);
        self.recorder.peer.ask(Target::Export(export), method, &[], |content| {
            let params = content
                .init_as::<multiprocess_tests::generated::lab_capnp::counter::next_params::Builder<
                '_,
            >>();
            params.init_context();
        })
    }

    /// The connection is over, by the peer's fault, and only that.
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

/// It came before the answer, so that the results are let go of when they are there; or they stay.
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
    let (_, export) = bench.counter();
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

/// The references of the results went with the Finish.
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

/// Its results' references are kept by the handle, or were never taken.
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
    assert!(release, "nobody holds what it may return");
    bench.recorder.hear();
    assert_eq!(bench.recorder.count(|event| matches!(event, Event::Release { .. })), 0);
}

/// Hands a plain object on when the test says so, and keeps none.
struct Hands(
    std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
    std::sync::Mutex<Option<PlainClient>>,
);

impl House for Hands {
    fn take_plain(&self, plain: PlainClient) -> multiprocess::Result<i32> {
        *self.1.lock().unwrap() = Some(plain);
        let _ = self.0.lock().unwrap().recv();
        *self.1.lock().unwrap() = None;
        Ok(0)
    }
}

/// An argument that a method has let go of is released with its answer, or right after, without the
/// peer having to do anything more.
#[test]
fn an_argument_is_released_when_the_method_ends() {
    let (gate, opened) = std::sync::mpsc::channel();
    let object =
        HouseClient::new(Hands(std::sync::Mutex::new(opened), std::sync::Mutex::default()));
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _serving = Connection::builder().serve(object).start(theirs).unwrap();
    let mut recorder = Recorder::new(ours);
    let house = Target::Bootstrap(recorder.peer.bootstrap());
    let map =
        recorder.peer.ask(house, (<HouseClient as multiprocess::Interface>::ID, 0), &[], |c| {
            c.init_as::<house::construct_params::Builder<'_>>();
        });
    let map = Target::Export(map.export());
    let thread = recorder.peer.ask(map, (THREAD_MAP, 0), &[], |content| {
        content.init_as::<thread_map::make_thread_params::Builder<'_>>().set_name("raw");
    });
    let caps = [Cap::There(thread.export()), Cap::Here(7)];
    let method = (<HouseClient as multiprocess::Interface>::ID, 3);
    let question = recorder.peer.call(house, method, &caps, |content| {
        let mut params = content.init_as::<house::take_plain_params::Builder<'_>>();
        params.reborrow().init_context().set_thread(cap());
        params.set_plain(cap::<plain::Client>());
    });
    drop(gate);
    recorder.return_of(question);
    recorder.release_of(7, 1);
}

/// What a promise of the peer's has become is let go of when nobody holds the promise any more.
#[test]
fn a_promise_that_was_let_go_of_and_then_becomes_an_object() {
    let mut bench = bench();
    let hold = |bench: &mut Bench, cap_: Option<Cap>| {
        let caps: Vec<Cap> = cap_.into_iter().collect();
        let some = !caps.is_empty();
        bench
            .recorder
            .peer
            .ask(bench.lab, (LAB, 9), &caps, |content| {
                let mut params = content.init_as::<lab::hold_params::Builder<'_>>();
                params.reborrow().init_context();
                if some {
                    params.set_callback(cap::<callback::Client>());
                }
            })
            .results();
    };
    hold(&mut bench, Some(Cap::Promise(3)));
    // Called, and so still of use when the handle has gone.
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

/// Calls that waited for an answer go to the object that it brings; when they have, nothing holds
/// that, and it is let go of without the peer having to do anything more.
#[test]
fn an_object_that_only_calls_waited_for() {
    let mut bench = bench();
    let made = bench.recorder.peer.call(bench.lab, (LAB, 8), &[Cap::Here(7)], |content| {
        let mut params = content.init_as::<lab::call_back_inline_params::Builder<'_>>();
        params.set_callback(cap::<callback::Client>());
        params.set_depth(1);
    });
    let place = bench.recorder.find(|event| matches!(event, Event::Call(_)));
    let Event::Call(called) = bench.recorder.log()[place].clone() else { unreachable!() };
    bench.recorder.answer_number(called.question, 4);
    bench.recorder.return_of(made);
    bench.recorder.release_of(7, 1);
}
