//! The expected state, kept apart from the engines: the object that each reference leads to, and
//! the calls of it that have arrived.

use capnp_engine::ExceptionKind;

use crate::content::{NONE, SLOTS};

/// A reference, or a copy of another one, made by passing or copying it.
pub(crate) type Stream = u32;

/// Ordinary methods; one that returns an object for the caller alone; the method that ends this
/// object; and one that may be called while it ends.
pub(crate) const PLAIN: u16 = 0;
pub(crate) const MAKE: u16 = 1;
pub(crate) const DESTROY: u16 = 2;
pub(crate) const INTERRUPT: u16 = 3;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    Object(usize),
    /// Made from another reference, after this many calls of that one.
    Fork(Stream, u32),
    /// A result of a call.
    Result(usize, usize),
}

struct Reference {
    origin: Origin,
    sent: u32,
    /// Calls before this number would be late: a later call of this reference, or of a reference
    /// that was made from it later, was delivered.
    floor: u32,
    /// The reference of that later call.
    ahead: Stream,
    touched: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallState {
    Open,
    Answered,
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Results([Stream; SLOTS]),
    Exception(ExceptionKind, String),
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) side: usize,
    pub(crate) stream: Stream,
    pub(crate) place: u32,
    pub(crate) method: u16,
    pub(crate) state: CallState,
    pub(crate) cancelled: bool,
    pub(crate) delivered: Option<usize>,
    /// The answer of its object.
    pub(crate) outcome: Option<Outcome>,
    /// Its results are released at once.
    pub(crate) unused: bool,
    /// The result for which there is a promise.
    pub(crate) promised: Option<usize>,
}

pub(crate) struct Object {
    pub(crate) owner: usize,
    pub(crate) released: bool,
    /// Only one reference of the other side leads to it.
    pub(crate) closable: bool,
    destroyed: bool,
    unanswered: usize,
}

/// What a reference currently leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    Object(usize),
    Broken,
    Pending(usize),
}

#[derive(Default)]
pub(crate) struct Model {
    references: Vec<Reference>,
    pub(crate) calls: Vec<Call>,
    pub(crate) objects: Vec<Object>,
}

impl Model {
    pub(crate) fn object(&mut self, owner: usize, closable: bool) -> usize {
        let (released, destroyed, unanswered) = (false, false, 0);
        self.objects.push(Object { owner, released, closable, destroyed, unanswered });
        self.objects.len() - 1
    }

    pub(crate) fn reference(&mut self, origin: Origin) -> Stream {
        self.references.push(Reference { origin, sent: 0, floor: 0, ahead: NONE, touched: false });
        self.references.len() as Stream - 1
    }

    pub(crate) fn fork(&mut self, stream: Stream) -> Stream {
        self.reference(Origin::Fork(stream, self.references[stream as usize].sent))
    }

    /// A call is about to be made.
    pub(crate) fn call(&mut self, side: usize, stream: Stream, method: u16) -> usize {
        let reference = &mut self.references[stream as usize];
        let place = reference.sent;
        reference.sent += 1;
        let (state, cancelled, delivered) = (CallState::Open, false, None);
        let (outcome, unused, promised) = (None, false, None);
        let call = Call {
            side,
            stream,
            place,
            method,
            state,
            cancelled,
            delivered,
            outcome,
            unused,
            promised,
        };
        self.calls.push(call);
        self.calls.len() - 1
    }

    /// What a reference leads to, and whether there is a cancelled call on the path, which may have
    /// broken it.
    pub(crate) fn truth(&self, stream: Stream) -> (Truth, bool) {
        let (mut next, mut doubtful) = (stream, false);
        for _ in 0..self.references.len() + 1 {
            let Some(reference) = self.references.get(next as usize) else {
                return (Truth::Broken, doubtful);
            };
            next = match reference.origin {
                Origin::Object(object) => return (Truth::Object(object), doubtful),
                Origin::Fork(from, _) => from,
                Origin::Result(call, slot) => {
                    let call_of = &self.calls[call];
                    doubtful |= call_of.cancelled;
                    match &call_of.outcome {
                        Some(Outcome::Results(streams)) => {
                            streams.get(slot).copied().unwrap_or(NONE)
                        }
                        Some(Outcome::Exception(..)) => return (Truth::Broken, doubtful),
                        None if call_of.state == CallState::Open => {
                            return (Truth::Pending(call), doubtful);
                        }
                        None => return (Truth::Broken, doubtful),
                    }
                }
            };
        }
        // A cycle: it was resolved to itself.
        (Truth::Broken, doubtful)
    }

    /// Whether there would be a cycle of waiting calls if a reference became a result of this call.
    pub(crate) fn closes_circle(&self, call: usize, stream: Stream) -> bool {
        let mut next = stream;
        for _ in 0..=self.calls.len() {
            let (Truth::Pending(waits), _) = self.truth(next) else { return false };
            if waits == call {
                return next != stream;
            }
            if self.calls[waits].delivered.is_some() {
                return false;
            }
            next = self.calls[waits].stream;
        }
        true
    }

    /// A call has arrived at an object. `ended`: the connection is over for the caller.
    pub(crate) fn deliver(&mut self, call: usize, side: usize, object: usize, ended: bool) {
        let known = &mut self.calls[call];
        assert_eq!(known.delivered, None, "call {call} was delivered twice");
        // The cancel of a call that was forwarded more than once follows the call, and may be
        // answered at the caller before it has ended elsewhere.
        assert!(
            known.state == CallState::Open || known.cancelled || ended,
            "call {call} was delivered after its end: {known:?}"
        );
        known.delivered = Some(object);
        let (stream, place, method, caller) = (known.stream, known.place, known.method, known.side);
        let (truth, _) = self.truth(stream);
        assert_eq!(truth, Truth::Object(object), "call {call} came to a wrong object");
        let at = &mut self.objects[object];
        assert_eq!(at.owner, side);
        assert!(!at.released, "object {object} was called after it was released");
        if at.closable && caller != side {
            assert!(!at.destroyed, "call {call} came after the end of object {object}");
            if method == DESTROY {
                at.destroyed = true;
                assert_eq!(at.unanswered, 0, "object {object} ended before its calls");
            }
        }
        at.unanswered += 1;
        // It ends the object after calls that were made later.
        if method != DESTROY {
            self.check_order(call, stream, place);
        }
    }

    fn check_order(&mut self, call: usize, stream: Stream, place: u32) {
        let reference = &mut self.references[stream as usize];
        assert!(
            place >= reference.floor,
            "call {call}, number {place} of reference {stream}, came after number {}, or one that \
             was made later by reference {}",
            reference.floor,
            reference.ahead
        );
        reference.floor = place + 1;
        reference.ahead = stream;
        let mut next = stream;
        loop {
            let reference = &mut self.references[next as usize];
            if std::mem::replace(&mut reference.touched, true) {
                return;
            }
            let Origin::Fork(from, at) = reference.origin else { return };
            // The calls before the fork are known: they may not arrive any more.
            let parent = &mut self.references[from as usize];
            if at > parent.floor {
                (parent.floor, parent.ahead) = (at, stream);
            }
            next = from;
        }
    }

    /// An object answers a call.
    pub(crate) fn outcome(&mut self, call: usize, outcome: Outcome) {
        let known = &mut self.calls[call];
        assert!(known.outcome.is_none());
        known.outcome = Some(outcome);
        if let Some(object) = known.delivered {
            self.objects[object].unanswered -= 1;
        }
    }

    /// A call has failed at its caller.
    pub(crate) fn failed(&self, call: usize, closed: bool, why: &Outcome) {
        let known = &self.calls[call];
        if known.delivered.is_some() {
            let said = known.outcome.as_ref();
            assert_eq!(said, Some(why), "call {call} did not get what its object answered");
            return;
        }
        let (mut truth, mut doubtful) = self.truth(known.stream);
        // The call that it waits for may have failed without this side being told.
        for _ in 0..=self.calls.len() {
            let Truth::Pending(waits) = truth else { break };
            let waits = &self.calls[waits];
            if waits.delivered.is_some() {
                break;
            }
            let (next, more) = self.truth(waits.stream);
            doubtful |= more;
            match next {
                Truth::Object(_) => break,
                Truth::Pending(_) | Truth::Broken => truth = next,
            }
        }
        let expected = match truth {
            Truth::Broken => true,
            Truth::Object(object) => doubtful || closed && self.objects[object].closable,
            Truth::Pending(_) => doubtful || closed,
        };
        assert!(expected, "call {call} failed ({why:?}), and leads to {truth:?}: {known:?}");
    }

    /// Another call that was made on the results of this one, is wanted, and waits for them. Only
    /// calls that were made directly: if the reference was passed on, the cancel may come first.
    pub(crate) fn is_needed(&self, call: usize) -> Option<usize> {
        self.calls.iter().position(|other| {
            let wanted = other.state == CallState::Open && !other.cancelled;
            let origin = self.references[other.stream as usize].origin;
            let results = matches!(origin, Origin::Result(of, _) if of == call)
                && other.side == self.calls[call].side;
            wanted && other.delivered.is_none() && results && self.calls[call].outcome.is_none()
        })
    }
}
