//! The connection to a child process: whether it serves, and what became of it if it does not.

use std::sync::Arc;
use std::time::Duration;

use super::bootstrap::{bootstrap, explained};
use super::connection::Connection;
use super::interface::Interface;
use crate::forked::check_forked;
use crate::process::Child;
use crate::{Error, Result};

impl Connection {
    /// The same as [`bootstrap_within`](Self::bootstrap_within) for a process that this one has started:
    /// its [`state`](Child::state) follows the connection, and errors say how it ended.
    ///
    /// The child is [serving](crate::process::ChildState::Serving) when it has answered, before any call
    /// returns, and [lost](crate::process::ChildState::Lost) when the connection has ended, before the
    /// calls that wait fail. If the connection ends before it has answered, it is killed where it has not
    /// exited a second later, and every call fails with [`Error::Spawn`], which has the exit status. The
    /// connection does not keep the child once it has answered.
    ///
    /// ```no_run
    /// use std::path::Path;
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use multiprocess::process::{Child, Command};
    /// use multiprocess::{Connection, Interface, Result};
    ///
    /// /// The child is to be kept as long as it is used: dropped, it is made to end.
    /// fn spawn<Init: Interface>(program: &Path) -> Result<(Arc<Child>, Init)> {
    ///     let (child, socket) = Command::new(program).spawn()?;
    ///     let child = Arc::new(child);
    ///     let connection = Connection::new(socket)?;
    ///     let init = connection.bootstrap_child(&child, Duration::from_secs(30))?;
    ///     Ok((child, init))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Spawn`] where the connection has ended.
    pub fn bootstrap_child<I: Interface>(
        &self,
        child: &Arc<Child>,
        timeout: Duration,
    ) -> Result<I> {
        check_forked()?;
        self.follow(child);
        let unready = Arc::clone(child);
        self.conn().start_handshake(timeout, Box::new(move |error| not_serving(&unready, &error)));
        let serves = Arc::clone(child.serves());
        let answered = move |answer: Result<()>| {
            if answer.is_ok() {
                serves.set_serving();
            }
        };
        bootstrap::<I>(self.conn(), explained(answered)).map_err(|error| {
            self.conn().stop_explaining();
            not_serving(child, &error)
        })
    }

    /// The child is lost when this connection ends.
    pub(super) fn follow(&self, child: &Child) {
        let serves = Arc::clone(child.serves());
        self.at_end(move || serves.set_lost());
    }
}

/// The error for a child that has not answered. It has exited then. Blocks.
pub(super) fn not_serving(child: &Child, error: &Error) -> Error {
    if let Error::Spawn { .. } = error {
        // That is said already.
        return error.clone();
    }
    // How long to wait for the exit of a process that has closed its socket, or that will close it
    // after a protocol error.
    let (reason, patience) = match error {
        Error::Disconnected { reason } => (reason.clone(), Duration::from_secs(1)),
        Error::PeerMisbehaved { .. } => (error.to_string(), Duration::from_millis(100)),
        other => (other.to_string(), Duration::ZERO),
    };
    let problem = match child.wait_timeout(patience) {
        Ok(Some(status)) => format!("{reason}; it ended before it answered ({status})"),
        // It has ended, too.
        Err(unknown) => format!("{reason}; it ended before it answered ({unknown})"),
        Ok(None) => {
            // A process that runs but does not answer correctly is ended, so that it is not left over.
            let _ = child.shutdown(Duration::ZERO);
            format!("{reason}; it was killed")
        }
    };
    Error::Spawn { program: child.program().to_owned(), problem }
}
