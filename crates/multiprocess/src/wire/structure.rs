//! Structs: as they are, in a box, or absent.

use std::fmt;
use std::marker::PhantomData;

use capnp::private::layout::{
    PointerBuilder, PointerReader, StructBuilder, StructReader, StructSize,
};
use capnp::traits::{
    FromPointerBuilder, FromPointerReader, HasStructSize, IntoInternalStructReader, OwnedStruct,
    SetterInput,
};
use capnp::{introspect, struct_list};

use super::context::{Decoder, Encoder};
use super::helpers::{indexed, length, malformed};
use super::pointer::pointer_wire;
use super::{Builder, Message, PointerWire, Reader};
use crate::Result;

/// A struct behind a pointer.
#[derive(Debug)]
pub struct Struct<M>(PhantomData<M>);

/// A struct in a `Box`, for fields through which a struct contains itself.
#[derive(Debug)]
pub struct Boxed<W>(PhantomData<W>);

/// A value that may be absent: a null pointer.
#[derive(Debug)]
pub struct Nullable<W>(PhantomData<W>);

impl<M: Message + 'static> PointerWire for Struct<M> {
    type Value = M;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<M> {
        M::read(cx, Reader(from.get_struct(None).map_err(malformed)?))
    }

    fn write(cx: &mut Encoder<'_>, to: PointerBuilder<'_>, value: &M) -> Result<()> {
        cx.within(|cx| value.write(cx, &mut Builder(to.init_struct(value.size().into()))))
    }

    fn show(value: &M, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(value, f)
    }
}
pointer_wire!([M: Message + 'static] Struct<M>, read_structs::<M>, write_structs::<M>);

impl<W: PointerWire> PointerWire for Boxed<W> {
    type Value = Box<W::Value>;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Box<W::Value>> {
        W::read(cx, from).map(Box::new)
    }

    fn write(cx: &mut Encoder<'_>, to: PointerBuilder<'_>, value: &Box<W::Value>) -> Result<()> {
        W::write(cx, to, value)
    }

    fn show(value: &Box<W::Value>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        W::show(value, f)
    }
}
pointer_wire!([W: PointerWire] Boxed<W>);

impl<W: PointerWire> PointerWire for Nullable<W> {
    type Value = Option<W::Value>;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Option<W::Value>> {
        match from.is_null() {
            true => Ok(None),
            false => W::read(cx, from).map(Some),
        }
    }

    fn write(cx: &mut Encoder<'_>, to: PointerBuilder<'_>, value: &Option<W::Value>) -> Result<()> {
        match value {
            Some(value) => W::write(cx, to, value),
            None => Ok(()),
        }
    }

    fn show(value: &Option<W::Value>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match value {
            Some(value) => W::show(value, f),
            None => f.write_str("none"),
        }
    }
}
pointer_wire!([W: PointerWire] Nullable<W>);

fn read_structs<M: Message + 'static>(
    cx: &mut Decoder<'_>,
    from: PointerReader<'_>,
) -> Result<Vec<M>> {
    let list = struct_list::Reader::<Item<M>>::get_from_pointer(&from, None).map_err(malformed)?;
    cx.take_memory(list.len(), size_of::<M>())?;
    let mut values = Vec::new();
    for index in 0..list.len() {
        values.push(indexed(M::read(cx, Reader(list.get(index).0)), index)?);
    }
    Ok(values)
}

fn write_structs<'v, M: Message + 'v>(
    cx: &mut Encoder<'_>,
    to: PointerBuilder<'_>,
    values: impl ExactSizeIterator<Item = &'v M>,
) -> Result<()> {
    let mut write = |to: &mut Builder<'_>, value: &M| cx.within(|cx| value.write(cx, to));
    if !M::KEEPS {
        return each_struct::<M, _>(to, values, write);
    }
    // All items of a list have the size of the largest.
    let values: Vec<&M> = values.collect();
    let size = values.iter().fold(M::SIZE, |size, value| size.larger(value.size()));
    let mut to = to;
    to.reborrow().init_struct_list(length(values.len())?, size.into());
    let list = struct_list::Builder::<Item<M>>::get_from_pointer(to, None);
    let mut list = list.map_err(malformed)?;
    for (index, value) in (0..).zip(values) {
        let mut item = Builder(list.reborrow().get(index).0);
        indexed(write(&mut item, value), index)?;
    }
    Ok(())
}

/// Writes a list of structs of `M`'s shape, each through `write`.
pub(super) fn each_struct<M: Message, T>(
    to: PointerBuilder<'_>,
    values: impl ExactSizeIterator<Item = T>,
    mut write: impl FnMut(&mut Builder<'_>, T) -> Result<()>,
) -> Result<()> {
    let mut list = struct_list::Builder::<Item<M>>::init_pointer(to, length(values.len())?);
    for (index, value) in (0..).zip(values) {
        let mut item = Builder(list.reborrow().get(index).0);
        indexed(write(&mut item, value), index)?;
    }
    Ok(())
}

/// A list's item as capnp's own list of structs wants it: generated types cannot be one, because
/// the struct's fields are read here and not by capnpc's accessors.
#[doc(hidden)]
#[derive(Debug)]
pub struct Item<M>(PhantomData<M>);

#[doc(hidden)]
pub struct ItemReader<'a, M>(StructReader<'a>, PhantomData<M>);

opaque!(ItemReader, impl<M> std::fmt::Debug for ItemReader<'_, M>);

#[doc(hidden)]
pub struct ItemBuilder<'a, M>(StructBuilder<'a>, PhantomData<M>);

opaque!(ItemBuilder, impl<M> std::fmt::Debug for ItemBuilder<'_, M>);

impl<M: Message> OwnedStruct for Item<M> {
    type Reader<'a> = ItemReader<'a, M>;
    type Builder<'a> = ItemBuilder<'a, M>;
}

impl<M> introspect::Introspect for Item<M> {
    fn introspect() -> introspect::Type {
        introspect::TypeVariant::AnyPointer.into()
    }
}

impl<'a, M> From<StructReader<'a>> for ItemReader<'a, M> {
    fn from(reader: StructReader<'a>) -> Self {
        ItemReader(reader, PhantomData)
    }
}

impl<'a, M> IntoInternalStructReader<'a> for ItemReader<'a, M> {
    fn into_internal_struct_reader(self) -> StructReader<'a> {
        self.0
    }
}

impl<M> SetterInput<Item<M>> for ItemReader<'_, M> {
    fn set_pointer_builder(
        mut builder: PointerBuilder<'_>,
        input: Self,
        canonicalize: bool,
    ) -> capnp::Result<()> {
        builder.set_struct(&input.0, canonicalize)
    }
}

impl<'a, M> From<StructBuilder<'a>> for ItemBuilder<'a, M> {
    fn from(builder: StructBuilder<'a>) -> Self {
        ItemBuilder(builder, PhantomData)
    }
}

impl<M: Message> HasStructSize for ItemBuilder<'_, M> {
    const STRUCT_SIZE: StructSize = StructSize { data: M::SIZE.0, pointers: M::SIZE.1 };
}
