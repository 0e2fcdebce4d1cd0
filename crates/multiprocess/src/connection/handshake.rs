//! The time until the peer has answered the first question. If the connection ends before that, the
//! code that made it may know a better reason than that the socket was closed, such as the exit status
//! of a child process, and is asked to explain the end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};

use super::conn::{ArcConn, Conn};
use super::followup::Followup;
use crate::Error;
use crate::driver::{TimerId, driver};
use crate::panics::catch_panic;
use crate::pool;

/// Makes the error that every call fails with from the one that ended the connection. May block.
pub(crate) type Explain = Box<dyn FnOnce(Error) -> Error + Send>;

/// Present while the peer has not answered the first question.
#[derive(Default)]
pub(crate) struct Handshake(Mutex<Option<Unanswered>>);

struct Unanswered {
    explain: Explain,
    deadline: Option<TimerId>,
}

impl Handshake {
    fn state(&self) -> MutexGuard<'_, Option<Unanswered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the handshake, and its deadline. Returns the function that would have explained its failure.
    pub(super) fn take(&self) -> Option<Explain> {
        let unanswered = self.state().take()?;
        if let (Some(deadline), Ok(driver)) = (unanswered.deadline, driver()) {
            driver.remove_timer(deadline);
        }
        Some(unanswered.explain)
    }
}

impl Conn {
    /// Begins the handshake: the connection ends if the peer has not answered within `timeout`.
    pub(crate) fn start_handshake(self: &ArcConn, timeout: Duration, explain: Explain) {
        let conn = ArcConn::downgrade(self);
        let late = move || {
            if let Some(conn) = conn.upgrade() {
                conn.end(Error::Timeout(timeout));
            }
        };
        let deadline = Instant::now().checked_add(timeout);
        let deadline = deadline.map(|deadline| self.driver.add_timer(deadline, Box::new(late)));
        drop(self.handshake.take());
        *self.handshake.state() = Some(Unanswered { explain, deadline });
    }

    /// The peer has answered the last question of the handshake.
    pub(crate) fn handshake_done(&self) -> Option<Followup> {
        let explain = self.handshake.take()?;
        Some(Followup::Run(Box::new(|| drop(explain))))
    }

    /// The peer has answered a question of the handshake with an error. If the end is to be explained,
    /// this returns the error with which the connection has to end.
    pub(crate) fn refused(&self, error: &Error) -> Option<Error> {
        self.handshake.state().as_ref()?;
        Some(Error::disconnected(format!("it does not serve what is asked for first: {error}")))
    }

    /// No question was asked, so there will be nothing to explain.
    pub(crate) fn stop_explaining(&self) {
        drop(self.handshake.take());
    }

    /// The connection has ended with `error` before the peer has answered. `explain` runs on a pool
    /// thread, as it may block. The calls that wait fail when it has returned; the socket is shut down
    /// at once.
    pub(super) fn explain_end(self: &ArcConn, error: Error, explain: Explain) {
        self.enter(|core| core.abort(&error));
        let _ = shutdown(&**self.socket(), Shutdown::Both);
        let conn = ArcConn::clone(self);
        // Not through `pool::clean_up`: it must not queue behind destructors and hooks.
        pool::run(move || {
            let explained = catch_panic(|| Ok(explain(error.clone()))).unwrap_or(error);
            conn.complete_end(match explained {
                Error::Timeout(timeout) => {
                    Error::disconnected(format!("no answer within {timeout:?}"))
                }
                other => other,
            });
        });
    }
}
