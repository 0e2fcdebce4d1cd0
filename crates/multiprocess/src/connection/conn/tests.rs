//! What a connection does when taking in a message panics. No message is known that makes it panic, so what
//! is built on the connection does so here.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use capnp_engine::{CallOptions, Draft, Effect, Engine, Incoming};

use super::super::{Core, Limits};
use super::{ArcConn, Conn, Session, SessionParts};
use crate::Error;
use crate::memory::MEMORY;

/// Panics at each call of the peer's.
struct Panics;

impl Session for Panics {
    fn effect(&self, _: &mut Core, _: &ArcConn, effect: Effect, _: Option<&Incoming<'_>>) {
        if let Effect::Deliver(_) = effect {
            panic!("as it was asked to");
        }
    }

    fn settle(&self, _: &mut Core, _: &ArcConn) {}

    fn end(&self, _: &mut Core, _: Option<&ArcConn>) {}
}

fn start() -> (ArcConn, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (state, shared) = (Box::new(()), Box::new(()));
    let parts = SessionParts {
        session: &Panics,
        state,
        shared,
        first_message: None,
        peer_name: None,
        peer_identity: None,
    };
    let conn = Conn::start(ours.into(), Limits::default(), parts, |core| {
        let cap = core.engine.object(7);
        core.engine.set_bootstrap(cap);
    });
    (conn.unwrap(), theirs)
}

/// Asks for the first object, and calls it.
fn send(mut stream: &UnixStream, call: bool) {
    let mut peer = Engine::new(&MEMORY, capnp_engine::Limits::default());
    let (_, first) = peer.ask_bootstrap(0).unwrap();
    if call {
        let draft = Draft::call(&MEMORY, (1, 0), |_| Ok::<_, ()>(vec![])).unwrap();
        peer.call(first, draft, CallOptions::default()).unwrap();
    }
    while let Some(effect) = peer.next_effect() {
        if let Effect::Write(message) = effect {
            capnp::serialize::write_message(&mut stream, &message).unwrap();
        }
    }
}

#[test]
fn a_panic_while_a_message_is_taken_in_ends_that_connection_only() {
    let ((conn, mut bad), (other, mut good)) = (start(), start());
    send(&bad, true);
    let end = Instant::now() + Duration::from_secs(20);
    while conn.ended().is_none() {
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
    let Some(Error::PeerMisbehaved { problem }) = conn.ended() else {
        panic!("{:?}", conn.ended())
    };
    assert!(problem.contains("could not take in: as it was asked to"), "{problem}");
    // The socket is closed, after the reason.
    let mut said = Vec::new();
    bad.read_to_end(&mut said).unwrap();
    assert!(String::from_utf8_lossy(&said).contains("could not take in"));
    // The driver and the other connection go on.
    send(&good, false);
    good.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(good.read(&mut [0; 64]).unwrap() > 0);
    assert!(other.ended().is_none());
}

#[test]
fn what_is_deferred_while_somebody_looks_is_done_afterwards() {
    let (conn, _peer) = start();
    let (done, is_done) = mpsc::channel();
    let looked = conn.try_look(|_| {
        let other = ArcConn::clone(&conn);
        let defers = move || other.defer(move |_, _| done.send(()).unwrap());
        std::thread::spawn(defers).join().unwrap();
        assert!(is_done.try_recv().is_err());
    });
    assert!(looked.is_some());
    is_done.recv_timeout(Duration::from_secs(20)).unwrap();
}
