//! Serves a user's object through its handle.

use std::any::Any;

use super::incoming::Incoming;
use super::interface::Interface;
use crate::Result;
use crate::serving::{CallContent, Job, Kept, Served};
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

    fn is_relay(&self) -> bool {
        self.0.handle().remote().is_some()
    }
}
