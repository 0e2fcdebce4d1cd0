//! The call that this thread is serving.

use std::cell::RefCell;
use std::sync::Arc;

use super::{CancelToken, Token};
use crate::connection::{ArcConn, Connection, RunningId};

thread_local! {
    static CALLS: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

struct Entry {
    conn: ArcConn,
    id: RunningId,
    token: CancelToken,
    /// The method is a future that is being polled: the call's own thread is free.
    polled: bool,
}

/// The call that the current thread is serving, for the method that runs in it.
pub struct CurrentCall {
    connection: Connection,
    token: CancelToken,
}

impl CurrentCall {
    /// Whether nobody waits for this call's answer any more.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// What fires when the call is cancelled; for a method that waits for something.
    pub fn cancel_token(&self) -> CancelToken {
        self.token.clone()
    }

    /// The connection that the call came over.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// The call that this thread is serving now; none on a thread that serves none, and in a direct
/// call of a local object. In a method that is a future, the call that it serves, wherever it is
/// polled; none in other tasks that it spawns.
pub fn current_call() -> Option<CurrentCall> {
    CALLS.with_borrow(|calls| {
        calls.last().map(|entry| CurrentCall {
            connection: Connection::from_conn(entry.conn.clone()),
            token: entry.token.clone(),
        })
    })
}

/// How many calls deep this thread is: a callback of a callback is two.
pub(crate) fn depth() -> usize {
    CALLS.with_borrow(Vec::len)
}

/// The innermost call that this thread serves for `conn`: calls back go to the thread that waits
/// for it.
pub(crate) fn innermost(conn: &ArcConn) -> Option<RunningId> {
    CALLS.with_borrow(|calls| {
        calls.iter().rev().find(|entry| ArcConn::ptr_eq(&entry.conn, conn)).map(|entry| entry.id)
    })
}

/// The same if that call's method is a future. A call that such a method awaits can name the call's
/// threads, as the one on this side is not blocked by it.
pub(crate) fn innermost_future(conn: &ArcConn) -> Option<RunningId> {
    CALLS.with_borrow(|calls| {
        let innermost = calls.iter().rev().find(|entry| ArcConn::ptr_eq(&entry.conn, conn));
        innermost.filter(|entry| entry.polled).map(|entry| entry.id)
    })
}

/// Marks this thread as serving a call, until the guard is dropped.
pub(super) fn enter_call(conn: &ArcConn, id: RunningId, token: &Arc<Token>) -> CallGuard {
    enter(conn, id, token, false)
}

/// Marks this thread as polling the future that serves a call, until the guard is dropped.
pub(super) fn enter_poll(conn: &ArcConn, id: RunningId, token: &Arc<Token>) -> CallGuard {
    enter(conn, id, token, true)
}

fn enter(conn: &ArcConn, id: RunningId, token: &Arc<Token>, polled: bool) -> CallGuard {
    let token = CancelToken::new(Arc::clone(token));
    CALLS.with_borrow_mut(|calls| calls.push(Entry { conn: conn.clone(), id, token, polled }));
    CallGuard(())
}

pub(super) struct CallGuard(());

impl Drop for CallGuard {
    fn drop(&mut self) {
        let entry = CALLS.with_borrow_mut(Vec::pop);
        drop(entry);
    }
}
