//! What generated code is written against. Not for other use: it changes with the generator.

use std::sync::Arc;

pub use crate::call::Call;
pub(crate) use crate::codec::CallThreads;
pub use crate::codec::{
    At, Decoder, Encoder, checked, data, length, list, malformed, set_enum, set_enum_item, text,
    unknown_method,
};
pub use crate::handle::{Handle, RemoteObject, Target, close};
pub use crate::server::Job;
pub use capnp;

use crate::Result;

/// A message's content, to be read.
pub type AnyReader<'a> = capnp::any_pointer::Reader<'a>;
/// A message's content, to be written.
pub type AnyBuilder<'a> = capnp::any_pointer::Builder<'a>;

/// A method as the wire knows it.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// The id of the interface that declares it.
    pub interface: u64,
    /// Its ordinal.
    pub id: u16,
    /// `Interface.method`, as the schema spells it.
    pub name: &'static str,
    /// Which pointer of the results is the capability that calls can be pipelined to.
    pub result: u16,
}

/// Writes the parameters of one of the runtime's own methods.
pub type Encode = fn(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()>;

/// A method that the runtime calls itself: construct or destroy.
#[derive(Clone, Copy)]
pub struct Lifecycle {
    /// The method.
    pub method: Method,
    /// Writes its parameters.
    pub encode: Encode,
}

/// The handle of an interface; implemented by generated code.
pub trait Interface: Clone + Send + Sync + Sized + 'static {
    /// The trait that objects implement, as `dyn Trait`.
    type Object: ?Sized + Send + Sync + 'static;
    /// The interface's id.
    const ID: u64;
    /// The interface's name.
    const NAME: &'static str;
    /// The method that exchanges ThreadMaps, on a bootstrap interface.
    const CONSTRUCT: Option<Lifecycle>;
    /// The method that ends the object.
    const DESTROY: Option<Lifecycle>;

    /// Wraps an untyped handle.
    fn from_handle(handle: Handle<Self::Object>) -> Self;
    /// The untyped handle.
    fn handle(&self) -> &Handle<Self::Object>;
    /// An object that hands its calls on to this handle.
    fn into_object(self) -> Arc<Self::Object>;
    /// Decodes a call of `object`.
    ///
    /// # Errors
    /// [`Error::Unimplemented`](crate::Error::Unimplemented) for a method that the interface does
    /// not have, [`Error::Decode`](crate::Error::Decode) for arguments that do not fit.
    fn dispatch(
        object: Arc<Self::Object>,
        interface: u64,
        method: u16,
        cx: &mut Decoder<'_>,
        params: AnyReader<'_>,
    ) -> Result<Job>;
}

/// A struct of a schema as a plain Rust type; implemented by generated code.
pub trait Message: Sized {
    /// The raw type.
    type Owned: capnp::traits::Owned;
    /// Reads the struct.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) with the field's path.
    fn read(
        cx: &mut Decoder<'_>,
        reader: <Self::Owned as capnp::traits::Owned>::Reader<'_>,
    ) -> Result<Self>;
    /// Writes the struct.
    ///
    /// # Errors
    /// A value that does not fit in a message.
    fn write(
        &self,
        cx: &mut Encoder<'_>,
        builder: <Self::Owned as capnp::traits::Owned>::Builder<'_>,
    ) -> Result<()>;
}

/// Reads a struct of a message.
pub fn read<T: Message>(
    cx: &mut Decoder<'_>,
    reader: capnp::Result<<T::Owned as capnp::traits::Owned>::Reader<'_>>,
) -> Result<T> {
    T::read(cx, reader.map_err(malformed)?)
}
