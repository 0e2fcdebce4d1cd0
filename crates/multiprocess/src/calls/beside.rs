//! A bootstrap object that answers the calls of further interfaces, with other objects.

use std::any::Any;
use std::sync::Arc;

use super::interface::Interface;
use super::served::ServedObject;
use crate::Result;
use crate::serving::{CallContent, Job, Kept, Local, Served};
use crate::session::Object;
use crate::wire::Decoder;

/// An object whose interface is answered beside that of the bootstrap object. Calls carry the id of their
/// interface, so peers that do not know of it see no difference.
#[derive(Clone)]
pub(super) struct Also {
    extends: fn(u64) -> bool,
    served: Arc<dyn Served>,
}

impl Also {
    pub(super) fn new<I: Interface>(object: I) -> Also {
        Also { extends: I::extends, served: Arc::new(ServedObject(object)) }
    }
}

/// What serves a bootstrap object, with these others.
pub(super) fn serve_with<I: Interface>(handle: &I, also: Vec<Also>) -> Arc<dyn Object> {
    let own = Arc::new(ServedObject(handle.clone()));
    match also.is_empty() {
        true => Local::new(own),
        false => Local::new(Arc::new(Beside { own, also, extends: I::extends })),
    }
}

/// The bootstrap object with those others. All but the calls of their interfaces is its own: its life too.
struct Beside {
    own: Arc<dyn Served>,
    also: Vec<Also>,
    /// The interfaces of the bootstrap object itself come first.
    extends: fn(u64) -> bool,
}

impl Served for Beside {
    fn name(&self) -> &'static str {
        self.own.name()
    }

    fn dispatch(
        &self,
        method: (u64, u16),
        cx: &mut Decoder<'_>,
        params: CallContent<'_>,
    ) -> Result<Job> {
        let (interface, _) = method;
        if !(self.extends)(interface)
            && let Some(other) = self.also.iter().find(|also| (also.extends)(interface))
        {
            return other.served.dispatch(method, cx, params);
        }
        self.own.dispatch(method, cx, params)
    }

    fn destroy_method(&self) -> Option<(u64, u16)> {
        self.own.destroy_method()
    }

    fn address(&self) -> usize {
        self.own.address()
    }

    fn begin(&self) -> Result<Kept> {
        self.own.begin()
    }

    fn handle(&self) -> &dyn Any {
        self.own.handle()
    }

    fn untyped(&self) -> Box<dyn Any> {
        self.own.untyped()
    }

    fn is_relay(&self) -> bool {
        self.own.is_relay()
    }
}
