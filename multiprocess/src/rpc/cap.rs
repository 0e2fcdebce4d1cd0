//! What a capability can be.
//!
//! All of it belongs to one connection and is reached under that connection's lock. The last
//! reference may go anywhere, in a handle's queue or with a message; what is then to be done is noted
//! in [`Garbage`], and done by whoever holds the lock next.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::held::HeldCall;
use crate::Error;
use crate::server::{Local, Task};

/// A capability.
#[derive(Clone)]
pub(crate) enum Cap {
    /// An object of this process.
    Local(Arc<Local>),
    /// An object of the peer's.
    Import(Arc<Import>),
    /// What is not known yet, or was not at first.
    Promise(Arc<Promise>),
    /// What will never be known: every call fails.
    Broken(Arc<Error>),
}

impl Cap {
    pub(crate) fn broken(error: Error) -> Cap {
        Cap::Broken(Arc::new(error))
    }

    /// What it is by now: a promise only if it is not resolved.
    pub(crate) fn resolved(&self) -> Cap {
        let mut cap = self.clone();
        loop {
            let next = match &cap {
                Cap::Promise(promise) => match &promise.state().target {
                    Target::Resolved(next) => next.clone(),
                    _ => break,
                },
                _ => break,
            };
            cap = next;
        }
        cap
    }

    /// The object of this process that it is, if that is known.
    pub(crate) fn local(&self) -> Option<Arc<Local>> {
        match self.resolved() {
            Cap::Local(local) => Some(local),
            _ => None,
        }
    }
}

/// A number under which the peer exports an object, until it is let go of.
pub(crate) struct Import {
    pub(super) id: u32,
    garbage: Arc<Garbage>,
}

impl Import {
    pub(super) fn new(id: u32, garbage: &Arc<Garbage>) -> Import {
        Import { id, garbage: Arc::clone(garbage) }
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        self.garbage.add(Waste::Import(self.id));
    }
}

/// The way to a capability within the results of a call: which pointer of which struct, from the
/// outermost on.
pub(crate) type Path = Vec<u16>;

/// A capability that resolves to another.
pub(crate) struct Promise(Mutex<Promised>);

pub(super) struct Promised {
    pub(super) target: Target,
    /// What waits for the promise to resolve, in order.
    pub(super) waiting: Vec<Waiting>,
    /// Under which number the peer knows it, where it was given to it unresolved.
    pub(super) export: Option<u32>,
}

/// Where calls of a promise go.
pub(super) enum Target {
    /// To the peer: to what its answer to this question of ours has at this path. `called`: calls
    /// were sent there, which later ones must not overtake.
    Answer {
        question: u32,
        path: Path,
        called: bool,
    },
    /// To the peer: it will say to what this resolves.
    Import {
        import: Arc<Import>,
        called: bool,
    },
    /// Nowhere yet: they wait here.
    Here,
    Resolved(Cap),
}

/// What waits for a promise to resolve.
pub(super) enum Waiting {
    Call(HeldCall),
    /// A call of the peer's whose context names the promise as its thread; and the context's
    /// callback thread.
    Thread(Task, Option<Cap>),
}

impl Promise {
    pub(super) fn new(target: Target) -> Arc<Promise> {
        Arc::new(Promise(Mutex::new(Promised { target, waiting: Vec::new(), export: None })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Promised> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Promise {
    /// Promises that resolved to promises make chains, which must not be dropped one within the
    /// other: the stack is not that deep.
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut next = std::mem::replace(&mut state.target, Target::Here);
        while let Target::Resolved(Cap::Promise(promise)) = next {
            let Some(promise) = Arc::into_inner(promise) else { break };
            next = std::mem::replace(&mut promise.state().target, Target::Here);
        }
    }
}

/// What has been let go of and is to be cleared away under the lock.
#[derive(Default)]
pub(crate) struct Garbage(Mutex<Vec<Waste>>);

pub(crate) enum Waste {
    /// The last reference to an import.
    Import(u32),
    /// An object that is not exported any more: where the user's object is, and what may be dropped
    /// outside the lock only.
    Local(Option<usize>, Option<Box<dyn Any + Send>>),
}

impl Garbage {
    fn list(&self) -> MutexGuard<'_, Vec<Waste>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, waste: Waste) {
        self.list().push(waste);
    }

    pub(crate) fn take(&self) -> Vec<Waste> {
        std::mem::take(&mut self.list())
    }
}
