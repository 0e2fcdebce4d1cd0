//! Writes to peers that do not read any more, in a process that SIGPIPE would end.
#![no_main]

use std::ffi::{c_char, c_int};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use multiprocess::Connection;
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::raw::{LAB, RawPeer, Target};
use multiprocess_tests::{LabServer, pair, wait_until};

/// The start code of Rust, which ignores SIGPIPE, is left out: this is C's `main`.
#[allow(unsafe_code, reason = "C's main")]
// SAFETY: no other function of this program has this name.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    assert_sigpipe_ends_this_process();
    let other = pair();
    for _ in 0..50 {
        calls_of_a_peer_that_does_not_read();
        answers_for_a_peer_that_does_not_read();
        other.assert_alive();
    }
    println!("still there");
    0
}

fn assert_sigpipe_ends_this_process() {
    const SIGPIPE: u64 = 1 << 12;
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    for name in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("signals");
        let signals = u64::from_str_radix(line.trim(), 16).expect("a number");
        assert_eq!(signals & SIGPIPE, 0, "{name} {line}");
    }
}

fn calls_of_a_peer_that_does_not_read() {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let calling = Connection::new(ours).expect("a connection");
    let lab: LabClient = calling.bootstrap().expect("a lab");
    // From now on writing fails, and the end cannot be read.
    theirs.shutdown(Shutdown::Read).expect("a half close");
    let calls = [(); 4].map(|()| lab.bytes(vec![0; 100_000]).start());
    for call in calls {
        assert!(call.wait().is_err_and(|error| error.is_disconnect()));
    }
}

fn answers_for_a_peer_that_does_not_read() {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let server = LabServer::new();
    let serving = Connection::builder().serve(server.client()).start(theirs).expect("a connection");
    let mut peer = RawPeer::new(ours);
    let lab = Target::Bootstrap(peer.bootstrap());
    peer.stream.shutdown(Shutdown::Read).expect("a half close");
    // The other side may have closed by now.
    let _ = peer.try_call(lab, (LAB, 2), &[], |content| {
        content.init_as::<lab::add_inline_params::Builder<'_>>();
    });
    wait_until("the connection is closed", || !serving.is_connected());
}
