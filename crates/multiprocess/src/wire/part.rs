//! The parameters or the results of a method: how they are written and read.

use super::context::{Decoder, Encoder};
use super::{Builder, Reader, Size, Wire};
use crate::{Error, Result};

/// Writes a typed exception to the results that it takes the place of.
pub type Exception = Box<dyn FnMut(&mut Encoder<'_>, &mut Builder<'_>) -> Result<()> + Send>;

/// A field: its slot and the schema's name.
pub type Slot = (u32, &'static str);

/// The parameters or the results of a method, as the Rust type `T`.
pub struct Part<T: 'static> {
    pub(crate) size: Size,
    how: How<T>,
    /// Makes results of an error that is one of the method's typed exceptions.
    pub(crate) exception: Option<fn(&Error) -> Option<Exception>>,
    /// Of a streaming method: what its call hands out once it was sent.
    pub(crate) streamed: Option<fn() -> T>,
    /// Of the method that ends an object: what its call hands out where that has ended before.
    pub(crate) closed: Option<fn() -> T>,
}

type WriteFields<T> = fn(&mut Encoder<'_>, &mut Builder<'_>, &T, &[Slot]) -> Result<()>;
type ReadFields<T> = fn(&mut Decoder<'_>, Reader<'_>, &[Slot]) -> Result<T>;
type Write<T> = fn(&mut Encoder<'_>, &mut Builder<'_>, &T) -> Result<()>;
type Read<T> = fn(&mut Decoder<'_>, Reader<'_>) -> Result<T>;

enum How<T: 'static> {
    Fields(&'static [Slot], WriteFields<T>, ReadFields<T>),
    Code(Write<T>, Read<T>),
}

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Part<T> {}

impl<T> Clone for How<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for How<T> {}

/// Plain fields, as a tuple of what the markers in `F` stand for.
pub const fn fields<F: Fields>(size: Size, slots: &'static [Slot]) -> Part<F::Values> {
    Part {
        size,
        how: How::Fields(slots, F::write, F::read),
        exception: None,
        streamed: None,
        closed: None,
    }
}

/// One plain field, as what the marker stands for.
pub const fn field<W: Wire>(size: Size, slots: &'static [Slot]) -> Part<W::Value> {
    Part {
        size,
        how: How::Fields(slots, write_one::<W>, read_one::<W>),
        exception: None,
        streamed: None,
        closed: None,
    }
}

/// Anything else, by functions of its own.
pub const fn code<T>(size: Size, write: Write<T>, read: Read<T>) -> Part<T> {
    Part { size, how: How::Code(write, read), exception: None, streamed: None, closed: None }
}

/// Results in whose place there can be a typed exception, which `exception` makes of an error.
pub const fn raising<T>(
    size: Size,
    write: Write<T>,
    read: Read<T>,
    exception: fn(&Error) -> Option<Exception>,
) -> Part<T> {
    Part {
        size,
        how: How::Code(write, read),
        exception: Some(exception),
        streamed: None,
        closed: None,
    }
}

/// The results of a method that streams: none, and its calls do not wait for them.
pub const fn streamed() -> Part<()> {
    Part { streamed: Some(|| ()), ..fields::<()>(Size(0, 0), &[]) }
}

impl<T> Part<T> {
    /// Whether they are those of a streaming method.
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
            How::Fields(slots, write, _) => write(cx, to, values, slots),
            How::Code(write, _) => write(cx, to, values),
        }
    }

    pub(crate) fn read(&self, cx: &mut Decoder<'_>, from: Reader<'_>) -> Result<T> {
        match self.how {
            How::Fields(slots, _, read) => read(cx, from, slots),
            How::Code(_, read) => read(cx, from),
        }
    }
}

/// In the place of a function that reads what is never read: the parameters of a form that is only
/// called.
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

/// The generated code names as many fields as there are values.
fn mismatch() -> Error {
    Error::misuse("the generated code is another version's: build it again")
}

/// A tuple of markers.
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
    /// [`Error::Decode`](crate::Error::Decode) with the field's path.
    fn read(cx: &mut Decoder<'_>, from: Reader<'_>, slots: &[Slot]) -> Result<Self::Values>;
}

impl Fields for () {
    type Values = ();

    fn write(_: &mut Encoder<'_>, _: &mut Builder<'_>, (): &(), _: &[Slot]) -> Result<()> {
        Ok(())
    }

    fn read(_: &mut Decoder<'_>, _: Reader<'_>, _: &[Slot]) -> Result<()> {
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
