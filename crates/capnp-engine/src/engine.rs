//! The engine: its tables, its effects, and its end.

use std::collections::VecDeque;

use slab::Slab;

use crate::answers::Answers;
use crate::cap::{Cap, Caps, Kind};
use crate::effect::Effect;
use crate::error::Failure;
use crate::exports::{Export, Imported};
use crate::idmap::IdMap;
use crate::limits::Limits;
use crate::memory::Pool;
use crate::payload::Payload;
use crate::pending_call::{Asker, PendingCall, Serving};
use crate::promises::Embargo;
use crate::questions::{CallId, Questions};
use crate::told::PeerLimits;

/// The number of entries in each table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Calls of this side that have not returned.
    pub questions: usize,
    /// Calls of the peer's that are not answered, or answered and not finished.
    pub answers: usize,
    /// Objects and promises that this side gave to the peer.
    pub exports: usize,
    /// Objects and promises that the peer gave to this side.
    pub imports: usize,
    /// Promises whose calls wait for a Disembargo.
    pub embargoes: usize,
    /// Capabilities of all kinds.
    pub capabilities: usize,
}

impl Sizes {
    /// Whether all tables are empty.
    pub fn is_empty(&self) -> bool {
        *self == Sizes::default()
    }
}

/// One side of a connection, as data. See the [crate](crate).
pub struct Engine {
    pub(crate) pool: &'static dyn Pool,
    pub(crate) limits: Limits,
    /// What the peer is told of this side's limits, and what it has told of its own.
    pub(crate) tells: Option<PeerLimits>,
    pub(crate) told: Option<PeerLimits>,
    /// What the peer's Bootstrap returns.
    pub(crate) bootstrap: Option<Cap>,
    pub(crate) caps: Caps,
    pub(crate) questions: Questions,
    pub(crate) answers: Answers,
    pub(crate) exports: Slab<Export>,
    pub(crate) imports: IdMap<Imported>,
    pub(crate) embargoes: Slab<Embargo>,
    /// How many Disembargoes of the peer wait at promises.
    pub(crate) disembargoes: usize,
    pub(crate) work: VecDeque<Work>,
    effects: VecDeque<Effect>,
    /// The reason for the end, once the connection is over.
    ended: Option<Failure>,
}

opaque!(Engine, impl std::fmt::Debug for Engine);

/// Work for the end of the current entry point. It is queued and not called recursively, because it
/// can cause more of the same without bound: a failed call fails the calls on its results, and so
/// on.
pub(crate) enum Work {
    /// Sends the call that ends an object. Has a reference on the object.
    Destroy(Cap, PendingCall),
    /// Answers a call with an error without making it.
    Fail(Serving, Failure),
    /// Gives a question of this side the results of a question of the peer.
    Taken(CallId, Result<Payload, Failure>),
}

impl Engine {
    /// An engine with empty tables. `pool`: the memory for its messages.
    pub fn new(pool: &'static dyn Pool, limits: Limits) -> Engine {
        Engine {
            pool,
            limits,
            tells: None,
            told: None,
            bootstrap: None,
            caps: Caps::default(),
            questions: Questions::default(),
            answers: Answers::default(),
            exports: Slab::new(),
            imports: IdMap::default(),
            embargoes: Slab::new(),
            disembargoes: 0,
            work: VecDeque::new(),
            effects: VecDeque::new(),
            ended: None,
        }
    }

    /// Sets the capability that the peer's Bootstrap returns. Takes over the caller's reference.
    pub fn set_bootstrap(&mut self, cap: Cap) {
        if let Some(before) = self.bootstrap.replace(cap) {
            self.release(before);
        }
    }

    /// The next effect. Effects must be carried out in this order, and all of them before the next
    /// message is received, as their payloads may lie in the message before.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether there is a next effect.
    pub fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// The number of entries in each table.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            questions: self.questions.len(),
            answers: self.answers.len(),
            exports: self.exports.len(),
            imports: self.imports.len(),
            embargoes: self.embargoes.len(),
            capabilities: self.caps.len(),
        }
    }

    /// The promises that the peer caused and that are still here, also those that have resolved: they are
    /// kept as long as something names them. Bounded by [`Limits::objects`].
    pub fn promises(&self) -> usize {
        self.caps.promises()
    }

    /// The reason for the end, if the connection is over.
    pub fn ended(&self) -> Option<&Failure> {
        self.ended.as_ref()
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn released(&mut self, object: u64) {
        self.effect(Effect::Released { object });
    }

    /// Does the queued work. Called at the end of each entry point, so that nothing later overtakes
    /// this work.
    pub(crate) fn settle(&mut self) {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Destroy(target, call) => {
                    self.route_if_wanted(target, call);
                    self.release(target);
                }
                Work::Fail(serving, failure) => self.answer_call(serving, Err(failure)),
                Work::Taken(call, results) => self.answered_elsewhere(call, results),
            }
        }
    }

    /// Ends the connection: every call of this side that waits is answered with `failure`, every
    /// call that is served is cancelled, and every object is released. All tables are empty then
    /// and stay empty: calls of any capability fail, and answers are dropped.
    pub fn end(&mut self, failure: Failure) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(failure.clone());
        // Messages that are written already can still be sent. All other queued work is dropped.
        for (tag, call, wanted) in self.questions.take_all() {
            self.effect(match wanted {
                true => Effect::Answered { tag, call, answer: Err(failure.clone()) },
                false => Effect::Over { tag },
            });
        }
        for tag in self.answers.take_all() {
            self.effect(Effect::Cancelled { tag });
        }
        self.bootstrap = None;
        self.exports = Slab::new();
        self.imports = IdMap::default();
        self.embargoes = Slab::new();
        self.disembargoes = 0;
        self.work = VecDeque::new();
        let entries = self.caps.drain();
        for entry in entries {
            if let Kind::Local { object, .. } = entry.kind {
                self.released(object);
            }
        }
    }

    /// Fails if the connection is over.
    pub(crate) fn check_open(&self) -> Result<(), Failure> {
        self.ended.clone().map_or(Ok(()), Err)
    }

    /// Whether a call still has to be answered.
    pub(crate) fn is_wanted(&mut self, serving: Serving) -> bool {
        match serving.0 {
            Asker::Peer(id) => self.answers.is_pending(id),
            Asker::Own(call) => self.questions.get(call).is_some(),
        }
    }
}
