//! Interfaces: handles on objects, or the objects themselves.

use std::marker::PhantomData;
use std::sync::Arc;

use capnp::private::layout::{PointerBuilder, PointerReader};

use super::PointerWire;
use super::pointer::pointer_wire;
use crate::codec::{Decoder, Encoder};
use crate::{Error, Interface, Result};

/// An object that may be null, through its handle.
pub struct Object<I>(PhantomData<I>);

/// An object that is never null, through its handle.
pub struct NotNull<I>(PhantomData<I>);

/// An object that may be null, as what implements its trait.
pub struct Shared<I>(PhantomData<I>);

/// An object that is never null, as what implements its trait.
pub struct SharedNotNull<I>(PhantomData<I>);

impl<I: Interface> PointerWire for Object<I> {
    type Value = Option<I>;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Option<I>> {
        cx.import_pointer(from)
    }

    fn write(cx: &mut Encoder<'_>, mut to: PointerBuilder<'_>, value: &Option<I>) -> Result<()> {
        if let Some(handle) = value {
            to.set_capability(cx.export_hook(handle));
        }
        Ok(())
    }
}
pointer_wire!([I: Interface] Object<I>);

impl<I: Interface> PointerWire for NotNull<I> {
    type Value = I;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<I> {
        Object::read(cx, from)?.ok_or_else(null::<I>)
    }

    fn write(cx: &mut Encoder<'_>, mut to: PointerBuilder<'_>, value: &I) -> Result<()> {
        to.set_capability(cx.export_hook(value));
        Ok(())
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
}
pointer_wire!([I: Interface + From<Arc<I::Object>>] SharedNotNull<I>);

fn object<I: Interface>(handle: I) -> Arc<I::Object> {
    handle.handle().local_object().unwrap_or_else(|| handle.into_object())
}

fn null<I: Interface>() -> Error {
    Error::decode("", format!("the {} is null", I::NAME))
}
