//! Handles on objects of this process: the same type, called directly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::rt::Interface;
use multiprocess::{Error, current_call};
use multiprocess_tests::{LabServer, Relay};

#[test]
fn a_direct_call_runs_on_the_calling_thread() {
    let server = LabServer::new();
    let lab = server.client();
    assert!(lab.handle().is_local());
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    assert_eq!(server.take_threads(), [thread::current().id()]);
    assert!(current_call().is_none());
}

#[test]
fn a_future_runs_it_elsewhere() {
    let server = LabServer::new();
    assert_eq!(block_on(server.client().add(1, 2)).unwrap(), 3);
    assert_ne!(server.take_threads(), [thread::current().id()]);
}

#[test]
fn a_future_can_give_up_on_it() {
    let server = LabServer::new();
    let error = block_on(server.client().block("local").timeout(Duration::from_millis(20)));
    assert!(matches!(error, Err(Error::Timeout(_))));
    server.let_go("local");
}

#[test]
fn errors_of_a_local_object_are_passed_unchanged() {
    let lab = LabServer::new().client();
    assert!(matches!(lab.fail("x").wait(), Err(Error::Remote { message, .. }) if message == "x"));
    assert!(matches!(lab.missing().wait(), Err(Error::Unimplemented { .. })));
    assert!(matches!(block_on(lab.fail("x")), Err(Error::Remote { .. })));
}

#[test]
fn a_panic_in_a_future_fails_the_call() {
    let lab = LabServer::new().client();
    let error = block_on(lab.panics().timeout(Duration::from_secs(20))).unwrap_err();
    assert!(
        matches!(&error, Error::Remote { message, .. } if message.contains("as it was asked")),
        "{error}"
    );
}

#[test]
fn callbacks_are_direct_too() {
    let lab = LabServer::new().client();
    let callback = Relay::client(|lab, depth| lab.unwrap().add(depth, 1).wait());
    assert_eq!(lab.call_back(callback, 3).wait().unwrap(), 4);
}

#[test]
fn close_runs_the_hooks() {
    let server = LabServer::new();
    let counter = server.counter(1);
    let cleaned = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&cleaned);
    counter.add_cleanup(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    counter.close().wait().unwrap();
    assert_eq!(cleaned.load(Ordering::SeqCst), 1);
    block_on(counter.close()).unwrap();
    drop(counter);
    assert_eq!(cleaned.load(Ordering::SeqCst), 1);
    assert_eq!(server.counters(), 0);
}

#[test]
fn dropping_the_last_handle_drops_the_object_then_runs_the_hooks() {
    let server = LabServer::new();
    let counter = server.counter(1);
    let seen = Arc::new(AtomicUsize::new(99));
    let (noted, lab) = (Arc::clone(&seen), Arc::clone(&server));
    counter.add_cleanup(move || noted.store(lab.counters(), Ordering::SeqCst));
    let other = counter.clone();
    drop(counter);
    assert_eq!(other.next().wait().unwrap(), 1);
    assert_eq!(seen.load(Ordering::SeqCst), 99);
    drop(other);
    assert_eq!(seen.load(Ordering::SeqCst), 0, "the object had gone when the hook ran");
}
