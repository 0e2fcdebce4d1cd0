//! Servers that accept and do not answer, answer wrongly, or end each connection at once.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use multiprocess::{ReconnectState, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, LabServer, wait_until};

use super::{connecting, listen, reconnect, start};
use crate::listener::Place;

/// Serves sockets with `serve` until it is dropped, which frees the path.
struct Hostile {
    over: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    place: std::path::PathBuf,
}

impl Hostile {
    fn new(place: &Place, serve: impl Fn(std::os::unix::net::UnixStream) + Send + 'static) -> Self {
        let listener = UnixListener::bind(place.socket()).unwrap();
        let (over, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (ends, counts) = (Arc::clone(&over), Arc::clone(&accepted));
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                counts.fetch_add(1, Ordering::SeqCst);
                serve(socket);
            }
        });
        Hostile { over, accepted, place: place.socket() }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = std::os::unix::net::UnixStream::connect(&self.place);
        std::fs::remove_file(&self.place).unwrap();
    }
}

#[test]
fn a_server_that_accepts_and_never_answers() {
    let place = Place::new();
    let held = std::sync::Mutex::new(Vec::new());
    let hostile = Hostile::new(&place, move |socket| held.lock().unwrap().push(socket));
    let lab = start(reconnect(&place.socket()).deadline(Duration::from_millis(20)));
    wait_until("three attempts have failed", || {
        connecting(&lab)
            .is_some_and(|(attempt, error)| attempt > 3 && error.contains("no answer within"))
    });
    assert!(hostile.accepted.load(Ordering::SeqCst) >= 3);
    assert!(lab.try_get().is_none());
    drop((hostile, lab));
    // One that answers, at the same place.
    let _server = listen(&place.socket());
    let lab = start(reconnect(&place.socket()));
    assert_eq!(lab.get(LONG).unwrap().add(1, 2).wait().unwrap(), 3);
}

#[test]
fn a_server_that_speaks_another_protocol() {
    let place = Place::new();
    let hostile = Hostile::new(&place, |mut socket| {
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let lab = start(reconnect(&place.socket()));
    wait_until("attempts have failed", || {
        connecting(&lab).is_some_and(|(attempt, error)| attempt > 2 && error.contains("protocol"))
    });
    drop(hostile);
    let _server = listen(&place.socket());
    assert_eq!(lab.get(LONG).unwrap().generation(), 1);
}

/// It has no object to give.
#[test]
fn a_server_without_a_bootstrap_object() {
    let place = Place::new();
    let kept = std::sync::Mutex::new(Vec::new());
    let hostile = Hostile::new(&place, move |socket| {
        kept.lock().unwrap().push(multiprocess::Connection::new(socket).unwrap());
    });
    let lab = start(reconnect(&place.socket()));
    wait_until("attempts have failed", || {
        connecting(&lab)
            .is_some_and(|(attempt, error)| attempt > 2 && error.contains("asked for first"))
    });
    drop((hostile, lab));
}

/// Each connection is served for a moment, so that objects are made over it, or not.
#[test]
fn a_server_that_flaps() {
    let place = Place::new();
    let server = LabServer::new();
    let lab_of_server = server.client();
    let hostile = Hostile::new(&place, move |socket| {
        let serving = multiprocess::Connection::builder().serve(lab_of_server.clone());
        let serving = serving.start(socket).unwrap();
        // No longer than until the first call was there.
        let calls = server.sums().len();
        wait_until("it was called", || server.sums().len() > calls || !serving.is_connected());
        serving.disconnect();
    });
    let (losses, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (lost, makes) = (Arc::clone(&losses), Arc::clone(&made));
    let lab = reconnect(&place.socket())
        .on_loss(move |_| {
            lost.fetch_add(1, Ordering::SeqCst);
        })
        .start(move |lab: &LabClient| {
            // Sometimes the end comes during this, sometimes after.
            if makes.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
                lab.add(1, 2).wait()?;
            }
            Ok(lab.clone())
        });
    let lab = lab.unwrap();
    wait_until("it was connected and lost again and again", || {
        if let Some(current) = lab.try_get() {
            let _ = current.add(1, 2).timeout(LONG).wait();
        }
        losses.load(Ordering::SeqCst) >= 5 && made.load(Ordering::SeqCst) >= 10
    });
    let generation = match lab.state() {
        ReconnectState::Connected { generation, .. } => generation,
        _ => losses.load(Ordering::SeqCst) as u64,
    };
    drop(hostile);
    let _server = Server::listen(place.socket(), LabServer::new().client()).unwrap();
    wait_until("it is connected for good", || {
        lab.try_get().is_some_and(|lab| lab.add(1, 2).wait().is_ok_and(|sum| sum == 3))
    });
    let now = lab.get(LONG).unwrap();
    assert!(now.generation() >= generation && now.generation() >= 5);
    // One call of the hook for each loss of what was made.
    assert_eq!(losses.load(Ordering::SeqCst) as u64, now.generation() - 1);
}
