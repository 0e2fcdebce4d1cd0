//! An object of a peer's, as all handles on it share it.

use std::any::Any;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use capnp_engine::Cap;

use super::streaming::Streaming;
use crate::connection::ArcConn;
use crate::forked::check_forked;
use crate::panics::run_hook;
use crate::session::{Destroy, HeldCap};
use crate::{Error, Result};

type Hook = Box<dyn FnOnce() + Send>;

/// An object of a peer's.
#[derive(Clone)]
pub struct RemoteObject(Arc<RemoteInner>);

opaque!(RemoteObject, impl std::fmt::Debug for RemoteObject);

struct RemoteInner {
    /// The capability, or why there is none: the call that was to return it could not be sent.
    place: Result<HeldCap>,
    /// Of an object that has been streamed to.
    streaming: OnceLock<Arc<Streaming>>,
    cleanup: Cleanup,
}

impl RemoteObject {
    /// `destroy`: how the object is ended when the last handle on it goes, if it is.
    pub(crate) fn new(cap: HeldCap, destroy: Option<Destroy>) -> RemoteObject {
        if let Some(destroy) = destroy {
            cap.destroy_with(destroy);
        }
        RemoteObject::with_place(Ok(cap))
    }

    /// What is used in the place of an object that there is none of: calls fail with the error.
    pub(crate) fn broken(error: Error) -> RemoteObject {
        RemoteObject::with_place(Err(error))
    }

    fn with_place(place: Result<HeldCap>) -> RemoteObject {
        RemoteObject(Arc::new(RemoteInner {
            place,
            streaming: OnceLock::new(),
            cleanup: Cleanup::default(),
        }))
    }

    /// The connection and the capability, for a call.
    pub(crate) fn place(&self) -> Result<(&ArcConn, Cap)> {
        check_forked()?;
        match &self.0.place {
            Ok(held) => Ok((held.conn(), held.cap())),
            Err(error) => Err(error.clone()),
        }
    }

    /// The capability as it is held.
    pub(crate) fn held(&self) -> Option<&HeldCap> {
        self.0.place.as_ref().ok()
    }

    /// The same for the layers below.
    pub(crate) fn as_any(&self) -> Option<&dyn Any> {
        self.held().map(|held| held as &dyn Any)
    }

    /// What tells the object's handles from others', as long as one of them lives.
    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// Whether both are references on the same object of the same peer.
    pub(super) fn is_same(&self, other: &RemoteObject) -> bool {
        match (self.held(), other.held()) {
            (Some(a), Some(b)) => Arc::ptr_eq(a.conn(), b.conn()) && a.cap() == b.cap(),
            _ => self.address() == other.address(),
        }
    }

    /// Runs `hook` when the last handle on the object goes, or when it was closed.
    pub(super) fn add_cleanup(&self, hook: Hook) {
        self.0.cleanup.add(hook);
    }

    /// Runs these hooks now: the object was closed.
    pub(super) fn run_cleanup(&self) {
        self.0.cleanup.run();
    }

    /// The streaming calls of the object, whichever handle they are made with.
    pub(super) fn streaming(&self) -> &Arc<Streaming> {
        self.0.streaming.get_or_init(Arc::default)
    }

    /// The same, if there were any.
    pub(super) fn streamed(&self) -> Option<&Arc<Streaming>> {
        self.0.streaming.get()
    }
}

/// Hooks for the end of a peer's object; they run when this is dropped, or before.
#[derive(Default)]
struct Cleanup(Mutex<Vec<Hook>>);

impl Cleanup {
    fn add(&self, hook: Hook) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(hook);
    }

    fn run(&self) {
        let hooks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for hook in hooks.into_iter().rev() {
            run_hook("a cleanup hook", hook);
        }
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        self.run();
    }
}
