//! A handle on an object whose interface the schema leaves open.

use std::any::Any;
use std::fmt;

use capnp::private::capability::ClientHook;
use capnp::private::layout::{PointerBuilder, PointerReader};

use super::handle::Handle;
use super::interface::Interface;
use super::remote::RemoteObject;
use super::served::{Home, Untyped};
use super::start::destroy_of;
use super::unknown::Unknown;
use crate::session::HeldCap;
use crate::wire::context::{Given, capability};
use crate::wire::pointer::pointer_wire;
use crate::wire::{Argument, Decoder, Encoder, PointerWire};
use crate::{Error, Result};

/// An object of which the schema does not say the interface (`Capability`, or a pointer in an
/// `AnyPointer`), here or in another process.
///
/// It is passed on as it is, to the peer that it came from, and [`cast`](Capability::cast) to the handle
/// of an interface to be called. Any handle becomes one by `From`.
///
/// An object of a third process cannot be passed on without its interface, because its calls are
/// forwarded by the handle: what the other process is given then answers every call with an error. Cast
/// it first, and pass the handle.
///
/// Equal are two that are handles on the same object.
#[derive(Clone)]
pub struct Capability(Untyped);

impl Capability {
    /// The handle of an interface on the same object. For an object of another process nothing is
    /// asked: if it does not have the interface, calls are [`Error::Unimplemented`]. If the interface has
    /// `destroy`, that is sent when the last handle has gone, this one included. Of several such interfaces that
    /// one object is cast to it is the last one's, so cast to what the object is known to be.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] for an object of this process whose handle is of another interface that does
    /// not extend this one.
    pub fn cast<I: Interface>(&self) -> Result<I> {
        let object = match &self.0 {
            Untyped::Here(home) => return cast_here(&**home),
            Untyped::There(object) => object,
        };
        if let (Some(held), Some(destroy)) = (object.held(), destroy_of::<I>()) {
            held.destroy_with(destroy);
        }
        Ok(I::from_handle(Handle::remote_object(object.clone())))
    }

    /// Whether the object is in this process.
    pub fn is_local(&self) -> bool {
        matches!(self.0, Untyped::Here(_))
    }

    pub(super) fn as_given(&self) -> &dyn Given {
        match &self.0 {
            Untyped::Here(home) => &**home,
            Untyped::There(object) => object,
        }
    }
}

fn cast_here<I: Interface>(home: &dyn Home) -> Result<I> {
    if let Some(handle) = home.handle().downcast_ref::<I>() {
        return Ok(handle.clone());
    }
    let ancestor = home.ancestor(I::ID).and_then(|handle| handle.downcast::<I>().ok());
    ancestor.map(|handle| *handle).ok_or_else(|| {
        Error::misuse(format!("the object is a {}, which is no {}", home.name(), I::NAME))
    })
}

impl<I: Interface> From<I> for Capability {
    fn from(handle: I) -> Capability {
        Capability(Untyped::of(handle))
    }
}

impl PartialEq for Capability {
    fn eq(&self, other: &Capability) -> bool {
        match (&self.0, &other.0) {
            (Untyped::Here(a), Untyped::Here(b)) => a.address() == b.address(),
            (Untyped::There(a), Untyped::There(b)) => a.is_same(b),
            _ => false,
        }
    }
}

impl Eq for Capability {}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Untyped::Here(home) => write!(f, "Capability(local {})", home.name()),
            Untyped::There(_) => f.write_str("Capability(remote)"),
        }
    }
}

/// An object of another process.
impl Given for RemoteObject {
    fn address(&self) -> usize {
        RemoteObject::address(self)
    }

    fn remote(&self) -> Option<&dyn Any> {
        self.as_any()
    }

    fn is_served_by(&self, served: &dyn Any) -> bool {
        served.downcast_ref::<Unknown>().is_some_and(|unknown| unknown.0.is_same(self))
    }

    fn serve(&self) -> Box<dyn Any> {
        Box::new(Unknown(self.clone()).serve())
    }
}

/// `Capability`, which may be null.
#[derive(Debug)]
pub struct AnyObject;

/// `Capability`, which is never null.
#[derive(Debug)]
pub struct AnyObjectNotNull;

impl AnyObject {
    /// The object that a hook of the message stands for.
    pub(super) fn of_hook(
        cx: &mut Decoder<'_>,
        hook: &dyn ClientHook,
    ) -> Result<Option<Capability>> {
        let mut home = None;
        let held = cx.object_of(hook, &mut |served| {
            home = served.downcast_ref::<Untyped>().cloned();
            home.is_some()
        })?;
        let held = held.and_then(|held| held.downcast::<HeldCap>().ok());
        let there = held.map(|held| Untyped::There(RemoteObject::new(*held, None)));
        Ok(home.or(there).map(Capability))
    }
}

impl PointerWire for AnyObject {
    type Value = Option<Capability>;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Option<Capability>> {
        capability(from)?.map_or(Ok(None), |hook| AnyObject::of_hook(cx, &*hook))
    }

    fn write(
        cx: &mut Encoder<'_>,
        to: PointerBuilder<'_>,
        value: &Option<Capability>,
    ) -> Result<()> {
        value.as_ref().map_or(Ok(()), |value| AnyObjectNotNull::write(cx, to, value))
    }

    fn show(value: &Option<Capability>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if value.is_some() { "<object>" } else { "none" })
    }
}
pointer_wire!([] AnyObject);

impl PointerWire for AnyObjectNotNull {
    type Value = Capability;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Capability> {
        AnyObject::read(cx, from)?.ok_or_else(|| Error::decode("", "the object is null"))
    }

    fn write(cx: &mut Encoder<'_>, mut to: PointerBuilder<'_>, value: &Capability) -> Result<()> {
        to.set_capability(cx.object(value.as_given()));
        Ok(())
    }

    fn show(_: &Capability, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<object>")
    }
}
pointer_wire!([] AnyObjectNotNull);

impl Argument for Option<Capability> {
    type Wire = AnyObject;
}
