//! The call that this thread is serving.

use std::cell::RefCell;
use std::sync::Arc;

use super::token::{About, CancelToken, Token};
use crate::carried::Carried;
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
    /// The method only forwards the call to an object of another process, or its waits are to end with it.
    relayed: bool,
    /// Its token wakes the thread.
    wakes: bool,
}

/// A call of the peer's that is being served, by its place in the session's table.
pub(crate) type RunningId = usize;

/// Looks at the calls that this thread serves. None where it ends and has forgotten them: then it serves
/// none.
fn look<R>(look: impl FnOnce(&[Entry]) -> R) -> Option<R> {
    let look = |calls: &RefCell<Vec<Entry>>| Some(look(&calls.try_borrow().ok()?));
    CALLS.try_with(look).ok()?
}

/// The connection and the token of the call that this thread is serving now.
pub(crate) fn current() -> Option<(ArcConn, CancelToken)> {
    look(|calls| calls.last().map(|entry| (entry.conn.clone(), entry.token.clone()))).flatten()
}

/// The same for the log: with its place in the session's table, and what it is.
pub(crate) fn serving_now() -> Option<(ArcConn, RunningId, About)> {
    let now = |entry: &Entry| (entry.conn.clone(), entry.id, entry.token.about());
    look(|calls| calls.last().map(now)).flatten()
}

/// The token of that call, if the method only forwards it: the wait for the forwarded call ends
/// with the token.
///
/// True for the first wait of the call: then the token is to be told to wake this thread.
pub(crate) fn relayed() -> Option<(CancelToken, bool)> {
    let relayed = |calls: &RefCell<Vec<Entry>>| {
        let mut calls = calls.try_borrow_mut().ok()?;
        let entry = calls.last_mut().filter(|entry| entry.relayed)?;
        Some((entry.token.clone(), !std::mem::replace(&mut entry.wakes, true)))
    };
    CALLS.try_with(relayed).ok()?
}

/// Has the waits of the method that this thread runs end when its call is cancelled.
pub(crate) fn cascade() {
    // Not in a method that is a future: what else is polled on this thread is not its own.
    let mark = |calls: &RefCell<Vec<Entry>>| {
        let mut calls = calls.try_borrow_mut().ok()?;
        let innermost = calls.last_mut().filter(|entry| !entry.polled)?;
        innermost.relayed = true;
        Some(())
    };
    let _ = CALLS.try_with(mark);
}

/// What came with the call that this thread is serving now.
pub(super) fn served() -> Carried {
    look(|calls| calls.last().map(|entry| entry.token.carried())).flatten().unwrap_or_default()
}

/// How many calls deep this thread is: a callback of a callback is two.
pub(crate) fn depth() -> usize {
    look(<[Entry]>::len).unwrap_or_default()
}

/// The innermost call that this thread serves for `conn`: calls back go to the thread that waits
/// for it.
pub(crate) fn innermost(conn: &ArcConn) -> Option<RunningId> {
    let find = |calls: &[Entry]| {
        calls.iter().rev().find(|entry| ArcConn::ptr_eq(&entry.conn, conn)).map(|entry| entry.id)
    };
    look(find).flatten()
}

/// The innermost call that this thread serves for `conn`, and how many it serves for it.
pub(crate) fn serving(conn: &ArcConn) -> Option<(RunningId, usize)> {
    let find = |calls: &[Entry]| {
        let mut calls = calls.iter().rev().filter(|entry| ArcConn::ptr_eq(&entry.conn, conn));
        let innermost = calls.next()?.id;
        Some((innermost, 1 + calls.count()))
    };
    look(find).flatten()
}

/// The same as [`innermost`] if that call's method is a future. A call that such a method awaits can name the call's
/// threads, as the one on this side is not blocked by it.
pub(crate) fn innermost_future(conn: &ArcConn) -> Option<RunningId> {
    let find = |calls: &[Entry]| {
        let innermost = calls.iter().rev().find(|entry| ArcConn::ptr_eq(&entry.conn, conn));
        innermost.filter(|entry| entry.polled).map(|entry| entry.id)
    };
    look(find).flatten()
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
        calls.push(Entry { conn: conn.clone(), id, token, polled, relayed, wakes: false })
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
