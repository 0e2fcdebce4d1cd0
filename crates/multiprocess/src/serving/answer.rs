//! The answer to a call of the peer's, until it is sent: on the thread that has run the method, or on one
//! that ends the call without running it.

use std::sync::Arc;

use super::logged;
use crate::call_log;
use crate::connection::{ArcConn, WeakConn};
use crate::panics::{catch_panic, run_hook};
use crate::session::EncodeFn;
use crate::threads::{RunningId, Token, enter_call};
use crate::{Error, Result};

/// What it takes to answer a call of the peer's.
pub(super) struct Answer {
    pub(super) conn: WeakConn,
    pub(super) id: RunningId,
    pub(super) token: Arc<Token>,
}

impl Answer {
    /// Runs a method here. One that was cancelled before it started is not: nobody waits for what
    /// it would do.
    pub(super) fn run(
        &self,
        conn: &ArcConn,
        relayed: bool,
        method: impl FnOnce() -> Result<EncodeFn>,
    ) -> Result<EncodeFn> {
        let _call = enter_call(conn, self.id, &self.token, relayed);
        self.token.runs_here();
        if self.token.is_fired() {
            run_hook("an argument's destructor", || drop(method));
            return Err(Error::Cancelled);
        }
        catch_panic(method)
    }

    /// Sends the outcome. Not under the lock.
    pub(super) fn send(self, conn: &ArcConn, outcome: Result<EncodeFn>) {
        run_hook("a cancel hook's destructor", || self.token.retire());
        if call_log::is_on() {
            let error = outcome.as_ref().err().cloned();
            let bytes = conn.finish(self.id, outcome);
            return logged::ended(conn, self.id, &self.token.about, bytes, error.as_ref());
        }
        conn.finish(self.id, outcome);
    }

    /// Sends an error, wherever this is.
    pub(super) fn abandon(self, error: Error) {
        if let Some(conn) = self.conn.upgrade() {
            if call_log::is_on() {
                logged::abandoned(&conn, self.id, self.token.about, error.clone());
            }
            conn.abandon(self.id, error);
        }
    }
}
