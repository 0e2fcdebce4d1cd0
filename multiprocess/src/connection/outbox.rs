//! The bytes of one connection on their way out.
//!
//! Messages are added under the connection's lock, so in the engine's order; they are written
//! outside it by whichever thread comes first, one write for all that is there. While the socket
//! is full the driver thread waits for it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::net::{SendFlags, send};

#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// A thread is writing, or the driver waits until the socket has room.
    busy: bool,
    closed: bool,
}

/// How far a flush came.
pub(super) enum Flushed {
    /// All is written, or another thread is at it.
    Done,
    /// The socket is full: call [`Outbox::resume`] when it has room.
    Full,
}

impl Outbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what `write` appends. Returns how many bytes wait now.
    pub(super) fn add(&self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let mut state = self.state();
        if !state.closed {
            write(&mut state.bytes);
        }
        state.bytes.len()
    }

    /// Writes what is there, unless another thread does.
    pub(super) fn flush(&self, socket: &OwnedFd) -> io::Result<Flushed> {
        let mut state = self.state();
        if state.busy || state.bytes.is_empty() {
            return Ok(Flushed::Done);
        }
        state.busy = true;
        self.write_all(state, socket.as_fd())
    }

    /// Goes on after [`Flushed::Full`].
    pub(super) fn resume(&self, socket: &OwnedFd) -> io::Result<Flushed> {
        self.write_all(self.state(), socket.as_fd())
    }

    fn write_all<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        socket: BorrowedFd<'_>,
    ) -> io::Result<Flushed> {
        loop {
            let mut bytes = std::mem::take(&mut state.bytes);
            if bytes.is_empty() || state.closed {
                state.busy = false;
                return Ok(Flushed::Done);
            }
            drop(state);
            let written = write(socket, &bytes);
            state = self.state();
            match written {
                Ok(count) if count == bytes.len() => {
                    // Reuse the allocation, unless a long message made it.
                    if state.bytes.is_empty() && bytes.capacity() <= 256 << 10 {
                        bytes.clear();
                        state.bytes = bytes;
                    }
                }
                Ok(count) => {
                    bytes.drain(..count);
                    bytes.append(&mut state.bytes);
                    state.bytes = bytes;
                    return Ok(Flushed::Full);
                }
                Err(error) => {
                    state.closed = true;
                    state.busy = false;
                    state.bytes = Vec::new();
                    return Err(error);
                }
            }
        }
    }

    /// Drops what is not written and lets nothing more in.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.bytes = Vec::new();
    }
}

/// Writes until all is gone or the socket is full. Returns how much went. Never raises SIGPIPE.
fn write(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match send(socket, &bytes[written..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(count) => written += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error)
                if error == rustix::io::Errno::AGAIN || error == rustix::io::Errno::WOULDBLOCK =>
            {
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(written)
}
