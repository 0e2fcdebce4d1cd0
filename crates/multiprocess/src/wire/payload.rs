//! How the parameters or the results of a method are written and read. Generated code makes one [`PayloadCodec`]
//! for the parameters of a method and one for its results.

use std::fmt;

use super::context::{Decoder, Encoder};
use super::shown::{Shown, cut_off};
use super::{Builder, Reader, Size, Wire};
use crate::{Error, Result};

/// Writes a typed exception to the results, in whose place the caller gets it.
pub type Exception = Box<dyn FnMut(&mut Encoder<'_>, &mut Builder<'_>) -> Result<()> + Send>;

/// Where a field lies: its slot, and its name in the schema.
pub type Slot = (u32, &'static str);

/// One of the two structs of a method, its parameters or its results: how to write it from the Rust type
/// `T`, and how to read it.
pub struct PayloadCodec<T: 'static> {
    pub(crate) size: Size,
    how: How<T>,
    /// For parameters that are written by functions: shows them in the log.
    show: Option<Show<T>>,
    /// For results: makes what is written instead of an error, if that is one of the method's typed
    /// exceptions.
    pub(crate) exception: Option<fn(&Error) -> Option<Exception>>,
    /// For the results of a streaming method: what a call returns once it was sent.
    pub(crate) streamed: Option<fn() -> T>,
    /// For the results of the method that ends an object: what a call returns if the object has ended
    /// before.
    pub(crate) closed: Option<fn() -> T>,
}

opaque!(PayloadCodec, impl<T> std::fmt::Debug for PayloadCodec<T>);

type WriteFields<T> = fn(&mut Encoder<'_>, &mut Builder<'_>, &T, &[Slot]) -> Result<()>;
type ReadFields<T> = fn(&mut Decoder<'_>, Reader<'_>, &[Slot]) -> Result<T>;
type ShowFields<T> = fn(&T, &[Slot], &mut Shown<'_>) -> fmt::Result;
type Show<T> = fn(&T, &mut Shown<'_>) -> fmt::Result;
type Write<T> = fn(&mut Encoder<'_>, &mut Builder<'_>, &T) -> Result<()>;
type Read<T> = fn(&mut Decoder<'_>, Reader<'_>) -> Result<T>;

enum How<T: 'static> {
    /// Field by field, each with its slot.
    Fields(&'static [Slot], WriteFields<T>, ReadFields<T>, ShowFields<T>),
    /// By functions of the generated code.
    Code(Write<T>, Read<T>),
}

impl<T> Clone for PayloadCodec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PayloadCodec<T> {}

impl<T> Clone for How<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for How<T> {}

/// Plain fields, as a tuple of the Rust types that the markers in `F` stand for.
pub const fn fields<F: Fields>(size: Size, slots: &'static [Slot]) -> PayloadCodec<F::Values> {
    PayloadCodec {
        size,
        how: How::Fields(slots, F::write, F::read, F::show),
        show: None,
        exception: None,
        streamed: None,
        closed: None,
    }
}

/// One plain field, as the Rust type that the marker stands for.
pub const fn field<W: Wire>(size: Size, slots: &'static [Slot]) -> PayloadCodec<W::Value> {
    PayloadCodec {
        size,
        how: How::Fields(slots, write_one::<W>, read_one::<W>, show_one::<W>),
        show: None,
        exception: None,
        streamed: None,
        closed: None,
    }
}

/// Anything else, written and read by functions of the generated code.
pub const fn code<T>(size: Size, write: Write<T>, read: Read<T>) -> PayloadCodec<T> {
    PayloadCodec {
        size,
        how: How::Code(write, read),
        show: None,
        exception: None,
        streamed: None,
        closed: None,
    }
}

/// Results of a method with typed exceptions: `exception` makes one of an error.
pub const fn raising<T>(
    size: Size,
    write: Write<T>,
    read: Read<T>,
    exception: fn(&Error) -> Option<Exception>,
) -> PayloadCodec<T> {
    PayloadCodec {
        size,
        how: How::Code(write, read),
        show: None,
        exception: Some(exception),
        streamed: None,
        closed: None,
    }
}

/// The results of a method that streams: none, and its calls do not wait for them.
pub const fn streamed() -> PayloadCodec<()> {
    PayloadCodec { streamed: Some(|| ()), ..fields::<()>(Size(0, 0), &[]) }
}

impl<T> PayloadCodec<T> {
    /// The same, with a function that shows the parameters in the log.
    pub const fn shown(mut self, show: Show<T>) -> PayloadCodec<T> {
        self.show = Some(show);
        self
    }

    /// The values as a text of so many characters at most.
    pub(crate) fn show(&self, values: &T, characters: usize) -> String {
        cut_off(characters, |to| match (self.how, self.show) {
            (How::Fields(slots, _, _, show), _) => show(values, slots, to),
            (How::Code(..), Some(show)) => show(values, to),
            (How::Code(..), None) => Ok(()),
        })
    }

    /// Whether these are the results of a streaming method.
    pub(crate) fn is_streamed(&self) -> bool {
        self.streamed.is_some()
    }

    pub(crate) fn write(
        &self,
        cx: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        values: &T,
    ) -> Result<()> {
        match self.how {
            How::Fields(slots, write, ..) => write(cx, to, values, slots),
            How::Code(write, _) => write(cx, to, values),
        }
    }

    pub(crate) fn read(&self, cx: &mut Decoder<'_>, from: Reader<'_>) -> Result<T> {
        match self.how {
            How::Fields(slots, _, read, _) => read(cx, from, slots),
            How::Code(_, read) => read(cx, from),
        }
    }
}

/// The read function for what is never read: the parameters of an older version's form of a method, which
/// is called and never served.
///
/// # Errors
/// Always.
pub fn unread<T>(_: &mut Decoder<'_>, _: Reader<'_>) -> Result<T> {
    Err(mismatch())
}

fn write_one<W: Wire>(
    cx: &mut Encoder<'_>,
    to: &mut Builder<'_>,
    value: &W::Value,
    slots: &[Slot],
) -> Result<()> {
    match slots {
        [(slot, name)] => to.set::<W>(cx, *slot, name, value),
        _ => Err(mismatch()),
    }
}

fn read_one<W: Wire>(cx: &mut Decoder<'_>, from: Reader<'_>, slots: &[Slot]) -> Result<W::Value> {
    match slots {
        [(slot, name)] => from.get::<W>(cx, *slot, name),
        _ => Err(mismatch()),
    }
}

fn show_one<W: Wire>(value: &W::Value, slots: &[Slot], to: &mut Shown<'_>) -> fmt::Result {
    slots.iter().try_for_each(|(_, name)| to.field::<W>(name, value))
}

/// The error where the generated code names more or fewer fields than there are values.
fn mismatch() -> Error {
    Error::misuse("the generated code is another version's: build it again")
}

/// A tuple of markers, each for the type of one field.
pub trait Fields {
    /// The tuple of the Rust types that they stand for.
    type Values: 'static;
    /// Writes each to its slot.
    ///
    /// # Errors
    /// A value that does not fit in a message.
    fn write(
        cx: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        values: &Self::Values,
        slots: &[Slot],
    ) -> Result<()>;
    /// Reads each from its slot.
    ///
    /// # Errors
    /// [`Error::Decode`] with the field's path.
    fn read(cx: &mut Decoder<'_>, from: Reader<'_>, slots: &[Slot]) -> Result<Self::Values>;
    /// Shows each with its name.
    ///
    /// # Errors
    /// There is no room for more.
    fn show(values: &Self::Values, slots: &[Slot], to: &mut Shown<'_>) -> fmt::Result;
}

impl Fields for () {
    type Values = ();

    fn write(_: &mut Encoder<'_>, _: &mut Builder<'_>, (): &(), _: &[Slot]) -> Result<()> {
        Ok(())
    }

    fn read(_: &mut Decoder<'_>, _: Reader<'_>, _: &[Slot]) -> Result<()> {
        Ok(())
    }

    fn show((): &(), _: &[Slot], _: &mut Shown<'_>) -> fmt::Result {
        Ok(())
    }
}

macro_rules! tuples {
    ($($($wire:ident $slot:ident)*;)*) => { $(
        #[allow(non_snake_case, reason = "a value is called as its type")]
        impl<$($wire: Wire),*> Fields for ($($wire,)*) {
            type Values = ($($wire::Value,)*);

            fn write(
                cx: &mut Encoder<'_>,
                to: &mut Builder<'_>,
                ($($wire,)*): &Self::Values,
                slots: &[Slot],
            ) -> Result<()> {
                let [$($slot),*] = slots else { return Err(mismatch()) };
                $( to.set::<$wire>(cx, $slot.0, $slot.1, $wire)?; )*
                Ok(())
            }

            fn read(
                cx: &mut Decoder<'_>,
                from: Reader<'_>,
                slots: &[Slot],
            ) -> Result<Self::Values> {
                let [$($slot),*] = slots else { return Err(mismatch()) };
                Ok(($( from.get::<$wire>(cx, $slot.0, $slot.1)?, )*))
            }

            fn show(
                ($($wire,)*): &Self::Values,
                slots: &[Slot],
                to: &mut Shown<'_>,
            ) -> fmt::Result {
                let [$($slot),*] = slots else { return Ok(()) };
                $( to.field::<$wire>($slot.1, $wire)?; )*
                Ok(())
            }
        }
    )* };
}
tuples! {
    A a;
    A a B b;
    A a B b C c;
    A a B b C c D d;
    A a B b C c D d E e;
    A a B b C c D d E e F f;
    A a B b C c D d E e F f G g;
    A a B b C c D d E e F f G g H h;
}
