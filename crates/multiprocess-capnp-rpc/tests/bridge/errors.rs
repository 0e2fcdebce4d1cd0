//! Errors keep their kind and text, both ways.

use std::sync::mpsc::channel;

use bridge_schemas::lab::{Kind, LabClient};
use bridge_schemas::lab_capnp::{self, lab};
use capnp::ErrorKind;
use multiprocess::{Connection, Error, Limits};
use multiprocess_capnp_rpc::Bridge;

use crate::loops::{bridge_thread, sockets, with_bridge};
use crate::raw_lab::raw_lab;
use crate::typed_lab;

async fn error_of(lab: &lab::Client, kind: lab_capnp::Kind) -> (ErrorKind, String) {
    let mut request = lab.fail_request();
    request.get().set_kind(kind);
    request.get().set_text("the text");
    let error = request.send().promise.await.err().expect("it fails");
    (error.kind, error.extra)
}

#[test]
fn of_a_peer_come_to_a_client() {
    let (ours, theirs) = sockets();
    let served = typed_lab::serve(theirs, channel().0);
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
        for (sent, arrives) in [
            (lab_capnp::Kind::Failed, ErrorKind::Failed),
            (lab_capnp::Kind::Overloaded, ErrorKind::Overloaded),
            (lab_capnp::Kind::Disconnected, ErrorKind::Disconnected),
            (lab_capnp::Kind::Unimplemented, ErrorKind::Unimplemented),
        ] {
            assert_eq!(error_of(&lab, sent).await, (arrives, "the text".to_owned()));
        }
        let error = lab.unserved_request().send().promise.await.err().expect("it fails");
        assert_eq!(
            (error.kind, error.extra),
            (ErrorKind::Unimplemented, "Lab.unserved".to_owned())
        );
        // What is pipelined to a call that fails, fails as it does.
        let sent = lab.unserved_request().send();
        assert!(sent.promise.await.is_err());
        let not_a_counter: lab_capnp::counter::Client = bridge.bootstrap(&connection).unwrap();
        let error = not_a_counter.next_request().send().promise.await.err().expect("it fails");
        assert_eq!(error.kind, ErrorKind::Unimplemented, "{}", error.extra);
    });
    drop(served);
}

#[test]
fn of_a_server_come_to_a_handle() {
    let (ours, theirs) = sockets();
    let server = bridge_thread(async move |bridge: Bridge| {
        let lab = raw_lab(&channel().0);
        let connection = bridge.serve(theirs, Limits::default(), lab).unwrap();
        connection.disconnected().await;
    });
    let connection = Connection::new(ours).unwrap();
    let lab: LabClient = connection.bootstrap().unwrap();
    let error = |kind| lab.fail(kind, "the text").wait().unwrap_err();
    assert!(matches!(error(Kind::Failed), Error::Remote { message, .. } if message == "the text"));
    assert!(
        matches!(error(Kind::Overloaded), Error::Overloaded { message, .. } if message == "the text")
    );
    assert!(
        matches!(error(Kind::Disconnected), Error::Disconnected { reason, .. } if reason == "the text")
    );
    let unimplemented = error(Kind::Unimplemented);
    assert!(
        matches!(&unimplemented, Error::Unimplemented { method, .. } if method == "Lab.fail (the text)"),
        "{unimplemented}"
    );
    let unserved = lab.unserved().wait().unwrap_err();
    assert!(matches!(unserved, Error::Unimplemented { .. }), "{unserved}");
    assert!(connection.is_connected());
    drop((lab, connection));
    server.join();
}

/// What fails is called through a promise.
#[test]
fn a_promise_that_fails_fails_its_calls() {
    let (ours, theirs) = sockets();
    let server = bridge_thread(async move |bridge: Bridge| {
        struct Broken;
        impl lab::Server for Broken {
            async fn counter(
                self: std::rc::Rc<Self>,
                _: lab::CounterParams,
                _: lab::CounterResults,
            ) -> capnp::Result<()> {
                Err(capnp::Error::overloaded("no counters today".to_owned()))
            }
        }
        let lab: lab::Client = capnp_rpc::new_client(Broken);
        let connection = bridge.serve(theirs, Limits::default(), lab).unwrap();
        connection.disconnected().await;
    });
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
        let sent = lab.counter_request().send();
        let early = sent.pipeline.get_counter();
        let call = early.next_request().send();
        let error = call.promise.await.err().expect("it fails");
        assert_eq!((error.kind, &*error.extra), (ErrorKind::Overloaded, "no counters today"));
        let error = sent.promise.await.err().expect("it fails");
        assert_eq!((error.kind, &*error.extra), (ErrorKind::Overloaded, "no counters today"));
        let late = sent.pipeline.get_counter().next_request().send();
        let error = late.promise.await.err().expect("it fails");
        assert_eq!((error.kind, &*error.extra), (ErrorKind::Overloaded, "no counters today"));
        assert!(early.client.when_resolved().await.is_err());
    });
    server.join();
}
