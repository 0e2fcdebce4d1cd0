//! Custom Rust types that the schema names, and their codecs.

use std::sync::Arc;

use multiprocess::{Codec, CodecError};

use crate::generated::foo::FooCustom;
use crate::generated::types::{Color, Point};

/// Years. Values above [`Age::MOST`] cannot be sent, and values above [`Age::OLDEST`] are refused
/// when they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Age(pub u32);

impl Age {
    /// The largest value that can be sent.
    pub const MOST: u32 = 150;
    /// The largest value that is accepted.
    pub const OLDEST: u32 = 120;
}

impl Codec for Age {
    type Wire = i64;

    fn decode(wire: i64) -> Result<Age, CodecError> {
        match u32::try_from(wire) {
            Ok(years) if years <= Age::OLDEST => Ok(Age(years)),
            _ => Err(format!("{wire} is no age").into()),
        }
    }

    fn encode(value: &Age) -> Result<i64, CodecError> {
        if value.0 > Age::MOST {
            return Err(format!("nobody is {} years old", value.0).into());
        }
        Ok(value.0.into())
    }
}

/// Four bytes that name something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Id(pub [u8; 4]);

impl Codec for Id {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<Id, CodecError> {
        match wire.try_into() {
            Ok(bytes) => Ok(Id(bytes)),
            Err(wire) => Err(format!("an id has 4 bytes, not {}", wire.len()).into()),
        }
    }

    fn encode(value: &Id) -> Result<Vec<u8>, CodecError> {
        Ok(value.0.to_vec())
    }
}

/// A point as a tuple.
pub struct Tuple;

impl Codec<(i32, i32)> for Tuple {
    type Wire = Point;

    fn decode(wire: Point) -> Result<(i32, i32), CodecError> {
        Ok((wire.x, wire.y))
    }

    fn encode(value: &(i32, i32)) -> Result<Point, CodecError> {
        Ok(Point { x: value.0, y: value.1 })
    }
}

/// A color by its first letter.
pub struct Letter;

impl Codec<char> for Letter {
    type Wire = Color;

    fn decode(wire: Color) -> Result<char, CodecError> {
        match wire {
            Color::Red => Ok('r'),
            Color::Green => Ok('g'),
            Color::Blue => Ok('b'),
            Color::Unknown(number) => Err(format!("color {number} has no letter").into()),
        }
    }

    fn encode(value: &char) -> Result<Color, CodecError> {
        match value {
            'r' => Ok(Color::Red),
            'g' => Ok(Color::Green),
            'b' => Ok(Color::Blue),
            other => Err(format!("no color begins with {other:?}").into()),
        }
    }
}

/// A type of this crate that is sent as the schema's `FooCustom`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Custom {
    /// Sent as `v1`.
    pub text: String,
    /// Sent as `v2`.
    pub number: i32,
}

impl Codec for Custom {
    type Wire = FooCustom;

    fn decode(wire: FooCustom) -> Result<Custom, CodecError> {
        Ok(Custom { text: wire.v1, number: wire.v2 })
    }

    fn encode(value: &Custom) -> Result<FooCustom, CodecError> {
        Ok(FooCustom { v1: value.text.clone(), v2: value.number })
    }
}

/// An enum of this crate that is sent as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FooEnum {
    /// Sent as 1.
    One = 1,
    /// Sent as 2.
    Two = 2,
}

impl Codec for FooEnum {
    type Wire = i32;

    fn decode(wire: i32) -> Result<FooEnum, CodecError> {
        match wire {
            1 => Ok(FooEnum::One),
            2 => Ok(FooEnum::Two),
            _ => Err(format!("{wire} is no FooEnum").into()),
        }
    }

    fn encode(value: &FooEnum) -> Result<i32, CodecError> {
        Ok(*value as i32)
    }
}

/// Bytes that are shared without a copy.
pub type SharedBytes = Arc<Vec<u8>>;

/// The codec of [`SharedBytes`], which is not a type of this crate.
pub struct Bytes;

impl Codec<SharedBytes> for Bytes {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<SharedBytes, CodecError> {
        Ok(Arc::new(wire))
    }

    fn encode(value: &SharedBytes) -> Result<Vec<u8>, CodecError> {
        Ok(value.to_vec())
    }
}
