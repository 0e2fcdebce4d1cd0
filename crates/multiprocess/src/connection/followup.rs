//! The work of an entry into the core that is left for after the lock.

use std::any::Any;
use std::sync::Arc;
use std::task::Waker;

use super::parker::Parker;
use crate::cleanup::Cleanup;
use crate::panics::run_hook;

/// Work that must not run under a connection's lock.
pub(crate) enum Followup {
    /// Wakes a thread for an answer that it waits for, or a call to run.
    Unpark(Arc<Parker>),
    /// Wakes a future whose answer has arrived.
    Wake(Waker),
    /// A user's object or hook, to be dropped where it delays nobody, and what it is.
    Drop(&'static str, Box<dyn Any + Send>),
    /// A quick function of the runtime.
    Run(Box<dyn FnOnce() + Send>),
}

/// Followups in their order. The first takes no memory: most entries leave one.
#[derive(Default)]
pub(crate) struct Followups {
    first: Option<Followup>,
    more: Vec<Followup>,
}

impl Followups {
    pub(crate) fn push(&mut self, followup: Followup) {
        match &self.first {
            None => self.first = Some(followup),
            Some(_) => self.more.push(followup),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Followup> {
        self.first.iter().chain(&self.more)
    }

    pub(super) fn run(self, cleanup: &Arc<Cleanup>) {
        self.first.into_iter().chain(self.more).for_each(|followup| followup.run(cleanup));
    }
}

impl Extend<Followup> for Followups {
    fn extend<I: IntoIterator<Item = Followup>>(&mut self, followups: I) {
        followups.into_iter().for_each(|followup| self.push(followup));
    }
}

impl Followup {
    pub(crate) fn run(self, cleanup: &Arc<Cleanup>) {
        match self {
            Followup::Unpark(parker) => parker.wake(),
            Followup::Wake(waker) => run_hook("a waker", || waker.wake()),
            Followup::Drop(what, object) => cleanup.run(what, move || drop(object)),
            Followup::Run(work) => run_hook("the runtime", work),
        }
    }
}
