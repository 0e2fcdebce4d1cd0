//! Reading by the thread that waits.
//!
//! A thread that waits for an answer, or a worker that waits for its next call, leads: it waits for
//! the socket itself, decodes for everybody, and wakes the others. So its own message costs no wake
//! of another thread.
//!
//! Leading only saves wakes; nothing depends on there being one leader. Whoever reads holds the lock
//! of the frames until the messages are taken in, so two may read one after the other. What must hold
//! is that somebody is woken for what arrives. So a leader that stops hands the socket on, in this
//! order: to a caller that waits and has no answer yet, which it wakes; to nobody, where the same thread
//! has long been the only one to lead, and soon again ([`reader`](super::reader) judges that); to the
//! driver. The second saves two system calls a call. The driver looks every millisecond at the sockets
//! that were left so, and takes those over that nobody came back for.
//!
//! A caller leads with priority: it takes the lead from an idle worker.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use super::conn::{ArcConn, Conn, WeakConn};
use super::parker::Parker;
use super::reader::{Handed, Stops, Taken, Wants};
use super::stream::Read;

/// Whether what a thread waits for is still to come.
pub(crate) trait Pending: Send + Sync {
    fn is_pending(&self) -> bool;
}

/// A caller's wait for an answer of one connection. It leads when it can.
pub(crate) struct Turn<'a> {
    conn: &'a ArcConn,
    parker: &'a Arc<Parker>,
    waits: &'a Arc<dyn Pending>,
    /// Its number as the leader.
    leads: Option<u64>,
    /// Whether it may be handed the lead.
    waiting: bool,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(
        conn: &'a ArcConn,
        parker: &'a Arc<Parker>,
        waits: &'a Arc<dyn Pending>,
    ) -> Turn<'a> {
        Turn { conn, parker, waits, leads: None, waiting: false }
    }

    /// Takes the lead, unless another caller has it: then that one will hand it on.
    pub(crate) fn lead(&mut self) -> bool {
        if self.conn.is_closing() {
            self.leave();
            return false;
        }
        if self.leads.is_some() {
            return true;
        }
        if !self.conn.limits().lead {
            return false;
        }
        let taken = self
            .conn
            .turn(|role| role.take(Wants::Caller(self.parker, self.waits), Instant::now()));
        match taken {
            Some(Taken::Lead(number, before)) => {
                if let Some(idle) = before {
                    idle.wake();
                }
                (self.leads, self.waiting) = (Some(number), false);
                true
            }
            Some(Taken::Wait) => {
                self.waiting = true;
                false
            }
            Some(Taken::No) | None => false,
        }
    }

    /// Waits for the socket or for the thread to be woken, until `deadline`, and reads what has come.
    /// `ready`: whether there is something else that the thread was, or would have been, woken for.
    pub(crate) fn wait(&self, deadline: Option<Instant>, ready: impl Fn() -> bool) {
        let ready = || !self.waits.is_pending() || ready();
        let writes = self.conn.leader_writes();
        let happened = self.parker.wait_for(self.conn.socket(), writes, deadline, ready);
        if happened.writable {
            self.conn.write_on(self.leads);
        }
        if happened.readable {
            self.conn.read();
        }
    }

    /// Stops leading and waiting, for now.
    pub(crate) fn leave(&mut self) {
        if let Some(number) = self.leads.take() {
            self.conn.hand_on(Stops::Leader(number));
        } else if std::mem::take(&mut self.waiting) {
            self.conn.hand_on(Stops::Caller(self.parker.id()));
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// An idle worker's lead. It does not keep the connection: that ends with the last handle.
pub(crate) struct IdleLead {
    conn: WeakConn,
    socket: Arc<OwnedFd>,
    number: u64,
    /// How often in a row it read what was for others.
    misses: Cell<u8>,
}

/// An idle worker that so often in a row has read what was for others lets another lead.
const MISSES: u8 = 3;

impl IdleLead {
    /// Takes the lead if nobody has it.
    pub(crate) fn take(conn: &WeakConn, parker: &Arc<Parker>) -> Option<IdleLead> {
        let strong = conn.upgrade()?;
        if !strong.limits().lead || strong.is_closing() {
            return None;
        }
        match strong.turn(|role| role.take(Wants::Idle(parker), Instant::now())) {
            Some(Taken::Lead(number, _)) => {
                let socket = Arc::clone(strong.socket());
                Some(IdleLead { conn: conn.clone(), socket, number, misses: Cell::new(0) })
            }
            _ => None,
        }
    }

    /// Waits for the socket or for this thread to be woken, until `deadline`, and reads what has come.
    /// `ready`: whether there is something that it was, or would have been, woken for. `hit`: whether
    /// there is a call for it. False when it reads no longer.
    pub(crate) fn wait(
        &self,
        parker: &Parker,
        deadline: Option<Instant>,
        ready: impl Fn() -> bool,
        hit: impl Fn() -> bool,
    ) -> bool {
        let writes = self.conn.upgrade().is_some_and(|conn| conn.leader_writes());
        let happened = parker.wait_for(&self.socket, writes, deadline, ready);
        let Some(conn) = self.conn.upgrade() else { return false };
        if happened.writable {
            conn.write_on(Some(self.number));
        }
        if happened.readable {
            // A part of a message may be one for this worker.
            if conn.read() != Read::Part {
                self.misses.set(if hit() { 0 } else { self.misses.get() + 1 });
            }
            if self.misses.get() >= MISSES {
                return false;
            }
        }
        !conn.is_closing() && conn.turn(|role| role.leads(self.number)).unwrap_or(false)
    }
}

/// Waits for what comes next, unless another thread does, and reads it.
pub(crate) fn read_once(conn: &ArcConn, parker: &Arc<Parker>) {
    if let Some(lead) = IdleLead::take(&ArcConn::downgrade(conn), parker) {
        lead.wait(parker, None, || false, || false);
    }
}

impl Drop for IdleLead {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.upgrade() {
            conn.hand_on(Stops::Leader(self.number));
        }
    }
}

impl Conn {
    /// Stops leading, or waiting to be handed the lead.
    fn hand_on(self: &ArcConn, who: Stops) {
        match self.turn(|role| role.leave(who, Instant::now())) {
            Some(Handed::To(parker)) => parker.wake(),
            Some(Handed::Nobody { watch: true }) => {
                self.driver.look_after(ArcConn::downgrade(self));
            }
            _ => {}
        }
    }
}
