//! Peers that end their connection in other ways than by closing it while nothing is under way.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use multiprocess::{Connection, Limits};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::raw::{Cap, LAB, RawPeer, call_bytes};
use multiprocess_tests::{LONG, pair, wait_until};

use super::{Bench, add, bench, bench_with, block};

/// A call of the peer's that runs, and does not end by itself.
fn with_a_call(bench: &mut Bench) {
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = Cap::There(bench.make_thread(threads).export());
    bench.peer.call(lab, (LAB, 11), &[thread], |content| block(content, "ended", &[thread]));
    wait_until("it runs", || bench.server.is_blocked("ended"));
}

#[test]
fn the_end_of_the_stream_cancels_what_runs() {
    let mut bench = bench();
    with_a_call(&mut bench);
    bench.peer.stream.shutdown(Shutdown::Write).unwrap();
    bench.assert_closed();
    assert!(bench.server.was_cancelled("ended"));
}

#[test]
fn the_end_of_the_stream_within_a_message_cancels_what_runs() {
    let mut bench = bench();
    with_a_call(&mut bench);
    let lab = bench.lab();
    let question = bench.peer.question();
    let bytes = call_bytes(question, lab, (LAB, 1), &[], |content| add(content, 1, 2, &[]));
    bench.peer.send_bytes(&bytes[..bytes.len() - 3]).unwrap();
    bench.peer.stream.shutdown(Shutdown::Write).unwrap();
    bench.assert_closed();
    assert!(bench.server.was_cancelled("ended"));
    let reason = bench.serving.end_reason().unwrap().to_string();
    assert!(reason.contains("in the middle of a message"), "{reason}");
}

/// A socket that is closed with bytes unread resets the other end.
#[test]
fn a_reset_cancels_what_runs() {
    let mut bench = bench();
    with_a_call(&mut bench);
    let other = bench.other;
    let question = bench.peer.bootstrap();
    // Its answer is there and is not read.
    assert!(question > 0 && bench.peer.stream.peek_one());
    drop(bench.peer);
    wait_until("the connection is closed", || !bench.serving.is_connected());
    wait_until("its token fired", || bench.server.was_cancelled("ended"));
    other.assert_alive();
}

trait PeekOne {
    fn peek_one(&self) -> bool;
}

impl PeekOne for UnixStream {
    /// Waits until there is something to read, and leaves it there.
    fn peek_one(&self) -> bool {
        let flags = rustix::net::RecvFlags::PEEK;
        rustix::net::recv(self, &mut [0; 1], flags).is_ok_and(|(count, _)| count == 1)
    }
}

/// The end is seen where this side writes, too.
#[test]
fn a_peer_that_stops_reading_and_then_goes_holds_no_thread() {
    let mut bench = bench_with(Limits::default().unsent(64 << 20));
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = Cap::There(bench.make_thread(threads).export());
    let data = vec![7; 1 << 20];
    // Their answers fill the socket, and wait here.
    for _ in 0..8 {
        bench.peer.call(lab, (LAB, 16), &[thread], |content| {
            use multiprocess_tests::generated::lab_capnp::lab::bytes_params;
            let mut params = content.init_as::<bytes_params::Builder<'_>>();
            super::on_thread(params.reborrow().init_context(), &[thread]);
            params.set_data(&data);
        });
    }
    bench.peer.call(lab, (LAB, 11), &[thread], |content| block(content, "ended", &[thread]));
    // The thread that has answered is free for the next call.
    wait_until("the last runs", || bench.server.is_blocked("ended"));
    bench.other.assert_alive();
    bench.peer.stream.shutdown(Shutdown::Both).unwrap();
    bench.assert_closed();
    assert!(bench.server.was_cancelled("ended"));
}

/// The same for a client: the server stops reading, and then goes.
#[test]
fn a_server_that_stops_reading_and_then_goes_holds_no_caller() {
    let other = pair();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let calling = Connection::new(ours).unwrap();
    let lab: LabClient = calling.bootstrap().unwrap();
    let peer = RawPeer::new(theirs);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| lab.bytes(vec![7; 1 << 20]).timeout(LONG).wait().unwrap_err()))
            .collect();
        assert!(peer.stream.peek_one());
        other.assert_alive();
        drop(peer);
        for caller in callers {
            assert!(caller.join().unwrap().is_disconnect());
        }
    });
    other.assert_alive();
}
