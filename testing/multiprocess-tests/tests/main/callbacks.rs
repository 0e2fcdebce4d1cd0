//! Objects of the caller that the server calls: on which thread they run, how deep calls nest, how
//! long they live, and that they keep their identity.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use multiprocess::rt::Interface;
use multiprocess::{Error, Limits, Result};
use multiprocess_tests::generated::lab::{
    Callback, CallbackClient, Counter, CounterClient, LabClient, LabReadCounterResults,
};
use multiprocess_tests::{Pair, Relay, pair, pair_with, wait_until};

/// Calls the lab back with itself until the depth is used up.
#[derive(Default)]
struct Echo(Mutex<Vec<ThreadId>>);

struct EchoRef(Arc<Echo>);

impl Callback for EchoRef {
    fn call(&self, lab: Option<LabClient>, depth: i32) -> Result<i32> {
        self.0.0.lock().unwrap().push(thread::current().id());
        if depth == 0 {
            return Ok(0);
        }
        let lab = lab.ok_or_else(|| Error::failed("no lab"))?;
        let again = CallbackClient::new(EchoRef(Arc::clone(&self.0)));
        Ok(lab.call_back(again, depth - 1).wait()? + 1)
    }
}

/// Both sides call each other `depth` deep. The threads that served the callbacks.
fn recurse(pair: &Pair, depth: i32) -> (Result<i32>, Vec<ThreadId>) {
    let echo = Arc::new(Echo::default());
    let result = pair.lab.call_back(CallbackClient::new(EchoRef(Arc::clone(&echo))), depth).wait();
    let threads = std::mem::take(&mut *echo.0.lock().unwrap());
    (result, threads)
}

#[test]
fn callbacks_run_on_the_thread_that_waits() {
    for depth in [1, 2, 10, 40] {
        let pair = pair();
        let (result, here) = recurse(&pair, depth);
        assert_eq!(result.unwrap(), depth);
        assert!(here.iter().all(|id| *id == thread::current().id()), "depth {depth}");
        // All of the server's methods ran on one thread of the server's.
        let there = pair.server.take_threads();
        assert!(there.iter().all(|id| *id == there[0]), "depth {depth}");
        assert_ne!(there[0], thread::current().id());
        assert_eq!(here.len() + there.len(), depth as usize + 1);
    }
}

#[test]
fn too_deep_is_an_error() {
    let pair = pair();
    let (result, _) = recurse(&pair, 1000);
    let error = result.unwrap_err();
    assert!(error.to_string().contains("calls within calls"), "{error}");
    pair.assert_alive();
    assert_eq!(recurse(&pair, 10).0.unwrap(), 10);
}

#[test]
fn from_a_method_without_a_context() {
    let pair = pair();
    let callback = Relay::client(|lab, depth| lab.unwrap().add_inline(depth, 10).wait());
    assert_eq!(pair.lab.call_back_inline(callback, 5).wait().unwrap(), 15);
}

#[test]
fn inline_methods_and_callbacks_within_each_other_end_at_the_limit_of_threads() {
    fn deeper(lab: Option<LabClient>, depth: i32) -> Result<i32> {
        lab.unwrap().call_back_inline(Relay::client(deeper), depth).wait()
    }
    let pair = pair_with(Limits::default().threads(8));
    assert_eq!(pair.lab.call_back_inline(Relay::client(deeper), 4).wait().unwrap(), 4);
    let error = pair.lab.call_back_inline(Relay::client(deeper), 100).wait().unwrap_err();
    assert!(error.to_string().contains("threads on one connection"), "{error}");
    pair.assert_alive();
}

#[test]
fn kept_and_called_later() {
    let pair = pair();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let callback = Relay::client(move |lab, depth| {
        assert!(lab.is_none(), "null is none");
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(depth * 2)
    });
    pair.lab.hold(Some(callback)).wait().unwrap();
    assert_eq!(pair.lab.poke(21).wait().unwrap(), 42);
    // From a thread of the server's that serves no call.
    let kept = pair.server.kept().unwrap();
    let value = thread::spawn(move || kept.call(None, 4).wait()).join().unwrap();
    assert_eq!(value.unwrap(), 8);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn the_last_reference_of_the_peer_drops_the_callback() {
    let pair = pair();
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let callback = Relay::client(move |_, depth| {
        let _held = &held;
        Ok(depth)
    });
    pair.lab.hold(Some(callback)).wait().unwrap();
    assert_eq!(Arc::strong_count(&alive), 2);
    assert_eq!(pair.lab.poke(1).wait().unwrap(), 1);
    pair.lab.hold(None).wait().unwrap();
    wait_until("the callback is dropped", || Arc::strong_count(&alive) == 1);
}

#[test]
fn null_is_none() {
    let pair = pair();
    pair.lab.hold(None).wait().unwrap();
    assert!(!pair.server.holds());
    let error = pair.lab.poke(1).wait().unwrap_err();
    assert!(error.to_string().contains("no callback is kept"), "{error}");
    assert!(pair.lab.no_counter().wait().unwrap().is_none());
}

#[test]
fn a_panic_or_error_in_a_callback_reaches_the_method() {
    let pair = pair();
    let error = pair.lab.call_back(Relay::client(|_, _| panic!("in callback")), 1).wait();
    let error = error.unwrap_err().to_string();
    assert!(error.contains("in callback"), "{error}");
    let failing = Relay::client(|_, _| Err(Error::failed("not now")));
    let error = pair.lab.call_back(failing, 1).wait().unwrap_err();
    assert!(matches!(&error, Error::Remote { message, .. } if message == "not now"), "{error}");
    pair.assert_alive();
}

#[test]
fn an_object_that_comes_home_is_local() {
    let pair = pair();
    pair.server.keep_last();
    let counter = pair.lab.make_counter(3).wait().unwrap();
    assert!(!counter.handle().is_local());
    let read = pair.lab.read_counter(counter.clone()).wait().unwrap();
    assert_eq!(read, LabReadCounterResults { result: 3, is_local: true });
    // The same object, not a copy.
    assert_eq!(counter.next().wait().unwrap(), 4);
    assert_eq!(pair.server.last().unwrap().next().wait().unwrap(), 5);
    // An object of this side is remote there.
    struct Fixed;
    impl Counter for Fixed {
        fn next(&self) -> Result<i64> {
            Ok(77)
        }
    }
    let read = pair.lab.read_counter(CounterClient::new(Fixed)).wait().unwrap();
    assert_eq!(read, LabReadCounterResults { result: 77, is_local: false });
}

#[test]
fn an_object_that_comes_home_from_the_peers_keeping_is_local() {
    let pair = pair();
    let callback = Relay::client(|_, depth| Ok(depth + 1));
    pair.lab.hold(Some(callback.clone())).wait().unwrap();
    pair.lab.hold(Some(callback)).wait().unwrap();
    assert_eq!(pair.lab.poke(1).wait().unwrap(), 2);
}

#[test]
fn a_handle_sent_twice_is_dropped_once_for_all() {
    let pair = pair();
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let callback = Relay::client(move |_, depth| {
        let _held = &held;
        Ok(depth)
    });
    let cleaned = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&cleaned);
    callback.add_cleanup(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    for _ in 0..10 {
        assert_eq!(pair.lab.call_back(callback.clone(), 3).wait().unwrap(), 3);
        pair.lab.hold(Some(callback.clone())).wait().unwrap();
    }
    assert_eq!(cleaned.load(Ordering::SeqCst), 0);
    pair.lab.hold(None).wait().unwrap();
    drop(callback);
    wait_until("cleaned up", || cleaned.load(Ordering::SeqCst) == 1);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn two_threads_with_callbacks_at_once_keep_to_their_own() {
    let pair = pair();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let me = thread::current().id();
                    let callback = Relay::client(move |_, depth| {
                        assert_eq!(thread::current().id(), me);
                        Ok(depth)
                    });
                    assert_eq!(pair.lab.call_back(callback, 6).wait().unwrap(), 6);
                }
            });
        }
    });
}
