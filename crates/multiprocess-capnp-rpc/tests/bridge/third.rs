//! Objects of one connection that are passed to another: their calls are forwarded.

use std::sync::mpsc::channel;

use bridge_schemas::lab::{Kind, LabClient};
use bridge_schemas::lab_capnp::lab;
use multiprocess::{Connection, Error, Limits};
use multiprocess_capnp_rpc::Bridge;

use crate::loops::{PATIENCE, blocking, sockets, with_bridge};
use crate::typed_lab;

#[test]
fn a_peer_gets_another_peers_object_and_gives_it_back() {
    let ((here_a, a), (here_b, b)) = (sockets(), sockets());
    let (tell, events) = channel();
    let (served_a, served_b) = (typed_lab::serve(a, tell), typed_lab::serve(b, channel().0));
    with_bridge(async |bridge: Bridge| {
        let lab_of = |socket| -> lab::Client {
            bridge.bootstrap(&Connection::new(socket).unwrap()).unwrap()
        };
        let (lab_a, lab_b) = (lab_of(here_a), lab_of(here_b));
        let response = lab_a.counter_request().send().promise.await.unwrap();
        let counter = response.get().unwrap().get_counter().unwrap();
        for value in [1, 3] {
            let mut request = lab_b.next_request();
            request.get().set_counter(counter.clone());
            let response = request.send().promise.await.unwrap();
            assert_eq!(response.get().unwrap().get_value(), value);
            // It is called here again, not by way of the other peer.
            let back = response.get().unwrap().get_counter().unwrap();
            let response = back.next_request().send().promise.await.unwrap();
            assert_eq!(response.get().unwrap().get_value(), value + 1);
        }
        // A promise of one peer's, passed to the other before it is there.
        let mut request = lab_b.next_request();
        request.get().set_counter(lab_a.counter_request().send().pipeline.get_counter());
        let response = request.send().promise.await.unwrap();
        assert_eq!(response.get().unwrap().get_value(), 1);
    });
    for _ in 0..2 {
        assert_eq!(events.recv_timeout(PATIENCE), Ok("the counter is gone"));
    }
    drop((served_a, served_b));
}

/// A bridge that serves one peer's object to another: errors, promises and cancels go through.
#[test]
fn a_peers_object_is_served_to_another_peer() {
    let ((here, a), (there, b)) = (sockets(), sockets());
    let (tell, events) = channel();
    let served = typed_lab::serve(a, tell);
    with_bridge(async |bridge: Bridge| {
        let lab: lab::Client = bridge.bootstrap(&Connection::new(here).unwrap()).unwrap();
        let connection = bridge.serve(there, Limits::default(), lab).unwrap();
        blocking(move || {
            let lab: LabClient = Connection::new(b).unwrap().bootstrap().unwrap();
            assert_eq!(lab.echo("far away").wait().unwrap(), "far away");
            assert_eq!(lab.counter(4).pipelined().next().wait().unwrap(), 5);
            assert_eq!(events.recv_timeout(PATIENCE), Ok("the counter is gone"));
            let error = lab.fail(Kind::Overloaded, "the text").wait().unwrap_err();
            assert!(matches!(error, Error::Overloaded { message, .. } if message == "the text"));
            let never = lab.never().start();
            assert_eq!(events.recv_timeout(PATIENCE), Ok("never begins"));
            drop(never);
            assert_eq!(events.recv_timeout(PATIENCE), Ok("never is cancelled"));
        })
        .await;
        connection.disconnected().await;
    });
    drop(served);
}
