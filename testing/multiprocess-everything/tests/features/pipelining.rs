//! Calls on results that have not arrived yet: how many messages go out, and that none of them
//! waits for an answer.

use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use capnp::message::ReaderOptions;
use capnp_rpc::rpc_capnp::message::{self, Which};
use multiprocess::{Call, Connection, Error, Limits, diagnostics};
use multiprocess_everything::generated::calls::NotFound;
use multiprocess_everything::generated::everything::EverythingClient;
use multiprocess_everything::generated::objects::FolderClient;
use multiprocess_everything::pair::{Pair, Wire, serve_watched, serve_watched_with};
use multiprocess_everything::server::EverythingServer;

/// The id of the interface that makes threads.
const THREAD_MAP: u64 = 0xee5e_3717_9ad9_dc9d;

fn watched() -> (Pair<EverythingClient>, Wire) {
    let (pair, wire) = serve_watched(EverythingServer::new().client()).unwrap();
    let pair: Pair<EverythingClient> = pair;
    pair.object.add(1, 2).wait().unwrap();
    pair.object.thread_name().wait().unwrap();
    wire.forget();
    (pair, wire)
}

/// The interfaces of the calls that are among the messages.
fn all_calls(messages: &[Vec<u8>]) -> Vec<u64> {
    let interface = |message: &Vec<u8>| {
        let mut bytes = message.as_slice();
        let read = capnp::serialize::read_message(&mut bytes, ReaderOptions::new()).unwrap();
        let root: message::Reader<'_> = read.get_root().unwrap();
        match root.which() {
            Ok(Which::Call(call)) => Some(call.unwrap().get_interface_id()),
            _ => None,
        }
    };
    messages.iter().filter_map(interface).collect()
}

/// How many calls are among the messages, without those that ask for a thread to run one on.
fn calls(messages: &[Vec<u8>]) -> usize {
    all_calls(messages).into_iter().filter(|interface| *interface != THREAD_MAP).count()
}

/// Waits for the answer while the server's messages are held back, until `wanted` calls have gone
/// out. A call that waited for an answer before the last of them would wait forever.
fn in_one_round_trip<T: Send + 'static>(
    wire: &Wire,
    wanted: usize,
    make: impl FnOnce() -> Call<T> + Send,
) -> T {
    wire.hold();
    let answer = thread::scope(|scope| {
        let answer = scope.spawn(|| make().wait());
        wire.wait_until(|messages| calls(messages) >= wanted);
        // Counted before anything is answered, because the messages that end the objects follow the
        // answers.
        let made = calls(&wire.asked());
        wire.let_go();
        (made, answer.join().unwrap())
    });
    let (made, answer) = answer;
    assert_eq!(made, wanted);
    answer.unwrap()
}

fn deepest(root: FolderClient) -> FolderClient {
    root.open("a").pipelined().find("b").pipelined().open("c").pipelined()
}

#[test]
fn four_levels_in_one_round_trip() {
    let (pair, wire) = watched();
    let root = pair.object.clone();
    let path = in_one_round_trip(&wire, 5, move || deepest(root.root().pipelined()).path());
    assert_eq!(path, "/a/b/c");
}

#[test]
fn without_contexts_too() {
    let (pair, wire) = watched();
    let root = pair.object.root().wait().unwrap();
    wire.forget();
    let path = in_one_round_trip(&wire, 4, move || {
        let inner = root.open_inline("a").pipelined().open_inline("b").pipelined();
        inner.open_inline("c").pipelined().path_inline()
    });
    assert_eq!(path, "/a/b/c");
}

#[test]
fn a_result_that_is_not_there_yet_as_an_argument() {
    let (pair, wire) = watched();
    let objects = pair.object.clone();
    let name = in_one_round_trip(&wire, 2, move || {
        let whole = objects.make_whole("w").pipelined();
        objects.name_of(whole.into())
    });
    assert_eq!(name, "w");
}

#[test]
fn an_inherited_method_of_a_result_that_is_not_there_yet() {
    let (pair, wire) = watched();
    let objects = pair.object.clone();
    let size = in_one_round_trip(&wire, 2, move || objects.make_whole("w").pipelined().size());
    assert_eq!(size, 3);
}

#[test]
fn a_result_behind_a_typed_error() {
    let (pair, wire) = watched();
    let root = pair.object.root().wait().unwrap();
    wire.forget();
    let visited = root.clone();
    let path = in_one_round_trip(&wire, 2, move || visited.visit("v").pipelined().path());
    assert_eq!(path, "/v");
    let error = root.visit("nowhere").pipelined().path().wait().unwrap_err();
    assert!(!error.is_disconnect(), "{error}");
    let error = root.visit("nowhere").wait().unwrap_err();
    assert_eq!(error.raised_as::<NotFound>().map(|error| error.name.as_str()), Some("nowhere"));
}

#[test]
fn one_call_is_one_message() {
    let (pair, wire) = watched();
    let object = pair.object.clone();
    assert_eq!(in_one_round_trip(&wire, 1, move || object.add(1, 2)), 3);
    // This thread already has a thread in the server.
    wire.forget();
    pair.object.thread_name().wait().unwrap();
    assert_eq!(all_calls(&wire.asked()).len(), 1);
}

#[test]
fn a_failure_on_the_way_is_that_of_the_rest() {
    let (pair, _wire) = watched();
    let deep = deepest(pair.object.root().pipelined());
    let error = deep.open("d").pipelined().open("e").pipelined().path().wait().unwrap_err();
    assert!(error.to_string().contains("nothing is deeper than 3"), "{error}");
    let error = deep.find("d").pipelined().path().wait().unwrap_err();
    assert!(!error.is_disconnect(), "{error}");
    assert_eq!(deep.path().wait().unwrap(), "/a/b/c");
}

/// Little room, so that little suffices to fill it.
fn narrow() -> Limits {
    Limits::default().message(2 << 20).call_bytes(4 << 20).unsent(4 << 20)
}

fn long_name(number: usize) -> String {
    format!("{number}{}", "x".repeat(1 << 20))
}

#[test]
fn large_calls_wait_for_room() {
    let served = serve_watched_with(EverythingServer::new().client(), &narrow()).unwrap();
    let (pair, wire): (Pair<EverythingClient>, Wire) = served;
    let root = pair.object.root().wait().unwrap();
    wire.hold();
    let open = |number| root.open(long_name(number)).pipelined();
    let folders: Vec<FolderClient> = thread::scope(|scope| {
        let all = scope.spawn(|| (0..20).map(open).collect());
        let waits = || diagnostics::snapshot().to_string().contains("1 call waits for room");
        while !waits() {
            assert!(!all.is_finished(), "none of the calls has waited for room");
            thread::yield_now();
        }
        wire.let_go();
        all.join().unwrap()
    });
    for (number, folder) in folders.iter().enumerate() {
        assert_eq!(folder.path().wait().unwrap(), format!("/{}", long_name(number)));
    }
    assert!(pair.serving.is_connected());
}

#[test]
fn a_call_that_waits_for_room_keeps_its_deadline() {
    // The other side is silent, so that there is never room again.
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let calling = Connection::builder().limits(narrow()).start(ours).unwrap();
    let everything: EverythingClient = calling.bootstrap().unwrap();
    let root = everything.root().pipelined();
    let open = |number| root.open(long_name(number)).timeout(Duration::from_millis(20)).pipelined();
    let _sent: Vec<_> = (0..3).map(open).collect();
    let error = open(3).path().wait().unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
}

#[test]
fn a_call_that_is_too_large_fails_at_once() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let calling = Connection::builder().limits(narrow()).start(ours).unwrap();
    let everything: EverythingClient = calling.bootstrap().unwrap();
    let root = everything.root().pipelined();
    // Another is under way, for which it does not wait.
    let _sent = root.open(long_name(0)).pipelined();
    let error = root.open("x".repeat(3 << 20)).pipelined().path().wait().unwrap_err();
    assert!(matches!(error, Error::ApiMisuse { .. }), "{error:?}");
    assert!(error.to_string().contains("(Limits::message)"), "{error}");
}
