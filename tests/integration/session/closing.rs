//! The end of a session.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::Error;
use bitcoin_ipc::codec::FOREVER;
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::mining::{BlockCreateOptions, BlockWaitOptions};
use bitcoin_ipc::session::Event;
use multiprocess::{Connection, ReconnectState};

use super::{Node, builder};
use crate::wait_until;

/// What `close` promises, with room for a machine that is busy.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn it_ends_the_waits_and_templates_before_the_connection() {
    let node = Node::new();
    let session = node.session();
    let (create, wait) = (BlockCreateOptions::default(), BlockWaitOptions::default());
    let mut templates = session.templates(create, wait).into_iter();
    let mut idle = session.tips().into_iter();
    assert!(matches!(templates.next(), Some(Ok(Event::Next(_)))));
    assert!(matches!(idle.next(), Some(Ok(Event::Next(_)))));
    // Nobody polls these any more.
    assert!(templates.next_within(Duration::ZERO).is_pending());
    assert!(idle.next_within(Duration::ZERO).is_pending());
    let connection = session.try_get().unwrap().connection().clone();
    let waits = session.clone();
    let waits = thread::spawn(move || waits.tips().into_iter().map(Result::unwrap).count());
    node.wait_for_waiters(3);
    assert_eq!(node.live_templates(), 1);
    let (tell, left) = mpsc::channel();
    let (chain, served) = (Arc::clone(&node.chain), node.served.clone());
    connection
        .on_disconnect(move |_| tell.send((chain.waiters(), served.live_templates())).unwrap());
    assert!(session.close(), "everything has ended in time");
    assert_eq!(left.recv().unwrap(), (0, 0), "waits and templates when the connection ended");
    assert_eq!(node.chain.waiters(), 0);
    assert_eq!(waits.join().unwrap(), 1, "the thread that waited has had one tip");
    assert!(templates.next().is_none() && idle.next().is_none());
    assert!(matches!(session.state(), ReconnectState::Ended { .. }));
    assert!(session.get(SOON).unwrap_err().is_disconnect());
    assert!(session.tips().into_iter().next().is_none());
    assert!(session.connections().into_iter().next().is_none());
    assert!(session.close(), "the second time there is nothing to do");
}

/// Notes whether the connection was there when it was dropped.
struct Object {
    connection: OnceLock<Connection>,
    was_connected: Arc<AtomicBool>,
}

impl Drop for Object {
    fn drop(&mut self) {
        let connected = self.connection.get().is_some_and(Connection::is_connected);
        self.was_connected.store(connected, Ordering::Release);
    }
}

#[test]
fn the_programs_objects_end_before_the_connection() {
    let node = Node::new();
    let was_connected = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&was_connected);
    let make = move |_: &InitClient| {
        Ok(Object { connection: OnceLock::new(), was_connected: Arc::clone(&noted) })
    };
    let session = builder(node.dir.path()).connect_with(make).unwrap();
    let current = session.try_get().unwrap();
    current.connection.set(current.connection().clone()).unwrap();
    drop(current);
    assert!(session.close());
    assert!(was_connected.load(Ordering::Acquire));
}

#[test]
fn a_wait_of_the_programs_is_cut_off_in_time() {
    let node = Node::new();
    let session = node.session();
    let init = session.try_get().unwrap().init().clone();
    let mining = init.make_mining().wait().unwrap().unwrap();
    let tip = node.chain.tip().hash;
    let waits = thread::spawn(move || mining.wait_tip_changed(tip, FOREVER).wait());
    node.wait_for_waiters(1);
    let begun = Instant::now();
    assert!(!session.close(), "a call was cut off");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(matches!(waits.join().unwrap(), Err(Error::Disconnected { .. })));
}

#[test]
fn a_session_without_a_node_closes_at_once() {
    let mut node = Node::new();
    node.go();
    let session = builder(node.dir.path()).start().unwrap();
    let tips = session.clone();
    let tips = thread::spawn(move || tips.tips().into_iter().next().is_none());
    assert!(session.close());
    assert!(tips.join().unwrap());
}

#[test]
fn dropping_the_last_of_it_ends_it() {
    let node = Node::new();
    let session = node.session();
    let mut tips = session.tips().into_iter();
    assert!(matches!(tips.next(), Some(Ok(Event::Next(_)))));
    let connection = session.try_get().unwrap().connection().clone();
    drop(session);
    assert!(connection.is_connected(), "the stream keeps it");
    assert!(tips.next_within(Duration::ZERO).is_pending());
    node.wait_for_waiters(1);
    drop(tips);
    node.wait_for_waiters(0);
    wait_until("it is disconnected", || !connection.is_connected());
}
