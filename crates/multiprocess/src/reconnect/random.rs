//! Spreads the attempts of many, so that those who have lost the same server do not come back at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A time between `delay` and the part of it that is left without `jitter`, which is from 0 to 1.
pub(super) fn spread(delay: Duration, jitter: f64) -> Duration {
    // Not a number, as nothing.
    let jitter = if jitter > 0.0 { jitter.min(1.0) } else { 0.0 };
    let spread = delay.as_secs_f64() * (1.0 - jitter * random());
    // A time that no floating-point number can hold is as good as any.
    Duration::try_from_secs_f64(spread).map_or(delay, |spread| spread.min(delay))
}

/// From 0 to 1. The keys of hash maps are the random numbers that the standard library has.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    bits as f64 / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_are_spread_over_the_jitter_and_no_further() {
        let times: Vec<_> = (0..1000).map(|_| spread(SECOND, 0.5)).collect();
        assert!(times.iter().all(|time| (SECOND / 2..=SECOND).contains(time)));
        // Each quarter has some: that one has none of a thousand is not going to happen.
        for quarter in 0..4 {
            let from = SECOND / 2 + SECOND / 8 * quarter;
            assert!(times.iter().any(|time| (from..=from + SECOND / 8).contains(time)));
        }
        for jitter in [0.0, -1.0, f64::NAN] {
            assert_eq!(spread(SECOND, jitter), SECOND);
        }
        assert!((0..100).all(|_| spread(SECOND, 7.0) <= SECOND));
        assert_eq!(spread(Duration::MAX, 0.0), Duration::MAX);
    }
}
