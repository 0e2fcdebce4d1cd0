//! The state under the lock of a connection: the engine, and the state of the layers above.
//!
//! # Invariants
//!
//! 1. No user code runs under the lock: user objects, hooks and wakers are moved to [`Followup`]s,
//!    which the thread that has entered runs after it has released the lock.
//! 2. Dropping something under the lock only queues the resulting work ([`Conn::defer`]).
//!
//! [`Followup`]: super::Followup
//! [`Conn::defer`]: super::Conn::defer

use std::any::Any;
use std::sync::Arc;

use capnp_engine::{Effect, Engine, Exception};

use super::allowance::Allowance;
use super::batch::Batch;
use super::followup::Followups;
use crate::Error;
use crate::cleanup::Cleanup;

/// The engine, what the session keeps, and what is to be done when the lock is released.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    /// What the session keeps under the lock.
    state: Box<dyn Any + Send>,
    /// Where the user's objects are dropped.
    pub(crate) cleanup: Arc<Cleanup>,
    pub(super) out: Batch,
    pub(super) allowance: Allowance,
    /// Work for when the lock is released.
    pub(crate) followups: Followups,
    /// The same, to be run in the order in which it arose.
    pub(crate) in_order: Vec<Box<dyn FnOnce() + Send>>,
    /// A message that ends the connection was processed: later ones are not.
    pub(super) failed: bool,
    /// Why the connection is to end.
    fatal: Option<Error>,
}

impl Core {
    /// `bytes`: of the peer's calls, at most.
    pub(super) fn new(mut engine: Engine, state: Box<dyn Any + Send>, bytes: usize) -> Core {
        let (out, followups, in_order) = (Batch::default(), Followups::default(), Vec::new());
        let (cleanup, allowance) = (Cleanup::new(), Allowance::new(bytes));
        engine.set_bytes(allowance.bytes());
        let (failed, fatal) = (false, None);
        Core { engine, state, cleanup, out, allowance, followups, in_order, failed, fatal }
    }

    /// What is not to be dropped in a fork: whatever has destructors of the session's or the user's.
    pub(super) fn forget_all(&mut self) -> impl Sized + use<> {
        (
            std::mem::replace(&mut self.state, Box::new(())),
            std::mem::take(&mut self.followups),
            std::mem::take(&mut self.in_order),
        )
    }

    /// The session's state and the engine, to be used at the same time.
    ///
    /// # Panics
    /// It is of another type: the connection was started for another session.
    pub(crate) fn split<S: Any>(&mut self) -> (&mut S, &mut Engine) {
        let state = self.state.downcast_mut();
        let state = state.unwrap_or_else(|| unreachable!("a connection has one kind of session"));
        (state, &mut self.engine)
    }

    /// So many bytes more of the peer's calls, or of results that are kept, are about to be held. The engine
    /// refuses what may not be.
    pub(crate) fn allow(&mut self, bytes: usize) {
        self.allowance.allow(&mut self.engine, bytes);
    }

    /// Gives back what it may hold and does not need any more.
    pub(super) fn allow_less(&mut self) {
        self.allowance.allow_less(&mut self.engine);
    }

    /// Says that the peer's calls have as many bytes as they may have, and why.
    pub(crate) fn bytes_reached(&self) -> String {
        self.allowance.reached()
    }

    /// The connection is to end, before anything else that the engine wants is done.
    pub(crate) fn fail(&mut self, error: Error) {
        self.fatal.get_or_insert(error);
    }

    /// Whether a message that ends the connection was processed.
    pub(crate) fn is_ending(&self) -> bool {
        self.failed
    }

    /// Why the connection is to end, if it is.
    pub(super) fn take_fatal(&mut self) -> Option<Error> {
        self.fatal.take()
    }

    /// Whether the engine wants anything done: nothing once the connection is to end.
    pub(super) fn has_effects(&self) -> bool {
        self.fatal.is_none() && self.engine.has_effects()
    }

    /// What the engine wants done next: nothing more once the connection is to end.
    pub(super) fn next_effect(&mut self) -> Option<Effect> {
        if self.fatal.is_some() { None } else { self.engine.next_effect() }
    }

    /// Tells the peer why the connection ends, where that is its doing.
    pub(super) fn abort(&mut self, error: &Error) {
        if let Error::PeerMisbehaved { .. } = error {
            self.engine.abort(&Exception::failed(error.to_string()));
            self.write_effects();
        }
    }

    /// Takes the messages that are to be written. Nobody is left for the other effects.
    pub(super) fn write_effects(&mut self) {
        while let Some(effect) = self.engine.next_effect() {
            match effect {
                Effect::Write(message) => self.out.push(message),
                Effect::WriteWith(carrying) => self.out.push_with(*carrying),
                _ => {}
            }
        }
    }
}
