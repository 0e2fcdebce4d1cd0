//! Three parties: an object of one connection that is passed into another is called through this
//! process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{Relay, pair, wait_until};

#[test]
fn a_counter_of_one_peer_read_by_another() {
    let (one, other) = (pair(), pair());
    let counter = one.lab.make_counter(10).wait().unwrap();
    for expected in 10..20 {
        let read = other.lab.read_counter(counter.clone()).wait().unwrap();
        assert_eq!(read.result, expected);
        assert!(!read.is_local);
    }
    assert_eq!(counter.next().wait().unwrap(), 20);
    drop(counter);
    wait_until("the counter is dropped", || one.server.counters() == 0);
}

#[test]
fn a_lab_served_on_behalf_of_another() {
    use std::os::unix::net::UnixStream;
    let far = pair();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _between =
        multiprocess::Connection::builder().serve(far.lab.clone()).start(theirs).unwrap();
    let near = multiprocess::Connection::new(ours).unwrap();
    let lab: LabClient = near.bootstrap().unwrap();
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    let callback = Relay::client(|lab, depth| lab.unwrap().add(depth, 100).wait());
    assert_eq!(lab.call_back(callback, 5).wait().unwrap(), 105);
    let counter = lab.make_counter(1).wait().unwrap();
    assert_eq!(lab.read_counter(counter.clone()).wait().unwrap().result, 1);
    assert_eq!(counter.split().wait().unwrap().next().wait().unwrap(), 2);
    assert!(lab.no_counter().wait().unwrap().is_none());
    assert!(lab.missing().wait().unwrap_err().to_string().contains("Lab.missing"));
    counter.close().wait().unwrap();
}

#[test]
fn a_callback_passed_on() {
    let (one, other) = (pair(), pair());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let inner = Relay::client(move |_, depth| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(depth)
    });
    // `one` calls back here, where `other` is asked to call the inner callback.
    let lab = other.lab.clone();
    let outer = Relay::client(move |_, depth| lab.call_back(inner.clone(), depth).wait());
    // 5 -> callback(4) -> 4 -> callback(3) = 3, then one for each way back.
    assert_eq!(one.lab.call_back(outer, 5).wait().unwrap(), 5);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_handle_of_a_connection_that_ended_fails_where_it_was_passed() {
    let (one, other) = (pair(), pair());
    let counter = one.lab.make_counter(10).wait().unwrap();
    one.serving.disconnect();
    wait_until("the end is seen", || !one.calling.is_connected());
    let error = other.lab.read_counter(counter).wait().unwrap_err();
    assert!(error.to_string().contains("disconnected"), "{error}");
    // The other connection is lost, so the disconnect concerns that call alone.
    assert!(matches!(error, multiprocess::Error::Disconnected { .. }), "{error}");
    assert!(other.calling.is_connected());
    other.assert_alive();
}
