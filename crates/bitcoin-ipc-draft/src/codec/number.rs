//! Enums of Bitcoin Core's that travel as numbers.

use multiprocess::{Codec, CodecError};

/// For an enum of [`values`](crate::values) that travels as an Int32. Every number is valid: those without a
/// name are kept.
#[derive(Debug, Clone, Copy)]
pub struct Number;

impl<T: From<i32> + Into<i32> + Copy> Codec<T> for Number {
    type Wire = i32;

    fn decode(wire: i32) -> Result<T, CodecError> {
        Ok(T::from(wire))
    }

    fn encode(value: &T) -> Result<i32, CodecError> {
        Ok((*value).into())
    }
}

/// The same for one that travels as a UInt8.
#[derive(Debug, Clone, Copy)]
pub struct Number8;

impl<T: From<u8> + Into<u8> + Copy> Codec<T> for Number8 {
    type Wire = u8;

    fn decode(wire: u8) -> Result<T, CodecError> {
        Ok(T::from(wire))
    }

    fn encode(value: &T) -> Result<u8, CodecError> {
        Ok((*value).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{FilterType, RemovalReason};

    #[test]
    fn names_and_numbers_without_one_travel() {
        for (number, reason) in [
            (0, RemovalReason::Expiry),
            (3, RemovalReason::Block),
            (6, RemovalReason::Unknown(6)),
            (-1, RemovalReason::Unknown(-1)),
        ] {
            assert_eq!(<Number as Codec<RemovalReason>>::decode(number).unwrap(), reason);
            assert_eq!(Number::encode(&reason).unwrap(), number);
        }
        for (number, filter) in
            [(0, FilterType::Basic), (255, FilterType::Invalid), (1, FilterType::Unknown(1))]
        {
            assert_eq!(<Number8 as Codec<FilterType>>::decode(number).unwrap(), filter);
            assert_eq!(Number8::encode(&filter).unwrap(), number);
        }
    }
}
