//! Bytes that arrive, and are taken, in pieces of any size: the results are those of whole messages.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;

use futures_executor::block_on;
use multiprocess::{Connection, Limits};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LabServer, Relay, pair};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};

/// Passes bytes on, each time as many as `sizes` says next. Ends with the stream.
fn pass_on(mut from: &UnixStream, mut to: &UnixStream, mut sizes: impl FnMut() -> usize) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer[..sizes()]) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// The smallest buffers that the system allows, so that a write never fits whole.
fn small() -> (UnixStream, UnixStream) {
    let (one, two) = UnixStream::pair().unwrap();
    for socket in [&one, &two] {
        set_socket_send_buffer_size(socket, 1).unwrap();
        set_socket_recv_buffer_size(socket, 1).unwrap();
    }
    (one, two)
}

/// Makes calls of every kind over a connection that passes on pieces of these sizes.
fn converse(limits: &Limits, bytes: usize, sizes: impl Fn() -> usize + Sync) {
    let (ours, near) = small();
    let (far, theirs) = small();
    let server = LabServer::new();
    let serving = Connection::builder().limits(limits.clone()).serve(server.client());
    let serving = serving.start(theirs).unwrap();
    let calling = Connection::builder().limits(limits.clone()).start(ours).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| pass_on(&near, &far, &sizes));
        scope.spawn(|| pass_on(&far, &near, &sizes));
        let lab: LabClient = calling.bootstrap().unwrap();
        for round in 0..3 {
            let started: Vec<_> = (0..10).map(|i| lab.add(round, i).start()).collect();
            assert_eq!(block_on(lab.add_inline(round, 1)).unwrap(), round + 1);
            let callback = Relay::client(|lab, depth| lab.unwrap().add(depth, 10).wait());
            assert_eq!(lab.call_back(callback, 5).wait().unwrap(), 15);
            let data: Vec<u8> = (0..bytes).map(|place| (place % 251) as u8).collect();
            assert!(lab.bytes(data.clone()).wait().unwrap() == data);
            for (i, call) in (0..).zip(started) {
                assert_eq!(call.wait().unwrap(), round + i);
            }
        }
        calling.disconnect();
        serving.disconnect();
    });
}

fn both_ways_of_reading(converse: impl Fn(&Limits)) {
    let other = pair();
    for callers_read in [true, false] {
        converse(&Limits::default().callers_read(callers_read));
    }
    other.assert_alive();
}

#[test]
fn one_byte_at_a_time() {
    both_ways_of_reading(|limits| converse(limits, 5_000, || 1));
}

#[test]
fn pieces_of_a_few_bytes() {
    both_ways_of_reading(|limits| converse(limits, 50_000, || 7));
}

/// Messages that are longer than the buffers of the sockets.
#[test]
fn pieces_of_all_sizes() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let state = AtomicUsize::new(1);
    let sizes = || {
        let before = state.load(Ordering::Relaxed);
        let next = before.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.store(next, Ordering::Relaxed);
        1 + (next >> 40) % 20_000
    };
    both_ways_of_reading(|limits| converse(limits, 2_000_000, sizes));
}
