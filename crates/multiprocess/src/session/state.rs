//! The session's state under the connection's lock, and how it carries out the engine's effects.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use capnp_engine::{Cap, Effect, Engine, Exceeded, Incoming, State as CapState};
use slab::Slab;

use super::calls::Waiters;
use super::cancels::Cancels;
use super::evidence::Evidence;
use super::interceptor::Interceptor;
use super::interrupts::Interrupts;
use super::object::Object;
use super::running::{Idle, RunningCalls};
use super::schedule::Waiting;
use super::threads::Threads;
use crate::Error;
use crate::connection::{ArcConn, Conn, Core, Followup, Session};
use crate::count::Count;
use crate::limits_met::Limit;
use crate::threads::{SerialExecutor, ThreadBudget};

/// What is kept under the lock.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) threads: Threads,
    pub(crate) interrupts: Interrupts,
    pub(crate) waiters: Waiters,
    pub(crate) running: RunningCalls,
    pub(super) cancels: Cancels,
    /// Calls that wait until the thread that they name is known.
    pub(crate) waiting: Slab<Waiting>,
    objects: Slab<Arc<dyn Object>>,
    /// The capabilities of exported user objects, by their addresses: one object is one capability.
    exported: HashMap<usize, Cap>,
}

/// The state outside the lock.
pub(crate) struct Shared {
    /// The threads that the peer can make this process have.
    pub(super) budget: Arc<ThreadBudget>,
    /// Runs the peer's calls without a context.
    pub(super) inline: Arc<SerialExecutor>,
    /// Runs callbacks of calls that no thread waits for.
    pub(super) callbacks: Arc<SerialExecutor>,
    pub(super) idle: Idle,
    /// What is known of the peer's version of each family of schemas.
    pub(crate) versions: Mutex<Vec<(u64, Evidence)>>,
    interceptors: Vec<Arc<dyn Interceptor>>,
}

impl Shared {
    /// Of the threads that the peer can make this process have there are so many at most.
    pub(super) fn new(threads: usize, interceptors: Vec<Arc<dyn Interceptor>>) -> Shared {
        let budget = ThreadBudget::new(threads);
        // One thread each is reserved, so that the connection is never without.
        let inline = SerialExecutor::new(1, 1, &budget);
        let callbacks = SerialExecutor::new(threads.max(1), 1, &budget);
        let (idle, versions) = (Idle::default(), Mutex::default());
        Shared { budget, inline, callbacks, idle, versions, interceptors }
    }

    /// What the program has set around each call, from the outermost on.
    #[inline]
    pub(crate) fn interceptors(&self) -> &[Arc<dyn Interceptor>] {
        &self.interceptors
    }
}

impl Core {
    /// The session's state.
    pub(crate) fn state(&mut self) -> &mut State {
        self.split::<State>().0
    }

    /// The same beside the engine.
    pub(crate) fn state_and_engine(&mut self) -> (&mut State, &mut Engine) {
        self.split()
    }

    /// A capability for an object of this process, with one reference. It is the one that the object
    /// keeps when it is given again, where it `keeps` one.
    pub(crate) fn export(&mut self, object: Arc<dyn Object>, keeps: bool) -> Cap {
        let (state, engine) = self.state_and_engine();
        let address = object.address().filter(|_| keeps);
        let key = state.objects.insert(object);
        let cap = engine.object(key as u64);
        if let Some(address) = address {
            state.exported.insert(address, cap);
        }
        cap
    }

    /// The capability as which the user's object is exported. No reference comes with it.
    pub(crate) fn exported(&mut self, address: usize) -> Option<(Cap, Arc<dyn Object>)> {
        let cap = *self.state().exported.get(&address)?;
        Some((cap, self.object_of(cap)?))
    }

    /// The object of this process that a capability is, if that is known.
    pub(crate) fn object_of(&mut self, cap: Cap) -> Option<Arc<dyn Object>> {
        match self.engine.state(cap) {
            CapState::Object(key) => self.state().objects.get(key as usize).cloned(),
            _ => None,
        }
    }

    /// How many objects of the user's the peer can call.
    pub(super) fn user_objects(&mut self) -> usize {
        let objects = self.state().objects.iter();
        objects.filter(|(_, object)| object.address().is_some()).count()
    }

    /// The engine has refused a call, or its results, for one of the limits that it was given.
    fn refused(&mut self, conn: &ArcConn, object: Option<u64>, limit: Exceeded) {
        let (limit, what) = match limit {
            Exceeded::Bytes => (Limit::CallBytes, self.bytes_reached()),
            Exceeded::Objects => {
                let objects = Count(conn.limits().objects, "object");
                let text = format!("more than {objects} on one connection (Limits::objects)");
                (Limit::Objects, text)
            }
            Exceeded::Descriptors => {
                let held = Count(conn.limits().held_descriptors, "file descriptor");
                let text =
                    format!("more than {held} held on one connection (Limits::held_descriptors)");
                (Limit::Descriptors, text)
            }
        };
        limit.met(|| format!("a call was refused: {what}"));
        let object = object.and_then(|key| self.state().objects.get(key as usize).cloned());
        if let Some(object) = object {
            object.refused(&Error::Overloaded { message: what });
        }
    }

    fn released(&mut self, key: u64) {
        let state = self.state();
        let Some(object) = state.objects.try_remove(key as usize) else { return };
        if let Some(address) = object.address()
            && let Some(cap) = state.exported.get(&address).copied()
            // It may be exported again.
            && self.object_of(cap).is_none()
        {
            self.state().exported.remove(&address);
        }
        let Some(rest) = object.released() else { return };
        if object.drops_in_order() {
            self.in_order.push(Box::new(move || drop(rest)));
        } else {
            self.followups.push(Followup::Drop(object.name(), rest));
        }
    }
}

impl Conn {
    pub(crate) fn session(&self) -> &Shared {
        self.shared()
    }
}

/// The session itself, which is the same for all connections.
pub(super) struct Calls;

impl Session for Calls {
    fn effect(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        effect: Effect,
        message: Option<&Incoming<'_>>,
    ) {
        match effect {
            // The connection does that.
            Effect::Write(_) | Effect::WriteWith(_) => {}
            Effect::Deliver(call) => {
                match core.state().objects.get(call.object as usize).cloned() {
                    Some(object) => object.deliver(core, conn, call, message),
                    None => core.engine.release_all(call.params.caps),
                }
            }
            Effect::Answered { tag, answer, .. } => core.answered(conn, tag, answer, message),
            Effect::Over { tag } => core.over(tag),
            Effect::Cancelled { tag } => core.cancelled(conn, tag),
            Effect::Resolved { tag } => core.thread_resolved(conn, tag),
            Effect::Refused { object, limit } => core.refused(conn, object, limit),
            Effect::Released { object } => core.released(object),
        }
    }

    fn settle(&self, core: &mut Core, conn: &ArcConn) {
        if core.holds_calls() {
            core.send_held(conn);
        }
        core.tell_room(conn);
    }

    fn last_words(&self, core: &mut Core) {
        core.interrupt_last();
    }

    fn end(&self, core: &mut Core, conn: Option<&ArcConn>) {
        core.end_running();
        if let Some((conn, error)) = conn.and_then(|conn| Some((conn, conn.ended()?))) {
            core.fail_all(conn, error);
        }
        let State { waiters, waiting, interrupts, objects, .. } = std::mem::take(core.state());
        // These may contain values of the user, or refer to them.
        let waiting: Vec<_> = waiting.into_iter().map(|(_, call)| call).collect();
        let rest = (waiters.into_rest(), interrupts.into_rest(), waiting);
        core.followups.push(Followup::Drop("the destructor of an unanswered call", Box::new(rest)));
        for (_, object) in objects {
            let what = object.name();
            core.followups.extend(object.released().map(|rest| Followup::Drop(what, rest)));
        }
    }
}
