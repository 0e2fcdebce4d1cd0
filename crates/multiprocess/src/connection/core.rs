//! What the lock of a connection guards: the engine, and what the layers above keep beside it.
//!
//! # Invariants
//!
//! 1. No user code runs under the lock: user objects, hooks and wakers are moved to [`Followup`]s and
//!    run by whoever has entered when the lock is released.
//! 2. What is dropped under the lock only queues what is to follow from it ([`Conn::defer`]).
//!
//! [`Conn::defer`]: super::Conn::defer

use std::any::Any;

use capnp_engine::{Effect, Engine, Exception, ExceptionKind, Failure, Fatal, Incoming};

use super::batch::Batch;
use super::conn::ArcConn;
use super::followup::Followups;
use crate::Error;

/// What is built on a connection: the layers above, as this one sees them.
pub(crate) trait Session: Sync {
    /// Does what the engine wants done, but for writing. `message`: the one that the effect's content
    /// may lie in.
    fn effect(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        effect: Effect,
        message: Option<&Incoming<'_>>,
    );

    /// Something may have changed that calls wait for here: at the end of each entry.
    fn settle(&self, core: &mut Core, conn: &ArcConn);

    /// Lets go of everything: the engine has ended. Without a connection nobody is left who waits.
    fn end(&self, core: &mut Core, conn: Option<&ArcConn>);
}

pub(crate) struct Core {
    pub(crate) engine: Engine,
    session: &'static dyn Session,
    /// What the session keeps under the lock.
    state: Box<dyn Any + Send>,
    pub(super) out: Batch,
    /// Work for when the lock is released.
    pub(crate) followups: Followups,
    /// The same, to be run in the order in which it arose.
    pub(crate) in_order: Vec<Box<dyn FnOnce() + Send>>,
    /// A message was taken in that ends the connection: those behind it are not.
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

    /// What the session keeps; and the engine, to be used beside it.
    ///
    /// # Panics
    /// It is of another type: the connection was started for another session.
    pub(crate) fn split<S: Any>(&mut self) -> (&mut S, &mut Engine) {
        let state = self.state.downcast_mut();
        let state = state.unwrap_or_else(|| unreachable!("a connection has one kind of session"));
        (state, &mut self.engine)
    }

    /// Takes in one message of the peer's and has done what follows from it.
    pub(super) fn receive(&mut self, conn: &ArcConn, message: &Incoming<'_>) -> Result<(), Error> {
        let received = self.engine.receive(message).map_err(fatal);
        self.settle(conn, Some(message));
        match self.fatal.take() {
            Some(error) => Err(error),
            None => received,
        }
    }

    /// The connection is to end, before anything else that the engine wants is done.
    pub(crate) fn fail(&mut self, error: Error) {
        self.fatal.get_or_insert(error);
    }

    /// Whether a message was taken in that ends the connection.
    pub(crate) fn is_ending(&self) -> bool {
        self.failed
    }

    /// Why the connection is to end, if it is.
    pub(super) fn take_fatal(&mut self) -> Option<Error> {
        self.fatal.take()
    }

    /// Has done what the engine wants done.
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

    /// Ends the engine and lets go of everything. Without a connection nobody is left who waits.
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

    /// Tells the peer why the connection ends, where that is its doing.
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
