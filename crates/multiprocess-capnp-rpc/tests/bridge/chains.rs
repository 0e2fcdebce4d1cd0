//! Objects in results of calls on objects in results, and so on: only what is used is kept.

use std::io::Read;
use std::rc::Rc;
use std::sync::mpsc::channel;

use bridge_schemas::lab_capnp::{counter, lab};
use capnp::capability::FromClientHook;
use multiprocess::{Connection, Limits};
use multiprocess_capnp_rpc::Bridge;

use crate::loops::{bridge_thread, sockets, soon, with_bridge};
use crate::typed_lab;

/// Each of its counters is this lab again, so that a chain has no end.
struct Chain;

impl lab::Server for Chain {
    async fn counter(
        self: Rc<Self>,
        _: lab::CounterParams,
        mut results: lab::CounterResults,
    ) -> capnp::Result<()> {
        let next: lab::Client = capnp_rpc::new_client_from_rc(self);
        results.get().set_counter(next.cast_to());
        Ok(())
    }

    async fn echo(self: Rc<Self>, _: lab::EchoParams, _: lab::EchoResults) -> capnp::Result<()> {
        Ok(())
    }
}

/// How many clients there are.
fn clients(bridge: &Bridge) -> usize {
    let shown = format!("{bridge:?}");
    let number = shown.split("clients: ").nth(1).and_then(|rest| rest.split(' ').next());
    number.expect("it is shown").parse().expect("a number")
}

#[test]
fn of_answered_calls_nothing_is_kept() {
    let (ours, theirs) = sockets();
    let server = bridge_thread(async move |bridge: Bridge| {
        let chain: lab::Client = capnp_rpc::new_client(Chain);
        let connection = bridge.serve(theirs, Limits::default(), chain).unwrap();
        connection.disconnected().await;
    });
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        // The answer comes after the promise was taken, as this thread reads it.
        bridge.read_here(&connection);
        let mut node: lab::Client = bridge.bootstrap(&connection).unwrap();
        for _ in 0..300 {
            let sent = node.counter_request().send();
            node = sent.pipeline.get_counter().cast_to();
            sent.promise.await.unwrap();
        }
        let awaited = clients(&bridge);
        assert!(awaited < 10, "{awaited} clients are left of a chain of answers that were awaited");
        for _ in 0..300 {
            // Nobody waits for this answer, but for a later one.
            node = node.counter_request().send().pipeline.get_counter().cast_to();
            node.echo_request().send().promise.await.unwrap();
        }
        // The driver sees the last answers.
        soon(async {
            while clients(&bridge) >= 10 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    });
    server.join();
}

/// Also where nobody asks the promise for the object: its call, and the results beside it, are over.
#[test]
fn of_the_results_only_the_object_is_kept() {
    let (ours, theirs) = sockets();
    let (tell, events) = channel();
    let served = typed_lab::serve(theirs, tell);
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        bridge.read_here(&connection);
        let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
        let first: counter::Client = lab.counter_request().send().pipeline.get_counter();
        let mut request = lab.next_request();
        request.get().set_counter(first);
        let sent = request.send();
        let second = sent.pipeline.get_counter();
        drop(lab);
        assert_eq!(sent.promise.await.unwrap().get().unwrap().get_value(), 1);
        drop(sent.pipeline);
        let response = second.next_request().send().promise.await.unwrap();
        assert_eq!(response.get().unwrap().get_value(), 2);
        drop(response);
        // The lab is let go, though the counter is held.
        soon(async {
            while clients(&bridge) > 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(events.try_recv().is_err(), "the counter is held");
        drop(second);
    });
    drop(served);
}

#[test]
fn that_nobody_answers_can_be_dropped_however_long() {
    with_bridge(async |bridge: Bridge| make_and_drop(&bridge));
    // Also without a driver.
    let (bridge, driver) = Bridge::new();
    drop(driver);
    make_and_drop(&bridge);
    assert_eq!(clients(&bridge), 0);
}

fn make_and_drop(bridge: &Bridge) {
    let (ours, mut theirs) = sockets();
    // A peer that takes all and says nothing.
    let peer = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while theirs.read(&mut buffer).is_ok_and(|read| read > 0) {}
    });
    let connection = Connection::new(ours).unwrap();
    let mut node: lab::Client = bridge.bootstrap(&connection).unwrap();
    for _ in 0..20_000 {
        node = node.counter_request().send().pipeline.get_counter().cast_to();
    }
    assert!(clients(bridge) > 20_000);
    drop(node);
    connection.disconnect();
    peer.join().unwrap();
}
