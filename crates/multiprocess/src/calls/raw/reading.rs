//! A task of an executor that reads a connection.

use std::fmt;
use std::os::fd::OwnedFd;

use crate::calls::connection::Connection;
use crate::connection;
pub use crate::connection::TaskRead;
use crate::threads::this_inbox;

/// Reads a connection's socket in a task, instead of on a thread of the runtime. Calls that threads wait for
/// read themselves, as ever.
pub struct TaskReader(connection::TaskReader);

impl TaskReader {
    /// For a task of this thread.
    pub fn new(connection: &Connection) -> TaskReader {
        TaskReader(connection::TaskReader::new(connection.conn(), this_inbox().parker()))
    }

    /// The socket, to wait until it can be read. Nothing else may be done with it.
    pub fn socket(&self) -> &OwnedFd {
        self.0.socket()
    }

    /// To be called before each wait: the runtime's own thread does not read then. Returns false when the
    /// connection has ended.
    pub fn acquire(&self) -> bool {
        self.0.acquire()
    }

    /// Reads once, does not block, and does what the messages are for.
    pub fn read(&self) -> TaskRead {
        self.0.read()
    }
}

impl fmt::Debug for TaskReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskReader(..)")
    }
}
