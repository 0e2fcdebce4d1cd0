//! Servers that break the protocol, with a client here: its calls end with the reason, and its calls
//! of another server do not.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Connection, Error, Limits};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::raw::{Cap, RawPeer, placeholder};
use multiprocess_tests::{LONG, pair};

/// A client whose calls wait for a server that only the test writes for.
fn client(limits: Limits) -> (Connection, LabClient, RawPeer) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let calling = Connection::builder().limits(limits).start(ours).unwrap();
    let lab = calling.bootstrap().unwrap();
    (calling, lab, RawPeer::new(theirs))
}

/// Asserts that these bytes of a server end every call of its client, and nothing else.
#[track_caller]
fn assert_ends(limits: Limits, bytes: &[u8]) {
    let other = pair();
    let (calling, lab, mut server) = client(limits);
    let ends = std::thread::scope(|scope| {
        let calls = [
            scope.spawn(|| lab.add(1, 2).timeout(LONG).wait().unwrap_err()),
            scope.spawn(|| lab.add_inline(1, 2).timeout(LONG).wait().unwrap_err()),
            scope.spawn(|| block_on(lab.add(1, 2).timeout(LONG)).unwrap_err()),
        ];
        // A call is under way when it has been read.
        server.find_call();
        // It may be closed before all is written.
        let _ = server.send_bytes(bytes);
        calls.map(|call| call.join().unwrap())
    });
    for error in ends {
        assert!(matches!(error, Error::PeerMisbehaved { .. }), "{error}");
    }
    assert!(server.is_closed());
    assert!(matches!(calling.end_reason(), Some(Error::PeerMisbehaved { .. })));
    other.assert_alive();
}

#[test]
fn garbage_ends_the_clients_calls() {
    assert_ends(Limits::default(), &[0xff; 4096]);
}

#[test]
fn more_segments_than_allowed_end_the_clients_calls() {
    let bytes = [&512_u32.to_le_bytes()[..], &[0; 4096]].concat();
    assert_ends(Limits::default(), &bytes);
}

#[test]
fn a_message_larger_than_allowed_ends_the_clients_calls() {
    let header = [0_u32.to_le_bytes(), (1_u32 << 17).to_le_bytes()].concat();
    assert_ends(Limits::default().message((1 << 20) - 1), &header);
}

#[test]
fn a_message_that_does_not_go_on_ends_the_clients_calls() {
    let header = [0_u32.to_le_bytes(), (63_u32 << 17).to_le_bytes()].concat();
    let soon = Duration::from_millis(50);
    assert_ends(Limits::default().partial_message(soon), &header);
}

/// A server that answers the call for a thread never: the caller's deadline passes.
#[test]
fn a_thread_that_the_server_does_not_make_holds_a_call_until_its_deadline() {
    let other = pair();
    let (calling, lab, mut server) = client(Limits::default());
    std::thread::scope(|scope| {
        let call = scope.spawn(|| lab.add(1, 2).timeout(Duration::from_millis(50)).wait());
        // What it answers, it answers with an object that answers nothing.
        let (construct, _) = server.find_call();
        server.answer(construct, &[Cap::Here(1)], |mut content| {
            content.reborrow().set_as_capability(placeholder());
        });
        assert!(matches!(call.join().unwrap(), Err(Error::Timeout(_))));
    });
    assert!(calling.is_connected());
    other.assert_alive();
    server.stream.write_all(&[0xff; 64]).unwrap();
    calling.wait_disconnected();
    assert!(lab.add(1, 2).timeout(LONG).wait().is_err());
}
