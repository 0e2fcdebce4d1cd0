//! A method of an object of this process that panics fails its call, whoever waits for it: with the
//! same error for a thread as for a future.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_executor::block_on;
use multiprocess::{Error, Result};
use multiprocess_tests::generated::lab::{Counter, CounterClient};
use multiprocess_tests::{LabServer, Relay};

/// The error of a call on a thread; a panic that unwinds out of the call is caught.
#[track_caller]
fn outcome<T>(call: impl FnOnce() -> Result<T>) -> Error {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Err(error)) => error,
        Ok(Ok(_)) => panic!("it did not fail"),
        Err(_) => panic!("it unwound out of the call"),
    }
}

#[test]
fn threads_and_futures_get_the_same_error() {
    let lab = LabServer::new().client();
    let awaited = block_on(lab.panics()).unwrap_err();
    let started = outcome(|| lab.panics().start().wait());
    let waited = outcome(|| lab.panics().wait());
    for error in [&awaited, &started, &waited] {
        let Error::Remote { message, .. } = error else { panic!("{error}") };
        assert!(message.contains("panicked: as it was asked to"), "{message}");
    }
    assert_eq!(waited.to_string(), awaited.to_string());
    assert_eq!(waited.to_string(), started.to_string());
}

#[test]
fn the_object_can_be_called_afterwards() {
    let lab = LabServer::new().client();
    outcome(|| lab.panics().wait());
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    assert_eq!(block_on(lab.add(1, 2)).unwrap(), 3);
}

#[test]
fn a_callback_that_panics_fails_the_call_that_called_it() {
    let lab = LabServer::new().client();
    let callback = Relay::client(|_, _| panic!("in the callback"));
    let error = outcome(|| lab.call_back(callback, 1).wait());
    assert!(error.to_string().contains("in the callback"), "{error}");
}

#[test]
fn pipelined_calls_fail_with_it() {
    struct Panics;
    impl Counter for Panics {
        fn split(&self) -> Result<CounterClient> {
            panic!("no more of them")
        }
    }
    let counter = CounterClient::new(Panics);
    let error = outcome(|| counter.split().pipelined().next().wait());
    assert!(error.to_string().contains("no more of them"), "{error}");
}

/// The error has the same text as for a remote object, except for which side failed.
#[test]
fn the_error_has_the_text_of_a_remote_objects() {
    let pair = multiprocess_tests::pair();
    let remote = pair.lab.panics().wait().unwrap_err();
    let local = outcome(|| pair.server.client().panics().wait());
    assert_eq!(local.to_string(), remote.to_string());
}
