//! Who waits for the socket of a connection: the driver, or the thread with the reader role.

use super::reader::ReaderRole;

/// Who waits for the socket: to read it, and to write to it where it was full.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) role: ReaderRole,
    /// The socket is full, and output waits until it has room.
    pub(super) write: bool,
    /// The thread with the reader role waits for that, instead of the driver.
    pub(super) reader_writes: bool,
}

impl Watch {
    /// Whether the driver watches the socket for input, and for room to write.
    pub(super) fn by_driver(&self) -> (bool, bool) {
        (self.role.driver_reads(), self.write && !self.reader_writes)
    }
}
