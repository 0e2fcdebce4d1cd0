//! A thread of this process that a peer can name.

use std::sync::Arc;

use crate::threads::{Inbox, Worker};

/// A thread of this process that a peer can name.
pub(crate) enum ThreadServer {
    /// Made for the peer.
    Worker(Worker),
    /// A calling thread, on which the callbacks of its calls run.
    Caller(Arc<Inbox>),
    /// No thread in particular: callbacks of calls that no thread waits for.
    Pool,
}

impl ThreadServer {
    pub(super) fn name(&self) -> &str {
        match self {
            ThreadServer::Worker(worker) => worker.name(),
            ThreadServer::Caller(inbox) => inbox.name(),
            ThreadServer::Pool => "pool",
        }
    }
}
