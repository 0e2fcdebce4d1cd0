//! A connection that is made again, as users hold it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connected::Connected;
use super::current::{Current, ReconnectState};
use super::shared::Shared;
use crate::forked::{check_forked, is_forked};
use crate::may_block::check_may_wait;
use crate::{Error, Result};

/// A connection that is made again when it is lost, from [`Reconnect::start`](super::Reconnect::start), with
/// the value that a function of the program's makes over each. Clones are the same.
///
/// While there is a connection this has no thread. Dropping the last clone ends it without waiting, as
/// [`close`](Self::close) does. It may be closed and dropped anywhere, also in its own functions.
///
/// In a fork of the process every use is an [`Error::ApiMisuse`].
#[must_use = "dropped, it ends the connection"]
pub struct Reconnecting<T: Send + Sync + 'static>(Arc<Owner<T>>);

impl<T: Send + Sync + 'static> Reconnecting<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Reconnecting<T> {
        Reconnecting(Arc::new(Owner(shared)))
    }

    fn shared(&self) -> &Arc<Shared<T>> {
        &self.0.0
    }

    /// What was made over the present connection. Where there is none, waits for the next, for `timeout`
    /// at most.
    ///
    /// # Errors
    /// [`Error::Disconnected`] if there is none in time, with the error of the last attempt. Why this has
    /// ended, if it has: [`state`](Self::state) tells the two apart. [`Error::ApiMisuse`] in the function that
    /// makes the value, which this would wait for, and on a thread that polls a future for which waiting is refused
    /// (the crate `multiprocess-tokio` says which): [`connected`](Self::connected) is for that.
    pub fn get(&self, timeout: Duration) -> Result<Current<T>> {
        check_forked()?;
        if let Some(present) = self.shared().state().current() {
            return present;
        }
        check_may_wait()?;
        // A time that is too far away for the clock means forever.
        let deadline = Instant::now().checked_add(timeout);
        self.shared().wait(deadline).unwrap_or_else(|| {
            let shared = self.shared();
            let last = shared.state().last_error.clone();
            // There was no answer yet, good or bad.
            let pending = || Error::disconnected("the first attempt is under way");
            let what = format!("no connection within {timeout:?}");
            Err(Error::disconnected(shared.settings.failed(
                &what,
                "to",
                &last.unwrap_or_else(pending),
            )))
        })
    }

    /// The same without a time limit.
    ///
    /// # Errors
    /// Why this has ended, if it has; [`Error::ApiMisuse`] as for [`get`](Self::get).
    pub fn wait_connected(&self) -> Result<Current<T>> {
        self.get(Duration::MAX)
    }

    /// The same as a future, for any executor. Several may wait; each can be dropped at any time.
    pub fn connected(&self) -> Connected<T> {
        Connected::new(self.shared())
    }

    /// What was made over the present connection, if there is one now.
    pub fn try_get(&self) -> Option<Current<T>> {
        if is_forked() {
            return None;
        }
        self.shared().state().current()?.ok()
    }

    /// What is known of the connection. Does not block.
    pub fn state(&self) -> ReconnectState {
        match check_forked() {
            Ok(()) => self.shared().snapshot(),
            Err(reason) => ReconnectState::Ended { reason },
        }
    }

    /// Ends it: there is no further attempt, one that is under way is given up, and the connection is
    /// [disconnected](crate::Connection::disconnect) at once. Then waits until no method is being served
    /// over it, for `timeout` at most; whether that is so. The hook for losses does not run. Does not wait for
    /// functions of the program's that are running, and also not for a child process to exit, which is made
    /// to in the background.
    pub fn close(&self, timeout: Duration) -> bool {
        if is_forked() {
            return false;
        }
        self.shared().end(closed()).is_none_or(|connection| connection.drain(timeout))
    }
}

fn closed() -> Error {
    Error::disconnected("this side closed it")
}

impl<T: Send + Sync + 'static> Clone for Reconnecting<T> {
    fn clone(&self) -> Reconnecting<T> {
        Reconnecting(Arc::clone(&self.0))
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Reconnecting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// What the clones of a handle share: dropped, it ends the rest.
struct Owner<T: Send + Sync + 'static>(Arc<Shared<T>>);

impl<T: Send + Sync + 'static> Drop for Owner<T> {
    fn drop(&mut self) {
        if !is_forked() {
            drop(self.0.end(closed()));
        }
    }
}
