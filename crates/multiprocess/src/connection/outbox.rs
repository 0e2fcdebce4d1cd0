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
    /// How often the system did not take the descriptors of the next message.
    refused: u32,
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

    /// Puts back what was not written, before what was added meanwhile. False if it was closed meanwhile: then it is
    /// dropped.
    fn put_back(&mut self, mut rest: Batch) -> bool {
        self.writing = 0;
        if self.closed {
            self.busy = false;
            return false;
        }
        rest.append(&mut self.batch);
        self.batch = rest;
        true
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
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// All is written, or another thread is writing.
    Done,
    /// The socket is full: call [`Outbox::resume`] when it has room.
    Full,
    /// The system does not take the file descriptors of the next message now: call [`Outbox::resume`] in a while.
    Later,
}

/// How far one write came.
enum Written {
    All,
    Full,
    Later,
}

/// How often a message with file descriptors is tried before it is sent without them.
const TRIES: u32 = 50;

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
            let enough = state.refused >= TRIES;
            drop(state);
            if enough {
                without_descriptors(&mut batch, Errno::TOOMANYREFS);
            }
            let before = batch.len();
            let written = write(socket, &mut batch);
            let gone = before - batch.len();
            state = self.state();
            state.written += gone as u64;
            state.writing = batch.len();
            self.note(&state);
            if gone > 0 {
                state.refused = 0;
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
                Ok(Written::All) => {}
                Ok(written) => {
                    if !state.put_back(batch) {
                        return Ok(Flushed::Done);
                    }
                    state.full = true;
                    if matches!(written, Written::Later) {
                        state.refused += 1;
                        return Ok(Flushed::Later);
                    }
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

/// Writes until the batch is empty or the system takes no more now. Never raises SIGPIPE.
fn write(socket: BorrowedFd<'_>, batch: &mut Batch) -> io::Result<Written> {
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
            Err(error) if error == Errno::AGAIN || error == Errno::WOULDBLOCK => {
                return Ok(Written::Full);
            }
            Err(error) if batch.descriptors().is_empty() => return Err(error.into()),
            // So many of this user's are in sockets and not received yet, of all his processes together, that there
            // may be no more.
            Err(Errno::TOOMANYREFS) => return Ok(Written::Later),
            // The kind of one of them cannot be sent (io_uring), or the other side has the kernel refuse all.
            Err(error @ (Errno::INVAL | Errno::PERM)) => {
                without_descriptors(batch, error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Written::All)
}

/// Has the next message sent without its descriptors, so that only the call that needs them fails, over there.
fn without_descriptors(batch: &mut Batch, error: Errno) {
    let count = batch.descriptors().len();
    if count > 0 {
        batch.forget_descriptors();
        tracing::warn!("{count} file descriptors were not sent with their message: {error}");
    }
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
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use rustix::process::{Resource, getrlimit, setrlimit};

    use super::{Batch, Flushed, Outbox, State, TRIES};
    use crate::process::receive;
    use capnp_engine::{Carrying, Descriptor, Heap, new_message};

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

    /// What could not be written when `close` has run is dropped, and not kept until the last handle goes.
    #[test]
    fn nothing_is_put_back_when_it_is_closed() {
        let mut state = State { busy: true, writing: 100, closed: true, ..State::default() };
        assert!(!state.put_back(batch(100)));
        assert!(state.batch.is_empty() && !state.busy && state.unsent() == 0);
        let mut state = State { batch: batch(10), ..State::default() };
        assert!(state.put_back(batch(100)));
        assert!(state.unsent() > 110);
    }

    /// A message with so many descriptors of one file.
    fn carrying(count: usize) -> Batch {
        let mut message = new_message(&Heap, 16);
        message.set_root::<capnp::data::Owned>(&[7; 10][..]).unwrap();
        let file = Arc::new(Descriptor::from(OwnedFd::from(std::io::pipe().unwrap().0)));
        let mut batch = Batch::default();
        batch.push_with(Carrying { message, descriptors: vec![file; count] });
        batch
    }

    /// How many bytes and descriptors are in a socket.
    fn received(socket: &UnixStream) -> (usize, usize) {
        let (mut bytes, mut descriptors) = (Vec::new(), 0);
        socket.set_nonblocking(true).unwrap();
        loop {
            bytes.reserve(1 << 16);
            match receive(socket.as_fd(), &mut bytes) {
                Ok(received) => descriptors += received.descriptors.len(),
                Err(_) => return (bytes.len(), descriptors),
            }
        }
    }

    /// Those that the system refuses for good: here they are too many. Their message goes without them.
    #[test]
    fn a_message_goes_without_descriptors_that_cannot_be_sent() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (ours, outbox) = (OwnedFd::from(ours), Outbox::default());
        let one = carrying(1).len();
        for count in [1_000, 2, 1_000] {
            outbox.add(&mut carrying(count));
        }
        assert_eq!(outbox.flush(&ours).unwrap(), Flushed::Done);
        assert_eq!(received(&theirs), (3 * one, 2));
        assert_eq!(outbox.unsent(), 0);
    }

    /// A user may have only so many in sockets, and root as many as he likes. So this is a process of its own.
    #[cfg(target_os = "linux")]
    #[test]
    fn descriptors_wait_while_too_many_are_on_their_way() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["connection::outbox::tests::helper_sends_too_many", "--exact", "--nocapture"])
            .env("MP_TEST_SENDS", "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("all were sent"), "{output:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn helper_sends_too_many() {
        if std::env::var_os("MP_TEST_SENDS").is_none() {
            return;
        }
        if rustix::process::geteuid().is_root() {
            let other = rustix::process::Uid::from_raw(65_532);
            rustix::thread::set_thread_res_uid(other, other, other).unwrap();
        }
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = Some(64);
        setrlimit(Resource::Nofile, limit).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (ours, outbox) = (OwnedFd::from(ours), Outbox::default());
        let one = carrying(1).len();
        let fill = || {
            let mut sent = 0;
            loop {
                outbox.add(&mut carrying(1));
                match outbox.flush(&ours).unwrap() {
                    Flushed::Done => sent += 1,
                    Flushed::Later => return sent,
                    Flushed::Full => panic!("the socket is full"),
                }
            }
        };
        let sent = fill();
        assert_eq!(outbox.resume(&ours).unwrap(), Flushed::Later, "there are as many as before");
        // Others' messages wait behind it, in their order.
        outbox.add(&mut batch(10));
        assert_eq!(outbox.flush(&ours).unwrap(), Flushed::Done);
        assert_eq!(outbox.unsent(), one + batch(10).len());
        assert_eq!(received(&theirs), (sent * one, sent));
        assert_eq!(outbox.resume(&ours).unwrap(), Flushed::Done);
        assert_eq!(received(&theirs), (one + batch(10).len(), 1));
        // Nobody receives any.
        let sent = fill();
        for _ in 1..TRIES {
            assert_eq!(outbox.resume(&ours).unwrap(), Flushed::Later);
        }
        assert_eq!(outbox.resume(&ours).unwrap(), Flushed::Done);
        assert_eq!(received(&theirs), ((sent + 1) * one, sent));
        println!("all were sent");
    }
}

#[cfg(all(test, shuttle))]
#[path = "outbox_schedules.rs"]
mod schedules;
