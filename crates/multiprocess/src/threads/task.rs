//! A call on its way through a thread of this process.

use crate::Error;
use crate::connection::WeakConn;

/// A call that is served here, as threads see it.
pub(crate) trait RunCall: Send {
    /// Runs the method on this thread and sends its results; or hands it over, to be run and answered
    /// elsewhere.
    fn run(self: Box<Self>);

    /// Answers with an error without running the method. Wherever this is.
    fn refuse(self: Box<Self>, error: Error);

    /// The connection that the call came over.
    fn connection(&self) -> WeakConn;
}

/// A decoded call with what is needed to answer it. Dropped unrun, it answers with an error.
pub(crate) struct Task(Option<Box<dyn RunCall>>);

impl Task {
    pub(crate) fn new(call: Box<dyn RunCall>) -> Task {
        Task(Some(call))
    }

    /// The connection that the call came over.
    pub(crate) fn connection(&self) -> WeakConn {
        self.0.as_ref().map(|call| call.connection()).unwrap_or_default()
    }

    /// Runs the call here, or hands it over.
    pub(crate) fn run(mut self) {
        if let Some(call) = self.0.take() {
            call.run();
        }
    }

    /// Answers with an error without running the method.
    pub(crate) fn refuse(mut self, error: Error) {
        if let Some(call) = self.0.take() {
            call.refuse(error);
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call.refuse(Error::failed("the thread that was to run this call has ended"));
        }
    }
}
