//! What does not change of a connection that is made again, and is not the user's code.

use std::time::Duration;

use crate::Error;
use crate::process::Backoff;

/// Each is explained where it is set, in [`Reconnect`](super::Reconnect).
pub(super) struct Settings {
    pub(super) name: String,
    /// The same where the program has set it: then the peer is called so as well.
    pub(super) peer_name: Option<String>,
    pub(super) backoff: Backoff,
    pub(super) jitter: f64,
    pub(super) deadline: Duration,
    pub(super) give_up_after: Option<Duration>,
}

impl Settings {
    /// `error`, behind what failed and, unless the error says it itself, to whom the connection was to be. `to`
    /// leads to the name.
    pub(super) fn failed(&self, what: &str, to: &str, error: &Error) -> String {
        let (name, why) = (&self.name, error.reason());
        match why.contains(name.as_str()) {
            true => format!("{what}: {why}"),
            false => format!("{what} {to} {name}: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_twice() {
        let settings = Settings {
            name: "/run/x.sock".to_owned(),
            peer_name: None,
            backoff: Backoff::default(),
            jitter: 0.0,
            deadline: Duration::ZERO,
            give_up_after: None,
        };
        let failed =
            |reason: &str| settings.failed("no connection", "to", &Error::disconnected(reason));
        assert_eq!(failed("no socket at /run/x.sock"), "no connection: no socket at /run/x.sock");
        assert_eq!(failed("it is full"), "no connection to /run/x.sock: it is full");
    }
}
