//! A thread made for a peer's calls.

use std::sync::{Arc, Once};

use super::inbox::{Inbox, adopt};

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
        self.inbox.close();
    }
}

fn serve(inbox: Arc<Inbox>) {
    adopt(Arc::clone(&inbox));
    loop {
        if let Some(task) = inbox.pop() {
            task.run();
        } else if inbox.is_closed() {
            return;
        } else {
            Inbox::park(None);
        }
    }
}
