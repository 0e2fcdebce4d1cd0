//! Reading by the thread that waits.
//!
//! A thread that waits for an answer, or a worker that waits for its next call, acquires the *reader
//! role* of the connection: it waits for the socket itself, decodes every message that arrives, and
//! wakes the threads that the others are for. A message that is for itself wakes no other thread.
//!
//! The role only saves wakes. Reading is correct without it: a reading thread holds the lock of the
//! frames until the messages are processed, so messages keep their order if two threads read one after
//! the other. What the role has to ensure is that some thread is woken for what arrives. So a reader
//! that releases the role hands it over, to the first of these that applies:
//!
//! 1. a caller that waits and has no answer yet, which it wakes;
//! 2. nobody, where the same thread has long been the only reader and returns quickly
//!    ([`reader`](super::reader) judges that): this saves the two system calls that it takes to have the
//!    driver watch the socket and stop again;
//! 3. the driver.
//!
//! Of sockets without a reader the driver keeps a list. It looks at them every millisecond, and takes
//! over those whose reader has not come back.
//!
//! A caller takes the role from an idle worker, and from nobody else. A worker that is just about to wait may
//! miss the wake for that, and reads on beside the caller until something arrives: that costs a wake.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use super::conn::{ArcConn, Conn, WeakConn};
use super::parker::Parker;
use super::reader::{Acquired, Candidate, HandOver, Pending, Release};
use super::socket::Socket;
use super::stream::Read;

/// A caller that waits for an answer from one connection, and reads its socket while no other caller does.
pub(crate) struct WaitingReader<'a> {
    conn: &'a ArcConn,
    parker: &'a Arc<Parker>,
    waits: &'a Arc<dyn Pending>,
    /// The number with which it acquired the reader role.
    number: Option<u64>,
    /// Whether it waits for the role to be handed over.
    waiting: bool,
}

impl<'a> WaitingReader<'a> {
    pub(crate) fn new(
        conn: &'a ArcConn,
        parker: &'a Arc<Parker>,
        waits: &'a Arc<dyn Pending>,
    ) -> WaitingReader<'a> {
        WaitingReader { conn, parker, waits, number: None, waiting: false }
    }

    /// Acquires the reader role. Returns false where another caller has it, which will hand it over.
    pub(crate) fn acquire(&mut self) -> bool {
        if self.conn.is_closing() {
            self.release();
            return false;
        }
        if self.number.is_some() {
            return true;
        }
        if !self.conn.limits().callers_read {
            return false;
        }
        let candidate = Candidate::Caller(self.parker, self.waits);
        match self.conn.with_role(|role| role.acquire(candidate, Instant::now())) {
            Some(Acquired::Reader(number, before)) => {
                if let Some(idle) = before {
                    idle.wake();
                }
                (self.number, self.waiting) = (Some(number), false);
                true
            }
            Some(Acquired::Waits) => {
                self.waiting = true;
                false
            }
            Some(Acquired::Refused) | None => false,
        }
    }

    /// Blocks until the socket is ready, the thread is woken, or `deadline`, and reads what has arrived.
    /// `ready`: whether there is something else that the thread was, or would have been, woken for.
    pub(crate) fn wait(&self, deadline: Option<Instant>, ready: impl Fn() -> bool) {
        let ready = || !self.waits.is_pending() || ready();
        let writes = self.conn.reader_writes();
        let happened = self.parker.wait_for(self.conn.socket(), writes, deadline, ready);
        if happened.writable {
            self.conn.resume_write(self.number);
        }
        if happened.readable {
            self.conn.read();
        }
    }

    /// Releases the role, or stops waiting for it. It can be acquired again.
    pub(crate) fn release(&mut self) {
        if let Some(number) = self.number.take() {
            self.conn.release_role(Release::Reader(number));
        } else if std::mem::take(&mut self.waiting) {
            self.conn.release_role(Release::WaitingCaller(self.parker.id()));
        }
    }
}

impl Drop for WaitingReader<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

/// An idle worker that has the reader role. It holds the connection weakly: a connection ends with the
/// last handle, whoever reads it.
pub(crate) struct IdleReader {
    conn: WeakConn,
    socket: Arc<Socket>,
    number: u64,
    /// How many times in a row what it read was for other threads.
    misses: Cell<u8>,
}

/// After this many misses in a row an idle worker releases the role.
const MAX_MISSES: u8 = 3;

impl IdleReader {
    /// Acquires the reader role, unless another thread has it.
    pub(crate) fn acquire(conn: &WeakConn, parker: &Arc<Parker>) -> Option<IdleReader> {
        let strong = conn.upgrade()?;
        if !strong.limits().callers_read || strong.is_closing() {
            return None;
        }
        let candidate = Candidate::IdleWorker(parker);
        match strong.with_role(|role| role.acquire(candidate, Instant::now())) {
            Some(Acquired::Reader(number, _)) => {
                let socket = Arc::clone(strong.socket());
                Some(IdleReader { conn: conn.clone(), socket, number, misses: Cell::new(0) })
            }
            _ => None,
        }
    }

    /// Blocks until the socket is ready, this thread is woken, or `deadline`, and reads what has arrived.
    /// Does not block if `ready` is true: there is something to do that the thread is woken for. `hit`
    /// is asked after reading: whether there is a call for this thread. Returns false when this thread
    /// is to read no longer.
    pub(crate) fn wait(
        &self,
        parker: &Parker,
        deadline: Option<Instant>,
        ready: impl Fn() -> bool,
        hit: impl Fn() -> bool,
    ) -> bool {
        let writes = self.conn.upgrade().is_some_and(|conn| conn.reader_writes());
        let happened = parker.wait_for(&self.socket, writes, deadline, ready);
        let Some(conn) = self.conn.upgrade() else { return false };
        if happened.writable {
            conn.resume_write(Some(self.number));
        }
        if happened.readable {
            // An incomplete message is neither a hit nor a miss: it may become a call for this worker.
            if conn.read() != Read::Incomplete {
                self.misses.set(if hit() { 0 } else { self.misses.get() + 1 });
            }
            if self.misses.get() >= MAX_MISSES {
                return false;
            }
        }
        !conn.is_closing() && conn.with_role(|role| role.is_held_by(self.number)).unwrap_or(false)
    }
}

/// Blocks until something arrives and reads it; returns at once where another thread reads.
pub(crate) fn read_once(conn: &ArcConn, parker: &Arc<Parker>) {
    if let Some(reader) = IdleReader::acquire(&ArcConn::downgrade(conn), parker) {
        reader.wait(parker, None, || false, || false);
    }
}

impl Drop for IdleReader {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.upgrade() {
            conn.release_role(Release::Reader(self.number));
        }
    }
}

impl Conn {
    /// Releases the reader role or a caller's wait for it, and sees to it that somebody reads.
    pub(super) fn release_role(self: &ArcConn, release: Release) {
        match self.with_role(|role| role.release(release, Instant::now())) {
            Some(HandOver::ToCaller(parker)) => parker.wake(),
            Some(HandOver::ToNobody { start_ticks: true }) => {
                self.driver.start_ticks(ArcConn::downgrade(self));
            }
            _ => {}
        }
    }
}
