//! A thread made for a peer's calls.

use std::sync::{Arc, Once};

use super::answering::Batch;
use super::inbox::{Inbox, Next, adopt};
use crate::connection::{IdleLead, Parker, WeakConn};

/// One server thread. Started by its first call, ended when the peer lets it go.
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
        self.inbox.let_go();
    }
}

/// Runs the calls of an inbox. While there are none it reads the socket of the connection that the
/// last one came from: the next is likely to come from there, and is then run at once.
fn serve(inbox: Arc<Inbox>) {
    adopt(Arc::clone(&inbox));
    let mut lead: Option<IdleLead> = None;
    let mut last = WeakConn::new();
    let mut batch = Batch::default();
    let ready = || !inbox.is_empty() || inbox.is_let_go();
    loop {
        match inbox.next() {
            Next::Call(task, more) => {
                drop(lead.take());
                last = task.connection();
                batch.run(task, more);
                continue;
            }
            Next::End => return,
            Next::Wait => {}
        }
        if lead.is_none() {
            lead = IdleLead::take(&last, inbox.parker());
        }
        match &lead {
            None => {
                inbox.parker().drop_wake_fd();
                Parker::park(None);
            }
            Some(leads) if leads.wait(inbox.parker(), None, ready, || !inbox.is_empty()) => {}
            Some(_) => {
                // Taken by a caller of this side, or the connection has ended: the driver wakes
                // this thread from now on.
                lead = None;
                last = WeakConn::new();
            }
        }
    }
}
