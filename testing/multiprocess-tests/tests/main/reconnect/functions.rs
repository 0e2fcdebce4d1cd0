//! The program's own functions: they may panic, hang, fail, and use what they belong to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock, mpsc};
use std::time::Duration;

use multiprocess::process::connect;
use multiprocess::{Connection, Error, Reconnect, ReconnectState, Reconnecting};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, LabServer, wait_until};

use super::{connecting, listen, quick, reconnect};
use crate::listener::Place;

const SHORT: Duration = Duration::from_millis(50);

#[test]
fn panics_and_errors_are_failed_attempts() {
    let place = Place::new();
    let server = listen(&place.socket());
    let (path, tries) = (place.socket(), Arc::new(AtomicUsize::new(0)));
    let errors = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&errors);
    let (connects, makes) = (Arc::clone(&tries), Arc::clone(&tries));
    let lab = Reconnect::with(move || {
        assert!(connects.fetch_add(1, Ordering::SeqCst) != 0, "in the first");
        Connection::new(connect(&path)?)
    })
    .backoff(quick())
    .retry_if(move |error| {
        seen.lock().unwrap().push(error.to_string());
        true
    })
    .on_loss(|_| panic!("in the hook for the loss"))
    .start(move |lab: &LabClient| match makes.load(Ordering::SeqCst) {
        2 => panic!("in the second"),
        3 => Err(Error::failed("in the third")),
        4 => lab.fail("in the fourth").wait().map(|()| lab.clone()),
        _ => Ok(lab.clone()),
    });
    let lab = lab.unwrap();
    let current = lab.get(LONG).unwrap();
    assert_eq!((current.generation(), tries.load(Ordering::SeqCst)), (1, 5));
    let expected =
        ["connects panicked: in the first", "panicked: in the second", "third", "fourth"];
    for (error, expected) in std::mem::take(&mut *errors.lock().unwrap()).iter().zip(expected) {
        assert!(error.contains(expected), "{error}");
    }
    // The connections of the attempts that failed have ended.
    wait_until("one connection is left", || server.connections().len() == 1);
    current.connection().disconnect();
    assert_eq!(lab.get(LONG).unwrap().generation(), 2);
}

/// The call that it waits for is never answered; the deadline ends it.
#[test]
fn a_function_that_hangs_in_a_call_is_a_failed_attempt() {
    let place = Place::new();
    let server = LabServer::new();
    let _listening = multiprocess::Server::listen(place.socket(), server.client()).unwrap();
    let tries = AtomicUsize::new(0);
    let lab = reconnect(&place.socket()).deadline(SHORT).start(move |lab: &LabClient| match tries
        .fetch_add(1, Ordering::SeqCst)
    {
        0..2 => lab.block("for ever").wait().map(|_| lab.clone()),
        _ => Ok(lab.clone()),
    });
    let lab = lab.unwrap();
    let mut said = false;
    wait_until("it is connected", || {
        let text = connecting(&lab).map(|(_, error)| error).unwrap_or_default();
        said |= text.contains("was not made within 50ms (Reconnect::deadline)");
        lab.try_get().is_some()
    });
    assert!(said, "the state says why");
    // The deadline was that of the attempt, not of the connection.
    wait_until("both are cancelled", || server.blocked() == 0);
    let current = lab.get(LONG).unwrap();
    let late = current.block("later").timeout(2 * SHORT).wait();
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
    assert_eq!(lab.get(LONG).unwrap().generation(), 1);
}

#[test]
fn a_hook_for_the_loss_that_hangs_is_not_waited_for() {
    let place = Place::new();
    let _server = listen(&place.socket());
    let may_go_on = Arc::new(RwLock::new(()));
    let not_yet = may_go_on.write().unwrap();
    let (waits, (tell, told)) = (Arc::clone(&may_go_on), mpsc::channel());
    let lab = reconnect(&place.socket()).deadline(SHORT).on_loss(move |_| {
        tell.send(()).unwrap();
        drop(waits.read());
    });
    let lab = lab.start(|lab: &LabClient| Ok(lab.clone())).unwrap();
    for generation in 1..=3 {
        let current = lab.get(LONG).unwrap();
        assert_eq!(current.generation(), generation);
        current.connection().disconnect();
    }
    drop(not_yet);
    told.recv_timeout(LONG).unwrap();
    // It runs again once it has returned.
    let mut losses = 0;
    wait_until("it has run for a later loss", || {
        lab.get(LONG).unwrap().connection().disconnect();
        losses += usize::from(told.try_recv().is_ok());
        losses > 0
    });
}

/// A value whose destructor looks at what it belongs to: with a lock held it would never end.
struct Looks(Arc<OnceLock<Reconnecting<Looks>>>, mpsc::Sender<()>);

impl Drop for Looks {
    fn drop(&mut self) {
        if let Some(lab) = self.0.get() {
            let _ = (lab.state(), lab.try_get().is_some());
        }
        let _ = self.1.send(());
    }
}

#[test]
fn functions_and_destructors_run_without_the_lock() {
    let place = Place::new();
    let _server = listen(&place.socket());
    let this = Arc::new(OnceLock::<Reconnecting<Looks>>::new());
    let (tell, told) = mpsc::channel();
    let (for_loss, for_retry, for_make) = (Arc::clone(&this), Arc::clone(&this), Arc::clone(&this));
    let look = |this: &OnceLock<Reconnecting<Looks>>| {
        if let Some(lab) = this.get() {
            assert!(!matches!(lab.state(), ReconnectState::Connected { .. }));
            assert!(lab.try_get().is_none());
        }
    };
    let lab = reconnect(&place.socket())
        .on_loss(move |_| look(&for_loss))
        .retry_if(move |_| {
            look(&for_retry);
            true
        })
        .start(move |_: &LabClient| {
            look(&for_make);
            Ok(Looks(Arc::clone(&for_make), tell.clone()))
        });
    this.set(lab.unwrap()).ok().unwrap();
    let lab = this.get().unwrap();
    for generation in 1..=3 {
        let current = lab.get(LONG).unwrap();
        assert_eq!(current.generation(), generation);
        current.connection().disconnect();
        drop(current);
        told.recv_timeout(LONG).expect("the value of the lost connection is dropped");
    }
    drop(lab.get(LONG).unwrap());
    lab.close(LONG);
    told.recv_timeout(LONG).expect("and the last one");
}

#[test]
fn a_function_that_makes_the_connection_cannot_wait_for_it() {
    let place = Place::new();
    let _server = listen(&place.socket());
    let this = Arc::new(OnceLock::<Reconnecting<Error>>::new());
    let own = Arc::clone(&this);
    let lab = reconnect(&place.socket()).start(move |_: &LabClient| {
        wait_until("it is there", || own.get().is_some());
        Ok(own.get().unwrap().wait_connected().unwrap_err())
    });
    this.set(lab.unwrap()).ok().unwrap();
    let error = this.get().unwrap().get(LONG).unwrap();
    assert!(matches!(*error, Error::ApiMisuse { .. }), "{:?}", *error);
}
