//! What a connection does when taking in a message panics, and when it ends. No message is known that makes it panic,
//! so what is built on the connection does so here.

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use capnp_engine::{CallOptions, Draft, Effect, Engine, Incoming};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

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

    fn last_words(&self, _: &mut Core) {}

    fn end(&self, _: &mut Core, _: Option<&ArcConn>) {}
}

fn start() -> (ArcConn, UnixStream) {
    start_with(Limits::default())
}

fn start_with(limits: Limits) -> (ArcConn, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (state, shared) = (Box::new(()), Box::new(()));
    let parts = SessionParts {
        session: &Panics,
        state,
        shared,
        first_message: None,
        peer_name: None,
        peer_identity: None,
        carried: false,
    };
    let conn = Conn::start(ours.into(), limits, parts, |core| {
        let cap = core.engine.object(7);
        core.engine.set_bootstrap(cap);
    });
    (conn.unwrap(), theirs)
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
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
    wait_until("it ends", || conn.ended().is_some());
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

/// A descriptor that came with the beginning of a message, on a connection that lives on: also where a thread was
/// reading when it ended.
#[test]
fn what_has_arrived_is_dropped_with_the_end() {
    for reading in [false, true] {
        let (conn, peer) = start_with(Limits::default().descriptors(1));
        let (mut end, file) = std::io::pipe().unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let sent = [file.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&sent));
        sendmsg(&peer, &[IoSlice::new(&[0])], &mut control, SendFlags::empty()).unwrap();
        drop(file);
        wait_until("it has arrived", || conn.frames.lock().unwrap().is_partial());
        let frames = conn.frames.lock().unwrap();
        if reading {
            conn.end_now(Error::disconnected("as it was asked to"));
            drop(frames);
        } else {
            drop(frames);
            conn.end_now(Error::disconnected("as it was asked to"));
        }
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || tell.send(end.read(&mut [0]).unwrap()));
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(0));
        // What comes after that is not taken in either.
        assert_eq!(conn.frames.lock().unwrap().read(conn.socket()), Ok(0));
    }
}
