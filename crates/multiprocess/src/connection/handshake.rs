//! The time until the peer has answered the first question. If the connection ends before that, the
//! code that made it may know a better reason than that the socket was closed, such as the exit status
//! of a child process, and is asked to explain the end.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::driver::{TimerId, driver};

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

    /// Whether the peer has answered, or there was nothing to answer.
    pub(super) fn is_over(&self) -> bool {
        self.state().is_none()
    }

    /// Begins the handshake, which `deadline` ends where it takes too long.
    pub(super) fn begin(&self, explain: Explain, deadline: Option<TimerId>) {
        *self.state() = Some(Unanswered { explain, deadline });
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
