//! What does not change of a connection that is made again, and is not the user's code.

use std::time::Duration;

use crate::process::Backoff;

/// Each is explained where it is set, in [`Reconnect`](super::Reconnect).
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) backoff: Backoff,
    pub(super) jitter: f64,
    pub(super) deadline: Duration,
    pub(super) give_up_after: Option<Duration>,
}
