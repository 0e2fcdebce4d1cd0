//! What is known of a wait that took too long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A wait for an answer that took too long, in [`Error::Timeout`](crate::Error::Timeout).
///
/// ```
/// use std::time::Duration;
/// use multiprocess::{Error, TimedOut};
///
/// // As a test of a program's own would make one.
/// let error = Error::Timeout(TimedOut::from(Duration::from_secs(2)));
/// assert_eq!(error.to_string(), "no answer within 2s");
/// assert!(matches!(&error, Error::Timeout(late) if late.after() == Duration::from_secs(2)));
/// assert!(matches!(&error, Error::Timeout(late) if late.method().is_none() && late.peer().is_none()));
/// ```
// In a box: the error of every call is as large as this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedOut(Box<Known>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    after: Duration,
    /// Empty where it is not known.
    method: &'static str,
    peer: Option<Arc<str>>,
}

impl TimedOut {
    /// Waiting for this peer, if it is known who it is.
    #[cold]
    pub(crate) fn waiting_for(peer: Option<&str>, after: Duration) -> TimedOut {
        TimedOut(Box::new(Known { after, method: "", peer: peer.map(Arc::from) }))
    }

    /// Says which method was called, unless that is known.
    pub(crate) fn name_method(&mut self, method: &'static str) {
        if self.0.method.is_empty() {
            self.0.method = method;
        }
    }

    /// How long it was waited.
    pub fn after(&self) -> Duration {
        self.0.after
    }

    /// The method that was called, as `Interface.method`. None where it was no call of a method, such as the
    /// wait for a peer's first answer.
    pub fn method(&self) -> Option<&'static str> {
        Some(self.0.method).filter(|method| !method.is_empty())
    }

    /// The peer's [name](crate::Connection::name_peer), or else its process, as `name[number]`. None for an
    /// object of this process, and where nothing is known of the peer.
    pub fn peer(&self) -> Option<&str> {
        self.0.peer.as_deref()
    }
}

impl From<Duration> for TimedOut {
    /// Of this length; nothing else is known of it.
    fn from(after: Duration) -> TimedOut {
        TimedOut::waiting_for(None, after)
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer within {:?}", self.after())?;
        if let Some(method) = self.method() {
            write!(f, " to {method}")?;
        }
        match self.peer() {
            Some(peer) => write!(f, " from {peer}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_what_is_known() {
        let mut late = TimedOut::waiting_for(Some("printer[7]"), Duration::from_millis(1500));
        assert_eq!(late.to_string(), "no answer within 1.5s from printer[7]");
        late.name_method("Printer.print");
        // One that forwards the error is not taken for the one that is late.
        late.name_method("Calculator.solve");
        assert_eq!(late.to_string(), "no answer within 1.5s to Printer.print from printer[7]");
        assert_eq!((late.method(), late.peer()), (Some("Printer.print"), Some("printer[7]")));
    }
}
