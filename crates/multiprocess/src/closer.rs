//! Closes the file descriptors of one connection that nobody has need of any more: on a thread for that, which is
//! started when there are some.
//!
//! How long close(2) takes is the choice of who has sent the descriptor: that of a socket that lingers takes as long as
//! its option says, that of a file of a FUSE file system as long as its process likes. So it is done neither under a
//! lock nor on a thread that does anything else. One thread closes those of a connection, one after the other: a peer
//! that sends what cannot be closed has that thread and what waits behind it, and loses its connection.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use capnp_engine::{Close, Descriptor};

use crate::cleanup::{self, Cleanup};

/// While so many wait, nothing is read from the peer. A message may bring a few hundred at once.
const MOST: usize = 16;

pub(crate) struct Closer(Arc<Cleanup>);

impl Closer {
    pub(crate) fn new() -> Arc<Closer> {
        Arc::new(Closer(Cleanup::one_by_one()))
    }

    /// For sockets that get no connection. Several threads: one peer's must not keep others' from being closed.
    pub(crate) fn unconnected() -> &'static Closer {
        static UNCONNECTED: std::sync::OnceLock<Closer> = std::sync::OnceLock::new();
        UNCONNECTED.get_or_init(|| Closer(Cleanup::new()))
    }

    /// The descriptor as one that is closed here when it is dropped.
    pub(crate) fn owned(self: &Arc<Self>, descriptor: OwnedFd) -> Descriptor {
        Descriptor::new(descriptor, Arc::clone(self) as Arc<dyn Close>)
    }

    /// So many wait that no more may come.
    pub(crate) fn is_behind(&self) -> bool {
        self.0.waiting() >= MOST
    }

    /// Why no more may come ever, if that is so: for long none was closed.
    pub(crate) fn stuck(&self) -> Option<String> {
        let limit = cleanup::SLOW;
        self.0.is_stuck().then(|| {
            format!("it sent file descriptors of which none could be closed for {limit:?}")
        })
    }

    /// Runs `work`, which is quick, when all that wait are closed: now if there are none.
    pub(crate) fn after(&self, work: impl FnOnce() + Send + 'static) {
        match self.0.is_idle() {
            true => work(),
            false => self.0.run("what follows the closing of file descriptors", work),
        }
    }
}

impl Close for Closer {
    fn close(&self, descriptor: OwnedFd) {
        self.0.run("closing a file descriptor of a peer's", move || drop(descriptor));
    }
}
