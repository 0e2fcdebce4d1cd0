//! Reading by a task: for an executor that waits for sockets itself, such as tokio's.
//!
//! The task has the reader role as an idle worker has it: a caller that waits takes it. From then on the
//! caller or the driver reads, until the task asks for the role again.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use super::conn::{ArcConn, WeakConn};
use super::parker::Parker;
use super::reader::{Acquired, Candidate, Release};
use super::socket::Socket;
use super::stream::Read;

/// A task that reads a connection's socket. It holds the connection weakly.
pub(crate) struct TaskReader {
    conn: WeakConn,
    socket: Arc<Socket>,
    /// Of the thread that made this, which is woken in vain when a caller takes the role.
    parker: Arc<Parker>,
    number: Cell<u64>,
}

/// What became of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskRead {
    /// There may be more to read.
    More,
    /// There is no more now.
    Nothing,
    /// The connection has ended.
    Over,
}

impl TaskReader {
    pub(crate) fn new(conn: &ArcConn, parker: &Arc<Parker>) -> TaskReader {
        let (socket, parker) = (Arc::clone(conn.socket()), Arc::clone(parker));
        TaskReader { conn: ArcConn::downgrade(conn), socket, parker, number: Cell::new(0) }
    }

    /// The socket, to wait until it can be read.
    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Asks for the role, where it does not have it. Returns false when the connection has ended.
    pub(crate) fn acquire(&self) -> bool {
        let Some(conn) = self.conn.upgrade().filter(|conn| !conn.is_closing()) else {
            return false;
        };
        if !conn.limits().callers_read {
            return true;
        }
        let number = self.number.get();
        let acquired = conn.with_role(|role| match role.is_held_by(number) {
            true => None,
            false => match role.acquire(Candidate::IdleWorker(&self.parker), Instant::now()) {
                Acquired::Reader(number, _) => Some(number),
                Acquired::Waits | Acquired::Refused => None,
            },
        });
        if let Some(Some(number)) = acquired {
            self.number.set(number);
        }
        true
    }

    /// Reads once, and takes in the messages that are complete then.
    pub(crate) fn read(&self) -> TaskRead {
        match self.conn.upgrade() {
            Some(conn) if !conn.is_closing() => match conn.read() {
                Read::Nothing => TaskRead::Nothing,
                Read::Incomplete | Read::Messages => TaskRead::More,
            },
            _ => TaskRead::Over,
        }
    }
}

impl Drop for TaskReader {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.upgrade() {
            conn.release_role(Release::Reader(self.number.get()));
        }
    }
}
