//! A peer that does its worst, and a server that panics: nobody else notices.

use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bridge_schemas::lab::{Callback, CallbackClient, LabClient};
use bridge_schemas::lab_capnp::lab;
use capnp_rpc::new_client;
use capnp_rpc::rpc_capnp::message;
use multiprocess::{Connection, Error, Limits, Result};
use multiprocess_capnp_rpc::Bridge;

use crate::loops::{PATIENCE, bridge_thread, sockets, soon, with_bridge};
use crate::raw_lab::raw_lab;

/// A call that is cancelled while the bridge's thread is busy holds nothing there: its peer may make another one.
#[test]
fn calls_that_are_cancelled_hold_nothing_while_the_thread_is_busy() {
    struct Kept(std::sync::mpsc::Sender<&'static str>);
    impl Callback for Kept {
        fn call(&self, _: u32) -> Result<String> {
            Ok(String::new())
        }
    }
    impl Drop for Kept {
        fn drop(&mut self) {
            let _ = self.0.send("let go");
        }
    }
    let (ours, theirs) = sockets();
    let (is_busy, busy) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let server = bridge_thread(async move |bridge: Bridge| {
        let connection = bridge.serve(theirs, Limits::default(), raw_lab(&channel().0)).unwrap();
        is_busy.send(()).unwrap();
        // The thread does nothing else until the test says so.
        assert!(may_go_on.recv_timeout(PATIENCE).is_err());
        connection.disconnected().await;
    });
    let connection = Connection::new(ours).unwrap();
    let lab: LabClient = connection.bootstrap().unwrap();
    busy.recv_timeout(PATIENCE).unwrap();
    let (tell, events) = channel();
    for _ in 0..10 {
        let callback = CallbackClient::new(Kept(tell.clone()));
        drop(lab.call_back(Some(callback), 1).start());
        // The server has released the object in the parameters.
        assert_eq!(events.recv_timeout(PATIENCE), Ok("let go"));
    }
    drop((go_on, lab, connection));
    server.join();
}

/// Panics in every way. What the peer wrote says in which.
struct Panics;

impl lab::Server for Panics {
    async fn echo(self: Rc<Self>, _: lab::EchoParams, _: lab::EchoResults) -> capnp::Result<()> {
        tokio::task::yield_now().await;
        panic!("there is no echo")
    }

    async fn never(self: Rc<Self>, _: lab::NeverParams, _: lab::NeverResults) -> capnp::Result<()> {
        struct Cancelled;
        impl Drop for Cancelled {
            fn drop(&mut self) {
                panic!("in a call that is cancelled")
            }
        }
        let _cancelled = Cancelled;
        std::future::pending().await
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("in a server that is released")
    }
}

#[test]
fn a_panic_of_a_server_is_that_calls_error_and_nothing_else() {
    let ((bad, bads), (good, goods)) = (sockets(), sockets());
    let server = bridge_thread(async move |bridge: Bridge| {
        let panics: lab::Client = new_client(Panics);
        let bad = bridge.serve(bads, Limits::default(), panics).unwrap();
        let good = bridge.serve(goods, Limits::default(), raw_lab(&channel().0)).unwrap();
        bad.disconnected().await;
        drop(bad);
        good.disconnected().await;
    });
    let good = Connection::new(good).unwrap();
    let good_lab: LabClient = good.bootstrap().unwrap();
    let bad = Connection::new(bad).unwrap();
    let bad_lab: LabClient = bad.bootstrap().unwrap();
    for _ in 0..2 {
        let error = bad_lab.echo("x").wait().unwrap_err();
        assert!(
            matches!(&error, Error::Remote { message, .. } if message.contains("panicked: there is no echo")),
            "{error}"
        );
        assert_eq!(good_lab.echo("x").wait().unwrap(), "x");
    }
    let never = bad_lab.never().start();
    // Begun before this one fails.
    bad_lab.echo("x").wait().unwrap_err();
    drop(never);
    bad_lab.echo("x").wait().unwrap_err();
    assert_eq!(good_lab.echo("x").wait().unwrap(), "x");
    drop((bad_lab, bad));
    assert_eq!(good_lab.echo("x").wait().unwrap(), "x");
    drop((good_lab, good));
    // With its driver, which has ended as it does.
    server.join();
}

/// Messages that a peer can send without end, as it gives back at once what each takes.
fn endless() -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1000 {
        let mut bootstrap = capnp::message::Builder::new_default();
        bootstrap.init_root::<message::Builder<'_>>().init_bootstrap().set_question_id(0);
        capnp::serialize::write_message(&mut bytes, &bootstrap).unwrap();
        let mut finish = capnp::message::Builder::new_default();
        finish.init_root::<message::Builder<'_>>().init_finish().set_question_id(0);
        capnp::serialize::write_message(&mut bytes, &finish).unwrap();
    }
    bytes
}

/// The thread reads the connection itself, and does other things all the same.
#[test]
fn a_peer_that_always_sends_does_not_take_the_thread() {
    let (ours, theirs) = sockets();
    let stop = Arc::new(AtomicBool::new(false));
    let mut answers = ours.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while answers.read(&mut buffer).is_ok_and(|read| read > 0) {}
    });
    let stopped = Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        let (mut ours, bytes, begin) = (ours, endless(), Instant::now());
        while !stopped.load(Ordering::Relaxed) && begin.elapsed() < PATIENCE {
            ours.write_all(&bytes).unwrap();
        }
        ours.shutdown(std::net::Shutdown::Both).unwrap();
        begin.elapsed() < PATIENCE
    });
    with_bridge(async |bridge: Bridge| {
        let connection = bridge.serve(theirs, Limits::default(), raw_lab(&channel().0)).unwrap();
        bridge.read_here(&connection);
        // A timer, which needs the runtime; and other tasks.
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            tokio::task::spawn_local(async {}).await.unwrap();
        }
        assert!(connection.is_connected(), "{:?}", connection.end_reason());
        stop.store(true, Ordering::Relaxed);
        soon(connection.disconnected()).await;
    });
    assert!(writer.join().unwrap(), "the thread did nothing else while it had something to read");
    reader.join().unwrap();
}
