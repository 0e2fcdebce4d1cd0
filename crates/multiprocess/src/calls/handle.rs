//! The content of generated handles: a reference on an object of this process or of a peer.

use std::fmt;
use std::sync::{Arc, Weak};

use super::incoming::Incoming;
use super::remote::RemoteObject;
use crate::Result;
use crate::serving::{InUse, Job, ObjectLife};
use crate::session::closed;

/// A reference on an object whose methods are `O`'s, here or in another process.
///
/// Generated handles wrap it; it is `Clone`, `Send` and `Sync` as they are.
pub struct Handle<O: ?Sized>(Inner<O>);

enum Inner<O: ?Sized> {
    /// The object is held by its life, so that it can be ended while there are handles on it. None if it
    /// had ended already when this handle was made of another.
    Local(Option<Weak<O>>, Arc<Identity>),
    Remote(RemoteObject),
}

/// The target of a handle's calls.
pub(crate) enum Target<O: ?Sized> {
    /// Straight to the object.
    Local(LocalObject<O>),
    /// Over a connection.
    Remote(RemoteObject),
}

/// Shared by all handles on an object of this process, for whichever of its interfaces they are.
struct Identity {
    /// How the object's methods are served where they are futures. It is held by the object's life, as
    /// it holds the object.
    dispatch: Option<Weak<Dispatch>>,
    life: Arc<ObjectLife>,
}

/// Decodes a call of an object into a job.
pub(crate) type Dispatch = dyn Fn(Incoming<'_, '_>) -> Result<Job> + Send + Sync;

impl<O: ?Sized + Send + Sync + 'static> Handle<O> {
    /// A handle on an object of this process.
    pub fn local(object: Arc<O>) -> Handle<O> {
        let weak = Arc::downgrade(&object);
        let identity = Identity { dispatch: None, life: ObjectLife::new(Box::new(object)) };
        Handle(Inner::Local(Some(weak), Arc::new(identity)))
    }

    /// A handle on an object of this process whose methods are futures. Peers' calls go through
    /// `dispatch`; calls of this process block until the method has ended.
    pub fn local_async(
        object: Arc<O>,
        dispatch: impl Fn(Incoming<'_, '_>) -> Result<Job> + Send + Sync + 'static,
    ) -> Handle<O> {
        let weak = Arc::downgrade(&object);
        let dispatch: Arc<Dispatch> = Arc::new(dispatch);
        let served = Some(Arc::downgrade(&dispatch));
        let life = ObjectLife::new(Box::new((dispatch, object)));
        Handle(Inner::Local(Some(weak), Arc::new(Identity { dispatch: served, life })))
    }
}

impl<O: ?Sized> Handle<O> {
    /// The dispatcher of peers' calls, if the object's methods are futures. It may be that of an
    /// interface that extends this one, and then accepts more methods than this one has. An error if
    /// the object has ended.
    pub(crate) fn dispatcher(&self) -> Option<Result<Arc<Dispatch>>> {
        match &self.0 {
            Inner::Local(_, identity) => {
                let dispatch = identity.dispatch.as_ref()?;
                Some(dispatch.upgrade().ok_or_else(closed))
            }
            Inner::Remote(_) => None,
        }
    }

    pub(crate) fn remote_object(object: RemoteObject) -> Handle<O> {
        Handle(Inner::Remote(object))
    }

    /// Where calls go.
    pub(crate) fn target(&self) -> Target<O> {
        match &self.0 {
            Inner::Local(object, identity) => {
                Target::Local(LocalObject(object.clone(), Arc::clone(identity)))
            }
            Inner::Remote(remote) => Target::Remote(remote.clone()),
        }
    }

    /// Whether the object is in this process.
    pub fn is_local(&self) -> bool {
        matches!(self.0, Inner::Local(..))
    }

    /// Runs `hook` once no handle on the object is left, or when it was closed.
    ///
    /// For an object of this process that is after its destructor, and after the peers have released it
    /// as well. Hooks run in the reverse of the order in which they were added; a panic in one is logged
    /// and the others run.
    pub fn add_cleanup(&self, hook: impl FnOnce() + Send + 'static) {
        match &self.0 {
            Inner::Local(_, identity) => identity.life.add_hook(Box::new(hook)),
            Inner::Remote(remote) => remote.add_cleanup(Box::new(hook)),
        }
    }

    /// The object, if it is in this process and has not ended.
    pub(crate) fn local_object(&self) -> Option<Result<Arc<O>>> {
        match &self.0 {
            Inner::Local(object, _) => {
                Some(object.as_ref().and_then(Weak::upgrade).ok_or_else(closed))
            }
            Inner::Remote(_) => None,
        }
    }

    /// Begins a call of a peer. The result keeps the object until the call ends.
    pub(crate) fn begin_served(&self) -> Result<Option<InUse>> {
        match &self.0 {
            Inner::Local(_, identity) => identity.life.begin(None).map(Some),
            Inner::Remote(_) => Ok(None),
        }
    }

    /// The handle for an interface that this one's extends. Calls are served as they are through
    /// this one.
    pub fn upcast<B: ?Sized>(&self, upcast: impl FnOnce(Arc<O>) -> Arc<B>) -> Handle<B> {
        Handle(match &self.0 {
            Inner::Local(object, identity) => {
                let object = object.as_ref().and_then(Weak::upgrade);
                let object = object.map(|object| Arc::downgrade(&upcast(object)));
                Inner::Local(object, Arc::clone(identity))
            }
            Inner::Remote(remote) => Inner::Remote(remote.clone()),
        })
    }

    pub(crate) fn remote(&self) -> Option<&RemoteObject> {
        match &self.0 {
            Inner::Local(..) => None,
            Inner::Remote(remote) => Some(remote),
        }
    }

    /// Identifies the object, as long as it has a handle.
    pub(crate) fn address(&self) -> usize {
        match &self.0 {
            Inner::Local(_, identity) => Arc::as_ptr(identity) as usize,
            Inner::Remote(remote) => remote.address(),
        }
    }
}

impl<O: ?Sized> Clone for Handle<O> {
    fn clone(&self) -> Self {
        Handle(match &self.0 {
            Inner::Local(object, identity) => Inner::Local(object.clone(), Arc::clone(identity)),
            Inner::Remote(remote) => Inner::Remote(remote.clone()),
        })
    }
}

impl<O: ?Sized> fmt::Debug for Handle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_local() { "Handle(local)" } else { "Handle(remote)" })
    }
}

/// An object of this process, to be called.
pub(crate) struct LocalObject<O: ?Sized>(Option<Weak<O>>, Arc<Identity>);

impl<O: ?Sized> LocalObject<O> {
    /// The object's life, to end it.
    pub(super) fn life(&self) -> &Arc<ObjectLife> {
        &self.1.life
    }

    /// Whether its methods are futures.
    pub(super) fn is_async(&self) -> bool {
        self.1.dispatch.is_some()
    }

    /// The object, which is there until the second value is dropped.
    pub(super) fn begin_task(&self) -> Result<(Arc<O>, InUse)> {
        let in_use = self.1.life.begin(None)?;
        let object = self.0.as_ref().and_then(Weak::upgrade).ok_or_else(closed)?;
        Ok((object, in_use))
    }

    /// Runs a method of the object on this thread. Until it has ended the object is there.
    pub(crate) fn call<R>(&self, method: impl FnOnce(&O) -> Result<R>) -> Result<R> {
        let in_use = self.1.life.begin(Some(std::thread::current().id()))?;
        let object = self.0.as_ref().and_then(Weak::upgrade).ok_or_else(closed)?;
        let outcome = method(&object);
        drop(object);
        drop(in_use);
        outcome
    }
}
