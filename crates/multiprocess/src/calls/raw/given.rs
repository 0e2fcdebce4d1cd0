//! Objects as they are passed in messages whose types are not known.

use std::any::Any;
use std::sync::Arc;

use super::object::{Forward, RawServed};
use crate::calls::capability::Capability;
use crate::calls::served::Untyped;
use crate::session::NewObject;
use crate::wire::context::Given;

/// An object that is passed with a call whose parameters are not known. One of a third process is served by
/// forwarding its calls as they are.
pub(super) struct Passed<'a>(pub(super) &'a Capability);

impl Given for Passed<'_> {
    fn address(&self) -> usize {
        self.0.as_given().address()
    }

    fn remote(&self) -> Option<&dyn Any> {
        self.0.as_given().remote()
    }

    fn is_served_by(&self, served: &dyn Any) -> bool {
        match self.0.untyped() {
            Untyped::Here(home) => home.is_served_by(served),
            Untyped::There(object) => {
                let forward = served.downcast_ref::<RawServed>();
                forward.and_then(RawServed::forwards).is_some_and(|other| other.is_same(object))
            }
        }
    }

    fn serve(&self) -> Box<dyn Any> {
        match self.0.untyped() {
            Untyped::Here(home) => home.serve(),
            Untyped::There(object) => {
                let forward = RawServed::new(Arc::new(Forward(object.clone())));
                Box::new(forward.serve_it()) as Box<dyn Any>
            }
        }
    }
}

impl Passed<'_> {
    /// What serves it.
    pub(super) fn new_object(&self) -> Option<NewObject> {
        self.serve().downcast().ok().map(|object| *object)
    }
}
