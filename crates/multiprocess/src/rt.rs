//! What generated code is written against. Not for other use: it changes with the generator.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use crate::call::Call;
pub(crate) use crate::codec::CallThreads;
pub use crate::codec::{Decoder, Encoder};
pub use crate::handle::{Handle, RemoteObject, Target, close};
pub use crate::method::{Exception, Incoming, Method, MethodId, call, exception, unimplemented};
pub use crate::part::{Fields, Part, Slot, code, field, fields, raising, streamed, unread};
pub use crate::server::{Async, Job};
pub use crate::versions::{Variant, call_versions};
pub use crate::wire::{
    AnyPointerWire, Argument, As, BTreeMapOf, BTreeSetOf, Boxed, Builder, Data, Entry, Enum,
    HashMapOf, HashSetOf, If, Lend, LendOr, List, ListView, Message, NotNull, Nullable, Object,
    PointerWire, Reader, Shared, SharedNotNull, Size, Struct, Text, View, Viewed, Void, Wire,
    owned, view,
};
pub use crate::{__handle as handle, AnyPointer, Error, Result};
pub use capnp;

/// What an object whose methods are futures gives to its executor: one call of the peer's.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A message's content, to be read.
pub type AnyReader<'a> = capnp::any_pointer::Reader<'a>;
/// A message's content, to be written.
pub type AnyBuilder<'a> = capnp::any_pointer::Builder<'a>;

/// The method that exchanges ThreadMaps when a connection begins.
#[derive(Debug, Clone, Copy)]
pub struct Construct {
    /// The method.
    pub id: MethodId,
    /// The room that the parameters take, and the slot of the ThreadMap in them.
    pub params: (Size, u32),
    /// The same of the results.
    pub results: (Size, u32),
}

/// The method that ends an object.
#[derive(Debug, Clone, Copy)]
pub struct Destroy {
    /// The method.
    pub id: MethodId,
    /// The room that the parameters take.
    pub params: Size,
    /// The slot of the Context in them.
    pub context: Option<u32>,
}

/// The handle of an interface; implemented by generated code.
pub trait Interface: Clone + Send + Sync + Sized + 'static {
    /// The trait that objects implement, as `dyn Trait`.
    type Object: ?Sized + Send + Sync + 'static;
    /// The interface's id.
    const ID: u64;
    /// The interface's name.
    const NAME: &'static str;
    /// The ids of the interfaces that it extends, at any depth.
    const ANCESTORS: &'static [u64] = &[];
    /// The method that exchanges ThreadMaps, on a bootstrap interface.
    const CONSTRUCT: Option<Construct> = None;
    /// The method that ends the object.
    const DESTROY: Option<Destroy> = None;

    /// Wraps an untyped handle.
    fn from_handle(handle: Handle<Self::Object>) -> Self;
    /// The untyped handle.
    fn handle(&self) -> &Handle<Self::Object>;
    /// An object that hands its calls on to this handle.
    fn into_object(self) -> Arc<Self::Object>;
    /// Decodes a call of `object`.
    ///
    /// # Errors
    /// [`Error::Unimplemented`] for a method that the interface does
    /// not have, [`Error::Decode`] for arguments that do not fit.
    fn dispatch(call: Incoming<'_, '_>, object: Arc<Self::Object>) -> Result<Job>;

    /// Whether the interface is the one with this id, or extends it.
    fn extends(id: u64) -> bool {
        id == Self::ID || Self::ANCESTORS.contains(&id)
    }
}
