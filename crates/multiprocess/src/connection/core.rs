//! What the lock of a connection guards: the protocol's tables, and those beside them that handles
//! and calls point into.
//!
//! # Invariants
//!
//! 1. No user code runs under the lock: user objects, hooks and wakers are moved to [`After`] and run
//!    by the caller when the lock is released.
//! 2. A handle that is dropped under the lock only queues its number; a capability notes what is to be
//!    done in its [`Garbage`](crate::rpc::Garbage).

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use slab::Slab;

use super::after::After;
use super::conn::ArcConn;
use super::interrupt::Interrupts;
use super::threads::Threads;
use crate::Error;
use crate::rpc::{Cap, Destination, Rpc};
use crate::server::{Local, Token};

/// A capability of this connection, as handles outside the lock know it.
pub(crate) type CapId = usize;
/// A call of the peer's that is being served.
pub(crate) type RunningId = usize;

/// The tables of one connection.
#[derive(Default)]
pub(crate) struct Core {
    pub(crate) rpc: Rpc,
    pub(crate) threads: Threads,
    pub(super) interrupts: Interrupts,
    caps: Slab<Cap>,
    running: Slab<RunningCall>,
    /// Objects of this process that are exported here, by the address of the user's object, so that
    /// one object is one capability.
    exported: HashMap<usize, Weak<Local>>,
    /// Work for when the lock is released.
    pub(crate) after: Vec<After>,
    /// The tokens of calls that were cancelled, to be fired then as well.
    pub(crate) cancelled: Vec<Arc<Token>>,
    /// A message was taken in that ends the connection: those behind it are not.
    pub(super) failed: bool,
}

/// A call of the peer's whose results are not sent yet.
pub(crate) struct RunningCall {
    pub(crate) destination: Destination,
    pub(crate) token: Arc<Token>,
    /// The thread of this side that runs the call, and the thread of the peer that waits for it.
    pub(crate) thread: Option<Cap>,
    pub(crate) callback: Option<Cap>,
}

impl Core {
    // ---- capabilities that handles hold

    pub(crate) fn keep_cap(&mut self, cap: Cap) -> CapId {
        self.caps.insert(cap)
    }

    pub(crate) fn cap(&self, id: CapId) -> Option<Cap> {
        self.caps.get(id).cloned()
    }

    pub(super) fn release_cap(&mut self, id: CapId) {
        let cap = self.caps.try_remove(id);
        drop(cap);
    }

    // ---- objects of this process that the peer can call

    pub(crate) fn add_local(&mut self, object: usize, local: &Arc<Local>) {
        self.exported.insert(object, Arc::downgrade(local));
    }

    /// What the user's object at this address is exported as.
    pub(crate) fn exported(&self, object: usize) -> Option<Arc<Local>> {
        self.exported.get(&object)?.upgrade()
    }

    /// It is exported no more, unless it is again.
    pub(crate) fn forget_local(&mut self, object: Option<usize>) {
        let Some(object) = object else { return };
        if self.exported.get(&object).is_some_and(|local| local.strong_count() == 0) {
            self.exported.remove(&object);
        }
    }

    // ---- calls that are being served

    /// How many calls of the peer's are being served.
    pub(crate) fn running_calls(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn add_running(&mut self, call: RunningCall) -> RunningId {
        self.running.insert(call)
    }

    pub(super) fn finish_running(&mut self, id: RunningId) -> Option<RunningCall> {
        self.running.try_remove(id)
    }

    /// The threads of a call that is being served: this side's, and the peer's that waits for it.
    pub(crate) fn running_threads(&self, id: RunningId) -> Option<(Cap, Cap)> {
        let call = self.running.get(id)?;
        Some((call.thread.clone()?, call.callback.clone()?))
    }

    // ---- the end

    /// Ends every call that waits with `error` and lets go of every capability. Calls that are still
    /// running end later, into nothing.
    /// Without a connection nobody is left who waits.
    pub(super) fn end(&mut self, conn: Option<&ArcConn>, error: &Error) {
        self.end_rpc(conn, error);
        let tokens = self.running.iter().map(|(_, running)| Arc::clone(&running.token));
        self.cancelled.extend(tokens.collect::<Vec<_>>());
        for (_, running) in self.running.iter_mut() {
            running.thread = None;
            running.callback = None;
        }
        let caps = std::mem::take(&mut self.caps);
        drop(caps);
        self.threads.clear();
        self.interrupts.clear();
        self.clear_garbage();
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
