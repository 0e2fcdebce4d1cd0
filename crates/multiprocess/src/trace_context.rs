//! Which trace a call belongs to, as W3C Trace Context has it. Plain data: how it reaches a call is in the layers above.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// The part of the flags that says that the trace is recorded.
const SAMPLED: u8 = 1;

/// The trace that a call is part of, and the span in it that made the call: the content of the header `traceparent`
/// of [W3C Trace Context](https://www.w3.org/TR/trace-context/).
///
/// It travels with calls between peers that use this crate. A call has the one that was given to it
/// ([`Call::trace`](crate::Call::trace)), or that is in force where it is made: that of a [scope](Self::in_scope), or
/// else that of the call that the calling method serves. [`Interceptor`](crate::Interceptor)s can change it.
/// [`current`](Self::current) tells the one in force, [`CurrentCall::trace`](crate::CurrentCall::trace) the one that
/// the served call came with. Nothing here records anything: that is for `tracing` or OpenTelemetry.
///
/// ```
/// use multiprocess::TraceContext;
///
/// let trace: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// assert!(trace.is_sampled());
/// assert_eq!(trace.trace_id()[..2], [0x4b, 0xf9]);
/// // A span within it.
/// let span = trace.child();
/// assert_eq!(span.trace_id(), trace.trace_id());
/// assert!(span.to_string().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
/// # Ok::<(), multiprocess::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// Of these ids and flags, such as another library has them.
    ///
    /// # Errors
    /// One of the ids is zero, which stands for none.
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Result<TraceContext> {
        let known = TraceContext { trace_id, span_id, flags };
        if known.is_valid() {
            return Ok(known);
        }
        Err(Error::failed("a trace id and a span id of zeros stand for none: take others"))
    }

    /// The first span of a new trace. `sampled`: it is to be recorded. The ids are random, but no secret.
    pub fn root(sampled: bool) -> TraceContext {
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&random());
        trace_id[8..].copy_from_slice(&random());
        TraceContext { trace_id, span_id: random(), flags: if sampled { SAMPLED } else { 0 } }
    }

    /// Another span of the same trace, with a new id and the same flags.
    #[must_use]
    pub fn child(&self) -> TraceContext {
        TraceContext { span_id: random(), ..*self }
    }

    /// The id of the trace, which all its spans have. Not only zeros.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the span that makes the call: the parent of the span that serves it. Not only zeros.
    pub fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// The trace flags of W3C: bit 0 is [`is_sampled`](Self::is_sampled). The others are handed on as they are.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the caller records the trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// As it is in a message: the trace id in two numbers, and the span id. Null if it is none.
    pub(crate) fn from_numbers([high, low, span]: [u64; 3], flags: u8) -> Option<TraceContext> {
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&high.to_be_bytes());
        trace_id[8..].copy_from_slice(&low.to_be_bytes());
        let told = TraceContext { trace_id, span_id: span.to_be_bytes(), flags };
        told.is_valid().then_some(told)
    }

    /// The reverse.
    pub(crate) fn to_numbers(self) -> [u64; 3] {
        let trace = u128::from_be_bytes(self.trace_id);
        [(trace >> 64) as u64, trace as u64, u64::from_be_bytes(self.span_id)]
    }

    fn is_valid(&self) -> bool {
        self.trace_id != [0; 16] && self.span_id != [0; 8]
    }
}

/// Eight random bytes that are not zero. The keys of hash maps are the random numbers that the standard library has; a
/// fork of the process has the same ones, so its number counts as well.
fn random() -> [u8; 8] {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    KEYS.hash_one((std::process::id(), number)).max(1).to_be_bytes()
}

/// The header `traceparent`, version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.span_id));
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}

/// Reads the header `traceparent`. Of versions after 00 what is added at the end is left out, as W3C has it.
impl FromStr for TraceContext {
    type Err = Error;

    /// # Errors
    /// It is none; the text says why.
    fn from_str(text: &str) -> Result<TraceContext> {
        read(text).ok_or_else(|| {
            Error::failed(
                "not a traceparent: it has to be VERSION-TRACEID-SPANID-FLAGS with 2, 32, 16 and 2 digits of \
                 lower-case hexadecimal, and no id of zeros",
            )
        })
    }
}

fn read(text: &str) -> Option<TraceContext> {
    let mut parts = text.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace = hex(parts.next()?, 32)?;
    let span = u64::try_from(hex(parts.next()?, 16)?).ok()?;
    let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
    if version == 0xff || (version == 0 && parts.next().is_some()) {
        return None;
    }
    TraceContext::from_numbers([(trace >> 64) as u64, trace as u64, span], flags)
}

/// A number of so many digits.
fn hex(digits: &str, count: usize) -> Option<u128> {
    let is_digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    let valid = digits.len() == count && digits.bytes().all(is_digit);
    valid.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let trace: TraceContext = EXAMPLE.parse().unwrap();
        assert_eq!(trace.to_string(), EXAMPLE);
        assert_eq!(trace.trace_id()[0], 0x4b);
        assert_eq!(trace.trace_id()[15], 0x36);
        assert_eq!(trace.span_id(), [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert!(trace.is_sampled());
        assert_eq!(TraceContext::new(trace.trace_id(), trace.span_id(), 1).unwrap(), trace);
        // Through a message.
        assert_eq!(TraceContext::from_numbers(trace.to_numbers(), 1), Some(trace));
        // Flags that are not known yet.
        let other = EXAMPLE.replace("-01", "-f2").parse::<TraceContext>().unwrap();
        assert_eq!((other.is_sampled(), other.flags()), (false, 0xf2));
        // A later version may have more.
        let later = format!("{}-what-ever", EXAMPLE.replacen("00", "cc", 1));
        assert_eq!(later.parse::<TraceContext>().unwrap(), trace);
        assert_eq!(EXAMPLE.replacen("00", "01", 1).parse::<TraceContext>().unwrap(), trace);
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        ] {
            let error = wrong.parse::<TraceContext>().unwrap_err();
            assert!(error.to_string().contains("not a traceparent"), "{wrong}: {error}");
        }
        TraceContext::new([0; 16], [1; 8], 0).unwrap_err();
        TraceContext::new([1; 16], [0; 8], 0).unwrap_err();
        assert_eq!(TraceContext::from_numbers([0, 0, 1], 1), None);
    }

    #[test]
    fn new_ids_are_different_ones() {
        let root = TraceContext::root(true);
        assert!(root.is_sampled() && !TraceContext::root(false).is_sampled());
        let traces: HashSet<_> = (0..1000).map(|_| TraceContext::root(true).trace_id()).collect();
        let spans: HashSet<_> = (0..1000).map(|_| root.child().span_id()).collect();
        assert_eq!((traces.len(), spans.len()), (1000, 1000));
        assert!(!spans.contains(&root.span_id()));
        assert_eq!(root.child().trace_id(), root.trace_id());
    }
}
