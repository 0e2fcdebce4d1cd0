//! Rust types that can stand for a type parameter of the schema.

use super::any::AnyPointer;
use super::list::List;
use super::message::{Message, Wire};
use super::pointer::{AnyPointerWire, Data, Text};
use super::structure::Struct;

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
