//! Interfaces: handles on objects, or the objects themselves.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use capnp::private::layout::{PointerBuilder, PointerReader};

use super::handle::Handle;
use super::interface::Interface;
use super::served::Exported;
use super::start::object_of;
use crate::session::HeldCap;
use crate::wire::pointer::pointer_wire;
use crate::wire::{Argument, Decoder, Encoder, PointerWire};
use crate::{Error, Result};

/// An object that may be null, through its handle.
#[derive(Debug)]
pub struct Object<I>(PhantomData<I>);

/// An object that is never null, through its handle.
#[derive(Debug)]
pub struct NotNull<I>(PhantomData<I>);

/// An object that may be null, as what implements its trait.
#[derive(Debug)]
pub struct Shared<I>(PhantomData<I>);

/// An object that is never null, as what implements its trait.
#[derive(Debug)]
pub struct SharedNotNull<I>(PhantomData<I>);

impl<I: Interface> PointerWire for Object<I> {
    type Value = Option<I>;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Option<I>> {
        let mut home = None;
        let held = cx.object(from, &mut |served| {
            home = served.downcast_ref::<I>().cloned();
            home.is_some()
        })?;
        if home.is_some() {
            return Ok(home);
        }
        let held = held.and_then(|held| held.downcast::<HeldCap>().ok());
        Ok(held.map(|held| I::from_handle(Handle::remote_object(object_of::<I>(*held)))))
    }

    fn write(cx: &mut Encoder<'_>, mut to: PointerBuilder<'_>, value: &Option<I>) -> Result<()> {
        if let Some(handle) = value {
            to.set_capability(cx.object(&Exported(handle)));
        }
        Ok(())
    }

    fn show(value: &Option<I>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::<I>(value.is_some(), f)
    }
}
pointer_wire!([I: Interface] Object<I>);

impl<I: Interface> PointerWire for NotNull<I> {
    type Value = I;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<I> {
        Object::read(cx, from)?.ok_or_else(null::<I>)
    }

    fn write(cx: &mut Encoder<'_>, mut to: PointerBuilder<'_>, value: &I) -> Result<()> {
        to.set_capability(cx.object(&Exported(value)));
        Ok(())
    }

    fn show(_: &I, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::<I>(true, f)
    }
}
pointer_wire!([I: Interface] NotNull<I>);

impl<I: Interface + From<Arc<I::Object>>> PointerWire for Shared<I> {
    type Value = Option<Arc<I::Object>>;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Self::Value> {
        Ok(Object::<I>::read(cx, from)?.map(object))
    }

    fn write(cx: &mut Encoder<'_>, to: PointerBuilder<'_>, value: &Self::Value) -> Result<()> {
        match value {
            Some(object) => NotNull::write(cx, to, &I::from(Arc::clone(object))),
            None => Ok(()),
        }
    }

    fn show(value: &Self::Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::<I>(value.is_some(), f)
    }
}
pointer_wire!([I: Interface + From<Arc<I::Object>>] Shared<I>);

impl<I: Interface + From<Arc<I::Object>>> PointerWire for SharedNotNull<I> {
    type Value = Arc<I::Object>;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Self::Value> {
        Shared::<I>::read(cx, from)?.ok_or_else(null::<I>)
    }

    fn write(cx: &mut Encoder<'_>, to: PointerBuilder<'_>, value: &Self::Value) -> Result<()> {
        NotNull::write(cx, to, &I::from(Arc::clone(value)))
    }

    fn show(_: &Self::Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::<I>(true, f)
    }
}
pointer_wire!([I: Interface + From<Arc<I::Object>>] SharedNotNull<I>);

/// Shows an object, or that there is none.
fn show<I: Interface>(some: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if some { write!(f, "<{}>", I::NAME) } else { f.write_str("none") }
}

fn object<I: Interface>(handle: I) -> Arc<I::Object> {
    match handle.handle().local_object() {
        Some(Ok(object)) => object,
        // A remote object, or one that has ended, in which case the handle's calls return that
        // error.
        Some(Err(_)) | None => handle.into_object(),
    }
}

impl<I: Interface + std::fmt::Debug> Argument for Option<I> {
    type Wire = Object<I>;
}

fn null<I: Interface>() -> Error {
    Error::decode("", format!("the {} is null", I::NAME))
}
