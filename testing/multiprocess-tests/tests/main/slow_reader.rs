//! Answers wait for a peer that reads slowly, however many are ready at once, and of whatever methods.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use multiprocess::rt::Task;
use multiprocess::{Connection, Limits, Result};
use multiprocess_tests::generated::lab::{Lab, LabAsync, LabClient};
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::raw::{self, Answer, LAB, RawPeer};
use multiprocess_tests::{pair, wait_until};

const MIB: usize = 1 << 20;
/// More than twice what a connection with the limits of [`narrow`] may hold unsent.
const CALLS: usize = 24;

fn narrow() -> Limits {
    Limits::default().message(2 * MIB).call_bytes(4 * MIB).unsent(4 * MIB)
}

/// Answers with a MiB when all its calls run.
struct AtOnce {
    all: Barrier,
    ended: Arc<AtomicUsize>,
}

impl Lab for AtOnce {
    fn text(&self, _: String) -> Result<String> {
        self.all.wait();
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok("x".repeat(MIB))
    }
}

/// The same as futures, which the executor polls on one thread.
struct Futures(Arc<AtomicUsize>);

impl LabAsync for Futures {
    async fn text(&self, _: String) -> Result<String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok("x".repeat(MIB))
    }
}

/// A peer that makes many calls and reads the answers when all methods have ended.
fn reads_late(served: LabClient, ended: &AtomicUsize) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().limits(narrow()).serve(served).start(theirs).unwrap();
    let other = pair();
    let mut peer = RawPeer::new(ours);
    let (lab, threads) = peer.lab_with_threads(CALLS);
    let calls: Vec<_> = threads
        .iter()
        .map(|thread| {
            peer.call(lab, (LAB, 17), &[*thread], |content| {
                let mut params: lab::text_params::Builder<'_> = content.init_as();
                params.set_text("a MiB, please");
                params.init_context().set_thread(raw::cap());
            })
        })
        .collect();
    wait_until("all have ended", || ended.load(Ordering::SeqCst) == CALLS);
    other.assert_alive();
    for call in calls {
        match peer.wait(call) {
            Answer::Results(message) => assert!(message.size_in_words() * 8 > MIB),
            Answer::Exception(text) => panic!("{text}"),
        }
    }
    assert!(serving.is_connected());
}

#[test]
fn answers_that_are_ready_at_the_same_moment() {
    let ended = Arc::new(AtomicUsize::new(0));
    let lab = AtOnce { all: Barrier::new(CALLS), ended: Arc::clone(&ended) };
    reads_late(LabClient::new(lab), &ended);
}

#[test]
fn answers_of_futures() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let ended = Arc::new(AtomicUsize::new(0));
    let spawn = {
        let handle = runtime.handle().clone();
        move |task| drop(handle.spawn(task))
    };
    reads_late(LabClient::new_async(Futures(Arc::clone(&ended)), spawn), &ended);
}

/// The tasks that wait for room end with the connection.
#[test]
fn answers_of_futures_to_a_peer_that_goes_without_reading() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let ended = Arc::new(AtomicUsize::new(0));
    let tasks = Arc::new(AtomicUsize::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let spawn = {
        let (handle, tasks) = (runtime.handle().clone(), Arc::clone(&tasks));
        move |task: Task| {
            let tasks = Arc::clone(&tasks);
            tasks.fetch_add(1, Ordering::SeqCst);
            handle.spawn(async move {
                task.await;
                tasks.fetch_sub(1, Ordering::SeqCst);
            });
        }
    };
    let lab = LabClient::new_async(Futures(Arc::clone(&ended)), spawn);
    let serving = Connection::builder().limits(narrow()).serve(lab).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let (lab, threads) = peer.lab_with_threads(1);
    for _ in 0..CALLS {
        peer.call(lab, (LAB, 17), &threads, |content| {
            let mut params: lab::text_params::Builder<'_> = content.init_as();
            params.set_text("a MiB, please");
            params.init_context().set_thread(raw::cap());
        });
    }
    wait_until("all have ended", || ended.load(Ordering::SeqCst) == CALLS);
    assert!(tasks.load(Ordering::SeqCst) > 0 && serving.is_connected());
    drop(peer);
    wait_until("the tasks have ended", || tasks.load(Ordering::SeqCst) == 0);
}
