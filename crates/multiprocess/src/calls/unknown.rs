//! What a peer is given of an object of a third process whose interface this process does not know.

use std::any::Any;
use std::sync::Arc;

use super::remote::RemoteObject;
use super::served::Untyped;
use crate::serving::{CallContent, Job, Kept, Local, Served};
use crate::session::NewObject;
use crate::wire::Decoder;
use crate::{Error, Result};

/// Answers every call with an error: calls are forwarded by the handle of an interface.
pub(super) struct Unknown(pub(super) RemoteObject);

impl Unknown {
    pub(super) fn serve(self) -> NewObject {
        NewObject { object: Local::new(Arc::new(self)), keeps: true }
    }
}

impl Served for Unknown {
    fn name(&self) -> &'static str {
        "Capability"
    }

    fn dispatch(&self, _: (u64, u16), _: &mut Decoder<'_>, _: CallContent<'_>) -> Result<Job> {
        Err(Error::failed(
            "the process that passed this object on does not know its interface, and cannot forward calls: it \
             has to cast the Capability, and pass the handle",
        ))
    }

    fn destroy_method(&self) -> Option<(u64, u16)> {
        None
    }

    fn address(&self) -> usize {
        self.0.address()
    }

    fn begin(&self) -> Result<Kept> {
        Ok(None)
    }

    fn handle(&self) -> &dyn Any {
        self
    }

    fn untyped(&self) -> Box<dyn Any> {
        Box::new(Untyped::There(self.0.clone()))
    }

    fn is_relay(&self) -> bool {
        true
    }
}
