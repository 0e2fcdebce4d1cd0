//! The codec of the chapter on libmultiprocess.

use std::time::Duration;

use multiprocess::{Codec, CodecError};

/// What `CustomReadField` and `CustomBuildField` are in C++: seconds as a `Duration`.
#[derive(Debug)]
pub struct Seconds;

impl Codec<Duration> for Seconds {
    type Wire = i64; // what the schema has

    fn decode(wire: i64) -> Result<Duration, CodecError> {
        Ok(Duration::from_secs(u64::try_from(wire)?))
    }

    fn encode(value: &Duration) -> Result<i64, CodecError> {
        Ok(i64::try_from(value.as_secs())?)
    }
}
