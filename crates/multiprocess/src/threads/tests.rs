//! Threads count for their connection as long as they run, also where it has ended.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::budget::ThreadBudget;
use super::serial::{SerialExecutor, Start};
use super::task::{RunCall, Task};
use super::worker::Worker;
use crate::Error;
use crate::connection::WeakConn;

/// A method that goes on until it is let go.
struct Stays(mpsc::Receiver<()>);

impl RunCall for Stays {
    fn run(self: Box<Self>) {
        let _ = self.0.recv();
    }

    fn refuse(self: Box<Self>, _: Error) {}

    fn connection(&self) -> WeakConn {
        WeakConn::new()
    }
}

fn assert_free_in_time(budget: &Arc<ThreadBudget>) {
    let end = Instant::now() + Duration::from_secs(20);
    while budget.claim(1).is_err() {
        assert!(Instant::now() < end, "it counts still");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Otherwise a peer that comes again and again would have as many threads as it likes.
#[test]
fn a_thread_counts_as_long_as_its_method_runs() {
    let budget = ThreadBudget::new(1);
    let worker = Worker::new("stays".to_owned(), budget.claim(1).unwrap());
    let (go, stays) = mpsc::channel();
    let inbox = worker.inbox().unwrap();
    assert!(inbox.push(Task::new(Box::new(Stays(stays)))));
    inbox.parker().wake();
    // The peer and its connection are gone.
    drop((worker, inbox));
    assert!(budget.claim(1).is_err());
    drop(go);
    assert_free_in_time(&budget);
}

/// The same for those of a pool that the peer asked for.
#[test]
fn a_pools_threads_count_as_long_as_a_method_runs() {
    let budget = ThreadBudget::new(2);
    let pool = SerialExecutor::claimed(2, &budget).unwrap();
    let (go, stays) = mpsc::channel();
    let start = pool.push(Task::new(Box::new(Stays(stays))));
    assert!(matches!(start, Start::Thread));
    pool.start();
    assert!(budget.claim(1).is_err());
    drop(go);
    assert_free_in_time(&budget);
}
