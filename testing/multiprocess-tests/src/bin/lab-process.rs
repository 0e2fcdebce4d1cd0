//! A process of its own, for tests that kill or interrupt one: `lab-process ROLE NUMBER`, where
//! NUMBER is that of a socket to the test.

use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::thread;

use multiprocess::process::{ignore_sigint, inherited_socket};
use multiprocess::{Connection, Limits};
use multiprocess_tests::generated::lab::{CounterClient, LabClient};
use multiprocess_tests::{LabServer, Relay};

fn main() {
    let mut args = std::env::args().skip(1);
    let role = args.next().expect("a role");
    let socket = inherited_socket(&args.next().expect("a number")).expect("a socket");
    match role.as_str() {
        "serve" => serve(socket, Limits::default()),
        "close-and-live" => close_and_live(socket),
        "serve-interrupted" => serve(socket, interrupted(true)),
        "serve-interrupted-driver" => serve(socket, interrupted(false)),
        "call-interrupted" => converse(&client(socket, interrupted(true)).1),
        "call-interrupted-driver" => converse(&client(socket, interrupted(false)).1),
        "call" => drop(client(socket, Limits::default()).1.block("child").wait()),
        "be-called" => be_called(&client(socket, Limits::default()).1),
        "return" => leave(client(socket, Limits::default())),
        "exit-in-callback" => exit_in_callback(&client(socket, Limits::default()).1),
        _ => panic!("no role {role}"),
    }
}

/// Has a handler for SIGINT, which interrupts the system calls of all threads. Sockets are read by
/// the threads that wait, or by the driver alone.
fn interrupted(callers_read: bool) -> Limits {
    ignore_sigint().expect("a handler");
    Limits::default().callers_read(callers_read)
}

fn serve(socket: UnixStream, limits: Limits) {
    let lab = LabServer::new();
    let serving = Connection::builder().limits(limits).serve(lab.client());
    let serving = serving.start(socket).expect("a connection");
    serving.wait_disconnected();
}

/// Serves until `block` is called with the name `close`; then it closes its socket and does not end.
fn close_and_live(socket: UnixStream) {
    let lab = LabServer::new();
    let serving = Connection::builder().serve(lab.client()).start(socket).expect("a connection");
    while !lab.is_blocked("close") {
        thread::yield_now();
    }
    serving.disconnect();
    loop {
        thread::park();
    }
}

fn client(socket: UnixStream, limits: Limits) -> (Connection, LabClient) {
    let calling = Connection::builder().limits(limits).start(socket).expect("a connection");
    let lab = calling.bootstrap().expect("a lab");
    (calling, lab)
}

/// Calls of every kind.
fn converse(lab: &LabClient) {
    for round in 0..100 {
        assert_eq!(lab.add(round, 1).wait().expect("a sum"), round + 1);
        assert_eq!(lab.add_inline(round, 1).wait().expect("a sum"), round + 1);
        let started = lab.add(round, 1).start();
        let callback = Relay::client(|lab, depth| lab.expect("a lab").add(depth, 10).wait());
        assert_eq!(lab.call_back(callback, 5).wait().expect("a number"), 15);
        assert_eq!(started.wait().expect("a sum"), round + 1);
        let data = vec![7; round as usize * 20_000];
        assert!(lab.bytes(data.clone()).wait().expect("bytes") == data);
    }
}

/// Gives the lab a callback that does not return.
fn be_called(lab: &LabClient) {
    let callback = Relay::client(|lab, depth| {
        lab.expect("a lab").block("in the callback").wait()?;
        Ok(depth)
    });
    let _ = lab.call_back(callback, 1).wait();
}

thread_local! {
    static LAST: Cell<Option<(Connection, LabClient, CounterClient)>> = const { Cell::new(None) };
}

/// Returns from `main` while another thread waits for a call, with the last handles in a place whose
/// destructor runs at the end of the process.
fn leave((calling, lab): (Connection, LabClient)) {
    let counter = lab.make_counter(1).wait().expect("a counter");
    let call = lab.block("child").start();
    // When this is answered, the call before it has arrived.
    lab.add_inline(1, 2).wait().expect("a sum");
    thread::spawn(move || call.wait());
    LAST.set(Some((calling, lab, counter)));
}

/// Ends the process in the middle of a callback, while another thread waits for a call.
fn exit_in_callback(lab: &LabClient) {
    let call = lab.block("child").start();
    thread::spawn(move || call.wait());
    let counter = lab.make_counter(1).wait().expect("a counter");
    let callback = Relay::client(move |_, _| {
        let _held = &counter;
        std::process::exit(0)
    });
    let _ = lab.call_back(callback, 1).wait();
}
