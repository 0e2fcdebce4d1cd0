//! The engine: its tables, its effects, and its end.

use std::collections::VecDeque;

use slab::Slab;

use crate::answers::Answers;
use crate::cap::{Cap, Caps, Kind};
use crate::effect::Effect;
use crate::error::Failure;
use crate::exports::{Export, Imported};
use crate::idmap::IdMap;
use crate::memory::Pool;
use crate::payload::Payload;
use crate::pending_call::{Asker, PendingCall, Serving};
use crate::promises::Embargo;
use crate::questions::{CallId, Questions};

/// Bounds on what the peer can make the tables hold. What goes beyond is the end of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Calls of the peer's that are not answered.
    pub unanswered: usize,
    /// Calls of the peer's that are not answered, or answered and not finished.
    pub unfinished: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { unanswered: 8192, unfinished: 16384 }
    }
}

/// How much is in each table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Calls of this side's that have not returned.
    pub questions: usize,
    /// Calls of the peer's that are not answered, or answered and not finished.
    pub answers: usize,
    /// Objects and promises that the peer was given.
    pub exports: usize,
    /// Objects and promises that the peer gave.
    pub imports: usize,
    /// Promises whose calls wait for a Disembargo.
    pub embargoes: usize,
    /// Capabilities of all kinds.
    pub capabilities: usize,
}

impl Sizes {
    /// Whether nothing is held at all.
    pub fn is_empty(&self) -> bool {
        *self == Sizes::default()
    }
}

/// One side of a connection, as data. See the [crate](crate).
pub struct Engine {
    pub(crate) pool: &'static dyn Pool,
    pub(crate) limits: Limits,
    /// What the peer's Bootstrap returns.
    pub(crate) bootstrap: Option<Cap>,
    pub(crate) caps: Caps,
    pub(crate) questions: Questions,
    pub(crate) answers: Answers,
    pub(crate) exports: Slab<Export>,
    pub(crate) imports: IdMap<Imported>,
    pub(crate) embargoes: Slab<Embargo>,
    pub(crate) work: VecDeque<Work>,
    effects: VecDeque<Effect>,
    /// Why nothing goes on any more.
    ended: Option<Failure>,
}

/// What is left to be done at the end of an entry, as it may bring about more of the same: a call that
/// fails has others that wait for its results, and so on. The stack is not that deep.
pub(crate) enum Work {
    /// The call that ends an object goes there, on which there is a reference.
    Destroy(Cap, PendingCall),
    /// A call is answered without having been made.
    Fail(Serving, Failure),
    /// A call of this side's gets the results of one of the peer's.
    Taken(CallId, Result<Payload, Failure>),
}

impl Engine {
    /// One with empty tables, whose messages get their memory from `pool`.
    pub fn new(pool: &'static dyn Pool, limits: Limits) -> Engine {
        Engine {
            pool,
            limits,
            bootstrap: None,
            caps: Caps::default(),
            questions: Questions::default(),
            answers: Answers::default(),
            exports: Slab::new(),
            imports: IdMap::default(),
            embargoes: Slab::new(),
            work: VecDeque::new(),
            effects: VecDeque::new(),
            ended: None,
        }
    }

    /// What the peer gets for its Bootstrap. Takes over the caller's reference.
    pub fn set_bootstrap(&mut self, cap: Cap) {
        if let Some(before) = self.bootstrap.replace(cap) {
            self.release(before);
        }
    }

    /// The next thing that is to be done. They are to be done in this order, and all of them before
    /// the next message is received, as their content may lie in the one before.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether there is a next effect.
    pub fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// How much is in each table.
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

    /// Why nothing goes on any more, once it does not.
    pub fn ended(&self) -> Option<&Failure> {
        self.ended.as_ref()
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn released(&mut self, object: u64) {
        self.effect(Effect::Released { object });
    }

    /// Does what was left to be done. At the end of each entry, so that nothing that comes later
    /// overtakes it.
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

    /// The connection is over: every call of this side's that waits is answered with `failure`, those
    /// that are served are cancelled, and every object is released. All tables are empty then, and stay
    /// so: capabilities that are still named fail, answers go nowhere.
    pub fn end(&mut self, failure: Failure) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(failure.clone());
        // What is written goes out if it still can; what else was to follow from it is void.
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
        self.work = VecDeque::new();
        let entries = self.caps.drain();
        for entry in entries {
            if let Kind::Local { object, .. } = entry.kind {
                self.released(object);
            }
        }
    }

    /// Whether anything still goes on, for what is asked from outside.
    pub(crate) fn check_open(&self) -> Result<(), Failure> {
        self.ended.clone().map_or(Ok(()), Err)
    }

    /// Whether this is served for somebody still.
    pub(crate) fn is_wanted(&mut self, serving: Serving) -> bool {
        match serving.0 {
            Asker::Peer(id) => self.answers.is_pending(id),
            Asker::Own(call) => self.questions.get(call).is_some(),
        }
    }
}
