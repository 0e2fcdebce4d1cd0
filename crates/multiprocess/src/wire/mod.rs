//! How values lie in a message: the part of Cap'n Proto's encoding that generated code is written
//! against.
//!
//! ```text
//! Message     a struct of the schema as a plain Rust type
//!   Reader, Builder    its fields in a message, by their slots
//!     Wire    one type of the schema in one field: a marker with the Rust type it stands for
//!       value      numbers, Bool, Void, enums
//!       pointer    Text, Data, AnyPointer, and what every pointer has in common
//!       flagged    values that a Bool field makes optional
//!       list       List, and the collections that stand for one
//!       structure  structs, boxed or absent
//!       view       values that methods borrow instead of getting a copy
//!       convert    Rust types that the schema's author chooses, through a codec
//! ```
//!
//! A *slot* is where the schema compiler put a field: for data its offset in units of its own size,
//! for pointers the index in the pointer section.

mod any;
pub(crate) mod context;
mod convert;
mod flagged;
pub(crate) mod helpers;
mod list;
mod message;
mod payload;
pub(crate) mod pointer;
mod structure;
mod value;
mod view;

pub use any::AnyPointer;
pub use context::{Decoder, Encoder};
pub use convert::{As, Codec, CodecError, Each, TryConvert};
pub use flagged::If;
pub use list::{BTreeMapOf, BTreeSetOf, Entry, HashMapOf, HashSetOf, List};
pub use message::{Builder, Message, Reader, Size};
pub use payload::{
    Exception, Fields, PayloadCodec, Slot, code, field, fields, raising, streamed, unread,
};
pub use pointer::{AnyPointerWire, Data, PointerWire, Text};
pub use structure::{Boxed, Nullable, Struct};
pub use value::{Enum, Void};
pub use view::{Borrowable, BorrowableOr, ListView, View, Viewed, owned, view};

pub(crate) use message::Pointer;

use capnp::private::layout::{PointerBuilder, PointerReader};

use crate::Result;

/// A message's content, to be read.
pub type AnyReader<'a> = capnp::any_pointer::Reader<'a>;
/// A message's content, to be written.
pub type AnyBuilder<'a> = capnp::any_pointer::Builder<'a>;

/// A type of the schema as it lies in a struct's field or in a list.
///
/// The implementations are markers without values; [`Value`](Wire::Value) is what a program sees.
pub trait Wire {
    /// The Rust type.
    type Value: 'static;
    /// The Rust type of a default that the schema gives: before any codec.
    type Default;

    /// Reads a field.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) for what does not fit.
    fn get(cx: &mut Decoder<'_>, from: Reader<'_>, slot: u32) -> Result<Self::Value>;

    /// Reads a field to which the schema gives a default.
    ///
    /// # Errors
    /// As [`get`](Wire::get).
    fn get_or(
        cx: &mut Decoder<'_>,
        from: Reader<'_>,
        slot: u32,
        default: Self::Default,
    ) -> Result<Self::Value>;

    /// Writes a field.
    ///
    /// # Errors
    /// A value that does not fit in a message, or that a codec refuses.
    fn set(
        cx: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        slot: u32,
        value: &Self::Value,
    ) -> Result<()>;

    /// Writes a field to which the schema gives a default.
    ///
    /// # Errors
    /// As [`set`](Wire::set).
    fn set_or(
        cx: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        slot: u32,
        value: &Self::Value,
        default: Self::Default,
    ) -> Result<()>;

    /// Reads a list of them; a null pointer is the empty list.
    ///
    /// # Errors
    /// As [`get`](Wire::get).
    fn read_list(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Vec<Self::Value>>;

    /// Writes a list of them.
    ///
    /// # Errors
    /// As [`set`](Wire::set).
    fn write_list<'v>(
        cx: &mut Encoder<'_>,
        to: PointerBuilder<'_>,
        values: impl ExactSizeIterator<Item = &'v Self::Value>,
    ) -> Result<()>
    where
        Self::Value: 'v;
}

/// A Rust type that can stand for a type parameter of the schema, which says how it lies in a
/// message by itself.
pub trait Argument: Clone + std::fmt::Debug + Send + Sync + Sized + 'static {
    /// How it lies in a message.
    type Wire: Wire<Value = Self>;
}

impl Argument for String {
    type Wire = Text;
}

impl Argument for Vec<u8> {
    type Wire = Data;
}

impl Argument for AnyPointer {
    type Wire = AnyPointerWire;
}

impl<M: Message + Clone + std::fmt::Debug + Send + Sync + 'static> Argument for M {
    type Wire = Struct<M>;
}

impl<T: Argument> Argument for Vec<T> {
    type Wire = List<T::Wire>;
}

macro_rules! list_arguments {
    ($($type:ty)*) => { $(
        impl Argument for Vec<$type> {
            type Wire = List<$type>;
        }
    )* };
}
list_arguments!(bool i8 i16 i32 i64 u16 u32 u64 f32 f64);
