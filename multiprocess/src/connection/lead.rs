//! Reading by the thread that waits.
//!
//! A thread that waits for an answer, or a worker that waits for its next call, leads: it waits for
//! the socket itself, decodes for everybody, and wakes the others. So its own message costs no wake
//! of another thread. While nobody leads, the driver reads; while somebody does, the driver does
//! not watch the socket for reading.
//!
//! Leading only saves wakes; nothing depends on there being one leader. Whoever reads holds the lock
//! of the frames until the engine has the messages, so two may read one after the other. What must
//! hold is that somebody is woken for what arrives: a leader that stops gives the socket back to the
//! driver, in [`Conn::set_watch`], before it does anything else.
//!
//! A caller leads with priority: it takes the lead from an idle worker.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use super::conn::{ArcConn, WeakConn};
use crate::thread::Inbox;

/// Who leads now.
pub(super) struct Leader {
    number: u64,
    /// An idle worker, to be told when the lead is taken from it.
    idle: Option<Arc<Inbox>>,
}

/// A caller's lead of a connection, until dropped.
pub(crate) struct Lead {
    conn: ArcConn,
    number: u64,
}

impl Lead {
    /// Takes the lead, unless another caller has it.
    pub(crate) fn take(conn: &ArcConn) -> Option<Lead> {
        let (number, idle) = take(conn, None)?;
        if let Some(idle) = idle {
            idle.wake();
        }
        Some(Lead { conn: ArcConn::clone(conn), number })
    }

    /// Waits for the socket or for `inbox` to be woken, until `deadline`, and reads what has come.
    /// Does not wait if `ready` says so once a wake would be noticed.
    pub(crate) fn wait(
        &self,
        inbox: &Inbox,
        deadline: Option<Instant>,
        ready: impl FnOnce() -> bool,
    ) {
        if inbox.wait_for(self.conn.socket(), deadline, ready) {
            self.conn.read();
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        give_back(&self.conn, self.number);
    }
}

/// An idle worker's lead. It does not keep the connection: that ends with the last handle.
pub(crate) struct IdleLead {
    conn: WeakConn,
    socket: Arc<OwnedFd>,
    number: u64,
}

impl IdleLead {
    /// Takes the lead if nobody has it.
    pub(crate) fn take(conn: &WeakConn, inbox: &Arc<Inbox>) -> Option<IdleLead> {
        let strong = conn.upgrade()?;
        let (number, _) = take(&strong, Some(inbox))?;
        let socket = Arc::clone(strong.socket());
        Some(IdleLead { conn: conn.clone(), socket, number })
    }

    /// Waits for the socket or for `inbox` to be woken, and reads what has come. False when this
    /// worker leads no longer.
    pub(crate) fn wait(&self, inbox: &Inbox) -> bool {
        let readable = inbox.wait_for(&self.socket, None, || inbox.is_closed());
        let Some(conn) = self.conn.upgrade() else { return false };
        if readable {
            conn.read();
        }
        conn.ended().is_none() && leads(&conn, self.number)
    }
}

impl Drop for IdleLead {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.upgrade() {
            give_back(&conn, self.number);
        }
    }
}

/// The new leader's number, and the idle worker that led before.
fn take(conn: &ArcConn, idle: Option<&Arc<Inbox>>) -> Option<(u64, Option<Arc<Inbox>>)> {
    if !conn.limits().lead || conn.ended().is_some() {
        return None;
    }
    let taken = conn.set_watch(|watch| {
        match &watch.leader {
            None => {}
            Some(leader) if leader.idle.is_some() && idle.is_none() => {}
            Some(_) => return None,
        }
        watch.next += 1;
        let number = watch.next;
        let before = watch.leader.replace(Leader { number, idle: idle.cloned() });
        Some((number, before.and_then(|leader| leader.idle)))
    });
    taken.ok().flatten()
}

fn leads(conn: &ArcConn, number: u64) -> bool {
    let leads = conn.set_watch(|watch| watch.leader.as_ref().is_some_and(|l| l.number == number));
    leads.unwrap_or(false)
}

fn give_back(conn: &ArcConn, number: u64) {
    let given = conn.set_watch(|watch| {
        if watch.leader.as_ref().is_some_and(|leader| leader.number == number) {
            watch.leader = None;
        }
    });
    if let Err(error) = given {
        conn.end(crate::Error::disconnected(format!("cannot watch the socket: {error}")));
    }
}
