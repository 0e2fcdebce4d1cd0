//! How long to wait before a child is started, or a connection made, again.

use std::time::Duration;

/// The delays of a [`Supervisor`](super::Supervisor). They grow while the child keeps ending soon after its
/// start, and begin anew once it ran for a while. Those of a [`Reconnect`](crate::Reconnect) are the same,
/// with connections for children.
///
/// ```
/// use std::time::Duration;
/// use multiprocess::process::Backoff;
///
/// // 1 s, 2 s, 4 s, then 5 s each time; after ten failures in a row it is given up.
/// let backoff = Backoff {
///     first: Duration::from_secs(1),
///     longest: Duration::from_secs(5),
///     max_restarts: Some(10),
///     ..Backoff::default()
/// };
/// assert_eq!(backoff.factor, 2.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Before the first restart. 100 milliseconds by default.
    pub first: Duration,
    /// What each further delay is multiplied with. 2 by default; what is below 1 counts as 1.
    pub factor: f64,
    /// No delay is longer than this. 30 seconds by default.
    pub longest: Duration,
    /// A child that ran for so long is no failure: the next delay is the first again. 60 seconds by
    /// default.
    pub reset_after: Duration,
    /// After so many restarts in a row, none of which led to a child that ran for
    /// [`reset_after`](Backoff::reset_after), there is no further one. None, the default: never.
    pub max_restarts: Option<u32>,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            first: Duration::from_millis(100),
            factor: 2.0,
            longest: Duration::from_secs(30),
            reset_after: Duration::from_secs(60),
            max_restarts: None,
        }
    }
}

/// The present state of the delays of one supervisor or connection.
#[derive(Debug)]
pub(crate) struct Delays {
    backoff: Backoff,
    /// Restarts since the last child that ran for long.
    in_a_row: u32,
    next: Duration,
}

impl Delays {
    pub(crate) fn new(backoff: Backoff) -> Delays {
        Delays { backoff, in_a_row: 0, next: backoff.first }
    }

    /// The delay before the restart of a child that ran for `ran`. None if it is given up.
    pub(crate) fn next(&mut self, ran: Duration) -> Option<Duration> {
        if ran >= self.backoff.reset_after {
            *self = Delays::new(self.backoff);
        }
        self.next_in_a_row()
    }

    /// The delay after a start that failed.
    pub(crate) fn next_in_a_row(&mut self) -> Option<Duration> {
        if self.backoff.max_restarts.is_some_and(|most| self.in_a_row >= most) {
            return None;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        let delay = self.next.min(self.backoff.longest);
        // Not a number, negative or infinite: as no growth, or as the longest.
        let grown = delay.as_secs_f64() * self.backoff.factor.max(1.0);
        self.next = Duration::try_from_secs_f64(grown).unwrap_or(self.backoff.longest);
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn seconds(backoff: Backoff, ran: &[u32]) -> Vec<Option<u64>> {
        let mut delays = Delays::new(backoff);
        let next = |ran: &u32| delays.next(SECOND * *ran).map(|delay| delay.as_secs());
        ran.iter().map(next).collect()
    }

    #[test]
    fn delays_grow_to_the_longest_and_begin_anew() {
        let backoff = Backoff {
            first: SECOND,
            factor: 3.0,
            longest: 10 * SECOND,
            reset_after: 5 * SECOND,
            max_restarts: None,
        };
        let expected = [1, 3, 9, 10, 10, 1, 3].map(Some);
        assert_eq!(seconds(backoff, &[0, 0, 0, 4, 0, 5, 0]), expected);
    }

    #[test]
    fn restarts_in_a_row_are_bounded() {
        let backoff = Backoff {
            first: SECOND,
            reset_after: 5 * SECOND,
            max_restarts: Some(2),
            ..Backoff::default()
        };
        let expected = [Some(1), Some(2), Some(1), Some(2), None, None];
        assert_eq!(seconds(backoff, &[0, 0, 9, 0, 0, 0]), expected);
        assert_eq!(seconds(Backoff { max_restarts: Some(0), ..backoff }, &[9]), [None]);
    }

    #[test]
    fn strange_factors_are_harmless() {
        for (factor, second) in [(f64::NAN, 1), (-1.0, 1), (0.5, 1), (f64::INFINITY, 30)] {
            let backoff = Backoff { first: SECOND, factor, ..Backoff::default() };
            assert_eq!(seconds(backoff, &[0, 0]), [Some(1), Some(second)], "{factor}");
        }
    }
}
