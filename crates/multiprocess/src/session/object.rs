//! An object of this process as a connection keeps it: what the engine brings a peer's calls to.

use std::any::Any;
use std::sync::Arc;

use capnp_engine::{Delivery, Incoming};

use super::thread_server::ThreadServer;
use crate::Error;
use crate::connection::{ArcConn, Core};

/// An object of this process that the peer can call.
pub(crate) trait Object: Send + Sync {
    /// Decodes a call and leaves it for its thread, or answers it. Under the lock.
    fn deliver(
        self: Arc<Self>,
        core: &mut Core,
        conn: &ArcConn,
        call: Delivery,
        message: Option<&Incoming<'_>>,
    );

    /// What tells the user's object from others.
    fn address(&self) -> Option<usize> {
        None
    }

    /// Shows `home` the user's handle, for an object that comes home. What `home` says of it.
    fn is_home(&self, _home: &mut dyn FnMut(&dyn Any) -> bool) -> bool {
        false
    }

    /// The name of its interface, for the log.
    fn name(&self) -> &'static str {
        "an object"
    }

    /// A call of it was refused before it came here. Under the lock.
    fn refused(&self, _error: &Error) {}

    /// Nobody can call it any more. What is left of it is to be dropped outside the lock.
    fn released(&self) -> Option<Box<dyn Any + Send>> {
        None
    }

    /// Whether that is dropped in the order of the peer's messages: it neither blocks nor is the user's.
    fn drops_in_order(&self) -> bool {
        false
    }

    /// The thread, if that is what it is.
    fn thread(&self) -> Option<&ThreadServer> {
        None
    }
}
