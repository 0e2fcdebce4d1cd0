//! Views: what a served method gets that the schema marks as `borrowed`. It borrows its parameters from
//! the message, or, where the caller is in this process, from the caller's own values.

mod pointers;
mod scalars;
mod structs;

use std::fmt;

use capnp::private::layout::PointerReader;

use super::helpers::At;
use super::{Message, Reader, Wire};
use crate::Result;

/// A type that methods can borrow as a view.
pub trait Borrowable: Wire + 'static {
    /// The view: `&str` for Text, `&[u8]` for Data, the number itself for a number.
    type View<'a>;
    /// A list of them in a message.
    type Items<'a>: Copy;

    /// The view of a field of a message.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) for what does not fit.
    fn borrow<'a>(from: Reader<'a>, slot: u32) -> Result<Self::View<'a>>;

    /// The view of a value of this process.
    fn view(value: &Self::Value) -> Self::View<'_>;

    /// Copies a view to a value.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) for what does not fit, where that is found out only now.
    fn owned(view: Self::View<'_>) -> Result<Self::Value>;

    /// Opens a list in a message, and tells its length.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) for what does not fit.
    fn items<'a>(from: PointerReader<'a>) -> Result<(Self::Items<'a>, u32)>;

    /// The view of an item of a list in a message. The index is in range.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) for what does not fit.
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
    /// [`Error::Decode`](crate::Error::Decode) for what does not fit.
    fn owned(view: Self::View<'_>) -> Result<Self>;
}

/// A type that can be borrowed also where the schema gives a field a default: one that is no pointer.
pub trait BorrowableOr: Borrowable {
    /// The view of a field to which the schema gives a default.
    fn borrow_or<'a>(from: Reader<'a>, slot: u32, default: Self::Default) -> Self::View<'a>;
}

/// The view of a value of this process.
pub fn view<W: Borrowable>(value: &W::Value) -> W::View<'_> {
    W::view(value)
}

/// Copies a view to a value.
///
/// # Errors
/// [`Error::Decode`](crate::Error::Decode) for what does not fit.
pub fn owned<W: Borrowable>(view: W::View<'_>) -> Result<W::Value> {
    W::owned(view)
}

/// Shows a view as what it is a view of, or says what is wrong with that. It is copied for this.
pub fn show_view(owned: Result<impl fmt::Debug>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match owned {
        Ok(value) => value.fmt(f),
        Err(error) => write!(f, "<{error}>"),
    }
}

/// Where a borrowed struct is.
pub enum View<'a, M> {
    /// In this process.
    Here(&'a M),
    /// In a message.
    There(Reader<'a>),
}

opaque!(View, impl<M> std::fmt::Debug for View<'_, M>);

impl<M> Clone for View<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for View<'_, M> {}

/// A borrowed list.
pub struct ListView<'a, W: Borrowable>(Place<'a, W>);

opaque!(ListView, impl<W: Borrowable> std::fmt::Debug for ListView<'_, W>);

enum Place<'a, W: Borrowable> {
    Here(&'a [W::Value]),
    There(W::Items<'a>, u32),
}

impl<W: Borrowable> Clone for ListView<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: Borrowable> Copy for ListView<'_, W> {}

impl<W: Borrowable> Clone for Place<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: Borrowable> Copy for Place<'_, W> {}

impl<'a, W: Borrowable> ListView<'a, W> {
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
    /// [`Error::Decode`](crate::Error::Decode) where the item is not what the schema says.
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
    /// [`Error::Decode`](crate::Error::Decode), whose path `name` begins.
    pub fn lend<W: Borrowable>(self, slot: u32, name: &str) -> Result<W::View<'a>> {
        W::borrow(self, slot).at(name)
    }

    /// The view of a field to which the schema gives a default.
    ///
    /// # Errors
    /// None. It returns a Result because generated code calls it where other types can fail.
    pub fn lend_or<W: BorrowableOr>(self, slot: u32, default: W::Default) -> Result<W::View<'a>> {
        Ok(W::borrow_or(self, slot, default))
    }
}
