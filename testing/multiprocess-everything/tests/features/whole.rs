//! All that `everything-client` checks, with Rust on both sides.

use multiprocess_everything::client;
use multiprocess_everything::pair::pair;
use multiprocess_everything::server::EverythingServer;

#[test]
fn every_method_over_a_connection() {
    let (server, pair) = pair().unwrap();
    server.set_functions(|| (), |arg| arg * 2);
    client::check_all(&pair.object).unwrap();
    assert!(pair.calling.is_connected());
}

#[test]
fn an_object_of_this_process() {
    let server = EverythingServer::new();
    server.set_functions(|| (), |arg| arg * 2);
    client::check_here(&server.client()).unwrap();
}

#[test]
fn a_client_that_hands_calls_on() {
    // The server's object is itself a handle on another connection's.
    let (server, first) = pair().unwrap();
    server.set_functions(|| (), |arg| arg * 2);
    let second = multiprocess_everything::pair::serve(first.object.clone()).unwrap();
    client::check_all(&second.object).unwrap();
}

#[test]
fn every_call_fails_once_the_connection_has_gone() {
    let (_server, pair) = pair().unwrap();
    pair.calling.disconnect();
    let error = client::check_all(&pair.object).unwrap_err();
    assert!(error.is_disconnect(), "{error}");
}
