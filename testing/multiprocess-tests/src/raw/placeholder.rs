//! Capabilities in the content of a message that is being written.

use capnp::any_pointer;
use capnp::capability::{FromClientHook, Promise, Request};
use capnp::private::capability::{ClientHook, ParamsHook, ResultsHook};

/// The next capability of a message, for a builder's setter.
pub fn cap<C: FromClientHook>() -> C {
    C::new(Placeholder::boxed(0))
}

/// The same where the whole content is a capability.
pub fn placeholder() -> Box<dyn ClientHook> {
    Placeholder::boxed(0)
}

/// Stands for a place in a message's capability table. It can do nothing else than name that place.
pub struct Placeholder(usize);

impl Placeholder {
    /// For this place.
    pub(crate) fn boxed(place: usize) -> Box<dyn ClientHook> {
        Box::new(Placeholder(place))
    }
}

impl ClientHook for Placeholder {
    fn add_ref(&self) -> Box<dyn ClientHook> {
        Box::new(Placeholder(self.0))
    }
    fn new_call(
        &self,
        _interface: u64,
        _method: u16,
        _size: Option<capnp::MessageSize>,
    ) -> Request<any_pointer::Owned, any_pointer::Owned> {
        unreachable!("a placeholder is not called")
    }
    fn call(
        &self,
        _interface: u64,
        _method: u16,
        _params: Box<dyn ParamsHook>,
        _results: Box<dyn ResultsHook>,
    ) -> Promise<(), capnp::Error> {
        unreachable!("a placeholder is not called")
    }
    fn get_brand(&self) -> usize {
        0
    }
    fn get_ptr(&self) -> usize {
        self.0
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
