//! A thread made for a peer's calls.

use std::sync::{Arc, Once};

use super::answering::Batch;
use super::inbox::{Inbox, Next, adopt};
use crate::connection::{IdleReader, Parker, WeakConn};

/// One server thread. It starts with its first call, and ends when the peer releases it.
pub(crate) struct Worker {
    inbox: Arc<Inbox>,
    start: Once,
}

impl Worker {
    pub(crate) fn new(name: String) -> Worker {
        Worker { inbox: Arc::new(Inbox::new(name)), start: Once::new() }
    }

    /// The thread's inbox; the thread runs from now on.
    pub(crate) fn inbox(&self) -> Arc<Inbox> {
        self.start.call_once(|| {
            let inbox = Arc::clone(&self.inbox);
            // The system keeps 15 bytes of a name.
            let name: String = self.inbox.name().chars().filter(|c| *c != '\0').take(15).collect();
            let started = std::thread::Builder::new().name(name).spawn(move || serve(inbox));
            if let Err(error) = started {
                tracing::error!("cannot start a thread: {error}");
                self.inbox.close();
            }
        });
        Arc::clone(&self.inbox)
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
