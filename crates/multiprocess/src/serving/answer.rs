//! The answer to a call of the peer's, until it is sent: on the thread that has run the method, or on one
//! that ends the call without running it.

use std::sync::Arc;
use std::task::Waker;

use tracing::Span;

use super::logged;
use crate::call_span;
use crate::connection::{ArcConn, WeakConn};
use crate::notes;
use crate::panics::{catch_panic, run_hook};
use crate::session::EncodeFn;
use crate::threads::{RunningId, Token, enter_call, release_slot};
use crate::{Error, Result};

/// What it takes to answer a call of the peer's.
pub(super) struct Answer {
    pub(super) conn: WeakConn,
    pub(super) id: RunningId,
    pub(super) token: Arc<Token>,
    /// From when the method begins; none before, and where there are no spans.
    pub(super) span: Span,
}

impl Answer {
    pub(super) fn new(conn: WeakConn, id: RunningId, token: Arc<Token>) -> Answer {
        Answer { conn, id, token, span: Span::none() }
    }

    /// The method begins. Not under the lock.
    #[inline]
    pub(super) fn begin_span(&mut self, conn: &ArcConn) {
        if call_span::is_on() {
            self.span = logged::span(conn, self.id, &self.token);
        }
    }

    /// Runs a method here. One that was cancelled before it started is not, nor one whose deadline has passed or whose
    /// connection has ended: nobody waits for what it would do.
    pub(super) fn run(
        &mut self,
        conn: &ArcConn,
        relayed: bool,
        method: impl FnOnce() -> Result<EncodeFn>,
    ) -> Result<EncodeFn> {
        self.begin_span(conn);
        let _span = self.span.enter();
        let _call = enter_call(conn, self.id, &self.token, relayed);
        self.token.runs_here();
        if self.token.is_fired() || self.token.is_late() || conn.ended().is_some() {
            conn.cleanup().drop_values("an argument's destructor", method);
            return Err(Error::Cancelled);
        }
        catch_panic(method)
    }

    /// Sends the outcome, at once however much waits for the peer. Not under the lock.
    pub(super) fn send(self, conn: &ArcConn, outcome: Result<EncodeFn>) {
        run_hook("a cancel hook's destructor", || self.token.retire());
        // It is never given back.
        let _ = self.finish(conn, outcome, true);
    }

    /// The same, but blocks while too much waits for a peer that does not read. Other calls go on meanwhile.
    pub(super) fn send_with_room(self, conn: &ArcConn, mut outcome: Result<EncodeFn>) {
        run_hook("a cancel hook's destructor", || self.token.retire());
        while let Err(back) = self.finish(conn, outcome, false) {
            outcome = back;
            release_slot();
            conn.wait_for_room();
        }
    }

    /// The same for a task: gives the outcome back where there is no room; then `task` is woken when there
    /// is.
    pub(super) fn poll_send(
        &self,
        conn: &ArcConn,
        mut outcome: Result<EncodeFn>,
        task: &Waker,
    ) -> std::result::Result<(), Result<EncodeFn>> {
        // Nobody waits for the answer of a call that was cancelled: it takes no room.
        while let Err(back) = self.finish(conn, outcome, self.token.is_fired()) {
            if !conn.has_room_or_wakes(task) {
                return Err(back);
            }
            outcome = back;
        }
        run_hook("a cancel hook's destructor", || self.token.retire());
        Ok(())
    }

    /// Sends the outcome, and notes it where that is done. Gives it back where there is no room, unless it is to be sent
    /// `anyway`.
    fn finish(
        &self,
        conn: &ArcConn,
        outcome: Result<EncodeFn>,
        anyway: bool,
    ) -> std::result::Result<(), Result<EncodeFn>> {
        if !notes::are_on() {
            return conn.finish(self.id, outcome, anyway).map(drop);
        }
        let error = outcome.as_ref().err().cloned();
        // Before it is sent: whoever lets the call go later has had its answer.
        let cancelled = self.token.is_fired();
        let told = conn.finish(self.id, outcome, anyway)?;
        let lost = conn.ended().cloned();
        let lost = lost.unwrap_or_else(|| Error::disconnected("it has ended"));
        let outcome = logged::outcome(error.as_ref(), told.as_deref(), cancelled, &lost);
        logged::ended(conn, self.id, &self.token.about, &outcome, &self.span);
        Ok(())
    }

    /// Sends an error, wherever this is.
    pub(super) fn abandon(self, error: Error) {
        if let Some(conn) = self.conn.upgrade() {
            if notes::are_on() {
                logged::abandoned(&conn, self.id, self.token.about, error.clone(), self.span);
            }
            conn.abandon(self.id, error);
        }
    }
}
