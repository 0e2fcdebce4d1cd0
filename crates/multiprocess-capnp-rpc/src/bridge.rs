//! The bridge: what turns clients into objects of the runtime, and back.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
#[cfg(feature = "tokio")]
use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use capnp::capability::FromClientHook;
use capnp::private::capability::ClientHook;
use futures_util::future::LocalBoxFuture;
use multiprocess::rt::{Inside, ServesHere, bootstrap_raw, raw_capability, raw_object, start_raw};
use multiprocess::{Capability, Connection, Interface, Limits, Result};

use crate::answer::Pending;
use crate::client::{Client, Peer};
use crate::driver::Driver;
use crate::error::to_capnp;
use crate::queue::Queue;
use crate::served::{Objects, ServedHook};

/// The bridge of one thread: makes capnp-rpc clients of multiprocess objects, and handles of capnp-rpc
/// clients and servers. Clones are the same bridge.
///
/// As everything of capnp-rpc it stays on the thread that made it. The handles that it makes do not: they
/// are used on any thread, and their calls come to this one. See the [crate](crate) for an example.
pub struct Bridge(pub(crate) Rc<Shared>);

pub(crate) struct Shared {
    /// What is to be done on this thread, and what wakes the driver.
    pub(crate) queue: Arc<Queue>,
    /// capnp-rpc's clients that are served.
    pub(crate) objects: RefCell<Objects>,
    /// The clients of multiprocess objects, by their addresses.
    peers: RefCell<HashMap<usize, Weak<Peer>>>,
    /// Where objects of this process are called that have a generated trait, and where clients of capnp-rpc are.
    generated: OnceCell<Inside>,
    foreign: OnceCell<Inside>,
    /// Of the clients of capnp-rpc there, as long as the driver serves them.
    pub(crate) serves: RefCell<Option<ServesHere>>,
    /// What the driver is to poll beside the calls.
    pub(crate) tasks: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
    /// The same, which do not keep it from ending.
    pub(crate) readers: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
    /// The numbers of the connections that are read on this thread.
    #[cfg(feature = "tokio")]
    pub(crate) read_here: RefCell<HashSet<u64>>,
    /// The driver is gone: nothing is served or polled any more.
    pub(crate) ended: Cell<bool>,
    /// See [`Bridge::let_go`].
    let_go: RefCell<Vec<Rc<Pending>>>,
    lets_go: Cell<bool>,
}

impl Bridge {
    /// A bridge, and its driver, which is to be spawned on this thread (`tokio::task::spawn_local`, or any
    /// other executor's): it brings calls to capnp-rpc's servers, and lets streams go on. It ends when the
    /// bridge, all its clients and all objects that it serves are gone. When it is dropped before, it drops the
    /// servers, and calls of those objects are [`Error::Disconnected`](multiprocess::Error::Disconnected); so are
    /// streaming calls of the clients.
    pub fn new() -> (Bridge, Driver) {
        let shared = Rc::new(Shared {
            queue: Arc::default(),
            objects: RefCell::default(),
            peers: RefCell::default(),
            generated: OnceCell::new(),
            foreign: OnceCell::new(),
            serves: RefCell::default(),
            tasks: RefCell::default(),
            readers: RefCell::default(),
            #[cfg(feature = "tokio")]
            read_here: RefCell::default(),
            ended: Cell::default(),
            let_go: RefCell::default(),
            lets_go: Cell::default(),
        });
        let driver = Driver::new(Rc::clone(&shared));
        (Bridge(shared), driver)
    }

    /// A client of an object, here or in another process: of any handle that was generated, or of a
    /// [`Capability`]. If the object is a capnp-rpc client of this bridge's, that is returned.
    ///
    /// Nothing is asked: calls of a method that the object does not have are errors of the kind
    /// `Unimplemented`. Calls of an object of this process that has a generated trait run as calls of a peer do:
    /// without a Context one after the other, on a thread of the runtime.
    ///
    /// # Errors
    /// The system refuses a socket for objects of this process; none for objects of other processes.
    pub fn client<C: FromClientHook>(&self, object: impl Into<Capability>) -> Result<C> {
        self.hook(&object.into()).map(C::new)
    }

    /// A client of the bootstrap object of a connection's peer, without waiting for it. Nothing is exchanged
    /// with it: where the interface has a `construct` method, it is called as any other.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn bootstrap<C: FromClientHook>(&self, connection: &Connection) -> Result<C> {
        let object = bootstrap_raw(connection)?;
        self.hook(&object).map(C::new)
    }

    /// A handle on what a capnp-rpc client refers to: an object of [`capnp_rpc::new_client`], one of a
    /// connection of capnp-rpc, a promise. If it is a client of this bridge's on a multiprocess object, the handle
    /// is on that object.
    ///
    /// The handle may be used on any thread. On this one `.wait()` is
    /// [`Error::ApiMisuse`](multiprocess::Error::ApiMisuse), as it would block the thread that is to serve the call: use
    /// `.await` here.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`](multiprocess::Error::ApiMisuse) for an object of this process with a generated trait
    /// that is not `I`'s; the system refuses a socket.
    pub fn handle<I: Interface>(&self, client: impl FromClientHook) -> Result<I> {
        let object = self.object_of(client.into_client_hook());
        match raw_object(&object) {
            Some(_) => self.foreign()?.bring(&object)?.cast(),
            None => object.cast(),
        }
    }

    /// Takes over a connected stream socket, and serves what a capnp-rpc client refers to as the bootstrap object
    /// for the peer. The connection lives as long as it is kept, or an object of the peer's or a call is. For other
    /// streams and settings, or a listener, serve a [`handle`](Self::handle) on it.
    ///
    /// # Errors
    /// The socket or the runtime's thread cannot be used.
    #[must_use = "the connection ends when nothing of it is kept"]
    pub fn serve(
        &self,
        socket: impl Into<OwnedFd>,
        limits: Limits,
        client: impl FromClientHook,
    ) -> Result<Connection> {
        start_raw(socket, limits, &self.object_of(client.into_client_hook()))
    }

    /// Where clients of capnp-rpc are called by handles.
    fn foreign(&self) -> Result<&Inside> {
        let foreign = inside(&self.0.foreign)?;
        if !self.0.ended.get() {
            self.0.serves.borrow_mut().get_or_insert_with(|| foreign.serve_here());
        }
        Ok(foreign)
    }

    /// The client of an object.
    pub(crate) fn hook(&self, object: &Capability) -> Result<Box<dyn ClientHook>> {
        if let Some(hook) = self.own(object) {
            return Ok(hook);
        }
        let called = match object.is_local() {
            true => inside(&self.0.generated)?.bring(object)?,
            false => object.clone(),
        };
        Ok(Client::hook(Peer::new(self, object.clone(), called, None)))
    }

    /// The same in a message: one that cannot be made fails its calls.
    pub(crate) fn hook_or_broken(&self, object: &Capability) -> Box<dyn ClientHook> {
        self.hook(object).unwrap_or_else(|error| broken(to_capnp(error)))
    }

    /// The client that this bridge serves as that object.
    fn own(&self, object: &Capability) -> Option<Box<dyn ClientHook>> {
        // As which a handle has it.
        let brought = self.0.foreign.get().and_then(|inside| inside.taken_out(object));
        let object: &dyn Any = raw_object(brought.as_ref().unwrap_or(object))?;
        let served: &ServedHook = object.downcast_ref()?;
        if !served.is_of(&self.0.queue) {
            return None;
        }
        self.0.objects.borrow().get(served.key())
    }

    /// The object that a client refers to.
    pub(crate) fn object_of(&self, hook: Box<dyn ClientHook>) -> Capability {
        let mut hook = hook;
        while let Some(resolved) = hook.get_resolved() {
            hook = resolved;
        }
        if let Some(peer) = self.peer(&*hook) {
            return peer.to_pass_on();
        }
        let object = match self.0.ended.get() {
            // It would be kept for ever: nobody would take its release.
            true => ServedHook::of_nobody(&self.0.queue),
            false => self.0.objects.borrow_mut().serve(hook, &self.0.queue),
        };
        raw_capability(object as Arc<dyn multiprocess::rt::RawObject>)
    }

    /// Identifies this bridge's clients among others.
    pub(crate) fn brand(&self) -> usize {
        Rc::as_ptr(&self.0) as usize
    }

    fn peer(&self, hook: &dyn ClientHook) -> Option<Rc<Peer>> {
        if hook.get_brand() != self.brand() {
            return None;
        }
        self.0.peers.borrow().get(&hook.get_ptr()).and_then(Weak::upgrade)
    }

    pub(crate) fn add_peer(&self, peer: &Rc<Peer>) {
        self.0.peers.borrow_mut().insert(Rc::as_ptr(peer) as usize, Rc::downgrade(peer));
    }

    pub(crate) fn remove_peer(&self, address: usize) {
        self.0.peers.borrow_mut().remove(&address);
    }

    /// Has the driver poll this to its end. Without a driver it is dropped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        if !self.0.ended.get() {
            self.0.tasks.borrow_mut().push(Box::pin(task));
            self.0.queue.wake();
        }
    }

    /// Has the driver poll this as long as it runs. Without a driver it is dropped.
    #[cfg(feature = "tokio")]
    pub(crate) fn read(&self, reader: LocalBoxFuture<'static, ()>) {
        if !self.0.ended.get() {
            self.0.readers.borrow_mut().push(reader);
            self.0.queue.wake();
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.ended.get()
    }

    /// Drops what a promised object waits for. That may be the last of a call on another promised object, and so on:
    /// they are dropped one after the other, as a long chain would overflow the stack.
    pub(crate) fn let_go(&self, pending: Rc<Pending>) {
        /// Also after a panic in a destructor.
        struct Over<'a>(&'a Cell<bool>);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        self.0.let_go.borrow_mut().push(pending);
        if self.0.lets_go.replace(true) {
            return;
        }
        let _over = Over(&self.0.lets_go);
        loop {
            let Some(next) = self.0.let_go.borrow_mut().pop() else { return };
            drop(next);
        }
    }
}

impl Clone for Bridge {
    fn clone(&self) -> Bridge {
        Bridge(Rc::clone(&self.0))
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // The last one beside the driver's: it may be over now.
        if Rc::strong_count(&self.0) == 2 {
            self.0.queue.wake();
        }
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = self.0.objects.borrow().len();
        let clients = self.0.peers.borrow().len();
        f.debug_struct("Bridge").field("served", &served).field("clients", &clients).finish()
    }
}

fn inside(place: &OnceCell<Inside>) -> Result<&Inside> {
    if place.get().is_none() {
        // Nobody else has set it: there is one thread.
        let _ = place.set(Inside::new()?);
    }
    place.get().ok_or_else(|| multiprocess::Error::failed("there is no place for objects"))
}

/// A client whose calls fail with this error.
pub(crate) fn broken(error: capnp::Error) -> Box<dyn ClientHook> {
    capnp_rpc::new_broken_cap(error).hook
}
