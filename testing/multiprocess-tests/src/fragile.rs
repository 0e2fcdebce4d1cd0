//! A type of the user's whose codec panics.

use multiprocess::{Codec, CodecError};

/// A number. One value cannot be written, and one cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragile(pub i64);

impl Fragile {
    /// Panics when it is written.
    pub const UNWRITABLE: i64 = -1;
    /// Panics when it is read.
    pub const UNREADABLE: i64 = -2;
}

impl Codec for Fragile {
    type Wire = i64;

    fn decode(wire: i64) -> Result<Fragile, CodecError> {
        assert_ne!(wire, Fragile::UNREADABLE, "the codec cannot read it");
        Ok(Fragile(wire))
    }

    fn encode(value: &Fragile) -> Result<i64, CodecError> {
        assert_ne!(value.0, Fragile::UNWRITABLE, "the codec cannot write it");
        Ok(value.0)
    }
}
