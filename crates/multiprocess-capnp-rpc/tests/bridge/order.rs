//! Calls of one object arrive in the order in which they were made.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc::channel;

use bridge_schemas::lab_capnp::{counter, lab};
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, new_client};
use futures_util::future::join_all;
use multiprocess::{Connection, Limits};
use multiprocess_capnp_rpc::Bridge;

use crate::calculator::network;
use crate::loops::{blocking, bridge_thread, on_loop, sockets, soon, with_bridge};
use crate::raw_lab::{RawCounter, raw_lab};
use crate::typed_lab;

const CALLS: i64 = 500;

/// Calls by a promise, and by the object when it is known.
async fn count(lab: &lab::Client) {
    let sent = lab.counter_request().send();
    let early = sent.pipeline.get_counter();
    let mut values = Vec::new();
    for _ in 0..CALLS {
        // Another client of the same object each time.
        values.push(sent.pipeline.get_counter().next_request().send().promise);
    }
    let response = sent.promise.await.unwrap();
    let late = response.get().unwrap().get_counter().unwrap();
    for _ in 0..CALLS {
        values.push(late.next_request().send().promise);
        values.push(early.next_request().send().promise);
    }
    let values = join_all(values).await.into_iter();
    let values: Vec<_> = values.map(|value| value.unwrap().get().unwrap().get_value()).collect();
    assert_eq!(values, (1..=3 * CALLS).collect::<Vec<_>>());
}

#[test]
fn from_a_client_to_a_peer() {
    let (ours, theirs) = sockets();
    let served = typed_lab::serve(theirs, channel().0);
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        bridge.read_here(&connection);
        count(&bridge.bootstrap(&connection).unwrap()).await;
    });
    drop(served);
}

#[test]
fn from_a_client_to_a_server_behind_another_bridge() {
    let (ours, theirs) = sockets();
    let server = bridge_thread(async move |bridge: Bridge| {
        let lab = raw_lab(&channel().0);
        let connection = bridge.serve(theirs, Limits::default(), lab).unwrap();
        connection.disconnected().await;
    });
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        count(&bridge.bootstrap(&connection).unwrap()).await;
    });
    server.join();
}

#[test]
fn from_a_handle_to_a_server() {
    with_bridge(async |bridge: Bridge| {
        let lab: bridge_schemas::lab::LabClient = bridge.handle(raw_lab(&channel().0)).unwrap();
        blocking(move || {
            let counter = lab.counter(0).pipelined();
            let calls: Vec<_> = (0..CALLS).map(|_| counter.next().start()).collect();
            let values: Vec<_> = calls.into_iter().map(|call| call.wait().unwrap()).collect();
            assert_eq!(values, (1..=CALLS).collect::<Vec<_>>());
        })
        .await;
    });
}

/// The promise turns out to be an object of the caller's: calls that went to the peer arrive before those that
/// need not go there any more.
#[test]
fn when_a_promise_comes_home() {
    let (ours, theirs) = sockets();
    let server = bridge_thread(async move |bridge: Bridge| {
        let lab = raw_lab(&channel().0);
        let connection = bridge.serve(theirs, Limits::default(), lab).unwrap();
        connection.disconnected().await;
    });
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
        let own: counter::Client = new_client(RawCounter(0.into(), channel().0));
        let mut request = lab.next_request();
        request.get().set_counter(own);
        let sent = request.send();
        let early = sent.pipeline.get_counter();
        let mut values = Vec::new();
        for _ in 0..CALLS {
            values.push(early.next_request().send().promise);
            values.push(sent.pipeline.get_counter().next_request().send().promise);
        }
        let response = sent.promise.await.unwrap();
        assert_eq!(response.get().unwrap().get_value(), 1);
        // What it has resolved to now is called after what was called by the promise; so is the same by the
        // pipeline, and by the promise itself.
        let resolved = capnp::capability::get_resolved_cap(early.clone()).await;
        for _ in 0..CALLS {
            values.push(resolved.next_request().send().promise);
            values.push(sent.pipeline.get_counter().next_request().send().promise);
            values.push(early.next_request().send().promise);
        }
        let values = join_all(values).await.into_iter();
        let values: Vec<_> =
            values.map(|value| value.unwrap().get().unwrap().get_value()).collect();
        assert_eq!(values, (2..2 + 5 * CALLS).collect::<Vec<_>>());
    });
    server.join();
}

/// Tells how many of its counters live.
#[derive(Default)]
struct Living(Rc<Cell<usize>>);

struct LivingCounter(Rc<Cell<usize>>);

impl Drop for LivingCounter {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl counter::Server for LivingCounter {}

impl lab::Server for Living {
    async fn counter(
        self: Rc<Self>,
        _: lab::CounterParams,
        mut results: lab::CounterResults,
    ) -> capnp::Result<()> {
        self.0.set(self.0.get() + 1);
        results.get().set_counter(new_client(LivingCounter(Rc::clone(&self.0))));
        Ok(())
    }

    async fn echo(
        self: Rc<Self>,
        _: lab::EchoParams,
        mut results: lab::EchoResults,
    ) -> capnp::Result<()> {
        results.get().set_text(self.0.get().to_string());
        Ok(())
    }
}

/// Whoever ends a subscription by letting go of it is told nothing more.
#[test]
fn an_object_is_gone_for_a_call_that_was_made_after_it_was_dropped() {
    for here in [false, true] {
        with_living(here, async |lab: lab::Client| {
            for _ in 0..CALLS {
                let counter = new_counter(&lab).await;
                assert_eq!(living(&lab).await, "1");
                drop(counter);
                assert_eq!(living(&lab).await, "0");
            }
        });
    }
}

/// Runs a test with a client of capnp-rpc's own on a lab that is served through the bridge.
fn with_living<F: Future<Output = ()>>(here: bool, test: impl FnOnce(lab::Client) -> F) {
    let (ours, theirs) = sockets();
    let server = bridge_thread(async move |bridge: Bridge| {
        let lab: lab::Client = new_client(Living::default());
        let connection = bridge.serve(theirs, Limits::default(), lab).unwrap();
        if here {
            bridge.read_here(&connection);
        }
        connection.disconnected().await;
    });
    on_loop(async {
        let mut system = RpcSystem::new(network(ours, Side::Client), None);
        let lab: lab::Client = system.bootstrap(Side::Server);
        let disconnect = system.get_disconnector();
        tokio::task::spawn_local(system);
        soon(test(lab)).await;
        disconnect.await.unwrap();
    });
    server.join();
}

async fn new_counter(lab: &lab::Client) -> counter::Client {
    let response = lab.counter_request().send().promise.await.unwrap();
    response.get().unwrap().get_counter().unwrap()
}

/// How many counters of this lab live.
async fn living(lab: &lab::Client) -> String {
    let response = lab.echo_request().send().promise.await.unwrap();
    response.get().unwrap().get_text().unwrap().to_string().unwrap()
}
