//! Types that lie behind a pointer: Text, Data, and what all pointer types share.

use std::fmt;

use capnp::any_pointer_list;
use capnp::private::layout::{ElementSize, PointerBuilder, PointerReader};
use capnp::traits::FromPointerReader;

use super::Pointer;
use super::context::{Decoder, Encoder};
use super::helpers::{data, indexed, length, malformed, text};
use super::shown::show_bytes;
use crate::Result;
use capnp_engine::overwriting;

/// A type of the schema that lies behind a pointer. Each is a [`Wire`](super::Wire) as well.
pub trait PointerWire {
    /// The Rust type.
    type Value: 'static;

    /// Reads what the pointer leads to; a null pointer is the type's empty value.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) for what does not fit.
    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Self::Value>;

    /// Writes to a pointer that is null.
    ///
    /// # Errors
    /// A value that does not fit in a message, or that a codec refuses.
    fn write(cx: &mut Encoder<'_>, to: PointerBuilder<'_>, value: &Self::Value) -> Result<()>;

    /// Writes a value for a person.
    ///
    /// # Errors
    /// Those of `f`.
    fn show(value: &Self::Value, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// `Text`.
#[derive(Debug)]
pub struct Text;

/// `Data`.
#[derive(Debug)]
pub struct Data;

impl PointerWire for Text {
    type Value = String;

    fn read(_: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<String> {
        text(from.get_text(None))
    }

    fn write(_: &mut Encoder<'_>, mut to: PointerBuilder<'_>, value: &String) -> Result<()> {
        length(value.len() + 1)?;
        overwriting(value.len(), || to.set_text(value.as_str().into()));
        Ok(())
    }

    fn show(value: &String, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(value, f)
    }
}

impl PointerWire for Data {
    type Value = Vec<u8>;

    fn read(_: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Vec<u8>> {
        data(from.get_data(None))
    }

    fn write(_: &mut Encoder<'_>, mut to: PointerBuilder<'_>, value: &Vec<u8>) -> Result<()> {
        length(value.len())?;
        overwriting(value.len(), || to.set_data(value));
        Ok(())
    }

    fn show(value: &Vec<u8>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_bytes(value, f)
    }
}

/// Makes a [`PointerWire`] a [`Wire`](super::Wire). The second form is for types whose lists are no
/// lists of pointers.
macro_rules! pointer_wire {
    ([$($generics:tt)*] $type:ty) => {
        $crate::wire::pointer::pointer_wire! {
            [$($generics)*] $type,
            $crate::wire::pointer::read_pointers::<$type>,
            $crate::wire::pointer::write_pointers::<$type>
        }
    };
    ([$($generics:tt)*] $type:ty, $read_list:expr, $write_list:expr) => {
        impl<$($generics)*> $crate::wire::Wire for $type {
            type Value = <$type as $crate::wire::PointerWire>::Value;
            type Default = Self::Value;

            fn get(
                cx: &mut $crate::wire::Decoder<'_>,
                from: $crate::wire::Reader<'_>,
                slot: u32,
            ) -> $crate::Result<Self::Value> {
                <$type as $crate::wire::PointerWire>::read(cx, from.pointer(slot))
            }

            fn get_or(
                cx: &mut $crate::wire::Decoder<'_>,
                from: $crate::wire::Reader<'_>,
                slot: u32,
                default: Self::Value,
            ) -> $crate::Result<Self::Value> {
                let pointer = from.pointer(slot);
                if pointer.is_null() {
                    return Ok(default);
                }
                <$type as $crate::wire::PointerWire>::read(cx, pointer)
            }

            fn set(
                cx: &mut $crate::wire::Encoder<'_>,
                to: &mut $crate::wire::Builder<'_>,
                slot: u32,
                value: &Self::Value,
            ) -> $crate::Result<()> {
                <$type as $crate::wire::PointerWire>::write(cx, to.pointer(slot), value)
            }

            fn set_or(
                cx: &mut $crate::wire::Encoder<'_>,
                to: &mut $crate::wire::Builder<'_>,
                slot: u32,
                value: &Self::Value,
                _default: Self::Value,
            ) -> $crate::Result<()> {
                <$type as $crate::wire::PointerWire>::write(cx, to.pointer(slot), value)
            }

            fn read_list(
                cx: &mut $crate::wire::Decoder<'_>,
                from: capnp::private::layout::PointerReader<'_>,
            ) -> $crate::Result<Vec<Self::Value>> {
                $read_list(cx, from)
            }

            fn write_list<'v>(
                cx: &mut $crate::wire::Encoder<'_>,
                to: capnp::private::layout::PointerBuilder<'_>,
                values: impl ExactSizeIterator<Item = &'v Self::Value>,
            ) -> $crate::Result<()>
            {
                $write_list(cx, to, values)
            }

            fn show(
                value: &Self::Value,
                f: &mut std::fmt::Formatter<'_>,
            ) -> std::fmt::Result {
                <$type as $crate::wire::PointerWire>::show(value, f)
            }
        }
    };
}
pub(crate) use pointer_wire;

pointer_wire!([] Text);
pointer_wire!([] Data);

pub(crate) fn read_pointers<P: PointerWire>(
    cx: &mut Decoder<'_>,
    from: PointerReader<'_>,
) -> Result<Vec<P::Value>> {
    let list = any_pointer_list::Reader::get_from_pointer(&from, None).map_err(malformed)?;
    cx.take_memory(list.len(), size_of::<P::Value>())?;
    let mut values = Vec::new();
    for index in 0..list.len() {
        let Pointer(pointer) = list.get(index).get_as().map_err(malformed)?;
        values.push(indexed(P::read(cx, pointer), index)?);
    }
    Ok(values)
}

pub(crate) fn write_pointers<'v, P: PointerWire>(
    cx: &mut Encoder<'_>,
    to: PointerBuilder<'_>,
    values: impl ExactSizeIterator<Item = &'v P::Value>,
) -> Result<()> {
    let mut list = to.init_list(ElementSize::Pointer, length(values.len())?);
    for (index, value) in (0..).zip(values) {
        indexed(P::write(cx, list.reborrow().get_pointer_element(index), value), index)?;
    }
    Ok(())
}
