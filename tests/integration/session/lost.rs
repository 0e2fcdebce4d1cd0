//! Connecting, losing the node, connecting again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bitcoin_ipc::Error;
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::mining::MiningClient;
use bitcoin_ipc::session::Event;
use futures_executor::block_on;
use multiprocess::ReconnectState;
use tempfile::TempDir;

use super::{Node, builder};
use crate::LONG;
use crate::nodes::NodeProcess;

fn mining(init: &InitClient) -> bitcoin_ipc::Result<MiningClient> {
    init.make_mining().wait()?.ok_or_else(|| Error::failed("no mining"))
}

#[test]
fn a_node_that_is_killed_and_started_again() {
    let dir = TempDir::new().unwrap();
    let first = NodeProcess::start(dir.path());
    let (tell, losses) = mpsc::channel();
    let session = builder(dir.path())
        .wait_for_node(LONG)
        .on_loss(move |why| tell.send(why).unwrap())
        .connect_with(mining)
        .unwrap();
    let mut connections = session.connections().into_iter();
    let mut node = Some(first);
    for generation in 1..=3 {
        let running = node.take().unwrap_or_else(|| NodeProcess::start(dir.path()));
        let Some(Ok(Event::Next(connected))) = connections.next() else { panic!("a connection") };
        assert_eq!(connected.generation(), generation);
        // The objects are made again, over this connection.
        assert_eq!(connected.get_tip().wait().unwrap().unwrap().height, 0);
        assert!(connected.init().make_echo().wait().unwrap().is_some());
        assert_eq!(session.get(LONG).unwrap().generation(), generation);
        assert_eq!(block_on(session.connected()).unwrap().generation(), generation);
        running.kill();
        let Some(Ok(Event::Lost(why))) = connections.next() else { panic!("a loss") };
        assert!(matches!(why, Error::Disconnected { .. }), "{why:?}");
        assert!(losses.recv_timeout(LONG).unwrap().is_disconnect());
        assert!(connected.get_tip().wait().is_err_and(|error| error.is_disconnect()));
    }
    assert!(session.try_get().is_none());
    assert!(matches!(session.state(), ReconnectState::Connecting { .. }));
    session.close();
    assert!(connections.next().is_none());
    assert!(losses.try_recv().is_err(), "its own end is no loss");
}

#[test]
fn without_a_node_it_says_so_at_once_or_when_it_has_waited() {
    let dir = TempDir::new().unwrap();
    let error = builder(dir.path()).connect().unwrap_err();
    assert!(error.to_string().contains("node.sock"), "{error}");
    let wait = Duration::from_millis(50);
    let error = builder(dir.path()).wait_for_node(wait).connect().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("within 50ms") && text.contains("node.sock"), "{text}");
}

#[test]
fn a_node_that_comes_late_is_waited_for() {
    let mut node = Node::new();
    node.go();
    let session = builder(node.dir.path()).start().unwrap();
    assert!(session.try_get().is_none());
    let error = session.get(Duration::from_millis(20)).unwrap_err();
    assert!(error.is_disconnect(), "{error:?}");
    node.come();
    assert_eq!(session.get(LONG).unwrap().generation(), 1);
}

#[test]
fn addresses_that_ask_for_no_connection_are_a_mistake() {
    let dir = TempDir::new().unwrap();
    for address in ["", "0"] {
        let error = builder(dir.path()).address(address).connect().unwrap_err();
        assert!(matches!(error, Error::ApiMisuse { .. }), "{error:?}");
        assert!(error.to_string().contains("give unix or unix:PATH"), "{error}");
    }
    let error = builder(dir.path()).address("tcp:1").start().unwrap_err();
    assert_eq!(error.to_string(), "Unrecognized address 'tcp:1'");
    let (node, other) = (Node::new(), "unix:other.sock");
    node.ipc.as_ref().unwrap().listen_address(other).unwrap();
    assert!(builder(node.dir.path()).address(other).connect().is_ok());
}

#[test]
fn an_error_of_the_programs_function_is_a_failed_attempt() {
    let node = Node::new();
    let calls = Arc::new(AtomicU32::new(0));
    let make = |fail: fn() -> Error, times: u32| {
        let calls = Arc::clone(&calls);
        calls.store(0, Ordering::Release);
        move |_: &InitClient| match calls.fetch_add(1, Ordering::AcqRel) {
            call if call < times => Err(fail()),
            call => Ok(call),
        }
    };
    let warm = || Error::failed("still loading");
    let error = builder(node.dir.path()).connect_with(make(warm, 9)).unwrap_err();
    assert!(error.to_string().contains("still loading"), "{error}");
    assert_eq!(calls.load(Ordering::Acquire), 1, "it is tried once");
    let patient = || builder(node.dir.path()).wait_for_node(LONG);
    let session = patient().connect_with(make(warm, 3)).unwrap();
    assert_eq!(*session.get(LONG).unwrap(), 3);
    // Waiting helps nobody here.
    let too_old = || Error::unimplemented("Init.makeRpc");
    let error = patient().connect_with(make(too_old, 9)).unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error:?}");
    assert_eq!(calls.load(Ordering::Acquire), 1);
}

#[test]
fn a_session_that_gives_up_says_why() {
    let mut node = Node::new();
    let session =
        builder(node.dir.path()).give_up_after(Duration::from_millis(30)).connect().unwrap();
    let mut connections = session.connections().into_iter();
    let mut tips = session.tips().into_iter();
    assert!(matches!(connections.next(), Some(Ok(Event::Next(_)))));
    assert!(matches!(tips.next(), Some(Ok(Event::Next(_)))));
    node.go();
    assert!(matches!(connections.next(), Some(Ok(Event::Lost(_)))));
    assert!(matches!(tips.next(), Some(Ok(Event::Lost(_)))));
    assert!(connections.next().unwrap().is_err_and(|why| why.is_disconnect()));
    assert!(tips.next().unwrap().is_err_and(|why| why.is_disconnect()));
    assert!(connections.next().is_none() && tips.next().is_none());
    assert!(matches!(session.state(), ReconnectState::Ended { .. }));
}

/// A node that goes right after its first answer has not been connected to: one attempt is all there is.
#[test]
fn a_node_that_goes_at_once_is_an_error_of_connect() {
    let node = Node::new();
    let (told, hears) = mpsc::channel();
    let builder = builder(node.dir.path());
    thread::spawn(move || {
        let session = builder.connect_with(move |init| {
            node.ipc.as_ref().unwrap().disconnect_incoming();
            // Until this side has seen it, too.
            while init.make_echo().wait().is_ok() {}
            Ok(())
        });
        told.send(session.map(drop)).unwrap();
    });
    let error = hears.recv_timeout(LONG).unwrap().unwrap_err();
    assert!(error.is_disconnect(), "{error}");
}
