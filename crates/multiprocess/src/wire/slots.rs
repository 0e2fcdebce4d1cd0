//! Structs in a message as they lie there: data and pointers by their slots, without the types of the
//! schema.

use capnp::private::layout::{
    PointerBuilder, PointerReader, StructBuilder, StructReader, StructSize,
};
use capnp::traits::{FromPointerBuilder, FromPointerReader, IntoInternalStructReader};

use super::helpers::malformed;
use crate::Result;

/// A message's content, to be read.
pub type AnyReader<'a> = capnp::any_pointer::Reader<'a>;
/// A message's content, to be written.
pub type AnyBuilder<'a> = capnp::any_pointer::Builder<'a>;

/// The room that a struct takes: words of data, and pointers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u16, pub u16);

impl Size {
    /// The size that has room for either.
    pub(crate) fn larger(self, other: Size) -> Size {
        Size(self.0.max(other.0), self.1.max(other.1))
    }
}

impl From<Size> for StructSize {
    fn from(Size(data, pointers): Size) -> StructSize {
        StructSize { data, pointers }
    }
}

/// A struct in a message that arrived.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub(super) StructReader<'a>);

opaque!(Reader, impl std::fmt::Debug for Reader<'_>);

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

    /// Which member of a union is set; `slot` counts in units of two bytes.
    pub fn tag(self, slot: u32) -> u16 {
        self.0.get_data_field(slot as usize)
    }

    /// The pointer in a slot.
    pub(crate) fn pointer(self, slot: u32) -> PointerReader<'a> {
        self.0.get_pointer_field(slot as usize)
    }

    /// A word of data.
    pub(crate) fn word(self, index: usize) -> u64 {
        self.0.get_data_field(index)
    }

    /// How many whole words of data it has, and how many pointers.
    pub(crate) fn extent(self) -> (usize, u32) {
        let data = capnp::raw::get_struct_data_section(Content(self.0)).len() / size_of::<u64>();
        (data, capnp::raw::get_struct_pointer_section(Content(self.0)).len())
    }
}

/// A struct in a message that is being written.
pub struct Builder<'a>(pub(super) StructBuilder<'a>);

opaque!(Builder, impl std::fmt::Debug for Builder<'_>);

impl<'a> Builder<'a> {
    /// The struct that becomes a message's content.
    pub(crate) fn content(content: AnyBuilder<'a>, size: Size) -> Builder<'a> {
        let PointerMut(pointer) = content.init_as();
        Builder(pointer.init_struct(size.into()))
    }

    /// Says which member of a union is set; `slot` counts in units of two bytes.
    pub fn set_tag(&mut self, slot: u32, tag: u16) {
        self.0.set_data_field(slot as usize, tag);
    }

    /// The room that it has.
    pub(crate) fn size(&self) -> Size {
        let (words, pointers) = Reader(self.0.as_reader()).extent();
        let most = u16::MAX;
        Size(u16::try_from(words).unwrap_or(most), u16::try_from(pointers).unwrap_or(most))
    }

    /// Sets a word of data, which has to be within [`size`](Builder::size).
    pub(crate) fn set_word(&mut self, index: usize, word: u64) {
        self.0.set_data_field(index, word);
    }

    /// The pointer in a slot.
    pub(crate) fn pointer(&mut self, slot: u32) -> PointerBuilder<'_> {
        self.0.reborrow().get_pointer_field(slot as usize)
    }
}

/// A struct in a message, wrapped so that capnp's functions take it.
struct Content<'a>(StructReader<'a>);

impl<'a> IntoInternalStructReader<'a> for Content<'a> {
    fn into_internal_struct_reader(self) -> StructReader<'a> {
        self.0
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
