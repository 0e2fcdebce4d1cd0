//! What is served: a user's object through its handle, or a thread.

use std::any::Any;

use super::Job;
use super::task::Kept;
use crate::Result;
use crate::method::Incoming;
use crate::rt::{AnyReader, Decoder, Interface};
use crate::thread::ThreadServer;
use crate::wire::{Builder, Reader};

/// What a [`Local`](super::Local) serves.
pub(crate) trait Served: Send + Sync {
    fn name(&self) -> &'static str;
    fn dispatch(
        &self,
        interface: u64,
        method: u16,
        cx: &mut Decoder<'_>,
        params: AnyReader<'_>,
    ) -> Result<Job>;
    /// The method that ends the object, if its interface has one.
    fn destroy_method(&self) -> Option<(u64, u16)> {
        None
    }
    /// The address of the user's object.
    fn object(&self) -> Option<usize> {
        None
    }
    /// What a running call holds so that the object and its cleanup hooks wait for its end.
    fn keep(&self) -> Kept {
        None
    }
    /// The handle of a user's object, to give back when it comes home.
    fn handle(&self) -> Option<&dyn Any> {
        None
    }
    /// The thread, if that is what is served.
    fn thread(&self) -> Option<&ThreadServer> {
        None
    }
    /// Whether it is the user's, and so to be dropped where it may block.
    fn is_users(&self) -> bool {
        false
    }
}

/// A user's object, through its handle.
pub(crate) struct ServedObject<I: Interface>(pub(crate) I);

impl<I: Interface> Served for ServedObject<I> {
    fn name(&self) -> &'static str {
        I::NAME
    }

    fn dispatch(
        &self,
        interface: u64,
        method: u16,
        cx: &mut Decoder<'_>,
        params: AnyReader<'_>,
    ) -> Result<Job> {
        if let Some(destroy) = I::DESTROY
            && destroy.id.is(interface, method)
        {
            if let Some(slot) = destroy.context {
                cx.context(Reader::content(params)?, slot)?;
            }
            return Ok(Job::destroy());
        }
        if let Some(construct) = I::CONSTRUCT
            && construct.id.is(interface, method)
        {
            cx.thread_map(Reader::content(params)?, construct.params.1)?;
            let (size, slot) = construct.results;
            return Ok(Job::immediate(move |cx, results| {
                cx.thread_map(&mut Builder::content(results, size), slot);
                Ok(())
            }));
        }
        let handle = self.0.handle();
        let call = Incoming::new(interface, method, cx, params);
        match handle.dispatcher() {
            // Only what this interface has: the dispatcher may be that of one that extends it, and
            // whoever was given the lesser interface is not to call the greater.
            Some(dispatch) if I::extends(interface) => dispatch(call),
            Some(_) => call.unknown(I::NAME),
            None => {
                let object = handle.local_object();
                I::dispatch(call, object.unwrap_or_else(|| self.0.clone().into_object()))
            }
        }
    }

    fn destroy_method(&self) -> Option<(u64, u16)> {
        I::DESTROY.map(|destroy| (destroy.id.interface, destroy.id.ordinal))
    }

    fn object(&self) -> Option<usize> {
        Some(self.0.handle().address())
    }

    fn keep(&self) -> Kept {
        self.0.handle().keep()
    }

    fn handle(&self) -> Option<&dyn Any> {
        Some(&self.0)
    }

    fn is_users(&self) -> bool {
        true
    }
}

/// One of this process's threads, as the peer names it in a context.
pub(crate) struct ServedThread(pub(crate) ThreadServer);

impl Served for ServedThread {
    fn name(&self) -> &'static str {
        "Thread"
    }

    fn dispatch(
        &self,
        interface: u64,
        method: u16,
        _cx: &mut Decoder<'_>,
        _params: AnyReader<'_>,
    ) -> Result<Job> {
        crate::thread::dispatch_thread(&self.0, interface, method)
    }

    fn thread(&self) -> Option<&ThreadServer> {
        Some(&self.0)
    }
}
