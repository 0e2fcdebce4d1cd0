//! Types that lie in a struct's data section: numbers, Bool, enums, and Void, which takes no room.

use std::fmt;
use std::marker::PhantomData;

use capnp::private::layout::{ElementSize, PointerBuilder, PointerReader, PrimitiveElement};

use super::context::{Decoder, Encoder};
use super::helpers::{indexed, length, malformed, with_room};
use super::{Builder, Enumerant, Reader, Wire};
use crate::Result;

/// An enum, as its number. `E` keeps numbers that the schema does not name.
#[derive(Debug)]
pub struct Enum<E>(PhantomData<E>);

/// `Void`.
#[derive(Debug)]
pub struct Void;

macro_rules! numbers {
    ($($type:ty)*) => { $(
        impl Wire for $type {
            type Value = $type;
            type Default = $type;

            fn get(_: &mut Decoder<'_>, from: Reader<'_>, slot: u32) -> Result<$type> {
                Ok(from.0.get_data_field(slot as usize))
            }

            fn get_or(
                _: &mut Decoder<'_>,
                from: Reader<'_>,
                slot: u32,
                default: $type,
            ) -> Result<$type> {
                let mask = <$type as Masked>::mask(default);
                Ok(from.0.get_data_field_mask(slot as usize, mask))
            }

            fn set(
                _: &mut Encoder<'_>,
                to: &mut Builder<'_>,
                slot: u32,
                value: &$type,
            ) -> Result<()> {
                to.0.set_data_field(slot as usize, *value);
                Ok(())
            }

            fn set_or(
                _: &mut Encoder<'_>,
                to: &mut Builder<'_>,
                slot: u32,
                value: &$type,
                default: $type,
            ) -> Result<()> {
                let mask = <$type as Masked>::mask(default);
                to.0.set_data_field_mask(slot as usize, *value, mask);
                Ok(())
            }

            fn read_list(_: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Vec<$type>> {
                read_elements(from)
            }

            fn write_list<'v>(
                _: &mut Encoder<'_>,
                to: PointerBuilder<'_>,
                values: impl ExactSizeIterator<Item = &'v $type>,
            ) -> Result<()> {
                write_elements(to, values.copied())
            }

            fn show(value: &$type, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(value, f)
            }
        }
    )* };
}
numbers!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

/// A default as the bits that the encoding combines a value with.
pub(super) trait Masked {
    type Mask;
    fn mask(self) -> Self::Mask;
}

macro_rules! masks {
    ($($type:ty)*) => { $(
        impl Masked for $type {
            type Mask = $type;
            fn mask(self) -> $type {
                self
            }
        }
    )* };
}
masks!(i8 i16 i32 i64 u8 u16 u32 u64);

impl Masked for f32 {
    type Mask = u32;
    fn mask(self) -> u32 {
        self.to_bits()
    }
}

impl Masked for f64 {
    type Mask = u64;
    fn mask(self) -> u64 {
        self.to_bits()
    }
}

impl Wire for bool {
    type Value = bool;
    type Default = bool;

    fn get(_: &mut Decoder<'_>, from: Reader<'_>, slot: u32) -> Result<bool> {
        Ok(from.0.get_bool_field(slot as usize))
    }

    fn get_or(_: &mut Decoder<'_>, from: Reader<'_>, slot: u32, default: bool) -> Result<bool> {
        Ok(from.0.get_bool_field_mask(slot as usize, default))
    }

    fn set(_: &mut Encoder<'_>, to: &mut Builder<'_>, slot: u32, value: &bool) -> Result<()> {
        to.0.set_bool_field(slot as usize, *value);
        Ok(())
    }

    fn set_or(
        _: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        slot: u32,
        value: &bool,
        default: bool,
    ) -> Result<()> {
        to.0.set_bool_field_mask(slot as usize, *value, default);
        Ok(())
    }

    fn read_list(_: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Vec<bool>> {
        read_elements(from)
    }

    fn write_list<'v>(
        _: &mut Encoder<'_>,
        to: PointerBuilder<'_>,
        values: impl ExactSizeIterator<Item = &'v bool>,
    ) -> Result<()> {
        write_elements(to, values.copied())
    }

    fn show(value: &bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(value, f)
    }
}

impl<E: Enumerant> Wire for Enum<E> {
    type Value = E;
    type Default = E;

    fn get(cx: &mut Decoder<'_>, from: Reader<'_>, slot: u32) -> Result<E> {
        <u16 as Wire>::get(cx, from, slot).map(E::from)
    }

    fn get_or(cx: &mut Decoder<'_>, from: Reader<'_>, slot: u32, default: E) -> Result<E> {
        u16::get_or(cx, from, slot, default.into()).map(E::from)
    }

    fn set(cx: &mut Encoder<'_>, to: &mut Builder<'_>, slot: u32, value: &E) -> Result<()> {
        let number = (*value).into();
        cx.lacks_number::<E>(number)?;
        <u16 as Wire>::set(cx, to, slot, &number)
    }

    fn set_or(
        cx: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        slot: u32,
        value: &E,
        default: E,
    ) -> Result<()> {
        let number = (*value).into();
        cx.lacks_number::<E>(number)?;
        u16::set_or(cx, to, slot, &number, default.into())
    }

    fn read_list(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Vec<E>> {
        Ok(u16::read_list(cx, from)?.into_iter().map(E::from).collect())
    }

    fn write_list<'v>(
        cx: &mut Encoder<'_>,
        to: PointerBuilder<'_>,
        values: impl ExactSizeIterator<Item = &'v E>,
    ) -> Result<()> {
        let (mut index, mut lacking) = (0, Ok(()));
        let check = |value: &E| {
            let number = (*value).into();
            if lacking.is_ok() {
                lacking = indexed(cx.lacks_number::<E>(number), index);
            }
            index += 1;
            number
        };
        write_elements(to, values.map(check))?;
        lacking
    }

    fn show(value: &E, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(value, f)
    }
}

impl Wire for Void {
    type Value = ();
    type Default = ();

    fn get(_: &mut Decoder<'_>, _: Reader<'_>, _: u32) -> Result<()> {
        Ok(())
    }

    fn get_or(_: &mut Decoder<'_>, _: Reader<'_>, _: u32, (): ()) -> Result<()> {
        Ok(())
    }

    fn set(_: &mut Encoder<'_>, _: &mut Builder<'_>, _: u32, (): &()) -> Result<()> {
        Ok(())
    }

    fn set_or(_: &mut Encoder<'_>, _: &mut Builder<'_>, _: u32, (): &(), (): ()) -> Result<()> {
        Ok(())
    }

    fn read_list(_: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Vec<()>> {
        let list = from.get_list(ElementSize::Void, None).map_err(malformed)?;
        Ok(vec![(); list.len() as usize])
    }

    fn write_list<'v>(
        _: &mut Encoder<'_>,
        to: PointerBuilder<'_>,
        values: impl ExactSizeIterator<Item = &'v ()>,
    ) -> Result<()> {
        to.init_list(ElementSize::Void, length(values.len())?);
        Ok(())
    }

    fn show((): &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("void")
    }
}

fn read_elements<T: PrimitiveElement>(from: PointerReader<'_>) -> Result<Vec<T>> {
    let list = from.get_list(T::element_size(), None).map_err(malformed)?;
    let mut items = with_room(list.len() as usize)?;
    items.extend((0..list.len()).map(|index| T::get(&list, index)));
    Ok(items)
}

fn write_elements<T: PrimitiveElement>(
    to: PointerBuilder<'_>,
    values: impl ExactSizeIterator<Item = T>,
) -> Result<()> {
    let list = to.init_list(T::element_size(), length(values.len())?);
    for (index, value) in (0..).zip(values) {
        T::set(&list, index, value);
    }
    Ok(())
}
