//! The log of calls: a line for what is sent, and one for what comes back, on either side.
//!
//! Nothing here runs unless the target is enabled: callers ask [`is_on`] first, which is one load and a
//! comparison where it is off.

use std::fmt;
use std::time::Duration;

use tracing::{Level, enabled};

use crate::Error;
use crate::stats::CallOutcome;
use crate::thread_list;

/// The most characters of the parameters that are shown, as libmultiprocess has it.
pub(crate) const MOST_CHARACTERS: usize = 200;

/// The target of the events.
macro_rules! target {
    () => {
        "multiprocess::calls"
    };
}

/// Whether calls are logged.
#[inline]
pub(crate) fn is_on() -> bool {
    enabled!(target: target!(), Level::DEBUG)
}

/// Whether their parameters are.
#[inline]
pub(crate) fn shows_parameters() -> bool {
    enabled!(target: target!(), Level::TRACE)
}

/// What an event says of a call.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    /// The number of the connection, and what the peer is called, if it is.
    pub(crate) connection: u64,
    pub(crate) peer: Option<String>,
    /// The number of the call on this connection and side.
    pub(crate) number: u64,
    pub(crate) method: &'static str,
}

/// The peer's name, where it has one.
struct Peer<'a>(&'a Option<String>);

impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("unnamed"))
    }
}

/// One event at the level at which the parameters are shown, or else without them. The level of an event is
/// fixed where it is written, hence the macro.
macro_rules! event {
    ($parameters:expr, $called:expr, $($field:ident = $value:expr,)* $text:literal) => {{
        let Called { connection, peer, number, method } = $called;
        let (peer, thread) = (Peer(peer), thread_list::name());
        match $parameters {
            Some(parameters) => tracing::trace!(
                target: target!(), connection, %peer, number, $($field = $value,)* thread,
                concat!($text, " #{} {}$Params ({})"), number, method, parameters
            ),
            None => tracing::debug!(
                target: target!(), connection, %peer, number, $($field = $value,)* thread,
                concat!($text, " #{} {}$Params"), number, method
            ),
        }
    }};
}

/// This side sends a call.
#[cold]
pub(crate) fn sent(called: &Called, bytes: Option<usize>, parameters: Option<&str>) {
    event!(parameters, called, bytes = bytes, "IPC client send");
}

/// A call of the peer's begins.
#[cold]
pub(crate) fn received(called: &Called, bytes: usize, waited: Duration, parameters: Option<&str>) {
    event!(
        parameters,
        called,
        bytes = bytes,
        waited = tracing::field::debug(waited),
        "IPC server recv request"
    );
}

/// How a call ended.
pub(crate) enum Outcome<'a> {
    /// With results, of this size if it is known.
    Answered(Option<usize>),
    Failed(&'a Error),
    /// Nobody waits for it any more: its caller has let it go.
    Cancelled,
    /// Its caller's deadline has passed.
    TimedOut(&'a Error),
    /// The connection has ended, or what the call needed is gone for good.
    Lost(&'a Error),
}

impl<'a> Outcome<'a> {
    /// Of a call as its caller gets it, with results of this size or an error.
    pub(crate) fn of(bytes: Option<usize>, error: Option<&'a Error>) -> Outcome<'a> {
        match error {
            None => Outcome::Answered(bytes),
            Some(Error::Cancelled) => Outcome::Cancelled,
            Some(error @ Error::Timeout(_)) => Outcome::TimedOut(error),
            Some(error) if error.is_disconnect() => Outcome::Lost(error),
            Some(error) => Outcome::Failed(error),
        }
    }

    /// The same for the statistics.
    pub(crate) fn end(&self) -> CallOutcome {
        match self {
            Outcome::Answered(_) => CallOutcome::Answered,
            Outcome::Failed(_) => CallOutcome::Failed,
            Outcome::Cancelled => CallOutcome::Cancelled,
            Outcome::TimedOut(_) => CallOutcome::TimedOut,
            Outcome::Lost(_) => CallOutcome::Lost,
        }
    }

    /// In one word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Outcome::Answered(_) => "answered",
            Outcome::Failed(_) => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::TimedOut(_) => "timed out",
            Outcome::Lost(_) => "lost",
        }
    }

    /// The size of the results, where there are some and it is known.
    pub(crate) fn bytes(&self) -> Option<usize> {
        match self {
            Outcome::Answered(bytes) => *bytes,
            _ => None,
        }
    }
}

/// What follows the method in the text.
impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Answered(_) => f.write_str("$Results"),
            Outcome::Cancelled => f.write_str(" cancelled"),
            Outcome::Failed(error) | Outcome::TimedOut(error) | Outcome::Lost(error) => {
                write!(f, " {}: {error}", self.name())
            }
        }
    }
}

macro_rules! ended {
    ($called:expr, $took:expr, $outcome:expr, $text:literal) => {{
        let Called { connection, peer, number, method } = $called;
        let (peer, thread, took, end): (_, _, _, &Outcome<'_>) =
            (Peer(peer), thread_list::name(), $took, $outcome);
        tracing::debug!(
            target: target!(), connection, %peer, number, outcome = end.name(), bytes = end.bytes(),
            ?took, thread, concat!($text, " #{} {}{}"), number, method, end
        );
    }};
}

/// A call of this side's has ended.
#[cold]
pub(crate) fn answered(called: &Called, took: Duration, outcome: &Outcome<'_>) {
    ended!(called, took, outcome, "IPC client recv");
}

/// A call of the peer's has been answered.
#[cold]
pub(crate) fn answers(called: &Called, took: Duration, outcome: &Outcome<'_>) {
    ended!(called, took, outcome, "IPC server send response");
}
