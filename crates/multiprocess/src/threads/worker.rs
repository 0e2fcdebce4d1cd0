//! A thread made for a peer's calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::answering::Batch;
use super::budget::ThreadClaim;
use super::inbox::{Inbox, Next, adopt};
use crate::connection::{IdleReader, Parker, WeakConn};
use crate::{Result, thread_start};

/// One server thread. It starts with its first call, and ends when the peer releases it.
pub(crate) struct Worker {
    inbox: Arc<Inbox>,
    started: AtomicBool,
    /// Counts it until the peer has released it and it has ended: a method may go on after the connection.
    claim: Arc<ThreadClaim>,
}

impl Worker {
    pub(crate) fn new(name: String, claim: ThreadClaim) -> Worker {
        let (inbox, started) = (Arc::new(Inbox::new(name)), AtomicBool::new(false));
        Worker { inbox, started, claim: Arc::new(claim) }
    }

    /// The thread's inbox; the thread runs from now on. Called under the lock of its connection.
    ///
    /// # Errors
    /// No thread could be had. The next call of this tries again.
    pub(crate) fn inbox(&self) -> Result<Arc<Inbox>> {
        if !self.started.load(Ordering::Relaxed) {
            let (inbox, claim) = (Arc::clone(&self.inbox), Arc::clone(&self.claim));
            let run = move || {
                serve(inbox);
                drop(claim);
            };
            thread_start::start(self.inbox.name(), run)?;
            self.started.store(true, Ordering::Relaxed);
        }
        Ok(Arc::clone(&self.inbox))
    }

    /// The calls that wait for the thread.
    pub(crate) fn queue(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    pub(crate) fn name(&self) -> &str {
        self.inbox.name()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.inbox.release();
    }
}

/// Runs the calls of an inbox. While there are none, it reads the socket of the connection that the last
/// call came from: the next one is likely to come from there too, and is then run without a wake.
fn serve(inbox: Arc<Inbox>) {
    adopt(Arc::clone(&inbox));
    let mut reader: Option<IdleReader> = None;
    let mut last = WeakConn::new();
    let mut batch = Batch::default();
    let ready = || !inbox.is_empty() || inbox.is_released();
    loop {
        match inbox.next() {
            Next::Call(task, more) => {
                drop(reader.take());
                last = task.connection();
                batch.run(task, more);
                continue;
            }
            Next::End => return,
            Next::Wait => {}
        }
        if reader.is_none() {
            reader = IdleReader::acquire(&last, inbox.parker());
        }
        match &reader {
            None => {
                inbox.parker().drop_wake_fd();
                Parker::park(None);
            }
            Some(active) if active.wait(inbox.parker(), None, ready, || !inbox.is_empty()) => {}
            Some(_) => {
                // A caller of this process has taken the reader role, what was read was for other
                // threads, or the connection has ended. Whoever reads now wakes this thread.
                reader = None;
                last = WeakConn::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::super::budget::ThreadBudget;
    use super::super::task::{RunCall, Task};
    use super::Worker;
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
        let end = Instant::now() + Duration::from_secs(20);
        while budget.claim(1).is_err() {
            assert!(Instant::now() < end, "it counts still");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
