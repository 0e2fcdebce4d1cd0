//! The tables of one connection, beside the engine and under the same lock: capabilities that
//! handles point to, calls that wait for answers, calls that are being served.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use capnp::any_pointer;
use capnp::capability::{Promise, Response, Results};
use capnp::message::ReaderOptions;
use capnp::private::capability::ClientHook;
use futures_channel::oneshot;
use slab::Slab;

use super::after::After;
use super::interrupt::{Interrupt, InterruptCell, Interrupts};
use super::network::{Net, Segments};
use super::threads::Threads;
use crate::Error;
use crate::server::{Local, Token};

/// A capability of this connection, as handles outside the lock know it.
pub(crate) type CapId = usize;
/// A call of this side that waits for its answer. The second number tells calls apart that use the
/// same place one after the other.
pub(crate) type CallId = (usize, u64);
/// A call of the peer's that is being served.
pub(crate) type RunningId = usize;

pub(crate) type Answer = std::result::Result<Response<any_pointer::Owned>, capnp::Error>;
pub(crate) type Complete = Box<dyn FnOnce(Answer) -> Option<After>>;

pub(crate) struct Tables {
    pub(super) net: Rc<Net>,
    pub(crate) threads: Threads,
    caps: RefCell<Slab<Box<dyn ClientHook>>>,
    calls: RefCell<Slab<PendingCall>>,
    next_call: Cell<u64>,
    ready: Arc<ReadyCalls>,
    pub(super) interrupts: Interrupts,
    running: RefCell<Slab<RunningCall>>,
    /// Objects of this process that are exported here, by the address that the engine knows.
    locals: RefCell<HashMap<usize, Weak<Local>>>,
    /// The same by the address of the user's object, so that one object is one capability.
    exported: RefCell<HashMap<usize, Weak<Local>>>,
    after: RefCell<Vec<After>>,
}

struct PendingCall {
    serial: u64,
    promise: Promise<Response<any_pointer::Owned>, capnp::Error>,
    complete: Complete,
    waker: Waker,
    /// What ends the call if it is cancelled and the peer does not end it.
    interrupt: Option<InterruptCell>,
}

/// A call of the peer's whose results are not sent yet.
pub(crate) struct RunningCall {
    pub(crate) results: Results<any_pointer::Owned>,
    pub(crate) done: oneshot::Sender<std::result::Result<(), capnp::Error>>,
    pub(crate) token: Arc<Token>,
    /// The thread of this side that runs the call, and the thread of the peer that waits for it.
    pub(crate) thread: Option<Box<dyn ClientHook>>,
    pub(crate) callback: Option<Box<dyn ClientHook>>,
}

impl Tables {
    pub(super) fn new(net: Rc<Net>) -> Tables {
        Tables {
            net,
            threads: Threads::default(),
            caps: RefCell::default(),
            calls: RefCell::default(),
            next_call: Cell::new(0),
            ready: Arc::default(),
            interrupts: Interrupts::default(),
            running: RefCell::default(),
            locals: RefCell::default(),
            exported: RefCell::default(),
            after: RefCell::default(),
        }
    }

    /// Leaves work for when the lock is released.
    pub(crate) fn after(&self, work: After) {
        self.after.borrow_mut().push(work);
    }

    pub(super) fn take_after(&self) -> Vec<After> {
        self.after.take()
    }

    /// How many calls of the peer's are being served.
    pub(crate) fn running_calls(&self) -> usize {
        self.running.borrow().len()
    }

    /// How many calls of the peer's have no answer yet: being served, or not yet where they go.
    pub(crate) fn bind_token(&self, token: &Arc<Token>) {
        self.net.bind_token(token);
    }

    /// The message out of which `get` takes a call's parameters.
    pub(crate) fn body_of(&self, get: impl FnOnce()) -> Option<(Segments, ReaderOptions)> {
        self.net.body_of(get)
    }

    /// Why nothing can be asked of the engine any more.
    pub(crate) fn end_reason(&self) -> Error {
        self.net.over().unwrap_or_else(|| Error::disconnected("the connection has ended"))
    }

    /// The error of a call that failed: that of the connection, if it is over.
    pub(super) fn call_error(&self, error: &capnp::Error) -> Error {
        self.net.over().unwrap_or_else(|| from_engine(error))
    }

    // ---- capabilities that handles hold

    pub(crate) fn keep_cap(&self, hook: Box<dyn ClientHook>) -> CapId {
        self.caps.borrow_mut().insert(hook)
    }

    pub(crate) fn cap(&self, id: CapId) -> Option<Box<dyn ClientHook>> {
        self.caps.borrow().get(id).map(|hook| hook.add_ref())
    }

    pub(super) fn release_cap(&self, id: CapId) {
        let hook = self.caps.borrow_mut().try_remove(id);
        drop(hook);
    }

    // ---- objects of this process that the peer can call

    pub(crate) fn add_local(&self, local: &Rc<Local>, object: Option<usize>) {
        self.locals.borrow_mut().insert(Rc::as_ptr(local) as usize, Rc::downgrade(local));
        if let Some(object) = object {
            self.exported.borrow_mut().insert(object, Rc::downgrade(local));
        }
    }

    pub(crate) fn remove_local(&self, address: usize, object: Option<usize>) {
        self.locals.borrow_mut().remove(&address);
        if let Some(object) = object {
            let mut exported = self.exported.borrow_mut();
            if exported.get(&object).is_some_and(|local| local.as_ptr() as usize == address) {
                exported.remove(&object);
            }
        }
    }

    /// The object of this process behind a capability, once that is known.
    pub(crate) fn local(&self, hook: &dyn ClientHook) -> Option<Rc<Local>> {
        let mut resolved: Option<Box<dyn ClientHook>> = None;
        loop {
            let current = resolved.as_deref().unwrap_or(hook);
            match current.get_resolved() {
                Some(further) => resolved = Some(further),
                None => return self.locals.borrow().get(&current.get_ptr())?.upgrade(),
            }
        }
    }

    /// What the user's object at this address is exported as.
    pub(crate) fn exported(&self, object: usize) -> Option<Rc<Local>> {
        self.exported.borrow().get(&object)?.upgrade()
    }

    // ---- calls that wait for answers

    pub(crate) fn add_call(
        &self,
        promise: Promise<Response<any_pointer::Owned>, capnp::Error>,
        complete: Complete,
        interrupt: Option<InterruptCell>,
    ) -> CallId {
        let serial = self.next_call.get();
        self.next_call.set(serial + 1);
        let mut calls = self.calls.borrow_mut();
        let entry = calls.vacant_entry();
        let id = (entry.key(), serial);
        let waker = Waker::from(Arc::new(CallWaker { id, ready: Arc::clone(&self.ready) }));
        entry.insert(PendingCall { serial, promise, complete, waker, interrupt });
        drop(calls);
        self.ready.push(id);
        id
    }

    /// Forgets a call; the engine tells the peer that nobody wants its answer. Returns what ends it
    /// if the peer takes no notice.
    pub(super) fn cancel_call(&self, (key, serial): CallId) -> Option<Interrupt> {
        let call = {
            let mut calls = self.calls.borrow_mut();
            match calls.get(key) {
                Some(call) if call.serial == serial => calls.try_remove(key),
                _ => None,
            }
        };
        call?.interrupt?.take()
    }

    /// Polls the calls that were woken. False if there was none.
    pub(super) fn poll_calls(&self) -> bool {
        let ready = self.ready.take();
        for &(key, serial) in &ready {
            let mut calls = self.calls.borrow_mut();
            let Some(call) = calls.get_mut(key).filter(|call| call.serial == serial) else {
                continue;
            };
            let waker = call.waker.clone();
            // The promise is polled while the table is borrowed: the engine's wakers only mark,
            // and its promises do not reach back into this table.
            let polled = Pin::new(&mut call.promise).poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(answer) = polled {
                let call = calls.remove(key);
                drop(calls);
                self.complete(call, answer);
            }
        }
        !ready.is_empty()
    }

    fn complete(&self, call: PendingCall, answer: Answer) {
        if let Some(after) = (call.complete)(answer) {
            self.after(after);
        }
    }

    pub(super) fn fail_calls(&self, error: &Error) {
        let calls = self.calls.take();
        for (_, call) in calls {
            self.complete(call, Err(capnp::Error::disconnected(error.to_string())));
        }
        for (_, running) in self.running.borrow().iter() {
            let token = Arc::clone(&running.token);
            self.after(After::Run(Box::new(move || token.fire())));
        }
    }

    // ---- calls that are being served

    pub(crate) fn add_running(&self, call: RunningCall) -> RunningId {
        self.running.borrow_mut().insert(call)
    }

    pub(super) fn finish_running(&self, id: RunningId) -> Option<RunningCall> {
        self.running.borrow_mut().try_remove(id)
    }

    /// The threads of a call that is being served: this side's, and the peer's that waits for it.
    pub(crate) fn running_threads(
        &self,
        id: RunningId,
    ) -> Option<(Box<dyn ClientHook>, Box<dyn ClientHook>)> {
        let running = self.running.borrow();
        let call = running.get(id)?;
        Some((call.thread.as_ref()?.add_ref(), call.callback.as_ref()?.add_ref()))
    }

    /// Lets go of all that belongs to the engine, when the connection has ended. Calls that are
    /// still running end later, into nothing.
    pub(super) fn clear(&self) {
        let caps = self.caps.take();
        drop(caps);
        self.threads.clear();
        self.interrupts.clear();
        self.net.clear();
        for (_, running) in self.running.borrow_mut().iter_mut() {
            running.thread = None;
            running.callback = None;
        }
    }
}

/// The calls whose promises were woken since the last look.
#[derive(Default)]
struct ReadyCalls(Mutex<Vec<CallId>>);

impl ReadyCalls {
    fn push(&self, id: CallId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    fn take(&self) -> Vec<CallId> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct CallWaker {
    id: CallId,
    ready: Arc<ReadyCalls>,
}

impl Wake for CallWaker {
    fn wake(self: Arc<Self>) {
        self.ready.push(self.id);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.push(self.id);
    }
}

/// A lock's value for [`crate::Error`]s made from the engine's.
pub(super) fn from_engine(error: &capnp::Error) -> Error {
    use capnp::ErrorKind;
    const REMOTE: &str = "remote exception: ";
    let text = error.extra.strip_prefix(REMOTE).unwrap_or(&error.extra).to_owned();
    match error.kind {
        ErrorKind::Unimplemented => Error::Unimplemented { method: text },
        ErrorKind::Overloaded => Error::Overloaded { message: text },
        // A peer may answer so for something that it lost itself; this connection stands.
        ErrorKind::Failed | ErrorKind::Disconnected => Error::Remote { message: text },
        _ => Error::Remote { message: error.to_string() },
    }
}

/// The engine's error for one that a served method returned.
pub(crate) fn to_engine(error: &Error) -> capnp::Error {
    match error {
        Error::Unimplemented { method } => capnp::Error::unimplemented(method.clone()),
        Error::Overloaded { message } => capnp::Error::overloaded(message.clone()),
        Error::Remote { message } => capnp::Error::failed(message.clone()),
        other => capnp::Error::failed(other.to_string()),
    }
}
