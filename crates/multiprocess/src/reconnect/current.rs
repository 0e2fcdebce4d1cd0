//! What a program gets of a connection that is made again, and what it can know of it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use crate::Error;
use crate::calls::connection::Connection;
use crate::process::Child;

/// What was made over the present connection, from [`Reconnecting::get`](super::Reconnecting::get). It is
/// that of this connection for good: when the connection is lost its calls fail, and `get` gives what was
/// made over the next.
pub struct Current<T> {
    pub(super) value: Arc<T>,
    pub(super) generation: u64,
    pub(super) connection: Connection,
    pub(super) child: Option<Arc<Child>>,
}

impl<T> Current<T> {
    /// 1 for the first connection, and one more for each further one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The connection. Where this is disconnected, that is a loss: another one is made.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The process at the other end, if it was started for this
    /// ([`Reconnect::to_program`](super::Reconnect::to_program)).
    pub fn child(&self) -> Option<&Arc<Child>> {
        self.child.as_ref()
    }
}

impl<T> Deref for Current<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Current<T> {
        Current {
            value: Arc::clone(&self.value),
            generation: self.generation,
            connection: self.connection.clone(),
            child: self.child.clone(),
        }
    }
}

impl<T> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// What is known of a connection that is made again, from
/// [`Reconnecting::state`](super::Reconnecting::state).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ReconnectState {
    /// There is a connection, as far as this side knows.
    #[non_exhaustive]
    Connected {
        /// See [`Current::generation`].
        generation: u64,
    },
    /// There is none at the moment.
    #[non_exhaustive]
    Connecting {
        /// Attempts since there was one, with the one that is under way.
        attempt: u32,
        /// Why the last attempt failed, or the last connection ended.
        last_error: Option<Error>,
        /// When the next attempt is made; none while one is under way, or a hook for the loss runs.
        next_try: Option<Instant>,
    },
    /// There will be no other.
    #[non_exhaustive]
    Ended {
        /// Why not.
        reason: Error,
    },
}
