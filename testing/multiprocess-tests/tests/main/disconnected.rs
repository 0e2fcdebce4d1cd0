//! Who is told of the end of a connection, with its reason: futures, hooks, and in which order with the
//! calls that fail.

use std::future::Future;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, RwLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures_executor::block_on;
use multiprocess::{Connection, Error};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, Pair, pair, wait_until, within_time};

fn connection() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Connection::new(ours).unwrap(), theirs)
}

/// What the future, the hook and `end_reason` give as the reason, after `end`. One more of each is late.
fn reasons(connection: Connection, end: impl FnOnce(Connection)) -> [String; 2] {
    let (tell, told) = mpsc::channel();
    connection.on_disconnect(move |reason| tell.send(reason.to_string()).unwrap());
    let future = connection.disconnected();
    end(connection);
    let by_future = within_time(move || block_on(future)).to_string();
    let by_hook = told.recv_timeout(LONG).unwrap();
    // It is gone, with its end of the channel: it does not run twice.
    assert_eq!(told.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
    [by_future, by_hook]
}

/// The same of a connection that can be asked afterwards.
#[track_caller]
fn assert_reason(connection: Connection, text: &str, end: impl FnOnce(Connection)) {
    let kept = connection.clone();
    let told = reasons(connection, end);
    let reason = kept.end_reason().unwrap().to_string();
    assert!(reason.contains(text), "{reason}");
    assert_eq!(told, [reason.clone(), reason.clone()]);
    // Again, now that it has ended.
    assert_eq!(reasons(kept, drop), [reason.clone(), reason]);
}

#[test]
fn every_end_has_one_reason_which_everybody_is_told() {
    let (connection, theirs) = self::connection();
    assert_reason(connection, "closed", |_| drop(theirs));
    let (connection, _theirs) = self::connection();
    assert_reason(connection, "this side disconnected", |connection| connection.disconnect());
    let (connection, mut theirs) = self::connection();
    assert_reason(connection, "broke the protocol", |_| theirs.write_all(&[0xff; 64]).unwrap());
    // With an explanation, which is waited for.
    let (connection, theirs) = self::connection();
    let explain = |_| Error::failed("explained");
    let _lab: LabClient = connection.bootstrap_within(LONG, explain).unwrap();
    assert_reason(connection, "explained", |_| drop(theirs));
}

#[test]
fn a_connection_that_is_let_go_has_a_reason_too() {
    let (connection, _theirs) = connection();
    for reason in reasons(connection, drop) {
        assert!(reason.contains("this side let the connection go"), "{reason}");
    }
}

/// Notes its name when it is woken.
struct Noting(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Wake for Noting {
    fn wake(self: Arc<Noting>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn calls_fail_before_anybody_is_told_of_the_end() {
    let Pair { server, serving, calling, lab } = pair();
    let woken = Arc::default();
    let waker = |name| Waker::from(Arc::new(Noting(name, Arc::clone(&woken))));
    let (calls, ends) = (waker("call"), waker("end"));
    // The end is waited for before the call is: the order is not that of the wakers.
    let mut end = pin!(calling.disconnected());
    assert!(end.as_mut().poll(&mut Context::from_waker(&ends)).is_pending());
    let mut call = Box::pin(lab.block("a").into_future());
    assert!(call.as_mut().poll(&mut Context::from_waker(&calls)).is_pending());
    let mut other = Box::pin(lab.block("b").into_future());
    assert!(other.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    wait_until("both run", || server.blocked() == 2);
    let (tell, told) = mpsc::channel();
    calling.on_disconnect(move |_| {
        let other: Pin<&mut _> = other.as_mut();
        let polled = other.poll(&mut Context::from_waker(Waker::noop()));
        tell.send(matches!(polled, Poll::Ready(Err(Error::Disconnected { .. })))).unwrap();
    });
    serving.disconnect();
    assert!(told.recv_timeout(LONG).unwrap(), "the call has failed when the hook runs");
    wait_until("the end is told", || woken.lock().unwrap().contains(&"end"));
    assert_eq!(*woken.lock().unwrap(), ["call", "end"]);
    let called = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(called, Poll::Ready(Err(Error::Disconnected { .. }))), "{called:?}");
}

#[test]
fn hooks_that_wait_do_not_delay_the_futures_and_hooks_of_others() {
    let may_go_on = Arc::new(RwLock::new(()));
    let not_yet = may_go_on.write().unwrap();
    for _ in 0..40 {
        let (other, theirs) = connection();
        let may_go_on = Arc::clone(&may_go_on);
        other.on_disconnect(move |_| drop(may_go_on.read()));
        drop(theirs);
    }
    let (connection, theirs) = connection();
    // Nor those of its own.
    let may = Arc::clone(&may_go_on);
    connection.on_disconnect(move |_| drop(may.read()));
    assert_reason(connection, "closed", |_| drop(theirs));
    drop(not_yet);
}

#[test]
fn many_threads_wait_for_the_same_end_as_futures() {
    let (connection, theirs) = connection();
    let end = connection.disconnected();
    let waits: Vec<_> = (0..8)
        .map(|_| {
            let end = end.clone();
            thread::spawn(move || block_on(end))
        })
        .collect();
    // A future alone does not keep the connection: the last one ends it for all of them.
    drop((connection, end));
    for wait in waits {
        let reason = within_time(move || wait.join().unwrap());
        assert!(reason.to_string().contains("this side let the connection go"), "{reason}");
    }
    drop(theirs);
}
