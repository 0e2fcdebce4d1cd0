//! Text, data and lists: each value lies behind a pointer of its own.

use capnp::any_pointer_list;
use capnp::private::layout::PointerReader;
use capnp::traits::FromPointerReader;

use super::{Borrowable, ListView, Place};
use crate::wire::helpers::malformed;
use crate::wire::{Data, List, Pointer, PointerWire, Reader, Text};
use crate::{Error, Result};

/// What lies behind a pointer, so that a list of it is a list of pointers.
#[doc(hidden)]
pub trait BorrowablePointer: PointerWire {
    type View<'a>;
    fn borrow_pointer<'a>(from: PointerReader<'a>) -> Result<Self::View<'a>>;
    fn view(value: &<Self as PointerWire>::Value) -> Self::View<'_>;
    fn owned(view: Self::View<'_>) -> Result<<Self as PointerWire>::Value>;
}

macro_rules! borrowable_pointer {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> Borrowable for $type {
            type View<'a> = <$type as BorrowablePointer>::View<'a>;
            type Items<'a> = any_pointer_list::Reader<'a>;

            fn borrow<'a>(from: Reader<'a>, slot: u32) -> Result<Self::View<'a>> {
                <$type as BorrowablePointer>::borrow_pointer(from.pointer(slot))
            }

            fn view(value: &Self::Value) -> Self::View<'_> {
                <$type as BorrowablePointer>::view(value)
            }

            fn owned(view: Self::View<'_>) -> Result<Self::Value> {
                <$type as BorrowablePointer>::owned(view)
            }

            fn items<'a>(from: PointerReader<'a>) -> Result<(Self::Items<'a>, u32)> {
                let list =
                    any_pointer_list::Reader::get_from_pointer(&from, None).map_err(malformed)?;
                Ok((list, list.len()))
            }

            fn item<'a>(items: Self::Items<'a>, index: u32) -> Result<Self::View<'a>>
            where
                Self: 'a,
            {
                let Pointer(pointer) = items.get(index).get_as().map_err(malformed)?;
                <$type as BorrowablePointer>::borrow_pointer(pointer)
            }
        }
    };
}

impl BorrowablePointer for Text {
    type View<'a> = &'a str;

    fn borrow_pointer<'a>(from: PointerReader<'a>) -> Result<&'a str> {
        let text = from.get_text(None).map_err(malformed)?;
        text.to_str().map_err(|error| Error::decode("", format!("the text is not UTF-8: {error}")))
    }

    fn view(value: &String) -> &str {
        value
    }

    fn owned(view: &str) -> Result<String> {
        Ok(view.to_owned())
    }
}
borrowable_pointer!([] Text);

impl BorrowablePointer for Data {
    type View<'a> = &'a [u8];

    fn borrow_pointer<'a>(from: PointerReader<'a>) -> Result<&'a [u8]> {
        from.get_data(None).map_err(malformed)
    }

    fn view(value: &Vec<u8>) -> &[u8] {
        value
    }

    fn owned(view: &[u8]) -> Result<Vec<u8>> {
        Ok(view.to_vec())
    }
}
borrowable_pointer!([] Data);

impl<W: Borrowable> BorrowablePointer for List<W> {
    type View<'a> = ListView<'a, W>;

    fn borrow_pointer<'a>(from: PointerReader<'a>) -> Result<ListView<'a, W>> {
        let (items, length) = W::items(from)?;
        Ok(ListView(Place::There(items, length)))
    }

    fn view(value: &Vec<W::Value>) -> ListView<'_, W> {
        ListView(Place::Here(value))
    }

    fn owned(view: ListView<'_, W>) -> Result<Vec<W::Value>> {
        view.iter().map(|item| W::owned(item?)).collect()
    }
}
borrowable_pointer!([W: Borrowable] List<W>);
