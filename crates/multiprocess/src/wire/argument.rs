//! Rust types that can stand for a type parameter of the schema.
//!
//! Only what lies behind a pointer can: an enum or `()` is one for the lists of it. A list of UInt8 lies in
//! a message as Data does.

use super::list::List;
use super::message::{Message, Wire};
use super::pointer::{Data, Text};
use super::structure::Struct;
use super::value::Void;

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

impl Argument for () {
    type Wire = Void;
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
