//! Connections that are made again when they are lost: to servers that go and come back, are not there, do
//! not answer, or end at once.

mod ends;
mod functions;
mod hostile;
mod program;
mod settings;

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::process::Backoff;
use multiprocess::{Connection, Error, Reconnect, ReconnectState, Reconnecting, Server};
use multiprocess_tests::generated::lab::{CounterClient, LabClient};
use multiprocess_tests::{LONG, LabServer, wait_until, within_time};

use crate::listener::Place;

/// Longer than any test runs: what is to happen then does not happen.
const NEVER: Duration = Duration::from_secs(3600);

fn quick() -> Backoff {
    let (first, longest) = (Duration::from_millis(1), Duration::from_millis(10));
    Backoff { first, longest, ..Backoff::default() }
}

fn reconnect(path: &Path) -> Reconnect {
    Reconnect::to_path(path).backoff(quick()).deadline(LONG)
}

fn start(reconnect: Reconnect) -> Reconnecting<LabClient> {
    reconnect.start(|lab: &LabClient| Ok(lab.clone())).unwrap()
}

fn listen(path: &Path) -> Server {
    Server::listen(path, LabServer::new().client()).unwrap()
}

/// Why there is no connection at the moment, and the number of the attempt.
fn connecting<T: Send + Sync>(lab: &Reconnecting<T>) -> Option<(u32, String)> {
    match lab.state() {
        ReconnectState::Connecting { attempt, last_error, .. } => {
            Some((attempt, last_error.map(|error| error.to_string()).unwrap_or_default()))
        }
        _ => None,
    }
}

/// Waits for the end, and returns the reason.
fn ended<T: Send + Sync>(lab: &Reconnecting<T>) -> Error {
    let mut reason = None;
    wait_until("it has ended", || match lab.state() {
        ReconnectState::Ended { reason: why, .. } => {
            reason = Some(why);
            true
        }
        _ => false,
    });
    reason.unwrap()
}

/// What the program of these tests uses.
struct Objects {
    lab: LabClient,
    counter: CounterClient,
}

#[test]
fn a_server_that_goes_and_comes_back() {
    let place = Place::new();
    let (tell, losses) = mpsc::channel();
    let objects = reconnect(&place.socket())
        .on_loss(move |reason| tell.send(reason).unwrap())
        .start(|lab: &LabClient| {
            let counter = lab.make_counter(5).wait()?;
            Ok(Objects { lab: lab.clone(), counter })
        })
        .unwrap();
    let mut before: Option<multiprocess::Current<Objects>> = None;
    for generation in 1..=3 {
        let server = listen(&place.socket());
        let current = objects.get(LONG).unwrap();
        assert_eq!(current.generation(), generation);
        assert!(
            matches!(objects.state(), ReconnectState::Connected { generation: g, .. } if g == generation)
        );
        assert_eq!(objects.try_get().unwrap().generation(), generation);
        // Made again: it counts from the beginning.
        assert_eq!(current.counter.next().wait().unwrap(), 5);
        assert_eq!(current.lab.add(1, 2).wait().unwrap(), 3);
        if let Some(before) = before.replace(current.clone()) {
            let old = before.counter.next().wait();
            assert!(matches!(old, Err(Error::Disconnected { .. })), "{old:?}");
            assert!(!before.connection().is_connected());
        }
        drop(server);
        let loss = losses.recv_timeout(LONG).unwrap();
        assert_eq!(loss.to_string(), current.connection().end_reason().unwrap().to_string());
        wait_until("an attempt has failed", || {
            connecting(&objects).is_some_and(|(_, error)| error.contains("is the server running?"))
        });
        assert!(objects.try_get().is_none());
        let old = current.lab.add(1, 2).wait();
        assert!(matches!(old, Err(Error::Disconnected { .. })), "{old:?}");
    }
    assert!(losses.try_recv().is_err(), "one loss, one call of the hook");
}

#[test]
fn a_server_that_is_not_there_at_first() {
    let place = Place::new();
    let lab = start(reconnect(&place.socket()).name("the lab"));
    wait_until("three attempts have failed", || {
        connecting(&lab)
            .is_some_and(|(attempt, error)| attempt > 3 && error.contains("no socket at"))
    });
    let error = lab.get(Duration::ZERO).unwrap_err().to_string();
    assert!(error.contains("no connection within 0ns to the lab: "), "{error}");
    assert!(error.contains("no socket at"), "{error}");
    // Threads and futures that wait, and one that does so no more.
    let waits: Vec<_> = (0..4)
        .map(|number| {
            let lab = lab.clone();
            thread::spawn(move || match number % 2 {
                0 => lab.wait_connected(),
                _ => block_on(lab.connected()),
            })
        })
        .collect();
    let mut gone = lab.connected();
    let polled = std::future::Future::poll(
        std::pin::Pin::new(&mut gone),
        &mut std::task::Context::from_waker(std::task::Waker::noop()),
    );
    assert!(polled.is_pending());
    drop(gone);
    let _server = listen(&place.socket());
    for wait in waits {
        let current = within_time(move || wait.join().unwrap()).unwrap();
        assert_eq!(current.generation(), 1);
        assert_eq!(current.add(1, 2).wait().unwrap(), 3);
    }
}

/// It is the program itself that ends the connection.
#[test]
fn a_connection_that_is_disconnected_here_is_made_again() {
    let place = Place::new();
    let _server = listen(&place.socket());
    let lab = start(reconnect(&place.socket()));
    for generation in 1..=3 {
        let current = lab.get(LONG).unwrap();
        assert_eq!(current.generation(), generation);
        assert_eq!(current.add(1, 2).wait().unwrap(), 3);
        current.connection().disconnect();
        // At once: nobody gets what was made over the connection that has ended.
        assert!(lab.try_get().is_none_or(|next| next.generation() > generation));
    }
}

/// The delays are so that every second attempt in a row would come after the test.
#[test]
fn a_connection_that_lasted_begins_the_delays_anew() {
    let place = Place::new();
    let _server = listen(&place.socket());
    let backoff = Backoff { factor: 1e9, longest: NEVER, reset_after: Duration::ZERO, ..quick() };
    let lab = start(reconnect(&place.socket()).backoff(backoff));
    for _ in 0..4 {
        lab.get(LONG).unwrap().connection().disconnect();
    }
    assert!(lab.get(LONG).unwrap().generation() >= 3);
}

#[test]
fn the_delays_of_a_connection_that_does_not_last_grow() {
    let place = Place::new();
    let _server = listen(&place.socket());
    let backoff = Backoff { factor: 1e9, longest: NEVER, reset_after: NEVER, ..quick() };
    let lab = start(reconnect(&place.socket()).backoff(backoff));
    for _ in 0..2 {
        lab.get(LONG).unwrap().connection().disconnect();
    }
    let mut next = None;
    wait_until("the next attempt is far away", || match lab.state() {
        ReconnectState::Connecting { next_try: Some(at), .. } => {
            next = Some(at);
            true
        }
        _ => false,
    });
    // A half of it is left to chance.
    assert!(next.unwrap() > std::time::Instant::now() + NEVER / 3);
    assert_eq!(connecting(&lab).unwrap().0, 0, "none was made since");
}

/// A connector of the program's own, which serves the other side as well.
#[test]
fn connections_of_the_programs_own_making() {
    let serving = Arc::new(Mutex::new(Vec::new()));
    let made = Arc::clone(&serving);
    let connect = move || {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let lab = LabServer::new();
        made.lock().unwrap().push(Connection::builder().serve(lab.client()).start(theirs)?);
        Connection::new(ours)
    };
    let lab = start(Reconnect::with(connect).backoff(quick()));
    for generation in 1..=3 {
        let current = lab.get(LONG).unwrap();
        assert_eq!((current.generation(), current.add(1, 2).wait().unwrap()), (generation, 3));
        let theirs = serving.lock().unwrap().pop().unwrap();
        theirs.disconnect();
        wait_until(
            "the loss is known",
            || !matches!(lab.state(), ReconnectState::Connected { generation: g, .. } if g == generation),
        );
    }
}
