//! The four kinds of exceptions of the protocol, passed on in both directions.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use capnp_rpc::rpc_capnp::exception::Type;
use futures_executor::block_on;
use multiprocess::{Connection, Error, Result};
use multiprocess_tests::generated::lab::{CallbackClient, Lab, LabClient};
use multiprocess_tests::generated::lab_capnp::{callback, lab};
use multiprocess_tests::raw::{Cap, LAB, Target, cap};
use multiprocess_tests::recorder::{Event, Outcome, Recorder};

/// Fails with the kind that its argument names; and keeps a callback.
#[derive(Default)]
struct Fails(Mutex<Option<CallbackClient>>);

struct Served(Arc<Fails>);

impl Lab for Served {
    fn release(&self, name: String) -> Result<()> {
        Err(match name.as_str() {
            "disconnected" => Error::disconnected("the backend is lost"),
            "overloaded" => Error::overloaded("too many"),
            "unimplemented" => Error::unimplemented("Backend.thing"),
            "cancelled" => Error::Cancelled,
            "misuse" => Error::misuse("used wrongly"),
            text => Error::failed(text),
        })
    }

    fn call_back_inline(&self, callback: CallbackClient, _depth: i32) -> Result<i32> {
        *self.0.0.lock().unwrap() = Some(callback);
        Ok(0)
    }
}

struct Bench {
    fails: Arc<Fails>,
    serving: Connection,
    recorder: Recorder,
    lab: Target,
}

fn bench() -> Bench {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let fails = Arc::new(Fails::default());
    let object = LabClient::new(Served(Arc::clone(&fails)));
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let mut recorder = Recorder::new(ours);
    let lab = Target::Bootstrap(recorder.peer.bootstrap());
    Bench { fails, serving, recorder, lab }
}

impl Bench {
    /// The kind and the text with which a method of this side fails.
    fn failure(&mut self, name: &str) -> (Type, String) {
        let question = self.recorder.peer.call(self.lab, (LAB, 12), &[], |content| {
            content.init_as::<lab::release_params::Builder<'_>>().set_name(name);
        });
        let (_, outcome) = self.recorder.return_of(question);
        let Outcome::Exception(kind, text) = outcome else { panic!("{outcome:?}") };
        self.recorder.peer.finish(question);
        (kind, text)
    }

    /// A handle on an object of the peer's.
    fn callback(&mut self) -> CallbackClient {
        let question = self.recorder.peer.call(self.lab, (LAB, 8), &[Cap::Here(7)], |content| {
            let mut params = content.init_as::<lab::call_back_inline_params::Builder<'_>>();
            params.set_callback(cap::<callback::Client>());
        });
        self.recorder.return_of(question);
        self.fails.0.lock().unwrap().take().expect("it was given")
    }

    /// The errors of two calls that the peer fails with this kind: one of a thread and one of a future.
    fn outcomes(&mut self, kind: Type) -> [Error; 2] {
        let callback = self.callback();
        [false, true].map(|future| {
            let call = callback.call(None, 1).start();
            let place = self.recorder.find(|event| matches!(event, Event::Call(_)));
            let Event::Call(called) = &self.recorder.log()[place] else { unreachable!() };
            let question = called.question;
            self.recorder.fail(question, kind, "as it was asked to");
            let outcome = if future { block_on(call) } else { call.wait() };
            outcome.expect_err("it fails")
        })
    }

    #[track_caller]
    fn assert_alive(&mut self) {
        self.recorder.hear();
        assert!(self.serving.is_connected());
        assert_eq!(self.failure("x"), (Type::Failed, "x".to_owned()));
    }
}

#[test]
fn a_lost_backend_of_the_peers_is_a_disconnect_of_that_call() {
    let mut bench = bench();
    for error in bench.outcomes(Type::Disconnected) {
        let Error::Disconnected { reason, .. } = &error else { panic!("{error}") };
        assert!(reason.contains("as it was asked to"), "{reason}");
    }
    assert!(bench.serving.is_connected(), "the connection is another one's");
    bench.assert_alive();
}

#[test]
fn an_overloaded_peer() {
    let mut bench = bench();
    for error in bench.outcomes(Type::Overloaded) {
        assert!(
            matches!(&error, Error::Overloaded { message, .. } if message == "as it was asked to")
        );
    }
    bench.assert_alive();
}

#[test]
fn a_peer_that_does_not_have_the_method() {
    let mut bench = bench();
    for error in bench.outcomes(Type::Unimplemented) {
        assert!(matches!(&error, Error::Unimplemented { .. }), "{error}");
    }
    bench.assert_alive();
}

#[test]
fn a_method_of_the_peers_that_failed() {
    let mut bench = bench();
    for error in bench.outcomes(Type::Failed) {
        assert!(matches!(&error, Error::Remote { message, .. } if message == "as it was asked to"));
    }
    bench.assert_alive();
}

#[test]
fn a_lost_backend_of_this_side_is_a_disconnect() {
    let mut bench = bench();
    let (kind, text) = bench.failure("disconnected");
    assert_eq!(kind, Type::Disconnected, "{text}");
    assert!(text.contains("the backend is lost"), "{text}");
    bench.assert_alive();
}

#[test]
fn the_other_kinds_of_this_side() {
    let mut bench = bench();
    let (kind, text) = bench.failure("overloaded");
    assert!(kind == Type::Overloaded && text.contains("too many"), "{kind:?}: {text}");
    let (kind, text) = bench.failure("unimplemented");
    assert!(kind == Type::Unimplemented && text.contains("Backend.thing"), "{kind:?}: {text}");
    for name in ["cancelled", "misuse", "anything"] {
        let (kind, text) = bench.failure(name);
        assert_eq!(kind, Type::Failed, "{text}");
    }
    bench.assert_alive();
}

/// Methods that have no implementation.
#[test]
fn unknown_methods_and_those_that_were_left_out() {
    let mut bench = bench();
    for method in [(LAB, 99), (0x1234, 0), (LAB, 2)] {
        let question = bench.recorder.peer.call(bench.lab, method, &[], |content| {
            content.init_as::<lab::add_inline_params::Builder<'_>>();
        });
        let (_, outcome) = bench.recorder.return_of(question);
        assert!(matches!(outcome, Outcome::Exception(Type::Unimplemented, _)), "{outcome:?}");
    }
    bench.assert_alive();
}

/// From end to end: the caller of the caller sees the same kind.
#[test]
fn through_two_connections() {
    struct Between(CallbackClient);
    impl Lab for Between {
        fn add(&self, a: i32, _b: i32) -> Result<i32> {
            self.0.call(None, a).wait()
        }
    }
    let mut bench = bench();
    let callback = bench.callback();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let object = LabClient::new(Between(callback));
    let _serving = Connection::builder().serve(object).start(theirs).unwrap();
    let near = Connection::new(ours).unwrap();
    let lab: LabClient = near.bootstrap().unwrap();
    for kind in [Type::Disconnected, Type::Overloaded, Type::Unimplemented, Type::Failed] {
        let call = lab.add(1, 2).start();
        let place = bench.recorder.find(|event| matches!(event, Event::Call(_)));
        let Event::Call(called) = bench.recorder.log()[place].clone() else { unreachable!() };
        bench.recorder.fail(called.question, kind, "as it was asked to");
        let error = call.wait().unwrap_err();
        let right = match kind {
            Type::Disconnected => matches!(error, Error::Disconnected { .. }),
            Type::Overloaded => matches!(error, Error::Overloaded { .. }),
            Type::Unimplemented => matches!(error, Error::Unimplemented { .. }),
            _ => matches!(error, Error::Remote { .. }),
        };
        assert!(right, "{kind:?}: {error}");
        assert!(near.is_connected());
    }
}
