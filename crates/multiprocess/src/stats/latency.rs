//! How long calls took: their number, sum and maximum, and a histogram.

use std::time::Duration;

/// Bucket 0 has the calls of less than a microsecond, bucket n those of less than 2^n of them, and the last one all
/// that are longer: from 18 minutes on.
const BUCKETS: usize = 32;

/// How long the calls of one method took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Latency {
    pub(super) count: u64,
    pub(super) sum: Duration,
    pub(super) max: Duration,
    buckets: [u64; BUCKETS],
}

impl Latency {
    pub(super) fn add(&mut self, took: Duration) {
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
        self.max = self.max.max(took);
        self.buckets[bucket(took)] += 1;
    }

    /// How many calls there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How long they took together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How long the longest took.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The numbers of calls by their time. Bucket 0 has those of less than a microsecond, bucket n those of less than
    /// 2^n microseconds and no less than half of that; the last one also has all longer ones.
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// The time within which this part of the calls ended: 0.5 for the median, 0.99 for all but a hundredth. It is the
    /// upper end of a bucket, so up to twice the real one, and never more than [`max`](Self::max). Zero where there are
    /// no calls.
    ///
    /// ```
    /// assert!(multiprocess::stats::Latency::default().quantile(0.99).is_zero());
    /// ```
    pub fn quantile(&self, part: f64) -> Duration {
        quantile(&self.buckets, self.max, part)
    }
}

/// The same of such buckets, which may be a peer's.
pub(crate) fn quantile(buckets: &[u64], max: Duration, part: f64) -> Duration {
    let count = buckets.iter().fold(0, |sum: u64, calls| sum.saturating_add(*calls));
    // At least one call: the 0 quantile is the shortest.
    let wanted = ((count as f64 * part.clamp(0.0, 1.0)).ceil() as u64).max(1);
    let mut seen = 0_u64;
    for (number, calls) in buckets.iter().take(BUCKETS - 1).enumerate() {
        seen = seen.saturating_add(*calls);
        if seen >= wanted {
            return Duration::from_micros(1 << number).min(max);
        }
    }
    // The last bucket has no end.
    max
}

fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let bits = (u64::BITS - micros.leading_zeros()) as usize;
    bits.min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_has_its_bucket() {
        let nanos = Duration::from_nanos;
        for (time, number) in
            [(0, 0), (999, 0), (1_000, 1), (1_999, 1), (2_000, 2), (3_999, 2), (4_000, 3)]
        {
            assert_eq!(bucket(nanos(time)), number, "{time} ns");
        }
        assert_eq!(bucket(Duration::from_micros((1 << 30) - 1)), 30);
        assert_eq!(bucket(Duration::from_micros(1 << 30)), 31);
        assert_eq!(bucket(Duration::MAX), 31);
    }

    #[test]
    fn quantiles_are_ends_of_buckets_and_never_beyond_the_longest() {
        let mut latency = Latency::default();
        for _ in 0..98 {
            latency.add(Duration::from_micros(3));
        }
        latency.add(Duration::from_micros(100));
        latency.add(Duration::from_micros(1_100));
        assert_eq!(latency.quantile(0.0), Duration::from_micros(4));
        assert_eq!(latency.quantile(0.98), Duration::from_micros(4));
        assert_eq!(latency.quantile(0.99), Duration::from_micros(128));
        assert_eq!(latency.quantile(1.0), Duration::from_micros(1_100));
        assert_eq!((latency.count(), latency.max()), (100, Duration::from_micros(1_100)));
        assert_eq!(latency.sum(), Duration::from_micros(98 * 3 + 1_200));
    }

    #[test]
    fn what_takes_longer_than_all_buckets_ends_with_the_longest() {
        let mut latency = Latency::default();
        latency.add(Duration::from_secs(100_000));
        assert_eq!(latency.quantile(0.5), Duration::from_secs(100_000));
    }
}
