//! Handles on servers of capnp-rpc.

use std::sync::mpsc::{Receiver, channel};

use bridge_schemas::lab::{CallbackClient, Counter, CounterClient, LabClient};
use multiprocess::{Connection, Limits, Result};
use multiprocess_capnp_rpc::Bridge;

use crate::loops::{PATIENCE, blocking, bridge_thread, sockets, with_bridge};
use crate::raw_lab::raw_lab;
use crate::typed_lab::TypedCounter;

/// All that a handle of a lab can do. Blocks.
fn use_handle(lab: &LabClient, events: &Receiver<&'static str>) {
    let event = || events.recv_timeout(PATIENCE).expect("something happens");
    assert_eq!(lab.echo("hello").wait().unwrap(), "hello");

    // An object that is returned, called before that and after.
    let early = lab.counter(10).pipelined();
    assert_eq!(early.next().wait().unwrap(), 11);
    assert_eq!(early.next().wait().unwrap(), 12);
    drop(early);
    assert_eq!(event(), "the counter is gone");
    let counter = lab.counter(20).wait().unwrap().expect("a counter");
    assert_eq!(counter.next().wait().unwrap(), 21);
    drop(counter);
    assert_eq!(event(), "the counter is gone");

    // Called back, and back again with an object of this side's.
    let callback = CallbackClient::from_fn(|number| Ok(format!("handle {number}")));
    let texts = lab.call_back(Some(callback), 3).wait().unwrap();
    assert_eq!(texts, ["handle 0", "handle 1", "handle 2"]);
    let (gone, events_of_counter) = channel();
    let own = CounterClient::new(TypedCounter(5.into(), gone));
    let back = lab.next(Some(own)).wait().unwrap();
    assert_eq!(back.value, 6);
    let back = back.counter.expect("the counter");
    assert_eq!(back.next().wait().unwrap(), 7);
    drop(back);
    assert_eq!(events_of_counter.recv_timeout(PATIENCE), Ok("the counter is gone"));

    // Cancelled.
    let sent = lab.never().start();
    assert_eq!(event(), "never begins");
    drop(sent);
    assert_eq!(event(), "never is cancelled");
}

#[test]
fn of_a_server_that_is_served() {
    let (ours, theirs) = sockets();
    let (tell, events) = channel();
    let server = bridge_thread(async move |bridge: Bridge| {
        let lab = raw_lab(&tell);
        let connection = bridge.serve(theirs, Limits::default(), lab).unwrap();
        connection.disconnected().await;
    });
    let connection = Connection::new(ours).unwrap();
    let lab: LabClient = connection.bootstrap().unwrap();
    use_handle(&lab, &events);
    drop(lab);
    drop(connection);
    server.join();
}

#[test]
fn of_a_server_of_this_process() {
    let (tell, events) = channel();
    with_bridge(async |bridge: Bridge| {
        let lab: LabClient = bridge.handle(raw_lab(&tell)).unwrap();
        blocking(move || use_handle(&lab, &events)).await;
    });
}

#[test]
fn of_a_server_of_this_process_on_its_own_thread() {
    let (tell, _events) = channel();
    with_bridge(async |bridge: Bridge| {
        let lab: LabClient = bridge.handle(raw_lab(&tell)).unwrap();
        assert_eq!(lab.echo("here").await.unwrap(), "here");
        let counter = lab.counter(1).await.unwrap().expect("a counter");
        assert_eq!(counter.next().await.unwrap(), 2);
    });
}

/// A handle on a server of this process, served by a connection as any other.
#[test]
fn of_a_server_that_is_served_by_its_handle() {
    let (ours, theirs) = sockets();
    let (tell, events) = channel();
    with_bridge(async |bridge: Bridge| {
        let lab: LabClient = bridge.handle(raw_lab(&tell)).unwrap();
        let served = Connection::builder().serve(lab).start(theirs).unwrap();
        blocking(move || {
            let connection = Connection::new(ours).unwrap();
            let lab: LabClient = connection.bootstrap().unwrap();
            use_handle(&lab, &events);
        })
        .await;
        served.disconnected().await;
    });
}

/// An object with a generated trait becomes a client and a handle again: it is the same object.
#[test]
fn of_an_object_that_was_made_a_client() {
    struct Seven;
    impl Counter for Seven {
        fn next(&self) -> Result<i64> {
            Ok(7)
        }
    }
    with_bridge(async |bridge: Bridge| {
        let counter = CounterClient::new(Seven);
        let client: bridge_schemas::lab_capnp::counter::Client = bridge.client(counter).unwrap();
        let response = client.next_request().send().promise.await.unwrap();
        assert_eq!(response.get().unwrap().get_value(), 7);
        let handle: CounterClient = bridge.handle(client).unwrap();
        assert!(multiprocess::Capability::from(handle.clone()).is_local());
        assert_eq!(handle.next().wait().unwrap(), 7);
        let client: bridge_schemas::lab_capnp::counter::Client = bridge.client(handle).unwrap();
        let error = bridge.handle::<LabClient>(client).expect_err("it is no lab");
        assert_eq!(error.to_string(), "the object is a Counter, which is no Lab");
    });
}

#[test]
fn two_handles_of_one_client_are_on_one_object() {
    use bridge_schemas::lab_capnp::lab;
    use multiprocess::Capability;

    with_bridge(async |bridge: Bridge| {
        let (one, other) = (raw_lab(&channel().0), raw_lab(&channel().0));
        let object = |lab: &lab::Client| -> Capability {
            let handle: LabClient = bridge.handle(lab.clone()).unwrap();
            handle.into()
        };
        let first = object(&one);
        assert_eq!(first, object(&one));
        assert_ne!(first, object(&other));
        assert_eq!(format!("{bridge:?}"), "Bridge { served: 2, clients: 0 }");
    });
}
