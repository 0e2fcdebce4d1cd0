//! How long a child gets for each step of its end.

use std::time::Duration;

/// The time from the close of a child's socket to SIGTERM, and from that to SIGKILL.
///
/// With the [default](Grace::default), a child that is stuck or stopped is gone after four seconds.
///
/// ```
/// use std::time::Duration;
/// use multiprocess::process::Grace;
///
/// // A database that takes its time to write everything.
/// let patient = Grace { exit: Duration::from_secs(60), ..Grace::default() };
/// assert_eq!(patient.terminate, Grace::TERMINATE);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// How long it may take to exit by itself, which it does when its socket is closed, until it gets
    /// SIGTERM. [`Grace::EXIT`] at first.
    pub exit: Duration,
    /// How long it may take after SIGTERM until it gets SIGKILL. [`Grace::TERMINATE`] at first.
    pub terminate: Duration,
}

impl Grace {
    /// The usual time to exit by itself: 3 seconds.
    pub const EXIT: Duration = Duration::from_secs(3);

    /// The usual time between SIGTERM and SIGKILL: 1 second.
    pub const TERMINATE: Duration = Duration::from_secs(1);
}

impl Default for Grace {
    fn default() -> Grace {
        Grace { exit: Grace::EXIT, terminate: Grace::TERMINATE }
    }
}
