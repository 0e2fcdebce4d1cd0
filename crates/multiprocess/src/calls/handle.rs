//! The content of generated handles: a reference on an object of this process or of a peer.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use capnp_engine::{CallKind, Cap};

use super::call::Call;
use super::interface::Interface;
use super::method::{Incoming, MethodId};
use super::slot::Slot;
use super::start::send_destroy;
use super::streaming::{Streaming, end_of_stream};
use super::waiting::{Deadline, wait_for_slot};
use crate::connection::ArcConn;
use crate::panics::run_hook;
use crate::serving::{InUse, Job, ObjectLife};
use crate::session::{Destroy, HeldCap, closed};
use crate::threads::{depth, this_inbox};
use crate::wire::{Builder, Size, fields};
use crate::{Error, Result};

type Hook = Box<dyn FnOnce() + Send>;

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
    /// For an object of this process that is after its destructor, and after the peers have let go of it
    /// as well. Hooks run in the reverse of the order in which they were added; a panic in one is logged
    /// and the others run.
    pub fn add_cleanup(&self, hook: impl FnOnce() + Send + 'static) {
        match &self.0 {
            Inner::Local(_, identity) => identity.life.add_hook(Box::new(hook)),
            Inner::Remote(remote) => remote.0.cleanup.add(Box::new(hook)),
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
            Inner::Remote(remote) => Arc::as_ptr(&remote.0) as usize,
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
    /// Runs a method of the object on this thread, and keeps the object until it has ended.
    pub(crate) fn call<R>(&self, method: impl FnOnce(&O) -> Result<R>) -> Result<R> {
        let in_use = self.1.life.begin(Some(std::thread::current().id()))?;
        let object = self.0.as_ref().and_then(Weak::upgrade).ok_or_else(closed)?;
        let outcome = method(&object);
        drop(object);
        drop(in_use);
        outcome
    }
}

/// An object of a peer's.
#[derive(Clone)]
pub struct RemoteObject(Arc<RemoteInner>);

struct RemoteInner {
    /// The capability, or why there is none: the call that was to return it could not be sent.
    place: Result<HeldCap>,
    /// Set for an object that has had streaming calls.
    streaming: OnceLock<Arc<Streaming>>,
    cleanup: Cleanup,
}

impl RemoteObject {
    /// `destroy`: ends the object when the last handle on it is dropped, if its interface has that.
    pub(crate) fn new(cap: HeldCap, destroy: Option<Destroy>) -> RemoteObject {
        if let Some(destroy) = destroy {
            cap.destroy_with(destroy);
        }
        RemoteObject::with_place(Ok(cap))
    }

    /// One of this interface.
    pub(crate) fn of<I: Interface>(cap: HeldCap) -> RemoteObject {
        RemoteObject::new(cap, I::DESTROY.is_some().then_some(send_destroy::<I> as Destroy))
    }

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

    /// The streaming calls of the object, whichever handle they are made with.
    pub(super) fn streaming(&self) -> &Arc<Streaming> {
        self.0.streaming.get_or_init(Arc::default)
    }

    /// The same, if there were any.
    pub(super) fn streamed(&self) -> Option<&Arc<Streaming>> {
        self.0.streaming.get()
    }
}

/// Ends the object behind a handle: see the generated `close` methods.
pub fn close<I: Interface>(handle: &I) -> Call<()> {
    let remote = match handle.handle().target() {
        Target::Local(object) => return close_local(I::NAME, &object.1.life),
        Target::Remote(remote) => remote,
    };
    let kept = remote.clone();
    let cleanup = move || kept.0.cleanup.run();
    let Some(destroy) = I::DESTROY else {
        // The interface has no `destroy`: its objects end with their last reference.
        let call = match end_of_stream(&remote) {
            Ok(Some(end)) => Call::room(end, || ()),
            Ok(None) => Call::ready(Ok(())),
            Err(error) => Call::ready(Err(error)),
        };
        return call.then(cleanup);
    };
    let method = MethodId { kind: CallKind::Destroy, ..destroy.id };
    let encode = move |cx: &mut crate::wire::Encoder<'_>, to: crate::wire::AnyBuilder<'_>| {
        let mut params = Builder::content(to, destroy.params);
        if let Some(slot) = destroy.context {
            cx.context(&mut params, slot);
        }
        Ok(())
    };
    let mut results = fields::<()>(Size(0, 0), &[]);
    // A second close does nothing.
    results.closed = Some(|| ());
    Call::remote(method, remote, encode, results).then(cleanup)
}

/// Ends an object of this process: waits for its running calls, and runs its destructor and its hooks.
fn close_local(name: &'static str, life: &Arc<ObjectLife>) -> Call<()> {
    let life = Arc::clone(life);
    let within = depth() > 0;
    Call::local(MethodId::new(0, 0, name), move || {
        let slot = Arc::new(Slot::for_thread(&this_inbox()));
        let ended = Arc::clone(&slot);
        life.close(Box::new(move || ended.fill_and_wake(Ok(()))), within);
        wait_for_slot(&slot, None, &Deadline::never())
    })
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
