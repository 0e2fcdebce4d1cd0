//! The call that this thread is serving.

use std::cell::RefCell;
use std::sync::Arc;

use super::token::{CancelToken, Token};
use crate::connection::ArcConn;

thread_local! {
    static CALLS: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

struct Entry {
    conn: ArcConn,
    id: RunningId,
    token: CancelToken,
    /// The method is a future that is being polled: the call's own thread is free.
    polled: bool,
    /// The method only forwards the call to an object of another process.
    relayed: bool,
}

/// A call of the peer's that is being served, by its place in the session's table.
pub(crate) type RunningId = usize;

/// The connection and the token of the call that this thread is serving now.
pub(crate) fn current() -> Option<(ArcConn, CancelToken)> {
    CALLS.with_borrow(|calls| calls.last().map(|entry| (entry.conn.clone(), entry.token.clone())))
}

/// The token of that call, if the method only forwards it: the wait for the forwarded call ends
/// with the token.
pub(crate) fn relayed() -> Option<CancelToken> {
    CALLS.with_borrow(|calls| {
        calls.last().filter(|entry| entry.relayed).map(|entry| entry.token.clone())
    })
}

/// How many calls deep this thread is: a callback of a callback is two.
pub(crate) fn depth() -> usize {
    CALLS.with_borrow(Vec::len)
}

/// The innermost call that this thread serves for `conn`: calls back go to the thread that waits
/// for it.
pub(crate) fn innermost(conn: &ArcConn) -> Option<RunningId> {
    let find = |calls: &RefCell<Vec<Entry>>| {
        let calls = calls.try_borrow().ok()?;
        calls.iter().rev().find(|entry| ArcConn::ptr_eq(&entry.conn, conn)).map(|entry| entry.id)
    };
    // A thread that is about to end serves none.
    CALLS.try_with(find).ok()?
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
pub(crate) fn enter_call(
    conn: &ArcConn,
    id: RunningId,
    token: &Arc<Token>,
    relayed: bool,
) -> CallGuard {
    enter(conn, id, token, false, relayed)
}

/// Marks this thread as polling the future that serves a call, until the guard is dropped.
pub(crate) fn enter_poll(conn: &ArcConn, id: RunningId, token: &Arc<Token>) -> CallGuard {
    enter(conn, id, token, true, false)
}

fn enter(
    conn: &ArcConn,
    id: RunningId,
    token: &Arc<Token>,
    polled: bool,
    relayed: bool,
) -> CallGuard {
    let token = CancelToken::new(Arc::clone(token));
    CALLS.with_borrow_mut(|calls| {
        calls.push(Entry { conn: conn.clone(), id, token, polled, relayed })
    });
    CallGuard(())
}

pub(crate) struct CallGuard(());

impl Drop for CallGuard {
    fn drop(&mut self) {
        let entry = CALLS.with_borrow_mut(Vec::pop);
        drop(entry);
    }
}
