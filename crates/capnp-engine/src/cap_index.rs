//! Capabilities in capnp's messages: indices of the capability table.
//!
//! capnp keeps a message's capabilities in a table of boxed [`ClientHook`]s, which can be called.
//! Here the hooks are never called: each one only has an index into the list of [`Cap`]s that goes
//! with the message.

use capnp::MessageSize;
use capnp::any_pointer;
use capnp::capability::{Promise, RemotePromise, Request};
use capnp::message::{Builder, HeapAllocator};
use capnp::private::capability::{
    ClientHook, ParamsHook, PipelineHook, PipelineOp, RequestHook, ResultsHook,
};
use capnp::private::layout::CapTable;

use crate::cap::Cap;

/// Identifies these hooks.
const BRAND: usize = 0x6d70;

struct IndexHook<I>(I);

/// The index of a capability. A type for each of the first indices, see [`Fixed`].
trait CapIndex: 'static {
    fn get(&self) -> usize;
}

/// One of the first indices as a type without size, so that boxing it takes no memory. Most
/// messages use no others.
struct Fixed<const INDEX: usize>;

impl<const INDEX: usize> CapIndex for Fixed<INDEX> {
    fn get(&self) -> usize {
        INDEX
    }
}

impl CapIndex for usize {
    fn get(&self) -> usize {
        *self
    }
}

/// The hook to write into a message for the capability with this index.
pub fn cap_hook(index: usize) -> Box<dyn ClientHook> {
    match index {
        0 => Box::new(IndexHook(Fixed::<0>)),
        1 => Box::new(IndexHook(Fixed::<1>)),
        2 => Box::new(IndexHook(Fixed::<2>)),
        3 => Box::new(IndexHook(Fixed::<3>)),
        _ => Box::new(IndexHook(index)),
    }
}

/// The index of a hook.
pub(crate) fn cap_index(hook: &dyn ClientHook) -> Option<usize> {
    (hook.get_brand() == BRAND).then(|| hook.get_ptr())
}

/// The capability of a hook that was read from a message. `caps`: those of the message.
pub fn find_cap(hook: &dyn ClientHook, caps: &[Option<Cap>]) -> Option<Cap> {
    caps.get(cap_index(hook)?).copied().flatten()
}

/// The capability table for a list of capabilities.
pub(crate) fn cap_table(caps: &[Option<Cap>]) -> CapTable {
    caps.iter().enumerate().map(|(index, cap)| cap.as_ref().map(|_| cap_hook(index))).collect()
}

fn no_call() -> capnp::Error {
    capnp::Error::unimplemented("a capability is called through its handle".to_owned())
}

impl<I: CapIndex> ClientHook for IndexHook<I> {
    fn add_ref(&self) -> Box<dyn ClientHook> {
        cap_hook(self.0.get())
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
        cap_hook(usize::MAX)
    }
}
