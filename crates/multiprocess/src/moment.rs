//! Moments of the monotonic clock, noted for each call: for the dump of what is under way, and the log.

use std::time::Duration;

use crate::process::{coarse_nanoseconds, exact_nanoseconds};

/// A moment, in nanoseconds of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Now, as the kernel's last tick has it: up to 10 ms early. It takes a few instructions and no
    /// system call.
    pub(crate) fn coarse() -> Moment {
        Moment(coarse_nanoseconds())
    }

    /// Now.
    pub(crate) fn exact() -> Moment {
        Moment(exact_nanoseconds())
    }

    /// How long ago it was.
    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_nanos(Moment::exact().0.saturating_sub(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Moment;

    /// Both clocks are the same one, of which the coarse one is read too early by a tick.
    #[test]
    fn a_coarse_moment_is_a_little_early() {
        let before = Moment::exact();
        let coarse = Moment::coarse();
        assert!(coarse <= Moment::exact());
        assert!(coarse.0 + 1_000_000_000 > before.0, "{coarse:?} {before:?}");
        // It goes on.
        let end = Instant::now() + Duration::from_secs(20);
        while Moment::coarse() == coarse {
            assert!(Instant::now() < end, "the coarse clock stands still");
        }
        assert!(coarse.elapsed() > Duration::ZERO);
    }
}
