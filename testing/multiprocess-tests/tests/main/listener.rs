//! A server on a socket path: many peers, a cap on them, ending them, and the path's file.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use multiprocess::process::Listener;
use multiprocess::{Connection, Error, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LabServer, wait_until};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);

/// A directory of one test's own.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        Place(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("lab.sock")
    }
}

fn connect(server: &Server) -> (Connection, LabClient) {
    let calling = Connection::new(UnixStream::connect(server.path()).unwrap()).unwrap();
    let lab = calling.bootstrap().unwrap();
    (calling, lab)
}

#[test]
fn many_peers_of_one_object() {
    let place = Place::new();
    let lab = LabServer::new();
    let server = Server::listen(place.socket(), lab.client()).unwrap();
    assert_eq!(server.path(), place.socket());
    let peers: Vec<_> = (0..20).map(|_| connect(&server)).collect();
    thread::scope(|scope| {
        for (i, (_, lab)) in (0..).zip(&peers) {
            scope.spawn(move || assert_eq!(lab.add(i, 1).wait().unwrap(), i + 1));
        }
    });
    assert_eq!(server.connections().len(), 20);
    assert_eq!(lab.sums().len(), 20);
    drop(peers);
    wait_until("they are forgotten", || server.connections().is_empty());
    assert_eq!(connect(&server).1.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn one_more_than_the_cap_waits_for_a_place() {
    let place = Place::new();
    let lab = LabServer::new();
    let listener = Listener::bind(&place.socket()).unwrap();
    let server = Server::builder().max_connections(3).start(listener, lab.client()).unwrap();
    let mut peers: Vec<_> = (0..3).map(|_| connect(&server)).collect();
    for (_, lab) in &peers {
        assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    }
    let (_waiting, fourth) = connect(&server);
    let call = fourth.block("fourth").start();
    assert_eq!(server.connections().len(), 3);
    for round in 0..5 {
        // The connected peers are still served.
        assert_eq!(peers[round % peers.len()].1.add(1, 2).wait().unwrap(), 3);
        assert!(!lab.is_blocked("fourth"));
    }
    peers.pop();
    wait_until("the fourth is served", || lab.is_blocked("fourth"));
    lab.let_go("fourth");
    assert!(call.wait().unwrap());
    assert_eq!(server.connections().len(), 3);
}

#[test]
fn places_are_given_again_and_again() {
    let place = Place::new();
    let lab = LabServer::new();
    let listener = Listener::bind(&place.socket()).unwrap();
    let server = Server::builder().max_connections(2).start(listener, lab.client()).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for i in 0..20 {
                    let (calling, lab) = connect(&server);
                    assert_eq!(lab.add(i, 1).timeout(LONG).wait().unwrap(), i + 1);
                    if i % 2 == 0 {
                        calling.disconnect();
                    }
                }
            });
        }
    });
    wait_until("all are forgotten", || server.connections().is_empty());
}

#[test]
fn disconnecting_all_while_calls_run() {
    let place = Place::new();
    let lab = LabServer::new();
    let server = Server::listen(place.socket(), lab.client()).unwrap();
    let peers: Vec<_> = (0..10).map(|_| connect(&server)).collect();
    let calls: Vec<_> = peers.iter().map(|(_, lab)| lab.block("all").start()).collect();
    wait_until("all run", || lab.blocked() == 10);
    assert!(server.disconnect_all(LONG));
    assert_eq!(lab.blocked(), 0);
    for call in calls {
        assert!(matches!(call.wait(), Err(Error::Disconnected { .. })));
    }
    // The server still listens.
    assert_eq!(connect(&server).1.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn disconnecting_all_does_not_wait_for_ever() {
    struct Deaf(std::sync::Mutex<std::sync::mpsc::Receiver<()>>, std::sync::mpsc::Sender<()>);
    impl multiprocess_tests::generated::lab::Lab for Deaf {
        fn missing(&self) -> multiprocess::Result<()> {
            self.1.send(()).unwrap();
            let _ = self.0.lock().unwrap().recv();
            Ok(())
        }
    }
    let place = Place::new();
    let (open, gate) = std::sync::mpsc::channel();
    let (enter, entered) = std::sync::mpsc::channel();
    let lab = LabClient::new(Deaf(std::sync::Mutex::new(gate), enter));
    let server = Server::listen(place.socket(), lab).unwrap();
    let (_calling, lab) = connect(&server);
    let call = lab.missing().start();
    entered.recv().unwrap();
    assert!(!server.disconnect_all(Duration::from_millis(20)));
    assert!(call.wait().unwrap_err().is_disconnect());
    open.send(()).unwrap();
    assert!(server.disconnect_all(LONG));
}

#[test]
fn the_file_goes_with_the_server() {
    let place = Place::new();
    let server = Server::listen(place.socket(), LabServer::new().client()).unwrap();
    let (calling, lab) = connect(&server);
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    assert!(place.socket().exists());
    drop(server);
    wait_until("the peer is disconnected", || !calling.is_connected());
    wait_until("the file is gone", || !place.socket().exists());
    assert!(lab.add(1, 2).wait().unwrap_err().is_disconnect());
    // The path can be listened on again.
    let server = Server::listen(place.socket(), LabServer::new().client()).unwrap();
    assert_eq!(connect(&server).1.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn a_path_that_is_listened_on_is_refused() {
    let place = Place::new();
    let server = Server::listen(place.socket(), LabServer::new().client()).unwrap();
    assert!(Server::listen(place.socket(), LabServer::new().client()).is_err());
    assert_eq!(connect(&server).1.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn peers_that_say_nothing_or_nonsense() {
    use std::io::Write;
    let place = Place::new();
    let lab = LabServer::new();
    let server = Server::listen(place.socket(), lab.client()).unwrap();
    for round in 0..200 {
        let mut stream = UnixStream::connect(server.path()).unwrap();
        if round % 2 == 0 {
            let _ = stream.write_all(&[0xff; 40]);
        }
    }
    assert_eq!(connect(&server).1.add(1, 2).wait().unwrap(), 3);
    wait_until("they are forgotten", || server.connections().is_empty());
}
