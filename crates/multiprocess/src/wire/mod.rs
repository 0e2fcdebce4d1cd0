//! How values lie in a message: the part of Cap'n Proto's encoding that generated code is written
//! against.
//!
//! ```text
//! Message     a struct of the schema as a plain Rust type
//!   Reader, Builder    its fields in a message, by their slots
//!     Wire    one type of the schema in one field: a marker with the Rust type it stands for
//!       value      numbers, Bool, Void, enums
//!       pointer    Text, Data, and what every pointer has in common
//!       flagged    values that a Bool field makes optional
//!       list       List, and the collections that stand for one
//!       structure  structs, boxed or absent
//!       view       values that methods borrow instead of getting a copy
//!       convert    Rust types that the schema's author chooses, through a codec
//!       lacks      values that an older peer does not have
//!       argument   Rust types that stand for a type parameter
//! ```
//!
//! Below these, `slots` has a struct as it lies in the message, and `context` what is read and written
//! beside the values: capabilities, and the fields that the runtime fills in.
//!
//! A *slot* is where the schema compiler put a field: for data its offset in units of its own size,
//! for pointers the index in the pointer section.

mod argument;
pub(crate) mod context;
mod convert;
mod flagged;
pub(crate) mod helpers;
mod lacks;
mod list;
mod message;
mod payload;
pub(crate) mod pointer;
pub(crate) mod shown;
mod slots;
mod structure;
mod value;
mod view;

pub use argument::Argument;
pub use context::{Decoder, Encoder};
pub use convert::{
    As, Codec, CodecError, Each, TryConvert, decoded, default_of, default_with, encoded,
    encoded_here,
};
pub use flagged::If;
pub use lacks::Enumerant;
pub use list::{BTreeMapOf, BTreeSetOf, Entry, HashMapOf, HashSetOf, List};
pub use message::{Message, Wire};
pub use payload::{
    Exception, Fields, PayloadCodec, Slot, code, field, fields, raising, streamed, unread,
};
pub use pointer::{Data, PointerWire, Text};
pub use shown::Shown;
pub use slots::{AnyBuilder, AnyReader, Builder, Reader, Size};
pub use structure::{Boxed, Nullable, Struct};
pub use value::{Enum, Void};
pub use view::{Borrowable, BorrowableOr, ListView, View, Viewed, owned, show_view, view};

pub(crate) use helpers::At;
pub(crate) use slots::Pointer;
