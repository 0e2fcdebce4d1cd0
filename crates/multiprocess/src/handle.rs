//! What generated handles are made of: an object of this process, or one far away.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::call::Call;
use crate::connection::{ArcConn, CapId, Core, Streaming, end_of_stream};
use crate::method::{Incoming, MethodId};
use crate::part::fields;
use crate::rpc::Cap;
use crate::rt::Interface;
use crate::server::Job;
use crate::wire::{Builder, Size};
use crate::{Error, Result};

type Hook = Box<dyn FnOnce() + Send>;

/// A reference on an object whose methods are `O`'s, here or in another process.
///
/// Generated handles wrap it; it is `Clone`, `Send` and `Sync` as they are.
pub struct Handle<O: ?Sized>(Inner<O>);

enum Inner<O: ?Sized> {
    /// The object goes first when a handle is dropped: its cleanup hooks run after its destructor.
    Local(Arc<O>, Arc<Identity>),
    Remote(RemoteObject),
}

/// Where a handle's calls go.
pub enum Target<O: ?Sized> {
    /// Straight to the object.
    Local(Arc<O>),
    /// Over a connection.
    Remote(RemoteObject),
}

/// What all handles on an object of this process have in common, whichever of its interfaces they
/// are for.
#[derive(Default)]
struct Identity {
    /// How the object's methods are served where they are futures. It holds the object, and so goes
    /// before the hooks.
    dispatch: Option<Dispatch>,
    cleanup: Cleanup,
}

/// Decodes a call of an object and leaves it for where the object's methods run.
pub(crate) type Dispatch = Box<dyn Fn(Incoming<'_, '_>) -> Result<Job> + Send + Sync>;

impl<O: ?Sized> Handle<O> {
    /// A handle on an object of this process.
    pub fn local(object: Arc<O>) -> Handle<O> {
        Handle(Inner::Local(object, Arc::default()))
    }

    /// A handle on an object of this process whose methods are futures. Peers' calls go through
    /// `dispatch`; calls of this process's block until the method has ended.
    pub fn local_async(
        object: Arc<O>,
        dispatch: impl Fn(Incoming<'_, '_>) -> Result<Job> + Send + Sync + 'static,
    ) -> Handle<O> {
        let dispatch: Option<Dispatch> = Some(Box::new(dispatch));
        let identity = Identity { dispatch, cleanup: Cleanup::default() };
        Handle(Inner::Local(object, Arc::new(identity)))
    }

    /// What serves peers' calls where the object's methods are futures. It may be that of an
    /// interface that extends this one, and then takes more calls than this one has.
    pub(crate) fn dispatcher(&self) -> Option<&Dispatch> {
        match &self.0 {
            Inner::Local(_, identity) => identity.dispatch.as_ref(),
            Inner::Remote(_) => None,
        }
    }

    pub(crate) fn remote_object(object: RemoteObject) -> Handle<O> {
        Handle(Inner::Remote(object))
    }

    /// Where calls go.
    pub fn target(&self) -> Target<O> {
        match &self.0 {
            Inner::Local(object, _) => Target::Local(Arc::clone(object)),
            Inner::Remote(remote) => Target::Remote(remote.clone()),
        }
    }

    /// Whether the object is in this process.
    pub fn is_local(&self) -> bool {
        matches!(self.0, Inner::Local(..))
    }

    /// Runs `hook` once no handle on the object is left, or when it was closed.
    ///
    /// For an object of this process that is after the peers have let go of it as well. Hooks run
    /// in the reverse of the order in which they were added; a panic in one is logged and the
    /// others run.
    pub fn add_cleanup(&self, hook: impl FnOnce() + Send + 'static) {
        match &self.0 {
            Inner::Local(_, identity) => identity.cleanup.add(Box::new(hook)),
            Inner::Remote(remote) => remote.0.cleanup.add(Box::new(hook)),
        }
    }

    pub(crate) fn local_object(&self) -> Option<Arc<O>> {
        match &self.0 {
            Inner::Local(object, _) => Some(Arc::clone(object)),
            Inner::Remote(_) => None,
        }
    }

    /// Keeps the object's cleanup hooks while a call of it runs, which keeps the object itself.
    pub(crate) fn keep(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        match &self.0 {
            Inner::Local(_, identity) => Some(Arc::clone(identity) as Arc<dyn Any + Send + Sync>),
            Inner::Remote(_) => None,
        }
    }

    /// The handle for an interface that this one's extends. Calls are served as they are through
    /// this one.
    pub fn upcast<B: ?Sized>(&self, upcast: impl FnOnce(Arc<O>) -> Arc<B>) -> Handle<B> {
        Handle(match &self.0 {
            Inner::Local(object, identity) => {
                Inner::Local(upcast(Arc::clone(object)), Arc::clone(identity))
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

    /// What tells this object's handles from others', as long as one of them lives.
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
            Inner::Local(object, identity) => {
                Inner::Local(Arc::clone(object), Arc::clone(identity))
            }
            Inner::Remote(remote) => Inner::Remote(remote.clone()),
        })
    }
}

impl<O: ?Sized> fmt::Debug for Handle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_local() { "Handle(local)" } else { "Handle(remote)" })
    }
}

/// An object of a peer's.
#[derive(Clone)]
pub struct RemoteObject(Arc<RemoteInner>);

struct RemoteInner {
    /// The capability, or why there is none: the call that was to return it could not be sent.
    place: Result<(ArcConn, CapId)>,
    /// Set once the object's destroy was sent: nothing may be sent to it after that. Shared with
    /// what may call the object later, without a handle.
    closed: Arc<AtomicBool>,
    /// Of an object that has been streamed to.
    streaming: OnceLock<Arc<Streaming>>,
    cleanup: Cleanup,
}

impl RemoteObject {
    pub(crate) fn new(conn: ArcConn, cap: CapId) -> RemoteObject {
        RemoteObject::with_place(Ok((conn, cap)))
    }

    pub(crate) fn broken(error: Error) -> RemoteObject {
        RemoteObject::with_place(Err(error))
    }

    fn with_place(place: Result<(ArcConn, CapId)>) -> RemoteObject {
        RemoteObject(Arc::new(RemoteInner {
            place,
            closed: Arc::default(),
            streaming: OnceLock::new(),
            cleanup: Cleanup::default(),
        }))
    }

    /// The connection and the capability, for a call.
    pub(crate) fn place(&self) -> Result<(&ArcConn, CapId)> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(Error::misuse(
                "this handle was closed; make a new object instead of calling it",
            ));
        }
        match &self.0.place {
            Ok((conn, cap)) => Ok((conn, *cap)),
            Err(error) => Err(error.clone()),
        }
    }

    /// What tells, under the connection's lock, whether the object's destroy was sent.
    pub(crate) fn closed_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0.closed)
    }

    /// The streaming calls of the object, whichever handle they are made with.
    pub(crate) fn streaming(&self) -> &Arc<Streaming> {
        self.0.streaming.get_or_init(Arc::default)
    }

    /// The same, if there were any.
    pub(crate) fn streamed(&self) -> Option<&Arc<Streaming>> {
        self.0.streaming.get()
    }

    /// The capability, if the object is that peer's.
    pub(crate) fn cap_on(&self, conn: &ArcConn, core: &Core) -> Option<Cap> {
        match &self.0.place {
            Ok((own, cap)) if Arc::ptr_eq(own, conn) => core.cap(*cap),
            _ => None,
        }
    }
}

impl Drop for RemoteInner {
    fn drop(&mut self) {
        if let Ok((conn, cap)) = &self.place {
            conn.release_cap(*cap);
        }
    }
}

/// Ends the object behind a handle: see the generated `close` methods.
pub fn close<I: Interface>(handle: &I) -> Call<()> {
    let Some(remote) = handle.handle().remote() else {
        let kept = handle.clone();
        return Call::ready(Ok(())).then(move || kept.handle().run_cleanup());
    };
    let kept = remote.clone();
    let cleanup = move || kept.0.cleanup.run();
    match I::DESTROY {
        Some(destroy) if !remote.0.closed.load(Ordering::Acquire) => {
            let closing = remote.clone();
            Call::remote(
                MethodId { closes: true, ..destroy.id },
                remote.clone(),
                move |cx, params| {
                    closing.0.closed.store(true, Ordering::Release);
                    let mut params = Builder::content(params, destroy.params);
                    if let Some(slot) = destroy.context {
                        cx.context(&mut params, slot);
                    }
                    Ok(())
                },
                fields::<()>(Size(0, 0), &[]),
            )
            .then(cleanup)
        }
        // Closed before.
        Some(_) => Call::ready(Ok(())).then(cleanup),
        // An interface whose objects end with their last reference.
        None => match end_of_stream(remote) {
            Ok(Some(end)) => Call::room(end, || ()),
            Ok(None) => Call::ready(Ok(())),
            Err(error) => Call::ready(Err(error)),
        }
        .then(cleanup),
    }
}

impl<O: ?Sized> Handle<O> {
    fn run_cleanup(&self) {
        if let Inner::Local(_, identity) = &self.0 {
            identity.cleanup.run();
        }
    }
}

/// Hooks for the end of an object; they run when this is dropped, or before.
#[derive(Default)]
struct Cleanup(Mutex<Vec<Hook>>);

impl Cleanup {
    fn add(&self, hook: Hook) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(hook);
    }

    fn run(&self) {
        let hooks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for hook in hooks.into_iter().rev() {
            crate::guard::run_hook("a cleanup hook", hook);
        }
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        self.run();
    }
}
