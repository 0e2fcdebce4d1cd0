//! The messages of one connection on their way out.
//!
//! They are added under the connection's lock, so in the protocol's order. They are written outside of
//! that lock by one thread at a time, whichever comes first, with one write for all that has been added.
//! While the socket is full, the thread that reads it (see [`reading`](super::reading)) waits for room
//! as well.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};

use super::batch::Batch;
use crate::panics::run_hook;
use crate::sync::{Condvar, Mutex, MutexGuard};

#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// How many bytes are unsent, for who looks without the lock.
    unsent: AtomicUsize,
    /// Something was written, or nothing will be any more: wakes those who wait for room, if there are any,
    /// because a wake is a system call.
    progress: Condvar,
}

#[derive(Default)]
struct State {
    batch: Batch,
    /// A thread is writing, or the socket is full.
    busy: bool,
    /// The socket is full: whoever sees first that it has room again goes on writing.
    full: bool,
    /// How many bytes the thread that writes has taken out of `batch`: they count as unsent, too.
    writing: usize,
    /// How many bytes were ever written.
    written: u64,
    closed: bool,
    /// How many threads wait for room.
    waiting: usize,
    /// Tasks that wait for room, and with how many unsent bytes there is some.
    tasks: Vec<(usize, Waker)>,
}

impl State {
    fn unsent(&self) -> usize {
        self.batch.len() + self.writing
    }

    fn has_room(&self, limit: usize) -> bool {
        self.closed || self.unsent() <= limit
    }

    /// The tasks that have room now, to be woken outside the lock.
    fn take_tasks(&mut self) -> Vec<(usize, Waker)> {
        if self.tasks.is_empty() {
            return Vec::new();
        }
        let tasks = std::mem::take(&mut self.tasks);
        let (ready, waiting) = tasks.into_iter().partition(|(limit, _)| self.has_room(*limit));
        self.tasks = waiting;
        ready
    }
}

/// How far a flush came.
pub(super) enum Flushed {
    /// All is written, or another thread is writing.
    Done,
    /// The socket is full: call [`Outbox::resume`] when it has room.
    Full,
}

impl Outbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what is in `batch`. Returns how many bytes are unsent now.
    pub(super) fn add(&self, batch: &mut Batch) -> usize {
        let mut state = self.state();
        if state.closed {
            *batch = Batch::default();
        } else {
            state.batch.append(batch);
        }
        self.note(&state)
    }

    fn note(&self, state: &State) -> usize {
        let unsent = state.unsent();
        self.unsent.store(unsent, Ordering::Relaxed);
        unsent
    }

    fn wake_waiting(&self, state: &State) {
        if state.waiting > 0 {
            self.progress.notify_all();
        }
    }

    /// How many bytes are unsent.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }

    /// Whether more bytes than this are unsent.
    pub(super) fn is_beyond(&self, limit: usize) -> bool {
        self.unsent.load(Ordering::Relaxed) > limit
    }

    /// Blocks until no more bytes than this are unsent, or nothing will be written any more.
    pub(super) fn wait_for_room(&self, limit: usize) {
        let full = |state: &mut State| !state.has_room(limit);
        let mut state = self.state();
        state.waiting += 1;
        let mut state =
            self.progress.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
    }

    /// Whether no more bytes than this are unsent, or nothing will be written any more. If not, `task` is
    /// woken when that is so.
    pub(super) fn has_room_or_wakes(&self, limit: usize, task: &Waker) -> bool {
        let mut state = self.state();
        if state.has_room(limit) {
            return true;
        }
        if !state.tasks.iter().any(|(_, known)| known.will_wake(task)) {
            state.tasks.push((limit, task.clone()));
        }
        false
    }

    /// How many bytes were ever written, if some wait because the socket is full.
    pub(super) fn written_if_full(&self) -> Option<u64> {
        let state = self.state();
        (state.full && !state.closed).then_some(state.written)
    }

    /// Writes all that waits, unless another thread is writing.
    pub(super) fn flush(&self, socket: &OwnedFd) -> io::Result<Flushed> {
        let mut state = self.state();
        if state.busy || state.batch.is_empty() {
            return Ok(Flushed::Done);
        }
        state.busy = true;
        self.write_all(state, socket.as_fd())
    }

    /// Goes on after [`Flushed::Full`]. The driver and a thread with the reader role may both have seen
    /// that there is room. Only the first of them goes on, or their bytes would mix.
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
            // Takes what was added meanwhile, and leaves the empty batch in its place for its memory.
            if batch.is_empty() && !state.batch.is_empty() {
                std::mem::swap(&mut batch, &mut state.batch);
            }
            if batch.is_empty() || state.closed {
                // The empty batch goes back, for its memory.
                state.batch = batch;
                state.busy = false;
                state.writing = 0;
                return Ok(Flushed::Done);
            }
            state.writing = batch.len();
            drop(state);
            let before = batch.len();
            let written = write(socket, &mut batch);
            let gone = before - batch.len();
            state = self.state();
            state.written += gone as u64;
            state.writing = batch.len();
            self.note(&state);
            if gone > 0 {
                self.wake_waiting(&state);
                let tasks = state.take_tasks();
                if !tasks.is_empty() {
                    // Still busy, so that nobody else writes meanwhile.
                    drop(state);
                    wake(tasks);
                    state = self.state();
                }
            }
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
                    self.note(&state);
                    self.wake_waiting(&state);
                    let tasks = state.take_tasks();
                    drop(state);
                    wake(tasks);
                    return Err(error);
                }
            }
        }
    }

    /// Drops what is not written, and all that is added later.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.batch = Batch::default();
        self.note(&state);
        self.wake_waiting(&state);
        let tasks = state.take_tasks();
        drop(state);
        wake(tasks);
    }
}

fn wake(tasks: Vec<(usize, Waker)>) {
    for (_, task) in tasks {
        run_hook("a waker", || task.wake());
    }
}

/// Writes until the batch is empty or the socket is full. Whether it is empty. Never raises SIGPIPE.
fn write(socket: BorrowedFd<'_>, batch: &mut Batch) -> io::Result<bool> {
    #[cfg(not(target_vendor = "apple"))]
    const FLAGS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);
    // Apple's systems have no such flag: the socket itself has that as an option (`Conn::start`).
    #[cfg(target_vendor = "apple")]
    const FLAGS: SendFlags = SendFlags::DONTWAIT;
    while !batch.is_empty() {
        let sent = match batch.as_one() {
            Some(bytes) => send(socket, bytes, FLAGS),
            None => send_slices(socket, batch, FLAGS),
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

/// Writes once, with the descriptors that go with what is written.
fn send_slices(
    socket: BorrowedFd<'_>,
    batch: &Batch,
    flags: SendFlags,
) -> rustix::io::Result<usize> {
    let descriptors = batch.descriptors();
    if descriptors.is_empty() {
        return sendmsg(socket, &batch.slices(), &mut SendAncillaryBuffer::default(), flags);
    }
    let descriptors: Vec<_> = descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
    let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(descriptors.len()))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &batch.slices(), &mut control, flags)
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

    /// The driver and a reader both see that there is room: the second must not write between the bytes
    /// of the first.
    #[test]
    fn only_one_goes_on_when_there_is_room() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let ours = OwnedFd::from(ours);
        let outbox = Outbox::default();
        outbox.add(&mut batch(1 << 22));
        assert!(matches!(outbox.flush(&ours), Ok(Flushed::Full)));
        // The first is in the middle of its write, and has taken all that waited.
        outbox.state().full = false;
        let _taken = std::mem::take(&mut outbox.state().batch);
        let waiting = outbox.add(&mut batch(10));
        assert!(matches!(outbox.resume(&ours), Ok(Flushed::Done)));
        let state = outbox.state();
        assert!(state.busy && state.batch.len() + state.writing == waiting);
    }
}

#[cfg(all(test, shuttle))]
#[path = "outbox_schedules.rs"]
mod schedules;
