//! Structs, and fields that are optional or boxed.

use capnp::private::layout::PointerReader;
use capnp::struct_list;
use capnp::traits::{FromPointerReader, IntoInternalStructReader};

use super::{Borrowable, View, Viewed};
use crate::Result;
use crate::wire::helpers::malformed;
use crate::wire::structure::Item;
use crate::wire::{Boxed, If, Nullable, PointerWire, Reader, Struct, Wire};

impl<M: Viewed> Borrowable for Struct<M> {
    type View<'a> = M::View<'a>;
    type Items<'a> = struct_list::Reader<'a, Item<M>>;

    fn borrow<'a>(from: Reader<'a>, slot: u32) -> Result<M::View<'a>> {
        let from = from.pointer(slot).get_struct(None).map_err(malformed)?;
        Ok(View::There(Reader(from)).into())
    }

    fn view(value: &M) -> M::View<'_> {
        View::Here(value).into()
    }

    fn owned(view: M::View<'_>) -> Result<M> {
        M::owned(view)
    }

    fn items<'a>(from: PointerReader<'a>) -> Result<(Self::Items<'a>, u32)> {
        let list = struct_list::Reader::get_from_pointer(&from, None).map_err(malformed)?;
        Ok((list, list.len()))
    }

    fn item<'a>(items: Self::Items<'a>, index: u32) -> Result<M::View<'a>>
    where
        Self: 'a,
    {
        Ok(View::There(Reader(items.get(index).into_internal_struct_reader())).into())
    }
}

/// What the two kinds of optional values have in common: all but `borrow`.
macro_rules! optional_view {
    ($W:ident) => {
        type View<'a> = Option<$W::View<'a>>;
        type Items<'a> = $W::Items<'a>;

        fn view(value: &Self::Value) -> Self::View<'_> {
            value.as_ref().map($W::view)
        }

        fn owned(view: Self::View<'_>) -> Result<Self::Value> {
            view.map($W::owned).transpose()
        }

        fn items<'a>(from: PointerReader<'a>) -> Result<(Self::Items<'a>, u32)> {
            $W::items(from)
        }

        fn item<'a>(items: Self::Items<'a>, index: u32) -> Result<Self::View<'a>>
        where
            Self: 'a,
        {
            $W::item(items, index).map(Some)
        }
    };
}

impl<W> Borrowable for Nullable<W>
where
    W: PointerWire + Borrowable + Wire<Value = <W as PointerWire>::Value>,
{
    fn borrow<'a>(from: Reader<'a>, slot: u32) -> Result<Self::View<'a>> {
        match from.pointer(slot).is_null() {
            true => Ok(None),
            false => W::borrow(from, slot).map(Some),
        }
    }

    optional_view!(W);
}

impl<const FLAG: u32, W: Borrowable> Borrowable for If<FLAG, W> {
    fn borrow<'a>(from: Reader<'a>, slot: u32) -> Result<Self::View<'a>> {
        match from.0.get_bool_field(FLAG as usize) {
            true => W::borrow(from, slot).map(Some),
            false => Ok(None),
        }
    }

    optional_view!(W);
}

impl<W> Borrowable for Boxed<W>
where
    W: PointerWire + Borrowable + Wire<Value = <W as PointerWire>::Value>,
{
    type View<'a> = W::View<'a>;
    type Items<'a> = W::Items<'a>;

    fn borrow<'a>(from: Reader<'a>, slot: u32) -> Result<Self::View<'a>> {
        W::borrow(from, slot)
    }

    fn view(value: &Self::Value) -> Self::View<'_> {
        W::view(value)
    }

    fn owned(view: Self::View<'_>) -> Result<Self::Value> {
        W::owned(view).map(Box::new)
    }

    fn items<'a>(from: PointerReader<'a>) -> Result<(Self::Items<'a>, u32)> {
        W::items(from)
    }

    fn item<'a>(items: Self::Items<'a>, index: u32) -> Result<Self::View<'a>>
    where
        Self: 'a,
    {
        W::item(items, index)
    }
}
