//! Whom a server takes: how many, how long they may be silent, and which users.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use multiprocess::{Connection, Error, Limit, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LabServer, wait_until, within_time};

use super::listener::Place;

fn connect(server: &Server) -> (Connection, LabClient) {
    let calling = Connection::new(UnixStream::connect(server.path()).unwrap()).unwrap();
    let lab = calling.bootstrap().unwrap();
    (calling, lab)
}

/// Connects and makes a call, and returns why that was refused.
fn refusal(server: &Server) -> String {
    let calling = Connection::new(UnixStream::connect(server.path()).unwrap()).unwrap();
    let lab = calling.bootstrap::<LabClient>();
    match within_time(move || lab?.add(1, 2).wait()) {
        Err(Error::Disconnected { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_more_than_the_cap_is_told_so() {
    let place = Place::new();
    let lab = LabServer::new();
    let server = Server::builder().max_connections(2).listen(place.socket(), lab.client()).unwrap();
    let mut peers: Vec<_> = (0..2).map(|_| connect(&server)).collect();
    for (_, lab) in &peers {
        assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    }
    let before = Limit::Connections.times_met();
    for _ in 0..3 {
        let reason = refusal(&server);
        assert!(reason.contains("this server has 2 connections, its maximum"), "{reason}");
    }
    assert!(Limit::Connections.times_met() >= before + 3);
    // Nobody else was disturbed, and there is room again when one goes.
    for (_, lab) in &peers {
        assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    }
    peers.pop();
    wait_until("there is a place", || server.connections().len() < 2);
    assert_eq!(connect(&server).1.add(1, 2).wait().unwrap(), 3);
}

/// There are places left, but not for this user.
#[test]
fn one_more_than_a_user_may_have_is_told_so() {
    let (place, lab) = (Place::new(), LabServer::new());
    let builder = Server::builder().max_connections(5).max_connections_of_user(2);
    let server = builder.listen(place.socket(), lab.client()).unwrap();
    let mut peers: Vec<_> = (0..2).map(|_| connect(&server)).collect();
    for (_, lab) in &peers {
        assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    }
    let before = Limit::Connections.times_met();
    let reason = refusal(&server);
    assert!(reason.contains("your user has 2 connections to this server"), "{reason}");
    assert!(Limit::Connections.times_met() > before);
    for (_, lab) in &peers {
        assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    }
    peers.pop();
    wait_until("there is a place", || server.connections().len() < 2);
    assert_eq!(connect(&server).1.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn a_connection_on_which_nothing_comes_loses_its_place() {
    let place = Place::new();
    let lab = LabServer::new();
    let server = Server::builder()
        .max_connections(1)
        .first_message(Duration::from_millis(100))
        .listen(place.socket(), lab.client())
        .unwrap();
    let mut silent = UnixStream::connect(server.path()).unwrap();
    wait_until("it is accepted", || server.connections().len() == 1);
    let mut said = Vec::new();
    // It is told why, and closed.
    silent.read_to_end(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("sent no message within 100ms"), "{said}");
    wait_until("its place is free", || server.connections().is_empty());
    // Whoever has said something may be silent.
    let (calling, lab) = connect(&server);
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    assert!(calling.is_connected());
}

/// A first message that comes in pieces counts when it is complete.
#[test]
fn a_first_message_that_does_not_end_loses_its_place() {
    use std::io::Write;
    let place = Place::new();
    let server = Server::builder()
        .first_message(Duration::from_millis(100))
        .listen(place.socket(), LabServer::new().client())
        .unwrap();
    let mut slow = UnixStream::connect(server.path()).unwrap();
    slow.write_all(&[0, 0, 0, 0, 16]).unwrap();
    let closed = within_time(move || slow.read_to_end(&mut Vec::new()));
    assert!(closed.is_ok(), "{closed:?}");
    wait_until("its place is free", || server.connections().is_empty());
}

#[test]
fn a_server_says_who_may_connect() {
    let place = Place::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let accept = move |peer: &multiprocess::process::PeerCredentials| {
        let mut seen = noted.lock().unwrap();
        seen.push(*peer);
        seen.len() > 1
    };
    let lab = LabServer::new();
    let server = Server::builder().accept_if(accept).listen(place.socket(), lab.client()).unwrap();
    let reason = refusal(&server);
    assert!(reason.contains("this server does not serve your user"), "{reason}");
    assert_eq!(connect(&server).1.add(1, 2).wait().unwrap(), 3);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].uid, rustix::process::geteuid().as_raw());
    assert_eq!(seen[0].pid, Some(std::process::id()));
}
