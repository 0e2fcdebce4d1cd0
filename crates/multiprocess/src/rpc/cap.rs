//! What a capability can be.
//!
//! All of it belongs to one connection and is reached under that connection's lock. The last
//! reference may go anywhere, in a handle's queue or with a message; what is then to be done is noted
//! in [`Garbage`], and done by whoever holds the lock next.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::held::{Destination, HeldCall};
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

    pub(super) fn null() -> Cap {
        Cap::broken(Error::failed("called a null capability"))
    }

    /// What it is by now: a promise only if it is not resolved.
    pub(crate) fn resolved(&self) -> Cap {
        let mut cap = self.clone();
        while let Cap::Promise(promise) = &cap {
            let next = match &promise.state().target {
                Target::Resolved(next) => next.clone(),
                _ => break,
            };
            cap = next;
        }
        cap
    }

    /// What the peer is told that it is. Messages of the peer's for a promise that has resolved go
    /// strictly there, even if that is a promise of the peer's which becomes something else: the
    /// peer counts on it for the order of its calls (see `Resolve` in rpc.capnp).
    pub(super) fn as_told(&self) -> Cap {
        let cap = self.resolved();
        if let Cap::Promise(promise) = &cap
            && let Target::Import { import, .. } = &promise.state().target
        {
            return Cap::Import(Arc::clone(import));
        }
        cap
    }

    /// Whether calls of it go to the peer.
    pub(super) fn is_remote(&self) -> bool {
        match self {
            Cap::Local(_) | Cap::Broken(_) => false,
            Cap::Import(_) => true,
            Cap::Promise(promise) => {
                matches!(promise.state().target, Target::Answer { .. } | Target::Import { .. })
            }
        }
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
    /// The question of the peer's whose results it is part of.
    pub(super) answer: Option<u32>,
    /// How many promises, one after the other, have become this one.
    pub(super) depth: usize,
}

impl Promised {
    /// Moves what it holds to `caps`.
    pub(super) fn take_apart(&mut self, caps: &mut Vec<Cap>) {
        if let Target::Resolved(cap) = std::mem::replace(&mut self.target, Target::Here) {
            caps.push(cap);
        }
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Call(held) => caps.extend(held.params.caps.into_iter().flatten()),
                Waiting::Thread(_task, callback) => caps.extend(callback),
            }
        }
    }
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

impl Target {
    /// Where no calls were sent yet.
    pub(super) fn answer(question: u32, path: Path) -> Target {
        Target::Answer { question, path, called: false }
    }
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
        let (waiting, export, answer, depth) = (Vec::new(), None, None, 0);
        Arc::new(Promise(Mutex::new(Promised { target, waiting, export, answer, depth })))
    }

    /// One of the capabilities that the peer's question will have as results.
    pub(super) fn of_answer(question: u32) -> Arc<Promise> {
        let promise = Promise::new(Target::Here);
        promise.state().answer = Some(question);
        promise
    }

    /// Takes a call back that waits here. None if it does not, otherwise the question of the peer's
    /// that it waited for, if it is one.
    pub(super) fn unqueue(&self, destination: Destination) -> Option<(HeldCall, Option<u32>)> {
        let mut state = self.state();
        let place = state.waiting.iter().position(
            |waiting| matches!(waiting, Waiting::Call(held) if held.destination == destination),
        )?;
        match state.waiting.remove(place) {
            Waiting::Call(held) => Some((held, state.answer)),
            Waiting::Thread(..) => None,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Promised> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Promise {
    /// Promises that resolved to promises make chains, and so do those whose waiting calls bring
    /// others. They must not be dropped one within the other: the stack is not that deep.
    fn drop(&mut self) {
        let mut caps = Vec::new();
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take_apart(&mut caps);
        drop_caps(caps);
    }
}

/// Drops capabilities and what only they hold.
pub(super) fn drop_caps(mut caps: Vec<Cap>) {
    while let Some(cap) = caps.pop() {
        if let Cap::Promise(promise) = cap
            && let Some(promise) = Arc::into_inner(promise)
        {
            promise.state().take_apart(&mut caps);
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
