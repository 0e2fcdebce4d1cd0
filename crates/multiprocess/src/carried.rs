//! What travels with a call beside its parameters: its deadline and its trace.

use std::time::{Duration, Instant};

use crate::trace_context::TraceContext;

/// Of a call that this side makes or serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    /// When its caller gives up.
    pub(crate) deadline: Option<Instant>,
    pub(crate) trace: Option<TraceContext>,
}

/// The same as it is in a message, with the level of the call. The clocks of two processes differ, so the time that is
/// left is sent, and not a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// How many calls the call is made to serve.
    pub(crate) level: u16,
    /// The time until the deadline, in microseconds; 0 where there is none.
    pub(crate) remaining: u64,
    pub(crate) trace: Option<TraceContext>,
}

impl Carried {
    pub(crate) const NONE: Carried = Carried { deadline: None, trace: None };

    /// As it is sent now.
    pub(crate) fn told(&self, level: u16) -> Told {
        let remaining = |deadline: Instant| {
            let left = deadline.saturating_duration_since(Instant::now());
            // Rounded up: whoever serves the call gives up after its caller has.
            u64::try_from(left.as_micros()).unwrap_or(u64::MAX).saturating_add(1)
        };
        Told { level, remaining: self.deadline.map_or(0, remaining), trace: self.trace }
    }

    /// As it arrived now. None where nothing came with the call. In a box, because most calls have none.
    pub(crate) fn arrived(told: &Told) -> Option<Box<Carried>> {
        if told.remaining == 0 && told.trace.is_none() {
            return None;
        }
        let left = Duration::from_micros(told.remaining);
        // One that no clock can hold is none.
        let deadline = if told.remaining == 0 { None } else { Instant::now().checked_add(left) };
        Some(Box::new(Carried { deadline, trace: told.trace }))
    }

    /// The time that is left; zero when the deadline has passed.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_travels() {
        let now = Instant::now();
        let trace = Some(TraceContext::root(true));
        let sent = Carried { deadline: Some(now + Duration::from_secs(100)), trace };
        let told = sent.told(7);
        assert!(told.remaining <= 100_000_001 && told.remaining > 40_000_000, "{told:?}");
        assert_eq!((told.level, told.trace), (7, trace));
        let arrived = Carried::arrived(&told).unwrap();
        assert_eq!(arrived.trace, trace);
        assert!(arrived.deadline.unwrap() > sent.deadline.unwrap() && !arrived.is_late());
    }

    #[test]
    fn a_deadline_that_has_passed_is_sent_as_one() {
        let late = Carried { deadline: Some(Instant::now()), trace: None };
        assert_eq!(late.told(0).remaining, 1);
        assert!(late.is_late() && late.remaining() == Some(Duration::ZERO));
    }

    /// Whatever a peer writes.
    #[test]
    fn a_time_that_no_clock_can_hold_is_no_deadline() {
        let told = Told { remaining: u64::MAX, ..Told::default() };
        // 584,542 years are a time that Linux can hold, others may not.
        assert!(!Carried::arrived(&told).unwrap().is_late());
        assert_eq!(Carried::arrived(&Told::default()), None);
    }
}
