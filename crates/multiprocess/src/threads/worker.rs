//! A thread made for a peer's calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::answering::Batch;
use super::budget::ThreadClaim;
use super::inbox::{Inbox, Next, adopt};
use crate::connection::{IdleReader, Parker, WeakConn};
use crate::forked::is_forked;
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
        if is_forked() {
            return; // The thread is the parent's, and so may be the lock.
        }
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
