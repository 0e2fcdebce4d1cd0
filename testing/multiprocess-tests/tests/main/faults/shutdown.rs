//! The end that this side decides on: all that were let in go, and nobody else.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use multiprocess::{Connection, Server};
use multiprocess_tests::generated::lab::{Lab, LabClient};
use multiprocess_tests::{LONG, LabServer, Pair, Relay, pair, wait_until, within_time};

use crate::listener::Place;

/// A process serves its parent as well as those that connect to it.
#[test]
fn disconnecting_those_who_came_leaves_the_parents_connection_and_its_calls() {
    let place = Place::new();
    let lab = LabServer::new();
    let server = Server::listen(place.path().join("s"), lab.client()).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _serving = Connection::builder().serve(lab.client()).start(theirs).unwrap();
    let parent: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let parents_call = parent.block("parent").timeout(LONG).start();
    let clients: Vec<LabClient> = (0..5)
        .map(|_| Connection::new(UnixStream::connect(server.path()).unwrap()).unwrap())
        .map(|calling| calling.bootstrap().unwrap())
        .collect();
    let calls: Vec<_> =
        clients.iter().map(|client| client.block("client").timeout(LONG).start()).collect();
    wait_until("all run", || lab.blocked() == 6);
    assert!(server.disconnect_all(LONG));
    for call in calls {
        assert!(call.wait().unwrap_err().is_disconnect());
    }
    assert!(lab.is_blocked("parent") && !lab.was_cancelled("parent"));
    parent.release("parent").wait().unwrap();
    assert!(parents_call.wait().unwrap());
}

#[test]
fn a_server_that_is_dropped_ends_calls_that_run() {
    let place = Place::new();
    let (lab, other) = (LabServer::new(), pair());
    let server = Server::listen(place.path().join("s"), lab.client()).unwrap();
    let client: LabClient =
        Connection::new(UnixStream::connect(server.path()).unwrap()).unwrap().bootstrap().unwrap();
    thread::scope(|scope| {
        let calls = [(); 4].map(|()| scope.spawn(|| client.block("client").timeout(LONG).wait()));
        wait_until("all run", || lab.blocked() == 4);
        drop(server);
        for call in calls {
            assert!(call.join().unwrap().unwrap_err().is_disconnect());
        }
    });
    wait_until("the methods have ended", || lab.blocked() == 0);
    assert!(lab.was_cancelled("client"));
    other.assert_alive();
}

/// The last handles on a connection: what holds them may be dropped anywhere.
struct Last(Mutex<Option<(Connection, LabClient)>>);

impl Last {
    fn of(pair: Pair) -> (Last, Connection) {
        (Last(Mutex::new(Some((pair.calling, pair.lab)))), pair.serving)
    }

    fn let_go(&self) {
        let last = self.0.lock().unwrap().take();
        drop(last);
    }
}

/// The driver thread wakes the futures whose answers it reads.
struct Dropping(Last, AtomicUsize);

impl Wake for Dropping {
    fn wake(self: Arc<Self>) {
        assert_eq!(thread::current().name(), Some("mp-driver"));
        self.0.let_go();
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_last_handles_dropped_on_the_driver_thread() {
    let (own, other) = (pair(), pair());
    for of_the_same_connection in [true, false] {
        let caller = pair();
        let server = Arc::clone(&caller.server);
        let mut call = std::pin::pin!(IntoFuture::into_future(caller.lab.block("woken")));
        let (last, serving) = if of_the_same_connection {
            Last::of(caller)
        } else {
            let (last, serving) = Last::of(pair());
            (last, serving)
        };
        let waker = Arc::new(Dropping(last, AtomicUsize::new(0)));
        let polled = call.as_mut().poll(&mut Context::from_waker(&Waker::from(waker.clone())));
        assert!(matches!(polled, Poll::Pending));
        wait_until("it runs", || server.is_blocked("woken"));
        server.let_go("woken");
        wait_until("it was woken", || waker.1.load(Ordering::SeqCst) > 0);
        if !of_the_same_connection {
            wait_until("the peer sees the end", || !serving.is_connected());
        }
        // The driver thread goes on.
        own.assert_alive();
        other.assert_alive();
    }
}

#[test]
fn the_last_handles_dropped_in_a_method() {
    struct Drops(Last);
    impl Lab for Drops {
        fn missing(&self) -> multiprocess::Result<()> {
            self.0.let_go();
            Ok(())
        }
    }
    let (last, far) = Last::of(pair());
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _serving = Connection::builder().serve(LabClient::new(Drops(last))).start(theirs).unwrap();
    let lab: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    within_time(move || lab.missing().wait()).unwrap();
    wait_until("the peer sees the end", || !far.is_connected());
}

/// Of the connection over which the callback came: the call that waits for the callback holds it.
#[test]
fn the_last_handles_dropped_in_their_own_callback() {
    let caller = pair();
    let (lab, server) = (caller.lab.clone(), Arc::clone(&caller.server));
    let (last, serving) = Last::of(caller);
    let callback = Relay::client(move |lab, depth| {
        drop(lab);
        last.let_go();
        Ok(depth)
    });
    let call = lab.call_back(callback, 7);
    drop(lab);
    assert_eq!(within_time(move || call.wait()).unwrap(), 7);
    wait_until("the peer sees the end", || !serving.is_connected());
    assert_eq!(server.blocked(), 0);
    pair().assert_alive();
}
