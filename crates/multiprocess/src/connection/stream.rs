//! The socket of a connection: who reads it, how what came is taken in, how what waits goes out.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use capnp_engine::Incoming;
use rustix::io::Errno;

use super::batching::Writer;
use super::conn::{ArcConn, Conn};
use super::outbox::Flushed;
use super::reader::ReaderRole;
use crate::Error;
use crate::driver::Source;

/// What the driver watches the socket for.
#[derive(Default)]
pub(super) struct Watch {
    role: ReaderRole,
    /// The socket is full: whoever waits for it writes when it has room.
    write: bool,
    /// That is the leader.
    leader_writes: bool,
}

impl Watch {
    /// Whether the driver watches for what arrives, and for room.
    fn by_driver(&self) -> (bool, bool) {
        (self.role.driver_reads(), self.write && !self.leader_writes)
    }
}

/// What came of looking at the socket.
#[derive(PartialEq, Eq)]
pub(super) enum Read {
    /// There was nothing, or nothing more will come.
    Nothing,
    /// There was a part of a message.
    Part,
    /// There were messages, which are taken in.
    Messages,
}

impl Conn {
    /// Changes who reads and whether the driver waits for room, and tells the driver.
    fn set_watch<R>(&self, change: impl FnOnce(&mut Watch) -> R) -> std::io::Result<R> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let before = watch.by_driver();
        let result = change(&mut watch);
        let after = watch.by_driver();
        if before != after && !self.is_closing() {
            // Under the lock, so that the last change is the last that the driver hears of.
            self.driver.watch(self.source, self.socket.as_fd(), after.0, after.1)?;
        }
        Ok(result)
    }

    /// Changes who reads. None where the connection has ended of it.
    pub(super) fn turn<R>(self: &ArcConn, change: impl FnOnce(&mut ReaderRole) -> R) -> Option<R> {
        let change = |watch: &mut Watch| {
            let result = change(&mut watch.role);
            // What a leader has not written when it leaves is the driver's again.
            watch.leader_writes &= watch.role.is_led();
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

    /// Whether the leader, who asks, is to wait for room as well and then to
    /// [write](Self::write_on).
    pub(super) fn leader_writes(self: &ArcConn) -> bool {
        // Without the lock in most cases: it is looked at before each wait.
        self.full.load(Ordering::Acquire)
            && self
                .set_watch(|watch| {
                    watch.leader_writes = watch.write;
                    watch.write
                })
                .unwrap_or(false)
    }

    /// The socket has room again. `leader`: the number of the leader who has seen it; none for the
    /// driver.
    pub(super) fn write_on(self: &ArcConn, leader: Option<u64>) {
        // Before the outbox goes on: once it is empty another thread may fill the socket again, and
        // its wish to be told must not be undone here.
        self.full.store(false, Ordering::Release);
        let _ = self.set_watch(|watch| (watch.write, watch.leader_writes) = (false, false));
        let flushed = self.outbox.resume(&self.socket);
        self.flushed(flushed, leader);
    }

    /// Leaves what waits to be written to the driver, which soon does it together with what comes
    /// until then. `waiting`: how many bytes it is.
    pub(super) fn flush_soon(self: &ArcConn, waiting: usize) {
        match self.batching.writer(waiting) {
            Writer::Driver => {}
            Writer::Caller => self.flush(),
            Writer::DriverWhenTold => {
                if !self.flush_wanted.swap(true, Ordering::AcqRel) {
                    self.driver.flush_soon(ArcConn::downgrade(self));
                }
            }
        }
    }

    /// Leaves it to the thread that is about to write more; the driver sees to it otherwise.
    pub(super) fn flush_later(self: &ArcConn) {
        if self.turn(|role| role.look_after()) == Some(true) {
            self.driver.look_after(ArcConn::downgrade(self));
        }
    }

    /// Writes what waits, unless another thread is at it.
    pub(crate) fn flush(self: &ArcConn) {
        let flushed = self.outbox.flush(&self.socket);
        self.flushed(flushed, None);
    }

    /// `leader`: who will come back to see whether the socket has room, if it leads still.
    fn flushed(self: &ArcConn, flushed: std::io::Result<Flushed>, leader: Option<u64>) {
        match flushed {
            Ok(Flushed::Done) => {}
            Ok(Flushed::Full) => {
                self.full.store(true, Ordering::Release);
                let full = |watch: &mut Watch| {
                    watch.write = true;
                    watch.leader_writes |= leader.is_some_and(|number| watch.role.leads(number));
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

    /// Ends the connection, once what the peer said before it stopped reading has been taken in.
    /// On the driver thread: whoever failed to write may be in the middle of something.
    fn end_after_reading(self: &ArcConn, reason: String) {
        /// More than a socket's buffer holds: the peer is not followed for ever.
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

    /// Reads once and takes in the messages that are whole now.
    pub(super) fn read(self: &ArcConn) -> Read {
        self.read_as(false)
    }

    fn read_as(self: &ArcConn, driver: bool) -> Read {
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
            Err(Errno::INTR) => return Read::Part,
            Err(Errno::AGAIN) => return Read::Nothing,
            // It closed without having read all that was sent to it.
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
        // Others may read, too: the bytes must be taken in in their order, so under the lock of the
        // frames.
        let round = self.take_in(|core| {
            while let Some(frame) = frames.next()? {
                some = true;
                let message = Incoming::new(frame.whole())
                    .map_err(|error| Error::PeerMisbehaved { problem: error.to_string() })?;
                core.receive(self, &message)?;
            }
            Ok(())
        });
        if some {
            // What is left over is the beginning of another message, with a time of its own.
            self.watch_partial(false);
        }
        self.watch_partial(frames.is_partial());
        drop(frames);
        // Before they are woken.
        if driver && self.batching.begin(round.futures()) {
            self.driver.flush_after_a_while(ArcConn::downgrade(self));
        }
        self.leave(round);
        if some { Read::Messages } else { Read::Part }
    }

    /// Starts or stops the deadline for the rest of a message.
    pub(super) fn watch_partial(self: &ArcConn, partial: bool) {
        let mut timer = self.partial_timer.lock().unwrap_or_else(PoisonError::into_inner);
        match (partial, timer.take()) {
            (true, None) => {
                let weak = Arc::downgrade(self);
                let Some(deadline) = Instant::now().checked_add(self.limits().partial_message)
                else {
                    return;
                };
                *timer = Some(self.driver.add_timer(
                    deadline,
                    Box::new(move || {
                        if let Some(conn) = weak.upgrade() {
                            conn.end(Error::PeerMisbehaved {
                                problem: "it began a message and did not send the rest".to_owned(),
                            });
                        }
                    }),
                ));
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

    fn look(self: Arc<Self>) -> bool {
        // First, so that whoever leaves something to be written from now on asks again.
        let again = self.turn(|role| role.look()).unwrap_or(false);
        self.flush();
        again
    }

    fn write(self: Arc<Self>) {
        // First, so that whoever adds more from now on asks again.
        self.flush_wanted.store(false, Ordering::Release);
        self.batching.end();
        self.flush();
    }

    fn writable(self: Arc<Self>) {
        self.write_on(None);
    }
}
