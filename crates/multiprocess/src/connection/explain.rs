//! Until the peer has answered the first question: a connection that ends before is explained by
//! whoever made it, who may know more than that the socket was closed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};

use super::conn::{ArcConn, Conn};
use super::followup::Followup;
use crate::Error;
use crate::driver::{TimerId, driver};
use crate::panics::catch_panic;
use crate::pool;

/// Gives the error that every call fails with, for the one that ended the connection. May block.
pub(crate) type Explain = Box<dyn FnOnce(Error) -> Error + Send>;

/// There while the peer has not answered.
#[derive(Default)]
pub(crate) struct Unexplained(Mutex<Option<Unanswered>>);

struct Unanswered {
    explain: Explain,
    deadline: Option<TimerId>,
}

impl Unexplained {
    fn state(&self) -> MutexGuard<'_, Option<Unanswered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is over: there is nothing to explain any more.
    pub(super) fn take(&self) -> Option<Explain> {
        let unanswered = self.state().take()?;
        if let (Some(deadline), Ok(driver)) = (unanswered.deadline, driver()) {
            driver.remove_timer(deadline);
        }
        Some(unanswered.explain)
    }
}

impl Conn {
    /// Begins the handshake.
    pub(crate) fn shake_hands(self: &ArcConn, timeout: Duration, explain: Explain) {
        let conn = ArcConn::downgrade(self);
        let late = move || {
            if let Some(conn) = conn.upgrade() {
                conn.end(Error::Timeout(timeout));
            }
        };
        let deadline = Instant::now().checked_add(timeout);
        let deadline = deadline.map(|deadline| self.driver.add_timer(deadline, Box::new(late)));
        drop(self.unexplained.take());
        *self.unexplained.state() = Some(Unanswered { explain, deadline });
    }

    /// The peer has answered the last question of the handshake.
    pub(crate) fn shaken(&self) -> Option<Followup> {
        let explain = self.unexplained.take()?;
        Some(Followup::Run(Box::new(|| drop(explain))))
    }

    /// The peer has answered a question of the handshake with an error. Where somebody is to explain
    /// that, it is the end of the connection, which is returned.
    pub(crate) fn refused(&self, error: &Error) -> Option<Error> {
        self.unexplained.state().as_ref()?;
        Some(Error::disconnected(format!("it does not serve what is asked for first: {error}")))
    }

    /// Nothing was asked: there is nothing to explain.
    pub(crate) fn stop_explaining(&self) {
        drop(self.unexplained.take());
    }

    /// The connection has ended with `error` before the peer has answered. What is known of the end
    /// is found out on a thread of its own; until then nobody waits for the socket.
    pub(super) fn explain_end(self: &ArcConn, error: Error, explain: Explain) {
        self.enter(|core| core.abort(&error));
        let _ = shutdown(&**self.socket(), Shutdown::Both);
        let conn = ArcConn::clone(self);
        // Not behind destructors and hooks, of which only so many run at once.
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
