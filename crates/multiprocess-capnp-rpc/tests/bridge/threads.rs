//! An Init object as `spawn` gives it, whose methods name the thread that runs them.

use bridge_schemas::lab::{Init, InitClient, LabClient};
use bridge_schemas::lab_capnp::init;
use bridge_schemas::proxy_capnp::thread;
use multiprocess::{Connection, Result};
use multiprocess_capnp_rpc::Bridge;

use crate::loops::{sockets, with_bridge};
use crate::typed_lab::TypedLab;

struct Served;

impl Init for Served {
    fn make_lab(&self) -> Result<Option<LabClient>> {
        Ok(Some(LabClient::new(TypedLab(std::sync::mpsc::channel().0))))
    }

    fn thread_name(&self) -> Result<String> {
        Ok(std::thread::current().name().unwrap_or_default().to_owned())
    }
}

/// What a program does that was written for capnp-rpc and Bitcoin Core.
async fn use_init(init: init::Client) {
    let response = init.construct_request().send().promise.await.unwrap();
    let map = response.get().unwrap().get_thread_map().unwrap();
    let make = async |name: &str| -> thread::Client {
        let mut request = map.make_thread_request();
        request.get().set_name(name);
        let response = request.send().promise.await.unwrap();
        response.get().unwrap().get_result().unwrap()
    };
    for name in ["first", "second"] {
        let thread = make(name).await;
        let mut request = init.thread_name_request();
        request.get().get_context().unwrap().set_thread(thread.clone());
        let response = request.send().promise.await.unwrap();
        let ran_on = response.get().unwrap().get_name().unwrap().to_string().unwrap();
        assert!(ran_on.contains(name), "{ran_on}");
        let mut request = init.make_lab_request();
        request.get().get_context().unwrap().set_thread(thread);
        let mut echo = request.send().pipeline.get_lab().echo_request();
        echo.get().set_text(name);
        let response = echo.send().promise.await.unwrap();
        assert_eq!(response.get().unwrap().get_text().unwrap(), name);
    }
    let error = init.thread_name_request().send().promise.await.err().expect("no thread is named");
    assert!(error.extra.contains("thread"), "{}", error.extra);
}

#[test]
fn a_handle_of_a_process_that_was_spawned_is_a_client() {
    let (ours, theirs) = sockets();
    let served = Connection::builder().serve(InitClient::new(Served)).start(theirs).unwrap();
    // As `spawn` does: the ThreadMaps are exchanged.
    let init: InitClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    with_bridge(async |bridge: Bridge| use_init(bridge.client(init.clone()).unwrap()).await);
    // The handle has its own threads still.
    assert!(init.make_lab().wait().unwrap().is_some());
    drop(served);
}

#[test]
fn a_bootstrap_client_exchanges_thread_maps_itself() {
    let (ours, theirs) = sockets();
    let served = Connection::builder().serve(InitClient::new(Served)).start(theirs).unwrap();
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        bridge.read_here(&connection);
        use_init(bridge.bootstrap(&connection).unwrap()).await;
    });
    drop(served);
}

#[test]
fn an_object_of_this_process_has_threads_as_well() {
    with_bridge(async |bridge: Bridge| {
        use_init(bridge.client(InitClient::new(Served)).unwrap()).await;
    });
}
