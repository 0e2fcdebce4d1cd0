//! Information for a served method about its caller.

use super::connection::Connection;
use crate::threads::{CancelToken, current};

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

    /// A token that fires when the call is cancelled; for a method that waits for something.
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
    let (conn, token) = current()?;
    Some(CurrentCall { connection: Connection::from_conn(conn), token })
}
