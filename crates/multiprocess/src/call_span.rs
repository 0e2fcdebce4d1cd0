//! A span for each call, of a target of its own: while a served method runs, what it logs is within.
//!
//! Spans are made, entered and closed outside the locks of connections: what takes them is the user's code. Where the
//! target is off, there is [`Span::none`] everywhere.

use std::time::Duration;

use tracing::field::Empty;
use tracing::{Level, Span, debug_span, span_enabled};

use crate::call_log::Outcome;
use crate::stats::Side;

/// The target of the spans.
macro_rules! target {
    () => {
        "multiprocess::call"
    };
}

/// Whether there are spans.
#[inline]
pub(crate) fn is_on() -> bool {
    span_enabled!(target: target!(), Level::DEBUG)
}

/// What a span says of its call from the beginning.
pub(crate) struct Begun<'a> {
    pub(crate) side: Side,
    pub(crate) method: &'static str,
    pub(crate) connection: u64,
    pub(crate) peer: Option<&'a str>,
    /// The number of the call, as in the log.
    pub(crate) number: u64,
    /// Of the message with the parameters.
    pub(crate) bytes: usize,
}

/// A span for a call that begins.
#[cold]
pub(crate) fn begin(begun: &Begun<'_>) -> Span {
    let Begun { side, method, connection, peer, number, bytes } = *begun;
    let side = match side {
        Side::Called => "called",
        Side::Served => "served",
    };
    debug_span!(
        target: target!(), "call", side, method, connection, peer = peer.unwrap_or("unnamed"), number,
        parameter_bytes = bytes, outcome = Empty, result_bytes = Empty, duration_us = Empty
    )
}

/// The call has ended. The span ends when it is dropped.
pub(crate) fn end(span: &Span, outcome: &Outcome<'_>, took: Duration) {
    if span.is_none() {
        return;
    }
    span.record("outcome", outcome.name());
    if let Some(bytes) = outcome.bytes() {
        span.record("result_bytes", bytes);
    }
    span.record("duration_us", u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}
