//! Capabilities as capnp's messages hold them.
//!
//! capnp keeps the capabilities of a message in a table of boxed [`ClientHook`]s, which can be called.
//! Nothing is called through them here: a hook is only a number, its place in a list of [`Cap`]s that
//! goes with the message.

use capnp::MessageSize;
use capnp::any_pointer;
use capnp::capability::{Promise, RemotePromise, Request};
use capnp::message::{Builder, HeapAllocator};
use capnp::private::capability::{
    ClientHook, ParamsHook, PipelineHook, PipelineOp, RequestHook, ResultsHook,
};
use capnp::private::layout::CapTable;

use super::cap::Cap;

/// What tells these hooks from others, which there are none of.
const BRAND: usize = 0x6d70;

struct Hook<P>(P);

/// A place in a list.
trait Place: 'static {
    fn get(&self) -> usize;
}

/// One of the first places, of which a box takes no memory: most messages have no others.
struct Fixed<const PLACE: usize>;

impl<const PLACE: usize> Place for Fixed<PLACE> {
    fn get(&self) -> usize {
        PLACE
    }
}

impl Place for usize {
    fn get(&self) -> usize {
        *self
    }
}

/// The hook for the capability at this place.
pub(crate) fn hook(place: usize) -> Box<dyn ClientHook> {
    match place {
        0 => Box::new(Hook(Fixed::<0>)),
        1 => Box::new(Hook(Fixed::<1>)),
        2 => Box::new(Hook(Fixed::<2>)),
        3 => Box::new(Hook(Fixed::<3>)),
        _ => Box::new(Hook(place)),
    }
}

/// The place that a hook stands for.
pub(super) fn place(hook: &dyn ClientHook) -> Option<usize> {
    (hook.get_brand() == BRAND).then(|| hook.get_ptr())
}

/// The capability of a hook.
pub(crate) fn find(hook: &dyn ClientHook, caps: &[Option<Cap>]) -> Option<Cap> {
    caps.get(place(hook)?).cloned().flatten()
}

/// The hooks for a list of capabilities.
pub(crate) fn table(caps: &[Option<Cap>]) -> CapTable {
    caps.iter().enumerate().map(|(place, cap)| cap.as_ref().map(|_| hook(place))).collect()
}

fn no_call() -> capnp::Error {
    capnp::Error::unimplemented("a capability is called through its handle".to_owned())
}

impl<P: Place> ClientHook for Hook<P> {
    fn add_ref(&self) -> Box<dyn ClientHook> {
        hook(self.0.get())
    }

    fn new_call(
        &self,
        _interface: u64,
        _method: u16,
        _size: Option<MessageSize>,
    ) -> Request<any_pointer::Owned, any_pointer::Owned> {
        Request::new(Box::new(NoCall(Builder::new_default())))
    }

    fn call(
        &self,
        _interface: u64,
        _method: u16,
        _params: Box<dyn ParamsHook>,
        _results: Box<dyn ResultsHook>,
    ) -> Promise<(), capnp::Error> {
        Promise::err(no_call())
    }

    fn get_brand(&self) -> usize {
        BRAND
    }

    fn get_ptr(&self) -> usize {
        self.0.get()
    }

    fn get_resolved(&self) -> Option<Box<dyn ClientHook>> {
        None
    }

    fn when_more_resolved(&self) -> Option<Promise<Box<dyn ClientHook>, capnp::Error>> {
        None
    }

    fn when_resolved(&self) -> Promise<(), capnp::Error> {
        Promise::ok(())
    }
}

/// A request that fails when it is sent.
struct NoCall(Builder<HeapAllocator>);

impl RequestHook for NoCall {
    fn get(&mut self) -> any_pointer::Builder<'_> {
        self.0.init_root()
    }

    fn get_brand(&self) -> usize {
        BRAND
    }

    fn send(self: Box<Self>) -> RemotePromise<any_pointer::Owned> {
        RemotePromise {
            promise: Promise::err(no_call()),
            pipeline: any_pointer::Pipeline::new(Box::new(NoPipeline)),
        }
    }

    fn send_streaming(self: Box<Self>) -> Promise<(), capnp::Error> {
        Promise::err(no_call())
    }

    fn tail_send(
        self: Box<Self>,
    ) -> Option<(u32, Promise<(), capnp::Error>, Box<dyn PipelineHook>)> {
        None
    }
}

struct NoPipeline;

impl PipelineHook for NoPipeline {
    fn add_ref(&self) -> Box<dyn PipelineHook> {
        Box::new(NoPipeline)
    }

    fn get_pipelined_cap(&self, _path: &[PipelineOp]) -> Box<dyn ClientHook> {
        hook(usize::MAX)
    }
}
