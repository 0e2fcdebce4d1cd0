//! A decoded call: the user's method with its arguments, ready to run on any thread.

use std::sync::Arc;

use super::polled::Spawned;
use crate::session::EncodeFn;
use crate::wire::{AnyBuilder, Encoder};
use crate::{Error, Result};

/// A call of the peer's that blocks, for a pool of threads.
pub type PoolTask = Box<dyn FnOnce() + Send>;

/// Gives it to the pool.
pub(crate) type Pool = Arc<dyn Fn(PoolTask) + Send + Sync>;

/// Runs a method.
pub(super) type Run = Box<dyn FnOnce() -> Result<EncodeFn> + Send>;

/// Made by generated dispatch code from a call: the method to run, with decoded arguments.
pub struct Job {
    pub(super) kind: Kind,
    /// Whether the call streams: later calls depend on it.
    pub(super) streaming: bool,
    /// `Interface.method`.
    pub(super) method: &'static str,
    /// Where a method that blocks is to run, if not on the call's thread.
    pub(super) pool: Option<Pool>,
}

opaque!(Job, impl std::fmt::Debug for Job);

pub(super) enum Kind {
    /// User code, run outside the lock.
    Run(Run),
    /// User code that is a future, run by its object's executor.
    Spawn(Spawned),
    /// The runtime's own answer, given under the lock.
    Immediate(EncodeFn),
    /// Ends the object that was called.
    Destroy,
}

impl Job {
    fn of(kind: Kind) -> Job {
        Job { kind, streaming: false, method: "", pool: None }
    }

    /// The same, of a method that streams or does not.
    pub(crate) fn streaming(mut self, streaming: bool) -> Job {
        self.streaming = streaming;
        self
    }

    /// The same with the name of the method.
    pub(crate) fn named(mut self, method: &'static str) -> Job {
        self.method = method;
        self
    }

    /// The same, where a method that blocks runs in a pool of threads, and not on the call's own. The calls of one
    /// thread of the peer's are not in order then, but for those that it waits for, and for streaming ones.
    ///
    /// `pool` is called on threads of the runtime that others depend on: it must not block. A task that it drops
    /// answers its call with an error.
    pub fn on_pool(mut self, pool: Arc<dyn Fn(PoolTask) + Send + Sync>) -> Job {
        self.pool = Some(pool);
        self
    }

    /// A call of user code: `run` calls the method and returns what encodes its results.
    pub fn new<F, E>(run: F) -> Job
    where
        F: FnOnce() -> Result<E> + Send + 'static,
        E: FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()> + Send + 'static,
    {
        Job::of(Kind::Run(Box::new(move || {
            let encode = run()?;
            Ok(Box::new(encode) as EncodeFn)
        })))
    }

    /// A call of user code that is a future. No user code may run before it is polled.
    pub(crate) fn spawn(method: Spawned) -> Job {
        Job::of(Kind::Spawn(method))
    }

    /// An answer that needs no user code. It is given at once, on the thread that received the call.
    pub fn immediate<E>(encode: E) -> Job
    where
        E: FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()> + Send + 'static,
    {
        Job::of(Kind::Immediate(Box::new(encode)))
    }

    /// Ends the served object: its destructor and cleanup hooks run on the call's thread, then the
    /// call returns. Running calls of other threads may end first, within a second at most; then
    /// the rest happens on a pool thread. Later calls on it fail; a second destroy does nothing.
    pub fn destroy() -> Job {
        Job::of(Kind::Destroy)
    }
}

/// The error of a call on a destroyed object.
pub(super) fn destroyed(interface: &str) -> Error {
    Error::Remote { message: format!("this {interface} object was destroyed") }
}
