//! Serves a user's object through its handle; the handle as it is written to a message, and without its
//! type.

use std::any::Any;
use std::sync::Arc;

use super::incoming::Incoming;
use super::interface::Interface;
use super::remote::RemoteObject;
use crate::Result;
use crate::serving::{CallContent, Job, Kept, Local, Served};
use crate::session::NewObject;
use crate::wire::context::Given;
use crate::wire::{Builder, Decoder, Reader};

/// A user's object, through its handle.
pub(crate) struct ServedObject<I: Interface>(pub(crate) I);

impl<I: Interface> Served for ServedObject<I> {
    fn name(&self) -> &'static str {
        I::NAME
    }

    fn dispatch(
        &self,
        (interface, method): (u64, u16),
        cx: &mut Decoder<'_>,
        params: CallContent<'_>,
    ) -> Result<Job> {
        if let Some(destroy) = I::DESTROY
            && destroy.id.is(interface, method)
        {
            if let Some(slot) = destroy.context {
                cx.context(Reader::content(params.reader)?, slot)?;
            }
            return Ok(Job::destroy().named(destroy.id.name));
        }
        if let Some(construct) = I::CONSTRUCT
            && construct.id.is(interface, method)
        {
            cx.thread_map(Reader::content(params.reader)?, construct.params.1)?;
            let (size, slot) = construct.results;
            return Ok(Job::immediate(move |cx, results| {
                cx.thread_map(&mut Builder::content(results, size), slot);
                Ok(())
            }));
        }
        let handle = self.0.handle();
        let call = Incoming::new(interface, method, cx, params);
        if let Some(dispatch) = handle.dispatcher() {
            // Only methods of this interface: the dispatcher may be that of an interface that
            // extends it, whose other methods the peer must not call.
            return match I::extends(interface) {
                true => dispatch?(call),
                false => call.unknown(I::NAME),
            };
        }
        let object = match handle.local_object() {
            Some(object) => object?,
            None => self.0.clone().into_object(),
        };
        I::dispatch(call, object)
    }

    fn destroy_method(&self) -> Option<(u64, u16)> {
        I::DESTROY.map(|destroy| (destroy.id.interface, destroy.id.ordinal))
    }

    fn address(&self) -> usize {
        self.0.handle().address()
    }

    fn begin(&self) -> Result<Kept> {
        self.0.handle().begin_served()
    }

    fn handle(&self) -> &dyn Any {
        &self.0
    }

    fn untyped(&self) -> Box<dyn Any> {
        Box::new(Untyped::of(self.0.clone()))
    }

    fn is_relay(&self) -> bool {
        self.0.handle().remote().is_some()
    }
}

/// A handle, as it is written to a message.
pub(super) struct Exported<'a, I>(pub(super) &'a I);

impl<I: Interface> Given for Exported<'_, I> {
    fn address(&self) -> usize {
        self.0.handle().address()
    }

    fn remote(&self) -> Option<&dyn Any> {
        self.0.handle().remote()?.as_any()
    }

    fn is_served_by(&self, served: &dyn Any) -> bool {
        served.is::<I>()
    }

    fn serve(&self) -> Box<dyn Any> {
        Box::new(serve(self.0))
    }
}

/// What serves the object behind a handle.
pub(super) fn serve<I: Interface>(handle: &I) -> NewObject {
    let object = Local::new(Arc::new(ServedObject(handle.clone())));
    NewObject { object, keeps: I::DESTROY.is_none() }
}

/// A handle without the type of its interface.
#[derive(Clone)]
pub(super) enum Untyped {
    /// On an object of this process.
    Here(Arc<dyn Home>),
    There(RemoteObject),
}

impl Untyped {
    pub(super) fn of<I: Interface>(handle: I) -> Untyped {
        match handle.handle().remote() {
            Some(object) => Untyped::There(object.clone()),
            None => Untyped::Here(Arc::new(Own(handle))),
        }
    }
}

/// A handle on an object of this process.
pub(super) trait Home: Given + Send + Sync {
    /// The handle itself.
    fn handle(&self) -> &dyn Any;
    /// The handle of the interface with this id, if the handle's own extends it.
    fn ancestor(&self, id: u64) -> Option<Box<dyn Any>>;
    /// The name of the handle's interface.
    fn name(&self) -> &'static str;
}

struct Own<I>(I);

impl<I: Interface> Home for Own<I> {
    fn handle(&self) -> &dyn Any {
        &self.0
    }

    fn ancestor(&self, id: u64) -> Option<Box<dyn Any>> {
        self.0.ancestor(id)
    }

    fn name(&self) -> &'static str {
        I::NAME
    }
}

impl<I: Interface> Given for Own<I> {
    fn address(&self) -> usize {
        Exported(&self.0).address()
    }

    fn remote(&self) -> Option<&dyn Any> {
        None
    }

    fn is_served_by(&self, served: &dyn Any) -> bool {
        Exported(&self.0).is_served_by(served)
    }

    fn serve(&self) -> Box<dyn Any> {
        Exported(&self.0).serve()
    }
}
