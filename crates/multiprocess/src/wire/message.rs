//! The fields of one struct in a message.

use capnp::private::layout::{
    PointerBuilder, PointerReader, StructBuilder, StructReader, StructSize,
};
use capnp::traits::{FromPointerBuilder, FromPointerReader};

use super::Wire;
use super::context::{Decoder, Encoder};
use super::helpers::{At, malformed};
use super::{AnyBuilder, AnyReader};
use crate::Result;

/// A struct of a schema (or a group, or a union) as a plain Rust type; implemented by generated
/// code.
pub trait Message: Sized {
    /// How much room the struct takes in a message.
    const SIZE: Size;

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

/// The room that a struct takes: words of data, and pointers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u16, pub u16);

impl From<Size> for StructSize {
    fn from(Size(data, pointers): Size) -> StructSize {
        StructSize { data, pointers }
    }
}

/// A struct in a message that arrived.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub(super) StructReader<'a>);

impl<'a> Reader<'a> {
    /// The struct that is a message's content: a call's parameters or results.
    pub(crate) fn content(content: AnyReader<'a>) -> Result<Reader<'a>> {
        let Pointer(pointer) = content.get_as().map_err(malformed)?;
        Reader::at(pointer)
    }

    /// The struct behind a pointer.
    pub(crate) fn at(pointer: PointerReader<'a>) -> Result<Reader<'a>> {
        pointer.get_struct(None).map(Reader).map_err(malformed)
    }

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

    /// Which member of a union is set; `slot` counts in units of two bytes.
    pub fn tag(self, slot: u32) -> u16 {
        self.0.get_data_field(slot as usize)
    }

    /// Returns an error if the results are a typed exception, which they are if the pointer in the slot is
    /// not null.
    ///
    /// # Errors
    /// [`Error::Raised`](crate::Error::Raised), or why the exception does not decode.
    pub fn raised<W: Wire>(self, cx: &mut Decoder<'_>, slot: u32, name: &str) -> Result<()>
    where
        W::Value: std::fmt::Debug + Send + Sync + 'static,
    {
        if self.pointer(slot).is_null() {
            return Ok(());
        }
        Err(crate::Error::raised(self.get::<W>(cx, slot, name)?))
    }

    pub(crate) fn pointer(self, slot: u32) -> PointerReader<'a> {
        self.0.get_pointer_field(slot as usize)
    }
}

/// A struct in a message that is being written.
pub struct Builder<'a>(pub(super) StructBuilder<'a>);

impl<'a> Builder<'a> {
    /// The struct that becomes a message's content.
    pub(crate) fn content(content: AnyBuilder<'a>, size: Size) -> Builder<'a> {
        let PointerMut(pointer) = content.init_as();
        Builder(pointer.init_struct(size.into()))
    }

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

    /// Says which member of a union is set; `slot` counts in units of two bytes.
    pub fn set_tag(&mut self, slot: u32, tag: u16) {
        self.0.set_data_field(slot as usize, tag);
    }

    pub(crate) fn pointer(&mut self, slot: u32) -> PointerBuilder<'_> {
        self.0.reborrow().get_pointer_field(slot as usize)
    }
}

/// A pointer in a message, wrapped so that capnp's traits return it.
pub(crate) struct Pointer<'a>(pub(crate) PointerReader<'a>);

impl<'a> FromPointerReader<'a> for Pointer<'a> {
    fn get_from_pointer(
        reader: &PointerReader<'a>,
        _default: Option<&'a [capnp::Word]>,
    ) -> capnp::Result<Self> {
        Ok(Pointer(*reader))
    }
}

/// The same in a message that is being written.
pub(crate) struct PointerMut<'a>(pub(crate) PointerBuilder<'a>);

impl<'a> FromPointerBuilder<'a> for PointerMut<'a> {
    fn init_pointer(builder: PointerBuilder<'a>, _length: u32) -> Self {
        PointerMut(builder)
    }

    fn get_from_pointer(
        builder: PointerBuilder<'a>,
        _default: Option<&'a [capnp::Word]>,
    ) -> capnp::Result<Self> {
        Ok(PointerMut(builder))
    }
}
