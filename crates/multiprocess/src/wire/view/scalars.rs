//! Numbers, booleans and enums: a view of one is the value itself.

use capnp::private::layout::{ListReader, PointerReader, PrimitiveElement};

use super::{Borrowable, BorrowableOr};
use crate::Result;
use crate::wire::helpers::malformed;
use crate::wire::value::Masked;
use crate::wire::{Enum, Enumerant, Reader};

macro_rules! borrowable_numbers {
    ($($type:ty)*) => { $(
        impl Borrowable for $type {
            type View<'a> = $type;
            type Items<'a> = ListReader<'a>;

            fn borrow<'a>(from: Reader<'a>, slot: u32) -> Result<$type> {
                Ok(from.0.get_data_field(slot as usize))
            }

            fn view(value: &$type) -> $type {
                *value
            }

            fn owned(view: $type) -> Result<$type> {
                Ok(view)
            }

            fn items<'a>(from: PointerReader<'a>) -> Result<(ListReader<'a>, u32)> {
                numbers::<$type>(from)
            }

            fn item<'a>(items: Self::Items<'a>, index: u32) -> Result<$type>
            where
                Self: 'a,
            {
                Ok(<$type as PrimitiveElement>::get(&items, index))
            }
        }

        impl BorrowableOr for $type {
            fn borrow_or<'a>(from: Reader<'a>, slot: u32, default: $type) -> $type {
                let mask = <$type as Masked>::mask(default);
                from.0.get_data_field_mask(slot as usize, mask)
            }
        }
    )* };
}
borrowable_numbers!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

impl Borrowable for bool {
    type View<'a> = bool;
    type Items<'a> = ListReader<'a>;

    fn borrow(from: Reader<'_>, slot: u32) -> Result<bool> {
        Ok(from.0.get_bool_field(slot as usize))
    }

    fn view(value: &bool) -> bool {
        *value
    }

    fn owned(view: bool) -> Result<bool> {
        Ok(view)
    }

    fn items<'a>(from: PointerReader<'a>) -> Result<(ListReader<'a>, u32)> {
        numbers::<bool>(from)
    }

    fn item<'a>(items: Self::Items<'a>, index: u32) -> Result<bool>
    where
        Self: 'a,
    {
        Ok(<bool as PrimitiveElement>::get(&items, index))
    }
}

impl<E: Enumerant> Borrowable for Enum<E> {
    type View<'a> = E;
    type Items<'a> = ListReader<'a>;

    fn borrow(from: Reader<'_>, slot: u32) -> Result<E> {
        Ok(E::from(from.0.get_data_field::<u16>(slot as usize)))
    }

    fn view(value: &E) -> E {
        *value
    }

    fn owned(view: E) -> Result<E> {
        Ok(view)
    }

    fn items<'a>(from: PointerReader<'a>) -> Result<(ListReader<'a>, u32)> {
        numbers::<u16>(from)
    }

    fn item<'a>(items: Self::Items<'a>, index: u32) -> Result<E>
    where
        Self: 'a,
    {
        Ok(E::from(<u16 as PrimitiveElement>::get(&items, index)))
    }
}

impl BorrowableOr for bool {
    fn borrow_or(from: Reader<'_>, slot: u32, default: bool) -> bool {
        from.0.get_bool_field_mask(slot as usize, default)
    }
}

impl<E: Enumerant> BorrowableOr for Enum<E> {
    fn borrow_or(from: Reader<'_>, slot: u32, default: E) -> E {
        E::from(from.0.get_data_field_mask::<u16>(slot as usize, default.into()))
    }
}

fn numbers<'a, T: PrimitiveElement>(from: PointerReader<'a>) -> Result<(ListReader<'a>, u32)> {
    let list = from.get_list(T::element_size(), None).map_err(malformed)?;
    Ok((list, list.len()))
}
