//! How a connection that is made again ends: closed, dropped, given up, or by an error that stays.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::process::Backoff;
use multiprocess::{Error, Reconnect, ReconnectState, Reconnecting, Result, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, LabServer, wait_until, within_time};

use super::{NEVER, connecting, ended, listen, quick, reconnect, start};
use crate::listener::Place;

fn is_closed(error: &Error) -> bool {
    error.to_string().contains("this side closed it")
}

#[test]
fn close_ends_the_connection_and_is_no_loss() {
    let place = Place::new();
    let server = LabServer::new();
    let listening = Server::listen(place.socket(), server.client()).unwrap();
    let (tell, losses) = mpsc::channel();
    let lab = start(reconnect(&place.socket()).on_loss(move |reason| tell.send(reason).unwrap()));
    let current = lab.get(LONG).unwrap();
    let call = current.block("a").start();
    wait_until("it runs", || server.is_blocked("a"));
    assert!(lab.close(LONG), "nothing is served over it");
    assert!(matches!(call.wait(), Err(Error::Disconnected { .. })));
    assert!(!current.connection().is_connected());
    wait_until("the server has seen it", || listening.connections().is_empty());
    assert!(is_closed(&ended(&lab)));
    assert!(is_closed(&lab.get(LONG).unwrap_err()));
    assert!(is_closed(&within_time(move || block_on(lab.connected())).unwrap_err()));
    // The hook was dropped without having run.
    assert!(matches!(losses.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected)));
    assert!(listening.connections().is_empty(), "and nobody comes back");
}

/// Whoever waits is told, though the next attempt would be in an hour.
#[test]
fn close_between_attempts_is_at_once() {
    let place = Place::new();
    let backoff = Backoff { first: NEVER, longest: NEVER, ..Backoff::default() };
    let lab = start(reconnect(&place.socket()).backoff(backoff));
    wait_until("it waits for the next attempt", || {
        matches!(lab.state(), ReconnectState::Connecting { next_try: Some(_), .. })
    });
    let waits: Vec<_> = (0..2)
        .map(|number| {
            let lab = lab.clone();
            thread::spawn(move || match number {
                0 => lab.wait_connected(),
                _ => block_on(lab.connected()),
            })
        })
        .collect();
    assert!(lab.close(LONG));
    for wait in waits {
        assert!(is_closed(&within_time(move || wait.join().unwrap()).unwrap_err()));
    }
}

/// The server takes the connection and does not answer; the attempt would last for an hour.
#[test]
fn close_and_drop_end_an_attempt_that_hangs() {
    let place = Place::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    for close in [true, false] {
        let (held, gone) = (Arc::new(()), Arc::new(Mutex::new(None)));
        *gone.lock().unwrap() = Some(Arc::downgrade(&held));
        let lab = reconnect(&place.socket()).deadline(NEVER).start(move |lab: &LabClient| {
            let _held = &held;
            Ok(lab.clone())
        });
        let lab = lab.unwrap();
        let (mut socket, _) = listener.accept().unwrap();
        if close {
            assert!(lab.close(LONG));
        }
        drop(lab);
        // The end of the stream, after what was asked.
        within_time(move || std::io::copy(&mut socket, &mut std::io::sink()).unwrap());
        let held = gone.lock().unwrap().take().unwrap();
        wait_until("the function is gone", || held.upgrade().is_none());
    }
}

/// What failed, where, and why, each once.
fn says_nothing_twice(error: &str, place: &Place) {
    let path = place.socket().display().to_string();
    for part in ["disconnected", "connect to", path.as_str()] {
        assert!(error.matches(part).count() <= 1, "{part} stands twice in: {error}");
    }
}

/// Also while it goes on: in what `get` says, in the state, in what the hook is told, and where the error is that
/// of the function that makes the objects.
#[test]
fn errors_say_nothing_twice() {
    let place = Place::new();
    let (tell, losses) = mpsc::channel();
    let server = listen(&place.socket());
    let made = reconnect(&place.socket())
        .on_loss(move |reason| tell.send(reason.to_string()).unwrap())
        .start(|lab: &LabClient| {
            // The second time there is nobody.
            lab.add(1, 2).wait()?;
            Ok(lab.clone())
        });
    let lab = made.unwrap();
    let current = lab.get(LONG).unwrap();
    drop(server);
    let loss = losses.recv_timeout(LONG).unwrap();
    says_nothing_twice(&loss, &place);
    says_nothing_twice(&current.add(1, 2).wait().unwrap_err().to_string(), &place);
    wait_until("an attempt has failed", || {
        connecting(&lab).is_some_and(|(_, error)| error.contains("no socket at"))
    });
    says_nothing_twice(&connecting(&lab).unwrap().1, &place);
    let error = lab.get(Duration::ZERO).unwrap_err().to_string();
    assert!(error.starts_with("disconnected: no connection within 0ns: no socket at "), "{error}");
    says_nothing_twice(&error, &place);

    // One that accepts and goes, which fails while the objects are made.
    drop(lab);
    let listener = UnixListener::bind(place.socket()).unwrap();
    thread::spawn(move || while listener.accept().is_ok() {});
    let backoff = Backoff { max_restarts: Some(1), ..quick() };
    let lab = start(reconnect(&place.socket()).backoff(backoff));
    let reason = ended(&lab).to_string();
    assert!(reason.contains("given up after 2 attempts in "), "{reason}");
    let to = format!(" to connect to {}: the other side ", place.socket().display());
    assert!(reason.contains(&to), "{reason}");
    says_nothing_twice(&reason, &place);
}

#[test]
fn after_so_many_attempts_or_so_long_it_is_given_up() {
    let place = Place::new();
    let backoff = Backoff { max_restarts: Some(3), ..quick() };
    let lab = start(reconnect(&place.socket()).backoff(backoff));
    let reason = ended(&lab).to_string();
    assert!(reason.contains("given up after 4 attempts in "), "{reason}");
    assert!(reason.contains("no socket at"), "{reason}");
    assert_eq!(lab.get(LONG).unwrap_err().to_string(), reason);
    says_nothing_twice(&reason, &place);

    // The second attempt would be too late.
    let backoff = Backoff { first: NEVER, longest: NEVER, ..Backoff::default() };
    let lab = start(reconnect(&place.socket()).backoff(backoff).give_up_after(NEVER / 4));
    let reason = ended(&lab).to_string();
    assert!(reason.contains("given up after 1 attempt in "), "{reason}");
    // A server that was there counts from its loss on.
    let server = listen(&place.socket());
    let lab = start(reconnect(&place.socket()).backoff(backoff).give_up_after(NEVER / 4));
    assert_eq!(lab.get(LONG).unwrap().add(1, 2).wait().unwrap(), 3);
    drop(server);
    let reason = ended(&lab).to_string();
    assert!(reason.contains("given up after 0 attempts in "), "{reason}");
}

#[test]
fn errors_that_cannot_pass_end_it() {
    let long = PathBuf::from(format!("/tmp/{}", "x".repeat(200)));
    assert!(matches!(ended(&start(reconnect(&long))), Error::Address { .. }));
    // From the function that connects, and from the one that makes the objects.
    let misuse = || Error::misuse("as it was told to");
    let lab = start(Reconnect::with(move || Err(misuse())).backoff(quick()));
    assert!(ended(&lab).to_string().contains("as it was told to"));
    let place = Place::new();
    let server = listen(&place.socket());
    let made = reconnect(&place.socket()).start(move |_: &LabClient| Err::<(), _>(misuse()));
    assert!(ended(&made.unwrap()).to_string().contains("as it was told to"));
    wait_until("that connection has ended", || server.connections().is_empty());
}

#[test]
fn the_program_can_say_which_errors_pass() {
    let place = Place::new();
    // A loss, too.
    let server = listen(&place.socket());
    let once = start(reconnect(&place.socket()).retry_if(|_| false));
    assert_eq!(once.get(LONG).unwrap().add(1, 2).wait().unwrap(), 3);
    drop(server);
    assert!(matches!(ended(&once), Error::Disconnected { .. }));
    // What would end it otherwise, and a panic, which is no answer.
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let retry = move |error: &Error| {
        assert!(counted.fetch_add(1, Ordering::SeqCst) != 1, "as it was asked to");
        matches!(error, Error::Address { .. })
    };
    let long = PathBuf::from(format!("/tmp/{}", "x".repeat(200)));
    let lab = start(reconnect(&long).retry_if(retry));
    wait_until("it was asked again", || tries.load(Ordering::SeqCst) > 3);
    assert!(connecting(&lab).is_some());
}

/// The only handle, where a function of the program's takes and drops it.
type Only = Arc<Mutex<Option<Reconnecting<LabClient>>>>;

/// Drops the handle that is there, once it is there.
fn drop_only(only: &Only) {
    wait_until("it is there", || only.lock().unwrap().is_some());
    let last = only.lock().unwrap().take();
    drop(last);
}

#[test]
fn the_last_handle_can_be_dropped_in_each_function() {
    for place_of_drop in ["connect", "make", "loss", "retry"] {
        let place = Place::new();
        let server = listen(&place.socket());
        let only = Only::default();
        let (done, dones) = mpsc::channel::<()>();
        // Each function holds `done` until it is dropped.
        let drops = |here: &'static str, done: mpsc::Sender<()>| {
            let only = Arc::clone(&only);
            move || {
                let _done = &done;
                if here == place_of_drop {
                    drop_only(&only);
                }
            }
        };
        let (connect, make) = (drops("connect", done.clone()), drops("make", done.clone()));
        let (loss, retry) = (drops("loss", done.clone()), drops("retry", done));
        let path = place.socket();
        let connect = move || {
            connect();
            multiprocess::Connection::new(multiprocess::process::connect(&path)?)
        };
        let lab = Reconnect::with(connect)
            .backoff(quick())
            .on_loss(move |_| loss())
            .retry_if(move |_| {
                retry();
                true
            })
            .start(move |lab: &LabClient| {
                make();
                Ok(lab.clone())
            });
        let lab = lab.unwrap();
        let current: Result<_> = match place_of_drop {
            "loss" | "retry" => lab.get(LONG).map(Some),
            _ => Ok(None),
        };
        *only.lock().unwrap() = Some(lab);
        if let Some(current) = current.unwrap() {
            current.connection().disconnect();
        }
        // All functions are gone, and so is the connection.
        let ended = dones.recv_timeout(LONG);
        assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected), "{place_of_drop}");
        wait_until("it is disconnected", || server.connections().is_empty());
    }
}

#[test]
fn a_hook_that_hangs_delays_no_close() {
    let place = Place::new();
    let _server = listen(&place.socket());
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let lab = reconnect(&place.socket()).start(move |lab: &LabClient| {
        tell.send(()).unwrap();
        let _ = may_go_on.recv();
        Ok(lab.clone())
    });
    let lab = lab.unwrap();
    told.recv_timeout(LONG).unwrap();
    let waiting = lab.clone();
    let waits = thread::spawn(move || waiting.get(NEVER));
    let closed = lab.clone();
    assert!(within_time(move || closed.close(Duration::ZERO)));
    assert!(is_closed(&within_time(move || waits.join().unwrap()).unwrap_err()));
    drop(go_on);
    // What it then makes is dropped, and this stays closed.
    assert_eq!(told.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
    assert!(is_closed(&ended(&lab)));
}
