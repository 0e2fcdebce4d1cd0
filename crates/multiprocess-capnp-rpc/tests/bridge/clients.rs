//! capnp-rpc clients of multiprocess objects.

use std::sync::mpsc::{Receiver, channel};

use bridge_schemas::lab::LabClient;
use bridge_schemas::lab_capnp::lab;
use capnp_rpc::{CapabilityServerSet, new_client};
use multiprocess::{Connection, Limits};
use multiprocess_capnp_rpc::Bridge;

use crate::loops::{PATIENCE, bridge_thread, sockets, soon, with_bridge};
use crate::raw_lab::{RawCallback, RawCounter, raw_lab};
use crate::typed_lab::{self, TypedLab};

/// All that a client of a lab can do.
async fn use_client(lab: lab::Client, events: Receiver<&'static str>) {
    let mut request = lab.echo_request();
    request.get().set_text("hello");
    assert_eq!(request.send().promise.await.unwrap().get().unwrap().get_text().unwrap(), "hello");

    // An object that is returned, called with the answer and before.
    let mut request = lab.counter_request();
    request.get().set_start(10);
    let sent = request.send();
    let early = sent.pipeline.get_counter();
    let first = early.next_request().send();
    let response = sent.promise.await.unwrap();
    let late = response.get().unwrap().get_counter().unwrap();
    let second = late.next_request().send();
    assert_eq!(first.promise.await.unwrap().get().unwrap().get_value(), 11);
    assert_eq!(second.promise.await.unwrap().get().unwrap().get_value(), 12);
    early.client.when_resolved().await.unwrap();
    drop((early, late, response, first.pipeline, second.pipeline, sent.pipeline));
    assert_eq!(wait_for(&events).await, "the counter is gone");

    // Called back.
    let mut request = lab.call_back_request();
    request.get().set_callback(new_client(RawCallback("callback")));
    request.get().set_times(3);
    let response = request.send().promise.await.unwrap();
    let texts = response.get().unwrap().get_texts().unwrap();
    let texts: Vec<_> = texts.iter().map(|text| text.unwrap().to_string().unwrap()).collect();
    assert_eq!(texts, ["callback 0", "callback 1", "callback 2"]);
    drop(response);

    // Cancelled.
    let sent = tokio::task::spawn_local(lab.never_request().send().promise);
    assert_eq!(wait_for(&events).await, "never begins");
    sent.abort();
    assert_eq!(wait_for(&events).await, "never is cancelled");
}

/// An event that needs this thread's loop to go on.
async fn wait_for(events: &Receiver<&'static str>) -> &'static str {
    for _ in 0..PATIENCE.as_millis() {
        if let Ok(event) = events.try_recv() {
            return event;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("nothing happens")
}

/// An object of the caller's that comes back is the caller's own.
async fn comes_home(lab: lab::Client) {
    let (gone, events) = channel();
    let mut counters: CapabilityServerSet<RawCounter, bridge_schemas::lab_capnp::counter::Client> =
        CapabilityServerSet::new();
    let counter = counters.new_client(RawCounter(0.into(), gone));
    let mut request = lab.next_request();
    request.get().set_counter(counter.clone());
    let sent = request.send();
    let early = sent.pipeline.get_counter();
    let response = sent.promise.await.unwrap();
    let results = response.get().unwrap();
    assert_eq!(results.get_value(), 1);
    let back = results.get_counter().unwrap();
    let own = counters.get_local_server(&back).await.expect("the server itself");
    let early_own = counters.get_local_server(&early).await.expect("also by the promise");
    assert_eq!((own.0.get(), early_own.0.get()), (1, 1));
    drop((own, early_own, back, early, counter, response, sent.pipeline));
    counters.gc();
    assert_eq!(wait_for(&events).await, "the counter is gone");
}

/// Over a socket, to a peer with generated traits.
fn over_a_socket(here: bool, test: impl AsyncFnOnce(lab::Client, Receiver<&'static str>)) {
    let (ours, theirs) = sockets();
    let (tell, events) = channel();
    let served = typed_lab::serve(theirs, tell);
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        if here {
            bridge.read_here(&connection);
        }
        test(bridge.bootstrap(&connection).unwrap(), events).await;
        // Nothing is left in the protocol's tables when the peer has ended what was cancelled.
        soon(async {
            while connection.table_sizes() != [0; 5] {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        })
        .await;
    });
    drop(served);
}

#[test]
fn of_a_peer() {
    over_a_socket(false, use_client);
}

#[test]
fn of_a_peer_whose_connection_is_read_here() {
    over_a_socket(true, use_client);
    over_a_socket(true, async |lab, _| comes_home(lab).await);
}

#[test]
fn an_object_comes_home_from_a_peer() {
    over_a_socket(false, async |lab, _| comes_home(lab).await);
}

#[test]
fn of_a_handle_on_a_peers_object() {
    let (ours, theirs) = sockets();
    let (tell, events) = channel();
    let served = typed_lab::serve(theirs, tell);
    let lab: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    with_bridge(async |bridge: Bridge| {
        use_client(bridge.client(lab.clone()).unwrap(), events).await;
    });
    assert_eq!(lab.echo("still").wait().unwrap(), "still");
    drop(served);
}

#[test]
fn of_an_object_of_this_process() {
    let (tell, events) = channel();
    with_bridge(async |bridge: Bridge| {
        let lab: lab::Client = bridge.client(LabClient::new(TypedLab(tell))).unwrap();
        comes_home(lab.clone()).await;
        use_client(lab, events).await;
    });
}

#[test]
fn of_a_server_behind_another_bridge() {
    let (ours, theirs) = sockets();
    let (tell, events) = channel();
    let server = bridge_thread(async move |bridge: Bridge| {
        let lab = raw_lab(&tell);
        drop(tell);
        let connection = bridge.serve(theirs, Limits::default(), lab).unwrap();
        connection.disconnected().await;
    });
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
        comes_home(lab.clone()).await;
        use_client(lab, events).await;
    });
    server.join();
}

#[test]
fn a_client_that_was_made_a_handle_is_itself_again() {
    let (tell, events) = channel();
    with_bridge(async |bridge: Bridge| {
        let mut labs: CapabilityServerSet<crate::raw_lab::RawLab, lab::Client> =
            CapabilityServerSet::new();
        let lab = labs.new_client(crate::raw_lab::RawLab(tell));
        let handle: LabClient = bridge.handle(lab).unwrap();
        let back: lab::Client = bridge.client(handle).unwrap();
        assert!(labs.get_local_server(&back).await.is_some());
        use_client(back, events).await;
    });
}

/// Without tokio: the runtime's thread reads.
#[test]
fn on_another_executor() {
    use futures_util::task::LocalSpawnExt;
    let (ours, theirs) = sockets();
    let (tell, events) = channel();
    let mut pool = futures_executor::LocalPool::new();
    let (bridge, driver) = Bridge::new();
    let driver = pool.spawner().spawn_local_with_handle(driver).unwrap();
    let served = bridge.serve(theirs, Limits::default(), raw_lab(&tell)).unwrap();
    let connection = Connection::new(ours).unwrap();
    let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
    pool.run_until(async move {
        let mut request = lab.call_back_request();
        request.get().set_callback(new_client(RawCallback("there and back")));
        request.get().set_times(2);
        let response = request.send().promise.await.unwrap();
        let texts = response.get().unwrap().get_texts().unwrap();
        assert_eq!(texts.get(1).unwrap(), "there and back 1");
    });
    drop((bridge, connection, served));
    // It ends when the last object is released.
    pool.run_until(driver);
    drop((tell, events));
}
