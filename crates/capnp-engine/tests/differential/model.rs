//! What a program has done so far, and the expected results.
//!
//! The model executes nothing: a call is only recorded, and its results follow from its parameters.
//! Capabilities are described by their origin ([`Means`]) and resolved only when the program is
//! over, as promises are not known before.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use capnp_engine::ExceptionKind;

/// A side: who does something, or where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Engine,
    Rpc,
}

/// The methods of an object of either side. A call has a number and optionally a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Returns a number that identifies the object and the call.
    Echo,
    /// Returns an error.
    Fail,
    /// Returns the capability.
    Give,
    /// Returns a new object.
    Make,
    /// Calls the capability's `Echo` and returns its results.
    Callback,
    /// Like `Give`, when the program says so.
    Slow,
    /// Like `Fail`, when the program says so.
    SlowFail,
    /// Gives the capability to the called side.
    Hold,
    /// Returns a promise, which the program resolves later.
    Promise,
    /// Like `Callback`, as a tail call.
    Tail,
}

use Method::*;

pub(crate) const METHODS: [Method; 10] =
    [Echo, Fail, Give, Make, Callback, Slow, SlowFail, Hold, Promise, Tail];

impl Method {
    pub(crate) fn takes_cap(self) -> bool {
        matches!(self, Give | Callback | Slow | Hold | Tail)
    }

    /// Whether it has a capability in its results, or an error instead of one.
    pub(crate) fn returns_cap(self) -> bool {
        matches!(self, Fail | Give | Make | Slow | SlowFail | Promise)
    }
}

/// What both sides have seen.
#[derive(Default)]
pub(crate) struct Log {
    /// Which object was called, by which call, in order.
    pub(crate) delivered: Vec<(u32, u32)>,
    pub(crate) answers: BTreeMap<u32, Outcome>,
    /// Calls of this side that were cancelled and are over for the peer as well.
    pub(crate) over: BTreeSet<u32>,
    /// Calls that wait for the program, and where.
    pub(crate) slow: Vec<(Side, u32)>,
    /// Promises that wait for the program, and where.
    pub(crate) promises: Vec<(Side, u32)>,
    /// Objects of either side, by [`Side`].
    pub(crate) created: [u32; 2],
    pub(crate) released: [u32; 2],
}

pub(crate) type Shared = Rc<RefCell<Log>>;

impl Log {
    pub(crate) fn answer(&mut self, call: u32, outcome: Outcome) {
        let before = self.answers.insert(call, outcome);
        assert!(before.is_none(), "call {call} was answered twice");
    }
}

/// The outcome of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The number, and whether there was a capability.
    Value(u32, bool),
    Error(ExceptionKind, String),
}

/// The number that a call on this object returns. Calls that another call makes have a derived
/// number.
pub(crate) fn value(object: u32, call: u32) -> u32 {
    object.wrapping_mul(0x9e37_79b1) ^ call
}

pub(crate) const NESTED: u32 = 1 << 30;

/// The error that a call ends with.
pub(crate) fn error(call: u32) -> (ExceptionKind, String) {
    use ExceptionKind::{Disconnected, Failed, Overloaded, Unimplemented};
    let kinds = [Failed, Overloaded, Disconnected, Unimplemented];
    (kinds[call as usize % kinds.len()], format!("failure {call}"))
}

/// The object that `Make` makes. Even numbers are the engine's side.
pub(crate) fn made(object: u32, call: u32) -> u32 {
    1000 + 2 * call + object % 2
}

/// Where a capability comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    Object(u32),
    Result(u32),
}

/// What a capability has resolved to in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Object(u32),
    /// Broken, by the error of this call.
    Error(u32),
    /// The promise of this call is not resolved.
    Open(u32),
}

pub(crate) struct Call {
    pub(crate) by: Side,
    /// Which of its side's handles it was made with.
    pub(crate) handle: u32,
    pub(crate) target: Means,
    pub(crate) method: Method,
    pub(crate) cap: Option<Means>,
    pub(crate) cancelled: bool,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) calls: Vec<Call>,
    /// What promises were resolved to, by the call that made the promise: a capability, or the
    /// error with this number.
    pub(crate) resolved: BTreeMap<u32, Result<Means, u32>>,
}

impl Model {
    /// What a capability is, and whether it may instead be broken because a call behind it was
    /// cancelled.
    pub(crate) fn end(&self, means: Means) -> (End, bool) {
        let call = match means {
            Means::Object(object) => return (End::Object(object), false),
            Means::Result(call) => call,
        };
        let Call { by, target, method, cap, cancelled, .. } = &self.calls[call as usize];
        // The caller's side decides about the rest of a cancelled call: capnp-rpc continues it as
        // long as something is called on its results.
        let cancelled = *cancelled && *by == Side::Engine;
        let (target, mut loose) = self.end(*target);
        loose |= cancelled;
        let End::Object(object) = target else { return (target, loose) };
        let (end, more) = match (method, cap) {
            (Give | Slow, Some(cap)) => self.end(*cap),
            (Make, _) => (End::Object(made(object, call)), false),
            (Promise, _) => match self.resolved.get(&call) {
                Some(Ok(means)) => self.end(*means),
                Some(Err(error)) => (End::Error(*error), false),
                None => (End::Open(call), false),
            },
            _ => (End::Error(call), false),
        };
        (end, loose || more)
    }

    /// The outcome of a call.
    pub(crate) fn outcome(&self, call: u32) -> (Outcome, bool) {
        let Call { target, method, cap, .. } = &self.calls[call as usize];
        let (target, loose) = self.end(*target);
        let failed = |call| {
            let (kind, text) = error(call);
            Outcome::Error(kind, text)
        };
        let object = match target {
            End::Object(object) => object,
            End::Error(error) => return (failed(error), loose),
            // The call that was to make the promise failed.
            End::Open(_) if loose => return (failed(call), loose),
            End::Open(promise) => panic!("call {call} waits for promise {promise}"),
        };
        match (method, cap) {
            (Echo | Hold, _) => (Outcome::Value(value(object, call), false), loose),
            (Give | Slow | Make | Promise, _) => (Outcome::Value(value(object, call), true), loose),
            (Fail | SlowFail, _) => (failed(call), loose),
            (Callback | Tail, Some(cap)) => match self.end(*cap) {
                (End::Object(object), more) => {
                    (Outcome::Value(value(object, call | NESTED), false), loose || more)
                }
                (End::Error(error), more) => (failed(error), loose || more),
                (End::Open(_), more) if loose || more => (failed(call), true),
                (End::Open(promise), _) => panic!("call {call} waits for promise {promise}"),
            },
            (Callback | Tail, None) => unreachable!("it takes a capability"),
        }
    }

    /// Whether two capabilities resolve to the same promise. capnp-rpc panics if a promise resolves
    /// while a call of it waits that has the promise as a parameter.
    pub(crate) fn meet(&self, one: Means, other: Means) -> bool {
        let (mut first, mut second) = (BTreeSet::new(), BTreeSet::new());
        self.depends(one, u32::MAX, &mut first);
        self.depends(other, u32::MAX, &mut second);
        !first.is_disjoint(&second)
    }

    /// Whether a capability can resolve to what this promise resolves to. A promise must not be
    /// resolved to itself.
    pub(crate) fn depends(&self, means: Means, promise: u32, seen: &mut BTreeSet<u32>) -> bool {
        let Means::Result(call) = means else { return false };
        if call == promise {
            return true;
        }
        if !seen.insert(call) {
            return false;
        }
        let Call { target, method, cap, .. } = &self.calls[call as usize];
        let through = match method {
            Give | Slow => *cap,
            Promise => self.resolved.get(&call).and_then(|to| to.ok()),
            _ => None,
        };
        self.depends(*target, promise, seen)
            || through.is_some_and(|through| self.depends(through, promise, seen))
    }
}

/// A generator of numbers that are the same for the same seed.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}
