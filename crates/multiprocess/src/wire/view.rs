//! Views: what a served method gets that the schema marks as `borrowed`. It borrows its parameters from
//! the message, or, where the caller is in this process, from the caller's own values.

use capnp::any_pointer_list;
use capnp::private::layout::{ListReader, PointerReader, PrimitiveElement};
use capnp::struct_list;
use capnp::traits::{FromPointerReader, IntoInternalStructReader};

use super::helpers::{At, malformed};
use super::structure::Item;
use super::value::Masked;
use super::{
    Boxed, Data, Enum, If, List, Message, Nullable, Pointer, PointerWire, Reader, Struct, Text,
    Wire,
};
use crate::{Error, Result};

/// A type that methods can borrow as a view.
pub trait Lend: Wire + 'static {
    /// The view: `&str` for Text, `&[u8]` for Data, the number itself for a number.
    type View<'a>;
    /// A list of them in a message.
    type Items<'a>: Copy;

    /// The view of a field of a message.
    ///
    /// # Errors
    /// [`Error::Decode`] for what does not fit.
    fn lend<'a>(from: Reader<'a>, slot: u32) -> Result<Self::View<'a>>;

    /// The view of a value of this process.
    fn view(value: &Self::Value) -> Self::View<'_>;

    /// Copies a view to a value.
    ///
    /// # Errors
    /// [`Error::Decode`] for what does not fit, where that is found out only now.
    fn owned(view: Self::View<'_>) -> Result<Self::Value>;

    /// Opens a list in a message, and tells its length.
    ///
    /// # Errors
    /// [`Error::Decode`] for what does not fit.
    fn items<'a>(from: PointerReader<'a>) -> Result<(Self::Items<'a>, u32)>;

    /// The view of an item of a list in a message. The index is in range.
    ///
    /// # Errors
    /// [`Error::Decode`] for what does not fit.
    fn item<'a>(items: Self::Items<'a>, index: u32) -> Result<Self::View<'a>>
    where
        Self: 'a;
}

/// A struct that methods can borrow as a view; implemented by generated code.
pub trait Viewed: Message + 'static {
    /// The generated view, a struct with a method for each field.
    type View<'a>: From<View<'a, Self>>;

    /// Copies a view to a struct.
    ///
    /// # Errors
    /// [`Error::Decode`] for what does not fit.
    fn owned(view: Self::View<'_>) -> Result<Self>;
}

/// A type that can be borrowed also where the schema gives a field a default: one that is no pointer.
pub trait LendOr: Lend {
    /// The view of a field to which the schema gives a default.
    fn lend_or<'a>(from: Reader<'a>, slot: u32, default: Self::Default) -> Self::View<'a>;
}

/// The view of a value of this process.
pub fn view<W: Lend>(value: &W::Value) -> W::View<'_> {
    W::view(value)
}

/// Copies a view to a value.
///
/// # Errors
/// [`Error::Decode`] for what does not fit.
pub fn owned<W: Lend>(view: W::View<'_>) -> Result<W::Value> {
    W::owned(view)
}

/// Where a borrowed struct is.
pub enum View<'a, M> {
    /// In this process.
    Here(&'a M),
    /// In a message.
    There(Reader<'a>),
}

impl<M> Clone for View<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for View<'_, M> {}

/// A borrowed list.
pub struct ListView<'a, W: Lend>(Place<'a, W>);

enum Place<'a, W: Lend> {
    Here(&'a [W::Value]),
    There(W::Items<'a>, u32),
}

impl<W: Lend> Clone for ListView<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: Lend> Copy for ListView<'_, W> {}

impl<W: Lend> Clone for Place<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: Lend> Copy for Place<'_, W> {}

impl<'a, W: Lend> ListView<'a, W> {
    /// The number of items.
    pub fn len(&self) -> usize {
        match self.0 {
            Place::Here(items) => items.len(),
            Place::There(_, length) => length as usize,
        }
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at `index`; none past the end.
    ///
    /// # Errors
    /// [`Error::Decode`] where the item is not what the schema says.
    pub fn get(&self, index: usize) -> Result<Option<W::View<'a>>> {
        match self.0 {
            Place::Here(items) => Ok(items.get(index).map(W::view)),
            Place::There(items, length) => match u32::try_from(index) {
                Ok(index) if index < length => {
                    super::helpers::indexed(W::item(items, index), index).map(Some)
                }
                _ => Ok(None),
            },
        }
    }

    /// The items from first to last.
    pub fn iter(&self) -> impl Iterator<Item = Result<W::View<'a>>> + use<'a, W> {
        let list = *self;
        (0..self.len()).filter_map(move |index| list.get(index).transpose())
    }
}

impl<'a> Reader<'a> {
    /// The view of a field.
    ///
    /// # Errors
    /// [`Error::Decode`], whose path `name` begins.
    pub fn lend<W: Lend>(self, slot: u32, name: &str) -> Result<W::View<'a>> {
        W::lend(self, slot).at(name)
    }

    /// The view of a field to which the schema gives a default.
    ///
    /// # Errors
    /// None. It returns a Result because generated code calls it where other types can fail.
    pub fn lend_or<W: LendOr>(self, slot: u32, default: W::Default) -> Result<W::View<'a>> {
        Ok(W::lend_or(self, slot, default))
    }
}

macro_rules! lend_numbers {
    ($($type:ty)*) => { $(
        impl Lend for $type {
            type View<'a> = $type;
            type Items<'a> = ListReader<'a>;

            fn lend<'a>(from: Reader<'a>, slot: u32) -> Result<$type> {
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

        impl LendOr for $type {
            fn lend_or<'a>(from: Reader<'a>, slot: u32, default: $type) -> $type {
                let mask = <$type as Masked>::mask(default);
                from.0.get_data_field_mask(slot as usize, mask)
            }
        }
    )* };
}
lend_numbers!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

impl Lend for bool {
    type View<'a> = bool;
    type Items<'a> = ListReader<'a>;

    fn lend(from: Reader<'_>, slot: u32) -> Result<bool> {
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

impl<E: Copy + From<u16> + Into<u16> + 'static> Lend for Enum<E> {
    type View<'a> = E;
    type Items<'a> = ListReader<'a>;

    fn lend(from: Reader<'_>, slot: u32) -> Result<E> {
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

impl LendOr for bool {
    fn lend_or(from: Reader<'_>, slot: u32, default: bool) -> bool {
        from.0.get_bool_field_mask(slot as usize, default)
    }
}

impl<E: Copy + From<u16> + Into<u16> + 'static> LendOr for Enum<E> {
    fn lend_or(from: Reader<'_>, slot: u32, default: E) -> E {
        E::from(from.0.get_data_field_mask::<u16>(slot as usize, default.into()))
    }
}

fn numbers<'a, T: PrimitiveElement>(from: PointerReader<'a>) -> Result<(ListReader<'a>, u32)> {
    let list = from.get_list(T::element_size(), None).map_err(malformed)?;
    Ok((list, list.len()))
}

/// What lies behind a pointer, so that a list of it is a list of pointers.
#[doc(hidden)]
pub trait LendPointer: PointerWire {
    type View<'a>;
    fn lend_pointer<'a>(from: PointerReader<'a>) -> Result<Self::View<'a>>;
    fn view(value: &<Self as PointerWire>::Value) -> Self::View<'_>;
    fn owned(view: Self::View<'_>) -> Result<<Self as PointerWire>::Value>;
}

macro_rules! lend_pointer {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> Lend for $type {
            type View<'a> = <$type as LendPointer>::View<'a>;
            type Items<'a> = any_pointer_list::Reader<'a>;

            fn lend<'a>(from: Reader<'a>, slot: u32) -> Result<Self::View<'a>> {
                <$type as LendPointer>::lend_pointer(from.pointer(slot))
            }

            fn view(value: &Self::Value) -> Self::View<'_> {
                <$type as LendPointer>::view(value)
            }

            fn owned(view: Self::View<'_>) -> Result<Self::Value> {
                <$type as LendPointer>::owned(view)
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
                <$type as LendPointer>::lend_pointer(pointer)
            }
        }
    };
}

impl LendPointer for Text {
    type View<'a> = &'a str;

    fn lend_pointer<'a>(from: PointerReader<'a>) -> Result<&'a str> {
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
lend_pointer!([] Text);

impl LendPointer for Data {
    type View<'a> = &'a [u8];

    fn lend_pointer<'a>(from: PointerReader<'a>) -> Result<&'a [u8]> {
        from.get_data(None).map_err(malformed)
    }

    fn view(value: &Vec<u8>) -> &[u8] {
        value
    }

    fn owned(view: &[u8]) -> Result<Vec<u8>> {
        Ok(view.to_vec())
    }
}
lend_pointer!([] Data);

impl<W: Lend> LendPointer for List<W> {
    type View<'a> = ListView<'a, W>;

    fn lend_pointer<'a>(from: PointerReader<'a>) -> Result<ListView<'a, W>> {
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
lend_pointer!([W: Lend] List<W>);

impl<M: Viewed> Lend for Struct<M> {
    type View<'a> = M::View<'a>;
    type Items<'a> = struct_list::Reader<'a, Item<M>>;

    fn lend<'a>(from: Reader<'a>, slot: u32) -> Result<M::View<'a>> {
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

impl<W> Lend for Nullable<W>
where
    W: PointerWire + Lend + Wire<Value = <W as PointerWire>::Value>,
{
    type View<'a> = Option<W::View<'a>>;
    type Items<'a> = W::Items<'a>;

    fn lend<'a>(from: Reader<'a>, slot: u32) -> Result<Self::View<'a>> {
        match from.pointer(slot).is_null() {
            true => Ok(None),
            false => W::lend(from, slot).map(Some),
        }
    }

    fn view(value: &Self::Value) -> Self::View<'_> {
        value.as_ref().map(W::view)
    }

    fn owned(view: Self::View<'_>) -> Result<Self::Value> {
        view.map(W::owned).transpose()
    }

    fn items<'a>(from: PointerReader<'a>) -> Result<(Self::Items<'a>, u32)> {
        W::items(from)
    }

    fn item<'a>(items: Self::Items<'a>, index: u32) -> Result<Self::View<'a>>
    where
        Self: 'a,
    {
        W::item(items, index).map(Some)
    }
}

impl<const FLAG: u32, W: Lend> Lend for If<FLAG, W> {
    type View<'a> = Option<W::View<'a>>;
    type Items<'a> = W::Items<'a>;

    fn lend<'a>(from: Reader<'a>, slot: u32) -> Result<Self::View<'a>> {
        match from.0.get_bool_field(FLAG as usize) {
            true => W::lend(from, slot).map(Some),
            false => Ok(None),
        }
    }

    fn view(value: &Self::Value) -> Self::View<'_> {
        value.as_ref().map(W::view)
    }

    fn owned(view: Self::View<'_>) -> Result<Self::Value> {
        view.map(W::owned).transpose()
    }

    fn items<'a>(from: PointerReader<'a>) -> Result<(Self::Items<'a>, u32)> {
        W::items(from)
    }

    fn item<'a>(items: Self::Items<'a>, index: u32) -> Result<Self::View<'a>>
    where
        Self: 'a,
    {
        W::item(items, index).map(Some)
    }
}

impl<W> Lend for Boxed<W>
where
    W: PointerWire + Lend + Wire<Value = <W as PointerWire>::Value>,
{
    type View<'a> = W::View<'a>;
    type Items<'a> = W::Items<'a>;

    fn lend<'a>(from: Reader<'a>, slot: u32) -> Result<Self::View<'a>> {
        W::lend(from, slot)
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
