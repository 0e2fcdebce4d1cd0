//! The description of an interface by generated code.

use std::any::Any;
use std::sync::Arc;

use super::family::Family;
use super::handle::Handle;
use super::incoming::Incoming;
use super::method::MethodId;
use crate::Result;
use crate::serving::Job;
use crate::wire::Size;

/// The method that exchanges ThreadMaps when a connection begins.
#[derive(Debug, Clone, Copy)]
pub struct Construct {
    /// The method.
    pub id: MethodId,
    /// The size of the parameters, and the slot of the ThreadMap in them.
    pub params: (Size, u32),
    /// The same of the results.
    pub results: (Size, u32),
}

/// The method that ends an object.
#[derive(Debug, Clone, Copy)]
pub struct Destroy {
    /// The method.
    pub id: MethodId,
    /// The size of the parameters.
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
    /// The versions of its schema, where there are several.
    const FAMILY: Option<&'static Family> = None;

    /// Wraps an untyped handle.
    fn from_handle(handle: Handle<Self::Object>) -> Self;
    /// The untyped handle.
    fn handle(&self) -> &Handle<Self::Object>;
    /// An object that forwards its calls to this handle.
    fn into_object(self) -> Arc<Self::Object>;
    /// The handle of the interface with this id on the same object, if this one extends it.
    fn ancestor(&self, id: u64) -> Option<Box<dyn Any>> {
        let _ = id;
        None
    }
    /// Decodes a call of `object`.
    ///
    /// # Errors
    /// [`Error::Unimplemented`](crate::Error::Unimplemented) for a method that the interface does
    /// not have, [`Error::Decode`](crate::Error::Decode) for arguments that do not fit.
    fn dispatch(call: Incoming<'_, '_>, object: Arc<Self::Object>) -> Result<Job>;

    /// Whether the interface is the one with this id, or extends it.
    fn extends(id: u64) -> bool {
        id == Self::ID || Self::ANCESTORS.contains(&id)
    }
}
