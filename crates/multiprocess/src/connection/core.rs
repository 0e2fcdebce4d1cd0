//! The state under the lock of a connection: the engine, and the state of the layers above.
//!
//! # Invariants
//!
//! 1. No user code runs under the lock: user objects, hooks and wakers are moved to [`Followup`]s,
//!    which the thread that has entered runs after it has released the lock.
//! 2. Dropping something under the lock only queues the resulting work ([`Conn::defer`]).
//!
//! [`Conn::defer`]: super::Conn::defer

use std::any::Any;

use capnp_engine::{Effect, Engine, Exception, ExceptionKind, Failure, Fatal, Incoming};

use super::batch::Batch;
use super::conn::ArcConn;
use super::followup::Followups;
use crate::Error;

/// The layers above a connection, as this layer sees them.
pub(crate) trait Session: Sync {
    /// Carries out an effect of the engine other than a write. `message`: the message that may have
    /// the effect's content.
    fn effect(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        effect: Effect,
        message: Option<&Incoming<'_>>,
    );

    /// Called at the end of each entry, because something may have changed for which held calls
    /// wait.
    fn settle(&self, core: &mut Core, conn: &ArcConn);

    /// Releases everything, because the engine has ended. Without a connection nobody waits any
    /// more.
    fn end(&self, core: &mut Core, conn: Option<&ArcConn>);
}

pub(crate) struct Core {
    pub(crate) engine: Engine,
    session: &'static dyn Session,
    /// The session's state under the lock.
    state: Box<dyn Any + Send>,
    pub(super) out: Batch,
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
    pub(super) fn new(
        engine: Engine,
        session: &'static dyn Session,
        state: Box<dyn Any + Send>,
    ) -> Core {
        let (out, followups, in_order) = (Batch::default(), Followups::default(), Vec::new());
        Core { engine, session, state, out, followups, in_order, failed: false, fatal: None }
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

    /// Processes one message of the peer and carries out its effects.
    pub(super) fn receive(&mut self, conn: &ArcConn, message: &Incoming<'_>) -> Result<(), Error> {
        let received = self.engine.receive(message).map_err(fatal);
        self.settle(conn, Some(message));
        match self.fatal.take() {
            Some(error) => Err(error),
            None => received,
        }
    }

    /// Ends the connection, before any further effect of the engine.
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

    /// Carries out the effects of the engine.
    pub(super) fn settle(&mut self, conn: &ArcConn, message: Option<&Incoming<'_>>) {
        let session = self.session;
        loop {
            while let Some(effect) = self.next_effect() {
                match effect {
                    Effect::Write(message) => self.out.push(message),
                    effect => session.effect(self, conn, effect, message),
                }
            }
            session.settle(self, conn);
            if self.fatal.is_some() || !self.engine.has_effects() {
                return;
            }
        }
    }

    fn next_effect(&mut self) -> Option<Effect> {
        if self.fatal.is_some() { None } else { self.engine.next_effect() }
    }

    /// Ends the engine and releases everything. Without a connection nobody waits any more.
    pub(super) fn end(&mut self, conn: Option<&ArcConn>, error: &Error) {
        self.abort(error);
        let reason = error.to_string();
        self.engine.end(Failure::from(Exception::new(ExceptionKind::Disconnected, reason)));
        let session = self.session;
        while let Some(effect) = self.engine.next_effect() {
            match (effect, conn) {
                (Effect::Write(message), _) => self.out.push(message),
                (effect, Some(conn)) => session.effect(self, conn, effect, None),
                (_, None) => {}
            }
        }
        session.end(self, conn);
    }

    /// Tells the peer why the connection ends, if the peer caused that.
    pub(super) fn abort(&mut self, error: &Error) {
        if let Error::PeerMisbehaved { .. } = error {
            self.engine.abort(&Exception::failed(error.to_string()));
            while let Some(effect) = self.engine.next_effect() {
                if let Effect::Write(message) = effect {
                    self.out.push(message);
                }
            }
        }
    }
}

fn fatal(fatal: Fatal) -> Error {
    match fatal {
        Fatal::Misbehaved(problem) => Error::PeerMisbehaved { problem },
        Fatal::Aborted(_) => Error::disconnected(fatal.to_string()),
    }
}
