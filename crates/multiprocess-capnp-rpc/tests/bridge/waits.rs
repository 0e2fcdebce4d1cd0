//! `.wait()` on the bridge's thread: an error where it would block what it waits for, or everybody.

use std::rc::Rc;
use std::sync::mpsc::channel;

use bridge_schemas::lab::LabClient;
use bridge_schemas::lab_capnp::lab;
use capnp_rpc::new_client;
use multiprocess::{Connection, Error, Result};
use multiprocess_capnp_rpc::Bridge;

use crate::loops::{blocking, on_loop, sockets, soon, with_bridge};
use crate::raw_lab::raw_lab;
use crate::typed_lab;

/// The outcome of a wait that is refused, and says what to do instead.
fn refused<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::ApiMisuse { .. }), "{error}");
    assert!(error.to_string().contains("use .await instead of .wait()"), "{error}");
}

#[test]
fn for_a_server_of_this_thread() {
    with_bridge(async |bridge: Bridge| {
        let lab: LabClient = bridge.handle(raw_lab(&channel().0)).unwrap();
        refused(lab.echo("x").wait());
        // Whatever it is in, and by whatever handle.
        refused(lab.counter(0).pipelined().next().wait());
        let counter = lab.counter(0).await.unwrap().expect("a counter");
        let sink = lab.sink().await.unwrap().expect("a sink");
        refused(sink.write([1]).wait());
        // What is refused has not run.
        assert_eq!(counter.next().await.unwrap(), 1);
        refused(counter.next().wait());
        assert_eq!(counter.next().await.unwrap(), 2);
        assert_eq!(sink.done().await.unwrap(), 0);

        let started = lab.echo("started").start();
        refused(lab.never().start().wait());
        assert_eq!(lab.echo("after").await.unwrap(), "after");
        // It has its answer by now: there is nothing to wait for.
        assert_eq!(started.wait().unwrap(), "started");

        // Other threads may wait, and this one for others.
        let there = blocking(move || lab.echo("there").wait());
        assert_eq!(there.await.unwrap(), "there");
        let (ours, theirs) = sockets();
        let _served = typed_lab::serve(theirs, channel().0);
        let other: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
        assert_eq!(other.echo("other").wait().unwrap(), "other");
    });
}

/// Then nothing depends on this thread any more.
#[test]
fn for_a_server_whose_driver_has_ended() {
    on_loop(async {
        let (bridge, driver) = Bridge::new();
        let driver = tokio::task::spawn_local(driver);
        let lab: LabClient = bridge.handle(raw_lab(&channel().0)).unwrap();
        refused(lab.echo("x").wait());
        driver.abort();
        let _ = driver.await;
        let error = lab.echo("x").wait().unwrap_err();
        assert!(error.is_disconnect(), "{error}");
        let late: LabClient = bridge.handle(raw_lab(&channel().0)).unwrap();
        assert!(late.echo("x").wait().unwrap_err().is_disconnect());
    });
}

/// A server that waits in its method for another peer.
struct Waits(LabClient);

impl lab::Server for Waits {
    async fn echo(
        self: Rc<Self>,
        params: lab::EchoParams,
        mut results: lab::EchoResults,
    ) -> capnp::Result<()> {
        let text = params.get()?.get_text()?.to_str()?;
        refused(self.0.echo(text).wait());
        results.get().set_text(
            self.0.echo(text).await.map_err(|error| capnp::Error::failed(error.to_string()))?,
        );
        Ok(())
    }
}

#[test]
fn in_a_server_for_another_peer() {
    let (ours, theirs) = sockets();
    let served = typed_lab::serve(theirs, channel().0);
    let other: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    with_bridge(async |bridge: Bridge| {
        let waits: lab::Client = new_client(Waits(other.clone()));
        let lab: LabClient = bridge.handle(waits).unwrap();
        assert_eq!(soon(lab.echo("hello")).await.unwrap(), "hello");
        // Afterwards it is as before on this thread.
        assert_eq!(other.echo("other").wait().unwrap(), "other");
    });
    drop(served);
}
