//! The time until the peer's first answer: how the end of a connection before that is explained.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use capnp_rpc::rpc_capnp::message;
use futures_executor::block_on;
use multiprocess::{Connection, Error, Limits, Result};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::raw::{LAB, RawPeer};
use multiprocess_tests::{LONG, Pair, pair, wait_until};

/// A connection, and the peer's end of it, which has answered nothing yet.
fn connection(callers_read: bool) -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let limits = Limits::default().callers_read(callers_read);
    (Connection::builder().limits(limits).start(ours).unwrap(), theirs)
}

/// The ordinal of the lab's method `add`.
const ADD: u16 = 1;

fn explained(error: Error) -> Error {
    Error::failed(format!("explained: {error}"))
}

fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

/// Every call fails with the explanation: of threads and futures, made before the end or after it.
#[test]
fn every_call_gets_the_explanation() {
    for callers_read in [true, false] {
        let (calling, theirs) = connection(callers_read);
        let (go_on, may_go_on) = mpsc::channel();
        let lab: LabClient = calling
            .bootstrap_within(LONG, move |error| {
                may_go_on.recv().unwrap();
                explained(error)
            })
            .unwrap();
        let expected = "the other side failed: explained: disconnected: \
                        the other side closed the connection";
        let started = AtomicUsize::new(0);
        let check = |call: &dyn Fn() -> String| {
            started.fetch_add(1, Ordering::SeqCst);
            assert_eq!(call(), expected);
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| check(&|| text(lab.add(1, 2).wait())));
                scope.spawn(|| check(&|| text(lab.add(1, 2).timeout(LONG).wait())));
                scope.spawn(|| check(&|| text(block_on(lab.add(1, 2)))));
            }
            wait_until("the calls have begun", || started.load(Ordering::SeqCst) == 12);
            drop(theirs);
            // A call that is made during the explanation waits for it, too.
            let late = lab.add(3, 4).start();
            go_on.send(()).unwrap();
            assert_eq!(text(late.wait()), expected);
        });
        assert_eq!(text(lab.add(5, 6).wait()), expected);
        assert_eq!(calling.end_reason().unwrap().to_string(), expected);
        calling.wait_disconnected();
    }
}

#[test]
fn whatever_ends_the_connection_is_explained() {
    let silent = |_: &mut UnixStream| {};
    let garbage = |theirs: &mut UnixStream| theirs.write_all(&[0xff; 64]).unwrap();
    let closed = |theirs: &mut UnixStream| theirs.shutdown(std::net::Shutdown::Both).unwrap();
    type Peer<'a> = &'a dyn Fn(&mut UnixStream);
    let cases: [(Peer<'_>, Duration, &str); 3] = [
        (&silent, Duration::from_millis(20), "no answer within 20ms"),
        (&garbage, LONG, "broke the protocol"),
        (&closed, LONG, "disconnected: "),
    ];
    for (peer, timeout, expected) in cases {
        let (calling, mut theirs) = connection(true);
        let lab: LabClient = calling.bootstrap_within(timeout, explained).unwrap();
        peer(&mut theirs);
        let error = text(lab.add(1, 2).wait());
        assert!(error.contains("explained") && error.contains(expected), "{error}");
    }
}

/// Such a peer answers each call with an error. The first caller gets the explanation nevertheless.
#[test]
fn a_peer_without_the_object_is_explained() {
    for callers_read in [true, false] {
        let (calling, theirs) = connection(callers_read);
        let _other = Connection::new(theirs).unwrap();
        let lab: LabClient = calling.bootstrap_within(LONG, explained).unwrap();
        let error = text(lab.add(1, 2).wait());
        assert!(error.contains("explained") && error.contains("asked for first"), "{error}");
        assert!(!calling.is_connected());
    }
}

#[test]
fn an_answered_connection_is_not_explained() {
    let Pair { serving, calling, .. } = pair();
    let (dropped, is_dropped) = mpsc::channel::<()>();
    let lab: LabClient = calling
        .bootstrap_within(Duration::from_secs(2), move |error| {
            drop(dropped);
            explained(error)
        })
        .unwrap();
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    assert!(is_dropped.recv().is_err(), "the explaining function is dropped");
    // The deadline is removed, too. To wait long enough, a later deadline, of a peer that says
    // nothing, has to pass.
    let (silent, _theirs) = connection(true);
    let later: LabClient = silent.bootstrap_within(Duration::from_secs(2), explained).unwrap();
    assert!(text(later.add(1, 2).wait()).contains("no answer"));
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    serving.disconnect();
    let error = lab.block("until the end").wait().unwrap_err();
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
    // A connection that has ended cannot begin.
    let error = calling.bootstrap_within::<LabClient>(LONG, explained).unwrap_err();
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
}

#[test]
fn what_this_side_ends_is_not_explained() {
    // Before the peer has answered.
    let (calling, theirs) = connection(true);
    let lab: LabClient = calling.bootstrap_within(LONG, explained).unwrap();
    calling.disconnect();
    assert_eq!(text(lab.add(1, 2).wait()), "disconnected: this side disconnected");
    drop(theirs);

    // While it is being explained.
    let (calling, theirs) = connection(true);
    let (go_on, may_go_on) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    let lab: LabClient = calling
        .bootstrap_within(LONG, move |error| {
            begun.send(()).unwrap();
            may_go_on.recv().unwrap();
            explained(error)
        })
        .unwrap();
    drop(theirs);
    has_begun.recv().unwrap();
    assert!(calling.is_connected());
    calling.disconnect();
    assert_eq!(text(lab.add(1, 2).wait()), "disconnected: this side disconnected");
    go_on.send(()).unwrap();

    // The last handle is dropped, so nobody is left to get the explanation.
    let (calling, theirs) = connection(true);
    let (dropped, is_dropped) = mpsc::channel::<()>();
    let lab: LabClient = calling
        .bootstrap_within(LONG, move |error| {
            dropped.send(()).unwrap();
            error
        })
        .unwrap();
    drop((calling, lab));
    assert!(is_dropped.recv().is_err(), "it is dropped, and has not run");
    drop(theirs);
}

#[test]
fn an_explanation_that_panics_is_not_needed() {
    let (calling, theirs) = connection(true);
    let lab: LabClient =
        calling.bootstrap_within(LONG, |_| panic!("a panic that the test expects")).unwrap();
    drop(theirs);
    let error = text(lab.add(1, 2).wait());
    assert_eq!(error, "disconnected: the other side closed the connection");
}

/// A peer that takes no calls sends the first one back as unimplemented.
#[test]
fn a_peer_that_takes_no_calls_is_explained() {
    let (calling, theirs) = connection(true);
    let lab: LabClient = calling.bootstrap_within(LONG, explained).unwrap();
    let mut peer = RawPeer::new(theirs);
    let (construct, _) = peer.find_call();
    peer.send(|message| message.init_unimplemented().init_call().set_question_id(construct))
        .unwrap();
    let error = text(lab.add(1, 2).wait());
    assert!(error.contains("explained") && error.contains("asked for first"), "{error}");
}

/// The first call is sent with the question, not after its answer: the peer here answers nothing.
#[test]
fn the_first_call_is_sent_at_once() {
    let (calling, theirs) = connection(true);
    let lab: LabClient = calling.bootstrap_within(LONG, explained).unwrap();
    let call = lab.add(1, 2).start();
    let mut peer = RawPeer::new(theirs);
    peer.find(|message| match message {
        message::Call(Ok(call)) if call.get_interface_id() == LAB => {
            (call.get_method_id() == ADD).then_some(())
        }
        _ => None,
    });
    drop(peer);
    assert!(text(call.wait()).contains("explained"));
}

/// Blocked hooks of other connections, more than run at once, do not delay the explanation.
#[test]
fn the_explanation_does_not_wait_for_hooks() {
    let may_go_on = Arc::new(RwLock::new(()));
    let not_yet = may_go_on.write().unwrap();
    for _ in 0..40 {
        let (other, theirs) = connection(true);
        let may_go_on = Arc::clone(&may_go_on);
        other.on_disconnect(move |_reason| drop(may_go_on.read()));
        drop(theirs);
    }
    let (calling, theirs) = connection(true);
    let lab: LabClient = calling.bootstrap_within(LONG, explained).unwrap();
    drop(theirs);
    assert!(text(lab.add(1, 2).wait()).contains("explained"));
    drop(not_yet);
}
