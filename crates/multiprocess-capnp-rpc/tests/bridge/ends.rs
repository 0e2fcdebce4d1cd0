//! Ends: of connections, of calls, of the bridge.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::ThreadId;

use bridge_schemas::lab::LabClient;
use bridge_schemas::lab_capnp::{counter, lab, sink};
use capnp::ErrorKind;
use capnp_rpc::new_client;
use futures_util::FutureExt;
use multiprocess::{Connection, Error, Limits};
use multiprocess_capnp_rpc::Bridge;

use crate::loops::{PATIENCE, blocking, bridge_thread, on_loop, sockets, soon, with_bridge};
use crate::raw_lab::raw_lab;
use crate::typed_lab;

/// Waits for an event without blocking this thread.
async fn event(events: &Rc<Receiver<&'static str>>) -> &'static str {
    soon(async {
        loop {
            if let Ok(event) = events.try_recv() {
                return event;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    })
    .await
}

fn kind<T>(result: capnp::Result<T>) -> ErrorKind {
    result.err().expect("it fails").kind
}

#[test]
fn a_lost_connection_ends_the_calls_of_its_clients() {
    for here in [false, true] {
        let (ours, theirs) = sockets();
        let (tell, events) = channel();
        let served = typed_lab::serve(theirs, tell);
        with_bridge(async |bridge: Bridge| {
            let events = Rc::new(events);
            let connection = Connection::new(ours).unwrap();
            if here {
                bridge.read_here(&connection);
            }
            let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
            let never = lab.never_request().send();
            let counter = lab.counter_request().send();
            let early = counter.pipeline.get_counter();
            assert_eq!(event(&events).await, "never begins");
            served.disconnect();
            assert_eq!(kind(soon(never.promise).await), ErrorKind::Disconnected);
            assert_eq!(kind(soon(counter.promise).await), ErrorKind::Disconnected);
            let late = early.next_request().send().promise;
            assert_eq!(kind(soon(late).await), ErrorKind::Disconnected);
            let late = lab.counter_request().send();
            let later = late.pipeline.get_counter().next_request().send();
            assert_eq!(kind(soon(late.promise).await), ErrorKind::Disconnected);
            assert_eq!(kind(soon(later.promise).await), ErrorKind::Disconnected);
            let error = bridge.bootstrap::<lab::Client>(&connection).err().expect("it has ended");
            assert!(matches!(error, Error::Disconnected { .. }), "{error}");
        });
    }
}

#[test]
fn a_lost_connection_cancels_the_calls_of_servers() {
    for here in [false, true] {
        let (ours, theirs) = sockets();
        let (tell, events) = channel();
        let server = bridge_thread(async move |bridge: Bridge| {
            let connection = bridge.serve(theirs, Limits::default(), raw_lab(&tell)).unwrap();
            drop(tell);
            if here {
                bridge.read_here(&connection);
            }
            connection.disconnected().await;
        });
        let connection = Connection::new(ours).unwrap();
        let lab: LabClient = connection.bootstrap().unwrap();
        let never = lab.never().start();
        let counter = lab.counter(0).wait().unwrap().expect("a counter");
        assert_eq!(events.recv_timeout(PATIENCE), Ok("never begins"));
        connection.disconnect();
        let mut both =
            [events.recv_timeout(PATIENCE).unwrap(), events.recv_timeout(PATIENCE).unwrap()];
        both.sort_unstable();
        assert_eq!(both, ["never is cancelled", "the counter is gone"]);
        assert!(matches!(never.wait().unwrap_err(), Error::Disconnected { .. }));
        assert!(matches!(counter.next().wait().unwrap_err(), Error::Disconnected { .. }));
        // The whole server has gone.
        assert!(events.recv_timeout(PATIENCE).is_err());
        server.join();
    }
}

#[test]
fn calls_of_a_bridge_that_has_ended_say_so() {
    let (tell, events) = channel();
    on_loop(async {
        let (bridge, driver) = Bridge::new();
        let driver = tokio::task::spawn_local(driver);
        let lab: LabClient = bridge.handle(raw_lab(&tell)).unwrap();
        assert_eq!(lab.echo("here").await.unwrap(), "here");
        let under_way = lab.never().start();
        let events = Rc::new(events);
        assert_eq!(event(&events).await, "never begins");
        driver.abort();
        assert_eq!(event(&events).await, "never is cancelled");
        let error = blocking(move || under_way.wait().unwrap_err()).await;
        assert!(matches!(&error, Error::Disconnected { reason, .. } if reason.contains("driver")));
        let error = lab.echo("gone").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "disconnected: the bridge to capnp-rpc has ended with its thread: keep its driver running as \
             long as its objects are called"
        );
    });
}

/// A server that holds a client of the bridge, which holds the bridge, which holds the server: the driver's end lets
/// go of it.
#[test]
fn a_driver_that_ends_first_drops_the_servers() {
    struct Holds(lab::Client, std::sync::mpsc::Sender<&'static str>);
    impl lab::Server for Holds {
        async fn echo(
            self: Rc<Self>,
            _: lab::EchoParams,
            _: lab::EchoResults,
        ) -> capnp::Result<()> {
            self.0.echo_request().send().promise.await.map(drop)
        }
    }
    impl Drop for Holds {
        fn drop(&mut self) {
            let _ = self.1.send("the server is gone");
        }
    }
    let (ours, theirs) = sockets();
    let served = typed_lab::serve(theirs, channel().0);
    let (tell, events) = channel();
    on_loop(async {
        let (bridge, driver) = Bridge::new();
        let driver = tokio::task::spawn_local(driver);
        let connection = Connection::new(ours).unwrap();
        let peer: lab::Client = bridge.bootstrap(&connection).unwrap();
        let before: LabClient =
            bridge.handle(new_client::<lab::Client, _>(Holds(peer.clone(), tell.clone()))).unwrap();
        before.echo("x").await.unwrap();
        driver.abort();
        let _ = driver.await;
        assert_eq!(event(&Rc::new(events)).await, "the server is gone");
        assert!(before.echo("x").await.unwrap_err().is_disconnect());
        // One that comes now is served by nobody, and not kept either.
        let (tell, events) = channel();
        let after: LabClient =
            bridge.handle(new_client::<lab::Client, _>(Holds(peer, tell))).unwrap();
        assert_eq!(event(&Rc::new(events)).await, "the server is gone");
        assert!(after.echo("x").await.unwrap_err().is_disconnect());
        // With the last client, and no server, the peer's connection.
        drop((bridge, connection));
        soon(served.disconnected()).await;
    });
}

#[test]
fn without_the_driver_streams_say_that_it_has_ended() {
    let (ours, theirs) = sockets();
    let served = typed_lab::serve(theirs, channel().0);
    on_loop(async {
        let (bridge, driver) = Bridge::new();
        let driver = tokio::task::spawn_local(driver);
        let connection = Connection::new(ours).unwrap();
        let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
        let to_sink = || lab.sink_request().send().pipeline.get_sink();
        let (begun, new) = (to_sink(), to_sink());
        let write = |sink: &sink::Client| {
            let mut request = sink.write_request();
            request.get().init_data(32 * 1024).fill(1);
            request.send()
        };
        // The driver has not run since: the last of these waits for the answers before.
        let waits: Vec<_> = (0..4).map(|_| write(&begun)).collect();
        driver.abort();
        let _ = driver.await;
        for written in waits {
            soon(written).await.unwrap();
        }
        for sink in [begun, new] {
            let error = soon(write(&sink)).await.unwrap_err();
            assert_eq!(
                (error.kind, &*error.extra),
                (
                    ErrorKind::Disconnected,
                    "the bridge to capnp-rpc has ended with its thread: keep its driver running as long as \
                     clients stream"
                )
            );
        }
        // Other calls do not need it.
        lab.echo_request().send().promise.await.unwrap();
    });
    drop(served);
}

#[test]
fn more_calls_than_the_limit_are_refused() {
    let (ours, theirs) = sockets();
    let (tell, events) = channel();
    let server = bridge_thread(async move |bridge: Bridge| {
        let limits = Limits::default().calls(2);
        let connection = bridge.serve(theirs, limits, raw_lab(&tell)).unwrap();
        connection.disconnected().await;
    });
    with_bridge(async |bridge: Bridge| {
        let events = Rc::new(events);
        let connection = Connection::new(ours).unwrap();
        let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
        let never: Vec<_> =
            (0..2).map(|_| tokio::task::spawn_local(lab.never_request().send().promise)).collect();
        assert_eq!(event(&events).await, "never begins");
        assert_eq!(event(&events).await, "never begins");
        assert_eq!(kind(lab.echo_request().send().promise.await), ErrorKind::Overloaded);
        never.iter().for_each(|call| call.abort());
        assert_eq!(event(&events).await, "never is cancelled");
        assert_eq!(event(&events).await, "never is cancelled");
    });
    server.join();
}

/// The connection is read by the bridge's thread no more: the runtime does it again.
#[test]
fn a_connection_goes_on_without_the_driver_that_has_read_it() {
    let (ours, theirs) = sockets();
    let served = typed_lab::serve(theirs, channel().0);
    let connection = Connection::new(ours).unwrap();
    let lab: LabClient = connection.bootstrap().unwrap();
    with_bridge(async |bridge: Bridge| {
        bridge.read_here(&connection);
        bridge.read_here(&connection);
        assert_eq!(lab.echo("read here").await.unwrap(), "read here");
        // A thread that waits reads itself, and the bridge's thread goes on when it has its answer.
        let (waits, blocked) = (lab.clone(), channel::<()>());
        let thread = std::thread::spawn(move || {
            let echoed = waits.echo("read there").wait().unwrap();
            drop(blocked.0);
            echoed
        });
        // This thread does nothing else meanwhile.
        assert!(blocked.1.recv_timeout(PATIENCE).is_err());
        assert_eq!(thread.join().unwrap(), "read there");
        assert_eq!(lab.echo("read here").await.unwrap(), "read here");
    });
    assert_eq!(futures_executor::block_on(lab.echo("without it")).unwrap(), "without it");
    drop(served);
}

/// The thread on which the answer of a call wakes who waits for it: the one that reads the connection.
async fn reading_thread(call: multiprocess::Call<String>) -> ThreadId {
    struct Recorder(Mutex<Option<ThreadId>>, Waker);
    impl Wake for Recorder {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() = Some(std::thread::current().id());
            self.1.wake_by_ref();
        }
    }
    let mut call = std::pin::pin!(call);
    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let recorder = Arc::new(Recorder(Mutex::default(), waker));
    let recording = Waker::from(Arc::clone(&recorder));
    let answer = poll_fn(|_| call.as_mut().poll(&mut Context::from_waker(&recording)));
    soon(answer).await.unwrap();
    let thread = *recorder.0.lock().unwrap();
    thread.expect("it did not have its answer at once")
}

#[test]
fn a_connection_is_read_here_until_the_driver_ends() {
    let (ours, theirs) = sockets();
    let served = typed_lab::serve(theirs, channel().0);
    let connection = Connection::new(ours).unwrap();
    let lab: LabClient = connection.bootstrap().unwrap();
    with_bridge(async |bridge: Bridge| {
        bridge.read_here(&connection);
        // The runtime's thread may have begun to read before this one.
        assert_eq!(lab.echo("first").await.unwrap(), "first");
        for _ in 0..10 {
            let thread = reading_thread(lab.echo("read here")).await;
            assert_eq!(thread, std::thread::current().id());
        }
    });
    assert_eq!(futures_executor::block_on(lab.echo("without it")).unwrap(), "without it");
    drop(served);
}

/// Streams to a sink, and what it has got.
async fn stream(sink: &sink::Client, writes: usize, size: usize) -> capnp::Result<u64> {
    for _ in 0..writes {
        let mut request = sink.write_request();
        request.get().init_data(size as u32).fill(1);
        request.send().await?;
    }
    Ok(sink.done_request().send().promise.await?.get()?.get_bytes())
}

#[test]
fn streams_go_both_ways_and_say_what_failed() {
    let (ours, theirs) = sockets();
    let served = typed_lab::serve(theirs, channel().0);
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
        let to_sink = || lab.sink_request().send().pipeline.get_sink();
        assert_eq!(stream(&to_sink(), 500, 4096).await.unwrap(), 500 * 4096);
        let sink = to_sink();
        sink.write_request().send().await.unwrap();
        let error = stream(&sink, 100_000, 1).await.unwrap_err();
        assert_eq!((error.kind, &*error.extra), (ErrorKind::Failed, "an empty write"));

        let lab: LabClient = bridge.handle(raw_lab(&channel().0)).unwrap();
        blocking(move || {
            let sink = lab.sink().wait().unwrap().expect("a sink");
            for _ in 0..500 {
                sink.write(vec![1; 4096]).wait().unwrap();
            }
            assert_eq!(sink.done().wait().unwrap(), 500 * 4096);
            sink.write(Vec::new()).wait().unwrap();
            let error = sink.done().wait().unwrap_err();
            assert!(matches!(&error, Error::Remote { message, .. } if message == "an empty write"));
        })
        .await;
    });
    drop(served);
}

/// A sink that takes nothing: the writer is not let go on for ever.
#[test]
fn a_stream_waits_when_enough_is_under_way() {
    // 64 KiB and one more; each is a little more than 8 KiB.
    stream_to_who_takes_nothing(8 * 1024, 8..=9);
    // However few bytes: a peer serves so many calls at once, and refuses the others.
    stream_to_who_takes_nothing(1, 64..=64);
}

fn stream_to_who_takes_nothing(size: u32, most: std::ops::RangeInclusive<usize>) {
    struct Full;
    impl sink::Server for Full {
        async fn write(self: Rc<Self>, _: sink::WriteParams) -> capnp::Result<()> {
            std::future::pending().await
        }
    }
    let (ours, theirs) = sockets();
    let server = bridge_thread(async move |bridge: Bridge| {
        let full: sink::Client = capnp_rpc::new_client(Full);
        let connection = bridge.serve(theirs, Limits::default(), full).unwrap();
        connection.disconnected().await;
    });
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        let sink: sink::Client = bridge.bootstrap(&connection).unwrap();
        let mut sent = 0;
        loop {
            let mut request = sink.write_request();
            request.get().init_data(size);
            let mut write = request.send();
            sent += 1;
            if (&mut write).now_or_never().is_none() {
                // Its end is the connection's.
                connection.disconnect();
                soon(write).await.unwrap();
                break;
            }
        }
        assert!(most.contains(&sent), "{sent}");
        let error = sink.write_request().send().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Disconnected);
    });
    server.join();
}

/// A call that is dropped with its promise is cancelled only when nothing of it is used any more.
#[test]
fn a_call_goes_on_while_its_promised_object_is_held() {
    let (ours, theirs) = sockets();
    let served = typed_lab::serve(theirs, channel().0);
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
        let early: counter::Client = lab.counter_request().send().pipeline.get_counter();
        let response = early.next_request().send().promise.await.unwrap();
        assert_eq!(response.get().unwrap().get_value(), 1);
        let call = {
            let early = lab.counter_request().send().pipeline.get_counter();
            early.next_request().send().promise
        };
        assert_eq!(call.await.unwrap().get().unwrap().get_value(), 1);
    });
    drop(served);
}
