//! A span for each call, of a target of its own: while a served method runs, what it logs is within.
//!
//! Spans are made, entered and closed outside the locks of connections: what takes them is the user's code. Where the
//! target is off, there is [`Span::none`] everywhere.

use std::time::Duration;

use tracing::field::Empty;
use tracing::{Level, Span, debug_span, span_enabled};

use crate::call_log::Outcome;
use crate::stats::Side;
use crate::trace_context::TraceContext;

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
    /// The trace that it is part of, if one is known.
    pub(crate) trace: Option<TraceContext>,
}

/// A span for a call that begins.
#[cold]
pub(crate) fn begin(begun: &Begun<'_>) -> Span {
    let Begun { side, method, connection, peer, number, bytes, trace } = *begun;
    let side = match side {
        Side::Called => "called",
        Side::Served => "served",
    };
    let span = debug_span!(
        target: target!(), "call", side, method, connection, peer = peer.unwrap_or("unnamed"), number,
        parameter_bytes = bytes, trace_id = Empty, parent_id = Empty, outcome = Empty, result_bytes = Empty,
        duration_us = Empty
    );
    if let Some(trace) = trace {
        let (id, parent) =
            (u128::from_be_bytes(trace.trace_id()), u64::from_be_bytes(trace.span_id()));
        span.record("trace_id", tracing::field::display(format_args!("{id:032x}")));
        span.record("parent_id", tracing::field::display(format_args!("{parent:016x}")));
    }
    span
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
