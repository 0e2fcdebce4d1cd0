//! The socket of a connection: who watches it, how input is read and taken in, and how output is
//! written.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use capnp_engine::Incoming;
use rustix::io::Errno;

use super::batching::Writer;
use super::conn::{ArcConn, Conn};
use super::outbox::Flushed;
use super::reader::ReaderRole;
use super::watch::Watch;
use crate::Error;
use crate::driver::{Source, TimerId};
use crate::limits_met::Limit;

/// The outcome of one read of the socket.
#[derive(PartialEq, Eq)]
pub(super) enum Read {
    /// There was nothing to read, or the stream has ended.
    Nothing,
    /// No message became complete.
    Incomplete,
    /// At least one message was complete and was taken in.
    Messages,
}

impl Conn {
    /// Changes who waits for the socket, and tells the driver if that changes what it watches for.
    fn set_watch<R>(&self, change: impl FnOnce(&mut Watch) -> R) -> std::io::Result<R> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let before = watch.by_driver();
        let result = change(&mut watch);
        let after = watch.by_driver();
        if before != after && !self.is_closing() {
            // Under the lock, so that the driver gets the changes in their order.
            self.driver.watch(self.source, self.socket.as_fd(), after.0, after.1)?;
        }
        Ok(result)
    }

    /// Changes the reader role. None where the driver cannot watch the socket as that requires: the
    /// connection has ended then.
    pub(super) fn with_role<R>(
        self: &ArcConn,
        change: impl FnOnce(&mut ReaderRole) -> R,
    ) -> Option<R> {
        let change = |watch: &mut Watch| {
            let result = change(&mut watch.role);
            // Output that a reader leaves behind when it releases the role is the driver's to write.
            watch.reader_writes &= watch.role.is_held();
            result
        };
        match self.set_watch(change) {
            Ok(result) => Some(result),
            Err(error) => {
                self.end(Error::disconnected(format!("cannot watch the socket: {error}")));
                None
            }
        }
    }

    /// For the thread with the reader role, before it waits for the socket: whether it is to wait for
    /// room as well, and then to [go on writing](Self::resume_write).
    pub(super) fn reader_writes(self: &ArcConn) -> bool {
        // This is called before each wait, so the usual case takes no lock.
        self.full.load(Ordering::Acquire)
            && self
                .set_watch(|watch| {
                    watch.reader_writes = watch.write;
                    watch.write
                })
                .unwrap_or(false)
    }

    /// Goes on writing: the socket has room again. `reader`: the number of the reader that has seen it;
    /// none for the driver.
    pub(super) fn resume_write(self: &ArcConn, reader: Option<u64>) {
        // Before the outbox goes on: once it is empty, another thread may fill the socket again and set
        // these flags, and they must not be cleared after that.
        self.full.store(false, Ordering::Release);
        let _ = self.set_watch(|watch| (watch.write, watch.reader_writes) = (false, false));
        let flushed = self.outbox.resume(&self.socket);
        self.flushed(flushed, reader);
    }

    /// Leaves the output to the driver, which writes it soon, with what is added until then. If
    /// `waiting`, the number of bytes, is a write's worth, the calling thread writes.
    pub(super) fn flush_soon(self: &ArcConn, waiting: usize) {
        match self.batching.writer(waiting) {
            Writer::Driver => {}
            Writer::Caller => self.flush(),
            Writer::DriverOnRequest => {
                if !self.flush_wanted.swap(true, Ordering::AcqRel) {
                    self.driver.request_write(ArcConn::downgrade(self));
                }
            }
        }
    }

    /// Leaves the output to this thread's next answer. Should that not come soon, the driver writes it
    /// at its next tick.
    pub(super) fn flush_later(self: &ArcConn) {
        if self.with_role(|role| role.start_ticks()) == Some(true) {
            self.driver.start_ticks(ArcConn::downgrade(self));
        }
    }

    /// Writes the output that waits, unless another thread is writing.
    pub(crate) fn flush(self: &ArcConn) {
        let flushed = self.outbox.flush(&self.socket);
        self.flushed(flushed, None);
    }

    /// Deals with the outcome of a write. If the socket is full and the thread `reader` still has the
    /// role, that thread will wait for room; the driver will otherwise.
    fn flushed(self: &ArcConn, flushed: std::io::Result<Flushed>, reader: Option<u64>) {
        match flushed {
            Ok(Flushed::Done) => {}
            Ok(Flushed::Later) => self.resume_later(),
            Ok(Flushed::Full) => {
                self.full.store(true, Ordering::Release);
                self.watch_stall();
                let full = |watch: &mut Watch| {
                    watch.write = true;
                    watch.reader_writes |=
                        reader.is_some_and(|number| watch.role.is_held_by(number));
                };
                if let Err(error) = self.set_watch(full) {
                    self.end(Error::disconnected(format!("cannot watch the socket: {error}")));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                self.end_after_reading("the other side closed the connection".to_owned());
            }
            Err(error) => self.end_after_reading(format!("cannot write: {error}")),
        }
    }

    /// Goes on writing in a while. Nothing tells when the system takes file descriptors again.
    fn resume_later(self: &ArcConn) {
        const LATER: Duration = Duration::from_millis(20);
        let weak = Arc::downgrade(self);
        let resume = move || {
            if let Some(conn) = weak.upgrade() {
                conn.resume_write(None);
            }
        };
        self.driver.add_timer(Instant::now() + LATER, Box::new(resume));
    }

    /// Looks after a while whether the peer has read something. Has the connection end if not.
    fn watch_stall(self: &ArcConn) {
        if self.stall_timer.swap(true, Ordering::AcqRel) {
            return;
        }
        let time = self.limits().stalled;
        let Some(deadline) = Instant::now().checked_add(time) else { return };
        let Some(written) = self.outbox.written_if_full() else {
            return self.stall_timer.store(false, Ordering::Release);
        };
        let weak = Arc::downgrade(self);
        let look = move || {
            let Some(conn) = weak.upgrade() else { return };
            conn.stall_timer.store(false, Ordering::Release);
            match conn.outbox.written_if_full() {
                None => {}
                Some(now) if now != written => conn.watch_stall(),
                Some(_) => {
                    let reason = format!(
                        "this side let it go: the other has read nothing for {time:?} while bytes \
                         waited for it (Limits::stalled)"
                    );
                    Limit::Stalled.met(|| format!("a connection is ended: {reason}"));
                    conn.end(Error::disconnected(reason));
                }
            }
        };
        self.driver.add_timer(deadline, Box::new(look));
    }

    /// Ends the connection after processing the input that the peer sent before it stopped reading.
    /// This is done on the driver thread, because the thread that failed to write may hold locks or be
    /// about to send more.
    fn end_after_reading(self: &ArcConn, reason: String) {
        /// More than a socket's buffer holds, and a bound: a peer may go on sending for ever.
        const READS: usize = 64;
        let conn = Arc::clone(self);
        self.driver.add_timer(
            Instant::now(),
            Box::new(move || {
                let _ = (0..READS).find(|_| conn.read() == Read::Nothing);
                conn.end(Error::disconnected(reason));
            }),
        );
    }

    /// Reads once and takes in the messages that are complete then.
    pub(super) fn read(self: &ArcConn) -> Read {
        self.read_as(false)
    }

    fn read_as(self: &ArcConn, driver: bool) -> Read {
        if self.closer().is_behind() {
            return self.wait_for_closer();
        }
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        match frames.read(&self.socket) {
            Ok(0) => {
                let partial = frames.is_partial();
                drop(frames);
                let how = if partial { "in the middle of a message" } else { "the connection" };
                self.end(Error::disconnected(format!("the other side closed {how}")));
                return Read::Nothing;
            }
            Ok(_) => {}
            Err(Errno::INTR) => return Read::Incomplete,
            Err(Errno::AGAIN) => return Read::Nothing,
            // The peer closed without having read everything that was sent to it.
            Err(Errno::CONNRESET) => {
                drop(frames);
                self.end(Error::disconnected("the other side closed the connection"));
                return Read::Nothing;
            }
            Err(error) => {
                drop(frames);
                self.end(Error::disconnected(format!("cannot read: {error}")));
                return Read::Nothing;
            }
        }
        let mut some = false;
        // Other threads may read, too. Messages are taken in under the lock of the frames, so that they
        // keep their order.
        let round = self.take_in(|core| {
            loop {
                let (place, mut descriptors) = frames.take_descriptors();
                let Some(frame) = frames.next()? else {
                    frames.put_back(place, descriptors);
                    break;
                };
                some = true;
                let view = frame.view();
                let segments = view
                    .segments()
                    .map_err(|error| Error::PeerMisbehaved { problem: error.to_string() })?;
                let message = Incoming::new(view, &segments);
                self.receive(core, &message, &mut descriptors)?;
                frames.put_back(place, descriptors);
            }
            frames.settle_descriptors();
            Ok(())
        });
        if let Some(failure) = &round.failed {
            let _ = self.failure.set(failure.clone());
        }
        if some {
            // The rest is the beginning of another message, with its own deadline.
            self.watch_partial(false);
        }
        self.watch_partial(frames.is_partial());
        // Under the frames' lock, so that the notes come in their order.
        self.note_partial(frames.partial_bytes());
        drop(frames);
        // Before the futures are woken, so that their next calls are batched.
        if driver && self.batching.begin(round.futures()) {
            self.driver.request_write_later(ArcConn::downgrade(self));
        }
        self.leave(round);
        if some { Read::Messages } else { Read::Incomplete }
    }

    /// Does not read yet: many file descriptors of the peer's wait to be closed. What is in the socket stays there,
    /// so that whoever waits for the socket comes back at once.
    fn wait_for_closer(self: &ArcConn) -> Read {
        match self.closer().stuck() {
            None => std::thread::yield_now(),
            Some(problem) => {
                Limit::Descriptors.met(|| format!("a connection is ended: {problem}"));
                self.end(Error::PeerMisbehaved { problem });
            }
        }
        Read::Incomplete
    }

    /// Starts the deadline for the first message. Before anything is read, or on the driver thread: or else the
    /// message may have come.
    pub(crate) fn expect_first_message(self: &ArcConn, time: Duration) {
        let mut timer = self.partial_timer.lock().unwrap_or_else(PoisonError::into_inner);
        if timer.is_none() {
            let problem = format!("it connected and sent no message within {time:?}");
            *timer = self.end_after(time, Limit::FirstMessage, problem);
        }
    }

    /// Ends the connection after this time, if the timer is not removed.
    fn end_after(self: &ArcConn, time: Duration, limit: Limit, problem: String) -> Option<TimerId> {
        let weak = Arc::downgrade(self);
        let deadline = Instant::now().checked_add(time)?;
        let late = move || {
            let Some(conn) = weak.upgrade() else { return };
            limit.met(|| format!("a connection is ended: {problem}"));
            conn.end(Error::PeerMisbehaved { problem });
        };
        Some(self.driver.add_timer(deadline, Box::new(late)))
    }

    /// Starts the deadline for the rest of a message that is incomplete, or stops it.
    pub(super) fn watch_partial(self: &ArcConn, partial: bool) {
        let mut timer = self.partial_timer.lock().unwrap_or_else(PoisonError::into_inner);
        match (partial, timer.take()) {
            (true, None) => {
                let problem = "it began a message and did not send the rest".to_owned();
                let time = self.limits().partial_message;
                *timer = self.end_after(time, Limit::PartialMessage, problem);
            }
            (true, running) => *timer = running,
            (false, Some(running)) => self.driver.remove_timer(running),
            (false, None) => {}
        }
    }
}

impl Source for Conn {
    fn readable(self: Arc<Self>) {
        self.read_as(true);
    }

    fn tick(self: Arc<Self>) -> bool {
        // Before the flush: a thread that leaves output from now on starts the ticks again.
        let again = self.with_role(|role| role.tick()).unwrap_or(false);
        self.flush();
        again
    }

    fn write(self: Arc<Self>) {
        // Before the flush: a thread that adds output from now on requests another write.
        self.flush_wanted.store(false, Ordering::Release);
        self.batching.end();
        self.flush();
    }

    fn writable(self: Arc<Self>) {
        self.resume_write(None);
    }
}
