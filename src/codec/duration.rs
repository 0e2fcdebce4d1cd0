//! Timeouts.

use std::time::Duration;

use multiprocess::{Codec, CodecError};

/// For ever, as a timeout: the longest [`Duration`].
pub const FOREVER: Duration = Duration::MAX;

/// For a [`Duration`] that travels as a number of milliseconds.
///
/// The largest finite number means for ever, and so does [`FOREVER`]. What arrives is read as follows:
///
/// - infinity, and whatever is longer than a Duration can be: for ever;
/// - less than nothing: nothing, as a deadline that has passed leaves no time;
/// - what is not a number: an error.
///
/// Nanoseconds are kept as far as a Float64 can have them: to the microsecond for a hundred years.
#[derive(Debug, Clone, Copy)]
pub struct Milliseconds;

impl Codec<Duration> for Milliseconds {
    type Wire = f64;

    fn decode(wire: f64) -> Result<Duration, CodecError> {
        if wire.is_nan() {
            return Err("a time in milliseconds that is not a number".into());
        }
        // Whole seconds by themselves: of many, a quotient would keep too few milliseconds.
        let part = wire.max(0.0) % 1000.0;
        let whole = Duration::try_from_secs_f64((wire.max(0.0) - part) / 1000.0);
        let part = Duration::try_from_secs_f64(part / 1000.0);
        // Infinity has no part.
        let (Ok(whole), Ok(part)) = (whole, part) else { return Ok(FOREVER) };
        Ok(whole.checked_add(part).unwrap_or(FOREVER))
    }

    fn encode(value: &Duration) -> Result<f64, CodecError> {
        if *value == FOREVER {
            return Ok(f64::MAX);
        }
        // The parts one by one: 1001 ms are not 1000.9999999999999.
        #[expect(clippy::cast_precision_loss, reason = "seconds beyond 2^53 are some more or less")]
        let seconds = value.as_secs() as f64;
        Ok(seconds * 1000.0 + f64::from(value.subsec_nanos()) / 1_000_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_travel() {
        let ms = |ms| Duration::from_millis(ms);
        let hundred_years = Duration::from_secs(100 * 366 * 24 * 3600);
        for (time, number) in [
            (Duration::ZERO, 0.0),
            (ms(1), 1.0),
            (ms(1001), 1001.0),
            (Duration::from_micros(1500), 1.5),
            (Duration::from_nanos(1), 0.000_001),
            (hundred_years + ms(7), 3_162_240_000_007.0),
            (FOREVER, f64::MAX),
        ] {
            assert_eq!(Milliseconds::encode(&time).unwrap(), number, "{time:?}");
            assert_eq!(Milliseconds::decode(number).unwrap(), time, "{number}");
        }
    }

    #[test]
    fn what_is_too_long_is_for_ever() {
        for number in [f64::INFINITY, 1e300, 1.9e22] {
            assert_eq!(Milliseconds::decode(number).unwrap(), FOREVER, "{number}");
        }
        // A moment less than for ever: what is sent for it still means so.
        let long = FOREVER - Duration::from_nanos(1);
        let number = Milliseconds::encode(&long).unwrap();
        assert!(number.is_finite());
        assert_eq!(Milliseconds::decode(number).unwrap(), FOREVER);
    }

    #[test]
    fn what_is_negative_is_no_time_and_what_is_no_number_is_refused() {
        for number in [-0.0, -1.0, f64::MIN, f64::NEG_INFINITY] {
            assert_eq!(Milliseconds::decode(number).unwrap(), Duration::ZERO, "{number}");
        }
        let error = Milliseconds::decode(f64::NAN).unwrap_err().to_string();
        assert!(error.contains("not a number"), "{error}");
    }
}
