//! What the lock of a connection guards: the protocol engine and everything of it that is not
//! `Send`.
//!
//! # Invariants
//!
//! capnp-rpc's object graph is made of `Rc` and `RefCell`. It is created, used and dropped only
//! inside [`Locked::with`], one thread at a time:
//!
//! 1. No value that holds an `Rc` of the graph leaves `with`: its result must be `Send`, and what
//!    is kept for later (pending calls, running calls, capabilities) stays in tables inside.
//! 2. No user code runs inside: user objects, hooks and wakers are moved to [`After`] and run by
//!    the caller when the lock is released. A handle that is dropped inside only queues its index.
//! 3. Nothing beneath uses thread-locals, so it does not matter that the next entry is made by
//!    another thread; the mutex orders the accesses.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use capnp_rpc::RpcSystem;

use super::after::After;
use super::tables::Tables;
use crate::{Error, Result};

/// The engine of one connection and its tables.
pub(super) struct Core {
    /// Gone once the connection has ended.
    system: Option<Pin<Box<RpcSystem<()>>>>,
    woken: Arc<Woken>,
    waker: Waker,
    pub(super) tables: Rc<Tables>,
}

impl Core {
    pub(super) fn new(tables: Rc<Tables>, system: RpcSystem<()>) -> Core {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        Core { system: Some(Box::pin(system)), woken, waker, tables }
    }

    /// The engine, unless the connection has ended.
    pub(super) fn system(&mut self) -> Option<&mut RpcSystem<()>> {
        self.system.as_deref_mut()
    }

    /// Polls the engine and the calls that wait for answers until nothing is woken.
    ///
    /// A panic in the engine ends this connection and is returned as its error.
    pub(super) fn run_until_quiet(&mut self) -> Result<()> {
        let quiet = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let mut idle = true;
                if self.woken.0.swap(false, Ordering::AcqRel) {
                    idle = false;
                    self.poll_system();
                }
                idle &= !self.tables.poll_calls();
                if idle {
                    break;
                }
            }
        }));
        quiet.map_err(|panic| Error::PeerMisbehaved {
            problem: format!("the protocol engine gave up: {}", panic_text(&*panic)),
        })
    }

    fn poll_system(&mut self) {
        let Some(system) = self.system.as_mut() else { return };
        let mut context = Context::from_waker(&self.waker);
        if let Poll::Ready(_ended) = system.as_mut().poll(&mut context) {
            self.system = None;
        }
    }

    /// Ends the engine: every call that waits gets `error`, every served object is let go.
    pub(super) fn end(&mut self, error: &Error) {
        self.tables.net.end(error);
        // Let the engine fail its questions and release its exports in its own order.
        let _ = self.run_until_quiet();
        self.tables.fail_calls(error);
        let system = self.system.take();
        let tables = Rc::clone(&self.tables);
        // What a panic has torn may not drop cleanly either; then the pieces are leaked.
        let _ = catch_unwind(AssertUnwindSafe(move || {
            drop(system);
            tables.clear();
        }));
    }

    pub(super) fn take_after(&mut self) -> Vec<After> {
        self.tables.take_after()
    }
}

/// Set by the engine's wakers.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// The lock around a core: the only way to it.
pub(super) struct Locked(Mutex<SendCore>);

struct SendCore(Core);

// SAFETY: see the module's invariants. The core is reached only through the mutex, so by one
// thread at a time; every `Rc` of its graph lives inside it (1), nothing of it is touched by user
// code (2), and nothing in it depends on the thread that it runs on (3).
unsafe impl Send for SendCore {}

impl Locked {
    /// Builds the core in place: the engine's parts are never outside the lock's value.
    pub(super) fn new(build: impl FnOnce() -> Core) -> Locked {
        Locked(Mutex::new(SendCore(build())))
    }

    /// Runs `f` with the lock held. `R: Send` keeps the engine's own values inside.
    pub(super) fn with<R: Send>(&self, f: impl FnOnce(&mut Core) -> R) -> R {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut guard.0)
    }

    /// The same unless another thread, or this one further up its stack, holds the lock.
    pub(super) fn try_with<R: Send>(&self, f: impl FnOnce(&mut Core) -> R) -> Option<R> {
        let mut guard: MutexGuard<'_, SendCore> = match self.0.try_lock() {
            Ok(guard) => guard,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        Some(f(&mut guard.0))
    }
}

/// The text of a panic's payload.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}
