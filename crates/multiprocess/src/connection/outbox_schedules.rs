//! The outbox: who waits for room goes on when there is some or will be none, and one thread writes at a
//! time. The sockets are real, and never waited for.

use std::future::poll_fn;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::Poll;

use super::{Flushed, Outbox};
use crate::connection::batch::Batch;
use crate::sync::{explore, thread};
use capnp_engine::{Heap, new_message};

/// A batch of one message, all of whose data is `byte`.
fn batch(byte: u8, bytes: usize) -> Batch {
    let mut message = new_message(&Heap, 16);
    message.set_root::<capnp::data::Owned>(&vec![byte; bytes][..]).unwrap();
    let mut batch = Batch::default();
    batch.push(message);
    batch
}

/// Two threads and a task wait for room, while `end` makes some or ends it all.
fn waits_end(end: impl FnOnce(&Outbox)) {
    let outbox = Arc::new(Outbox::default());
    outbox.add(&mut batch(7, 64));
    let waiter = |_| {
        let outbox = Arc::clone(&outbox);
        thread::spawn(move || outbox.wait_for_room(0))
    };
    let waiting: Vec<_> = (0..2).map(waiter).collect();
    let of_task = Arc::clone(&outbox);
    let task = thread::spawn(move || {
        shuttle::future::block_on(poll_fn(|cx| match of_task.has_room_or_wakes(0, cx.waker()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }));
    });
    end(&outbox);
    for thread in waiting.into_iter().chain([task]) {
        thread.join().unwrap();
    }
    assert!(!outbox.is_beyond(0));
}

#[test]
fn a_close_ends_every_wait_for_room() {
    explore(|| waits_end(|outbox| outbox.close()));
}

#[test]
fn a_write_ends_every_wait_for_room() {
    explore(|| {
        waits_end(|outbox| {
            let (ours, _theirs) = UnixStream::pair().unwrap();
            assert!(matches!(outbox.flush(&OwnedFd::from(ours)), Ok(Flushed::Done)));
        });
    });
}

#[test]
fn a_write_that_fails_ends_every_wait_for_room() {
    explore(|| {
        waits_end(|outbox| {
            let (ours, theirs) = UnixStream::pair().unwrap();
            drop(theirs);
            assert!(outbox.flush(&OwnedFd::from(ours)).is_err());
        });
    });
}

/// Also where the socket is full in between, and two threads, as the driver and a reader, go on as soon as there
/// is room.
#[test]
fn each_message_is_written_once_and_whole() {
    const BYTES: usize = 6_000;
    explore(|| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        // The least that the kernel allows.
        rustix::net::sockopt::set_socket_send_buffer_size(&ours, 1).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let (ours, outbox) = (Arc::new(OwnedFd::from(ours)), Arc::new(Outbox::default()));
        let one = batch(1, BYTES).len();
        let writers: Vec<_> = [1, 2]
            .into_iter()
            .map(|byte| {
                let (ours, outbox) = (Arc::clone(&ours), Arc::clone(&outbox));
                thread::spawn(move || {
                    outbox.add(&mut batch(byte, BYTES));
                    outbox.flush(&ours).unwrap();
                    while outbox.is_beyond(0) {
                        thread::yield_now();
                        outbox.resume(&ours).unwrap();
                    }
                })
            })
            .collect();
        let mut bytes = Vec::new();
        while bytes.len() < 2 * one {
            thread::yield_now();
            let mut part = [0; 1 << 14];
            let count = theirs.read(&mut part).unwrap_or(0);
            bytes.extend_from_slice(&part[..count]);
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let data = |message: &[u8]| message[one - BYTES..].to_vec();
        let mut messages = [data(&bytes[..one]), data(&bytes[one..])];
        messages.sort();
        assert!(messages == [vec![1; BYTES], vec![2; BYTES]], "the bytes of two messages mixed");
        assert_eq!(outbox.unsent(), 0);
    });
}
