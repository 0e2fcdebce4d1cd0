//! What generated code is written against: the trait of types in fields, the trait of structs, and a
//! struct's fields by their types.

use std::fmt;

use capnp::private::layout::{PointerBuilder, PointerReader};

use super::context::{Decoder, Encoder};
use super::helpers::At;
use super::slots::{Builder, Reader, Size};
use crate::Result;

/// A type of the schema as it lies in a struct's field or in a list.
///
/// The implementations are markers without values; [`Value`](Wire::Value) is what a program sees.
pub trait Wire {
    /// The Rust type.
    type Value: 'static;
    /// The Rust type of a default that the schema gives: before any codec.
    type Default;

    /// Reads a field.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) for what does not fit.
    fn get(cx: &mut Decoder<'_>, from: Reader<'_>, slot: u32) -> Result<Self::Value>;

    /// Reads a field to which the schema gives a default.
    ///
    /// # Errors
    /// As [`get`](Wire::get).
    fn get_or(
        cx: &mut Decoder<'_>,
        from: Reader<'_>,
        slot: u32,
        default: Self::Default,
    ) -> Result<Self::Value>;

    /// Writes a field.
    ///
    /// # Errors
    /// A value that does not fit in a message, or that a codec refuses.
    fn set(
        cx: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        slot: u32,
        value: &Self::Value,
    ) -> Result<()>;

    /// Writes a field to which the schema gives a default.
    ///
    /// # Errors
    /// As [`set`](Wire::set).
    fn set_or(
        cx: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        slot: u32,
        value: &Self::Value,
        default: Self::Default,
    ) -> Result<()>;

    /// Reads a list of them; a null pointer is the empty list.
    ///
    /// # Errors
    /// As [`get`](Wire::get).
    fn read_list(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Vec<Self::Value>>;

    /// Writes a list of them.
    ///
    /// # Errors
    /// As [`set`](Wire::set).
    fn write_list<'v>(
        cx: &mut Encoder<'_>,
        to: PointerBuilder<'_>,
        values: impl ExactSizeIterator<Item = &'v Self::Value>,
    ) -> Result<()>
    where
        Self::Value: 'v;

    /// Writes a value for a person.
    ///
    /// # Errors
    /// Those of `f`.
    fn show(value: &Self::Value, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// A struct of a schema (or a group, or a union) as a plain Rust type; implemented by generated
/// code.
pub trait Message: Sized + fmt::Debug {
    /// How much room the struct takes in a message.
    const SIZE: Size;

    /// Whether it keeps what a newer peer's struct has beyond this one, so that its size can be larger.
    const KEEPS: bool = false;

    /// The room that this value takes.
    fn size(&self) -> Size {
        Self::SIZE
    }

    /// Reads the fields.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) with the field's path.
    fn read(cx: &mut Decoder<'_>, from: Reader<'_>) -> Result<Self>;

    /// Writes the fields to a struct that is empty.
    ///
    /// # Errors
    /// A value that does not fit in a message, or that a codec refuses.
    fn write(&self, cx: &mut Encoder<'_>, to: &mut Builder<'_>) -> Result<()>;
}

impl Reader<'_> {
    /// Reads a field.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode), whose path `name` begins.
    pub fn get<W: Wire>(self, cx: &mut Decoder<'_>, slot: u32, name: &str) -> Result<W::Value> {
        W::get(cx, self, slot).at(name)
    }

    /// Reads a field to which the schema gives a default.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_or<W: Wire>(
        self,
        cx: &mut Decoder<'_>,
        slot: u32,
        name: &str,
        default: W::Default,
    ) -> Result<W::Value> {
        W::get_or(cx, self, slot, default).at(name)
    }

    /// Reads a group or union, whose fields are among this struct's own.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn group<M: Message>(self, cx: &mut Decoder<'_>, name: &str) -> Result<M> {
        M::read(cx, self).at(name)
    }

    /// Returns an error if the results are a typed exception, which they are if the pointer in the slot is
    /// not null.
    ///
    /// # Errors
    /// [`Error::Raised`](crate::Error::Raised), or why the exception does not decode.
    pub fn raised<W: Wire>(self, cx: &mut Decoder<'_>, slot: u32, name: &'static str) -> Result<()>
    where
        W::Value: std::fmt::Debug + Send + Sync + 'static,
    {
        if self.pointer(slot).is_null() {
            return Ok(());
        }
        Err(crate::Error::raised_in(name, self.get::<W>(cx, slot, name)?))
    }
}

impl Builder<'_> {
    /// Writes a field.
    ///
    /// # Errors
    /// A value that does not fit in a message, or that a codec refuses.
    pub fn set<W: Wire>(
        &mut self,
        cx: &mut Encoder<'_>,
        slot: u32,
        name: &str,
        value: &W::Value,
    ) -> Result<()> {
        W::set(cx, self, slot, value).at(name)
    }

    /// Writes a field to which the schema gives a default.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_or<W: Wire>(
        &mut self,
        cx: &mut Encoder<'_>,
        slot: u32,
        name: &str,
        value: &W::Value,
        default: W::Default,
    ) -> Result<()> {
        W::set_or(cx, self, slot, value, default).at(name)
    }

    /// Writes a group or union.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn group<M: Message>(&mut self, cx: &mut Encoder<'_>, name: &str, value: &M) -> Result<()> {
        value.write(cx, self).at(name)
    }
}
