//! The messages of one connection on their way out.
//!
//! They are added under the connection's lock, so in the protocol's order; they are written outside
//! it by whichever thread comes first, one write for all that is there. While the socket is full
//! whoever reads it waits for room as well: a leader, or else the driver thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use super::batch::Batch;

#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    batch: Batch,
    /// A thread is writing, or the socket is full.
    busy: bool,
    /// It is full: whoever sees first that it has room again goes on.
    full: bool,
    /// What of that is not written, so that the bound holds for it too.
    writing: usize,
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

    /// Takes over what is in `batch`. Returns how many bytes wait now.
    pub(super) fn add(&self, batch: &mut Batch) -> usize {
        let mut state = self.state();
        if state.closed {
            *batch = Batch::default();
        } else {
            state.batch.append(batch);
        }
        state.batch.len() + state.writing
    }

    /// Writes what is there, unless another thread does.
    pub(super) fn flush(&self, socket: &OwnedFd) -> io::Result<Flushed> {
        let mut state = self.state();
        if state.busy || state.batch.is_empty() {
            return Ok(Flushed::Done);
        }
        state.busy = true;
        self.write_all(state, socket.as_fd())
    }

    /// Goes on after [`Flushed::Full`]. The driver and a leader may both have seen that there is room:
    /// only the first of them goes on, or their bytes would mix.
    pub(super) fn resume(&self, socket: &OwnedFd) -> io::Result<Flushed> {
        let mut state = self.state();
        if !std::mem::take(&mut state.full) {
            return Ok(Flushed::Done);
        }
        self.write_all(state, socket.as_fd())
    }

    fn write_all<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        socket: BorrowedFd<'_>,
    ) -> io::Result<Flushed> {
        let mut batch = Batch::default();
        loop {
            // What came meanwhile goes behind what is left. An empty batch takes the other's place,
            // so that their memory is used in turn.
            if batch.is_empty() {
                std::mem::swap(&mut batch, &mut state.batch);
            }
            if batch.is_empty() || state.closed {
                // With the memory that it has, to be filled again.
                state.batch = batch;
                state.busy = false;
                state.writing = 0;
                return Ok(Flushed::Done);
            }
            state.writing = batch.len();
            drop(state);
            let written = write(socket, &mut batch);
            state = self.state();
            match written {
                Ok(true) => {}
                Ok(false) => {
                    let mut later = std::mem::replace(&mut state.batch, batch);
                    state.batch.append(&mut later);
                    state.writing = 0;
                    state.full = true;
                    return Ok(Flushed::Full);
                }
                Err(error) => {
                    state.closed = true;
                    state.busy = false;
                    state.writing = 0;
                    state.batch = Batch::default();
                    return Err(error);
                }
            }
        }
    }

    /// Drops what is not written and lets nothing more in.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.batch = Batch::default();
    }
}

/// Writes until all is gone or the socket is full. Whether all is gone. Never raises SIGPIPE.
fn write(socket: BorrowedFd<'_>, batch: &mut Batch) -> io::Result<bool> {
    const FLAGS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);
    while !batch.is_empty() {
        let sent = match batch.as_one() {
            Some(bytes) => send(socket, bytes, FLAGS),
            None => sendmsg(socket, &batch.slices(), &mut SendAncillaryBuffer::default(), FLAGS),
        };
        match sent {
            Ok(count) => batch.advance(count),
            Err(Errno::INTR) => {}
            Err(error) if error == Errno::AGAIN || error == Errno::WOULDBLOCK => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::{Batch, Flushed, Outbox};
    use capnp_engine::{Heap, new_message};

    fn batch(bytes: usize) -> Batch {
        let mut message = new_message(&Heap, 16);
        message.set_root::<capnp::data::Owned>(&vec![7; bytes][..]).unwrap();
        let mut batch = Batch::default();
        batch.push(message);
        batch
    }

    /// Both the driver and a leader were told that there is room: the second must not write between
    /// the bytes of the first.
    #[test]
    fn only_one_goes_on_when_there_is_room() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let ours = OwnedFd::from(ours);
        let outbox = Outbox::default();
        outbox.add(&mut batch(1 << 22));
        assert!(matches!(outbox.flush(&ours), Ok(Flushed::Full)));
        // The first is in the middle of its write: it has taken over all that there is.
        outbox.state().full = false;
        let _taken = std::mem::take(&mut outbox.state().batch);
        let waiting = outbox.add(&mut batch(10));
        assert!(matches!(outbox.resume(&ours), Ok(Flushed::Done)));
        let state = outbox.state();
        assert!(state.busy && state.batch.len() + state.writing == waiting);
    }
}
