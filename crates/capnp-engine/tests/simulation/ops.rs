//! The steps that a side may take at any time.

use capnp_engine::{Cap, Draft, Heap};

use crate::content::{self, NONE, Numbers, SLOTS};
use crate::habits::Act;
use crate::model::{CallState, Origin, Outcome, PLAIN, Stream, Truth};
use crate::world::{NOTHING, Ref, World, log};

pub(crate) const INTERFACE: u64 = 0xfeed_0000_beef;
/// The first question, which no object serves.
pub(crate) const BOOTSTRAP: u16 = u16::MAX;
/// More references than this are not collected.
const MANY: usize = 24;

impl World<'_> {
    /// Takes one random step.
    pub(crate) fn step(&mut self) {
        let side = self.rng.below(2);
        if self.rng.below(8) < self.habits.receives[side] {
            for _ in 0..=self.rng.below(self.habits.batch) {
                self.receive(side);
            }
        } else {
            self.act(side);
            self.drain(side, None);
        }
    }

    /// Takes one random step of a side. Leaves its effects in the engine.
    pub(crate) fn act(&mut self, side: usize) {
        let refs = self.sides[side].refs.len();
        if refs > MANY && self.rng.one_in(2) {
            let place = self.rng.below(refs);
            return self.release(side, place);
        }
        match self.habits.any(&mut self.rng) {
            Act::Call => self.call_any(side),
            Act::Answer => {
                if let Some(place) = self.rng.place(self.sides[side].served.len()) {
                    self.answer(side, place);
                }
            }
            Act::Cancel => self.cancel(side),
            Act::Release => {
                if let Some(place) = self.rng.place(refs) {
                    self.release(side, place);
                }
            }
            Act::Duplicate => self.duplicate(side),
            Act::Watch => self.watch(side),
            Act::Close => self.close(side),
            Act::Handle => self.handle(side),
            Act::Bootstrap => self.ask_bootstrap(side),
            Act::Object => {
                let (cap, stream) = self.object(side, false);
                let (handle, closable) = (false, false);
                self.sides[side].refs.push(Ref { cap, stream, handle, closable });
            }
            Act::Discard => self.discard(side),
            Act::Look => self.check_refs(),
        }
    }

    /// A random reference, mostly one of the newest, of a kind that is picked first if there is
    /// one.
    pub(crate) fn some_ref(&mut self, side: usize, kinds: [usize; 4]) -> Option<usize> {
        let count = self.sides[side].refs.len();
        let newest = if self.rng.one_in(2) { count.min(4) } else { count };
        let mut kind = self.rng.below(kinds.iter().sum());
        let kind = kinds.iter().position(|weight| {
            let found = kind < *weight;
            kind = kind.saturating_sub(*weight);
            found
        });
        for _ in 0..8 {
            let back = self.rng.place(newest)?;
            let place = count - 1 - back;
            let (truth, _) = self.model.truth(self.sides[side].refs[place].stream);
            let fits = match (kind, truth) {
                (_, Truth::Broken) => self.rng.one_in(8),
                (Some(1), Truth::Pending(_)) => true,
                (Some(2), Truth::Object(object)) => self.model.objects[object].owner == side,
                (Some(3), Truth::Object(object)) => self.model.objects[object].owner != side,
                (kind, _) => kind == Some(0),
            };
            if fits {
                return Some(place);
            }
        }
        self.rng.place(count)
    }

    pub(crate) fn object(&mut self, side: usize, closable: bool) -> (Cap, Stream) {
        let object = self.model.object(side, closable);
        let cap = self.sides[side].engine.object(object as u64);
        (cap, self.model.reference(Origin::Object(object)))
    }

    /// References to put into a message, each with the same probability, apart from the requested
    /// one.
    pub(crate) fn some_caps(
        &mut self,
        side: usize,
        one_in: usize,
        wanted: Option<usize>,
    ) -> ([Option<Cap>; SLOTS], [Stream; SLOTS]) {
        let (mut caps, mut streams) = (NOTHING, [NONE; SLOTS]);
        for slot in 0..SLOTS {
            let wanted = wanted == Some(slot) && !self.rng.one_in(4);
            if !wanted && !self.rng.one_in(one_in) {
                continue;
            }
            let (cap, stream) = match self.some_ref(side, self.habits.passes) {
                Some(place) if !self.rng.one_in(5) => {
                    let held = self.sides[side].refs[place];
                    if held.closable {
                        continue;
                    }
                    self.sides[side].engine.retain(held.cap);
                    (held.cap, self.model.fork(held.stream))
                }
                _ => self.object(side, false),
            };
            (caps[slot], streams[slot]) = (Some(cap), stream);
        }
        (caps, streams)
    }

    fn cancel(&mut self, side: usize) {
        let Some(place) = self.rng.place(self.sides[side].open.len()) else { return };
        let (call, id) = self.sides[side].open.swap_remove(place);
        if self.model.calls[call].state != CallState::Open || self.model.calls[call].cancelled {
            return;
        }
        // The effect of an answer may not have been taken yet.
        if !self.sides[side].engine.is_open(id) {
            return;
        }
        log!(self, "{side} cancels call {call}");
        self.model.calls[call].cancelled = true;
        self.sides[side].engine.cancel(id);
    }

    pub(crate) fn release(&mut self, side: usize, place: usize) {
        let held = self.sides[side].refs.swap_remove(place);
        log!(self, "{side} releases {held:?}");
        match held.handle {
            true => {
                self.check_handle(side, held);
                self.sides[side].engine.drop_handle(held.cap);
            }
            false => self.sides[side].engine.release(held.cap),
        }
    }

    fn duplicate(&mut self, side: usize) {
        let Some(place) = self.rng.place(self.sides[side].refs.len()) else { return };
        let held = self.sides[side].refs[place];
        self.sides[side].engine.retain(held.cap);
        let stream = self.model.fork(held.stream);
        self.sides[side].refs.push(Ref { stream, handle: false, ..held });
    }

    fn watch(&mut self, side: usize) {
        let Some(place) = self.rng.place(self.sides[side].refs.len()) else { return };
        let held = self.sides[side].refs[place];
        let tag = self.rng.next();
        let waits = self.sides[side].engine.watch(held.cap, tag);
        log!(self, "{side} watches {held:?} as {tag}: {waits}");
        if waits && tag.is_multiple_of(4) {
            self.sides[side].engine.unwatch(held.cap, tag);
        } else if waits {
            self.sides[side].watched.insert(tag);
        }
    }

    /// Makes a reference a handle, or checks a handle.
    fn handle(&mut self, side: usize) {
        let Some(place) = self.rng.place(self.sides[side].refs.len()) else { return };
        let held = &mut self.sides[side].refs[place];
        if !held.handle {
            held.handle = true;
            let cap = held.cap;
            self.sides[side].engine.add_handle(cap);
        }
        let held = self.sides[side].refs.swap_remove(place);
        self.check_handle(side, held);
        self.sides[side].refs.push(held);
    }

    fn ask_bootstrap(&mut self, side: usize) {
        let first = self.sides[1 - side].first.expect("there is one");
        let stream = self.model.reference(Origin::Object(first));
        let call = self.model.call(side, stream, BOOTSTRAP);
        log!(self, "{side} asks for the first object: {call}");
        match self.sides[side].engine.ask_bootstrap(call as u64) {
            Ok((id, cap)) => {
                self.sides[side].open.push((call, id));
                // A cancel breaks it.
                self.model.calls[call].outcome = Some(Outcome::Results([stream, NONE, NONE, NONE]));
                let stream = self.model.reference(Origin::Result(call, 0));
                self.sides[side].refs.push(Ref { cap, stream, handle: false, closable: false });
            }
            Err(failure) => {
                assert!(self.sides[side].ended, "{failure}");
                self.model.calls[call].state = CallState::Answered;
            }
        }
    }

    /// Writes a message and discards it.
    fn discard(&mut self, side: usize) {
        let (caps, streams) = self.some_caps(side, 2, None);
        let numbers = Numbers { call: 0, stream: NONE, place: 0, streams };
        let rng = &mut self.rng;
        let draft = Draft::call(&Heap, (INTERFACE, PLAIN), |to| {
            Ok::<_, ()>(content::write(to, &numbers, caps, rng))
        });
        self.sides[side].engine.discard(draft.expect("it does not fail"));
    }
}
