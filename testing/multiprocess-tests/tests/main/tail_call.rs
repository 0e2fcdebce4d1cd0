//! A tail call back: the peer answers a call of this side's with the results of a call that it makes to
//! this side in turn. Only this side's caller wants those results, so when it cancels its call, the token
//! of the method that runs here fires.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use multiprocess::{Call, Connection};
use multiprocess_tests::generated::lab_capnp::{callback, lab};
use multiprocess_tests::generated::proxy_capnp::thread_map;
use multiprocess_tests::raw::{Cap, LAB, THREAD_MAP, Target, cap};
use multiprocess_tests::recorder::{Event, Recorder};
use multiprocess_tests::{LONG, LabServer, wait_until};

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
    recorder
        .peer
        .ask(lab, (LAB, 9), &[Cap::Here(7)], |content| {
            let mut params = content.init_as::<lab::hold_params::Builder<'_>>();
            params.reborrow().init_context();
            params.set_callback(cap::<callback::Client>());
        })
        .results();
    Bench { server, serving, recorder, lab }
}

impl Bench {
    /// Calls the peer's object, which calls `block` here in turn. This side's call, its question, and
    /// that of the call back.
    fn tail_call(&mut self, name: &str) -> (Call<i32>, u32, u32) {
        let call = self.server.kept().expect("it is held").call(None, 1).start();
        let place = self.recorder.find(|event| matches!(event, Event::Call(_)));
        let Event::Call(called) = self.recorder.log()[place].clone() else { unreachable!() };
        let back = self.recorder.peer.call_for_elsewhere(self.lab, (LAB, 11), |content| {
            let mut params = content.init_as::<lab::block_params::Builder<'_>>();
            params.set_name(name);
            params.init_context();
        });
        wait_until("the method runs", || self.server.is_blocked(name));
        (call, called.question, back)
    }

    #[track_caller]
    fn assert_cancelled(&mut self, name: &str) {
        wait_until("its token fired", || self.server.was_cancelled(name));
        assert!(self.serving.drain(LONG));
        self.recorder.hear();
        assert!(self.serving.is_connected());
    }
}

#[test]
fn given_up_after_the_return() {
    let mut bench = bench();
    let (call, question, back) = bench.tail_call("after");
    bench.recorder.peer.answer_from(question, back);
    bench.recorder.hear();
    drop(call);
    bench.assert_cancelled("after");
    bench.recorder.return_of(back);
}

#[test]
fn given_up_before_the_return() {
    let mut bench = bench();
    let (call, question, back) = bench.tail_call("before");
    drop(call);
    bench.recorder.finish_of(question);
    bench.recorder.peer.answer_from(question, back);
    bench.assert_cancelled("before");
    bench.recorder.return_of(back);
}

/// The C++ implementation does not need its question any more once it has answered with
/// `takeFromOtherQuestion`.
#[test]
fn given_up_after_the_peer_has_finished_its_question() {
    let mut bench = bench();
    let (call, question, back) = bench.tail_call("finished");
    bench.recorder.peer.answer_from(question, back);
    bench.recorder.peer.finish(back);
    bench.recorder.hear();
    assert!(!bench.server.was_cancelled("finished"), "somebody waits for it");
    drop(call);
    bench.assert_cancelled("finished");
}

#[test]
fn a_tail_call_that_is_waited_for_is_not_cancelled() {
    let mut bench = bench();
    let (call, question, back) = bench.tail_call("wanted");
    bench.recorder.peer.answer_from(question, back);
    bench.recorder.peer.finish(back);
    bench.recorder.hear();
    bench.server.let_go("wanted");
    // Its result, a Bool, is in the place of the number that this side's call returns.
    assert_eq!(call.wait().unwrap(), 1);
    assert!(!bench.server.was_cancelled("wanted"));
}
