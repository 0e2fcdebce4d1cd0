//! How an episode ends: everything is released, or the connection is over.

use capnp_engine::{Exception, ExceptionKind, Sizes};

use crate::model::CallState;
use crate::world::{World, log};

/// More messages than any episode needs to end.
const ENDLESS: usize = 200_000;

impl World<'_> {
    /// Releases everything, answers everything, and checks what is left.
    pub(crate) fn quiet(&mut self) {
        log!(self, "everything is released");
        self.closing = true;
        for turn in 0.. {
            assert!(turn < ENDLESS, "messages do not stop");
            let side = self.rng.below(2);
            let (refs, served) = (self.sides[side].refs.len(), self.sides[side].served.len());
            match self.rng.below(4) {
                0 if refs > 0 => {
                    let place = self.rng.below(refs);
                    self.release(side, place);
                }
                1 if served > 0 => {
                    let place = self.rng.below(served);
                    self.answer(side, place);
                }
                _ => self.receive(side),
            }
            self.drain(side, None);
            let done = self
                .sides
                .iter()
                .all(|side| side.refs.is_empty() && side.served.is_empty() && side.wire.is_empty());
            if done {
                break;
            }
        }
        if self.circles {
            return;
        }
        for side in 0..2 {
            let of = &self.sides[side];
            let first = Sizes { capabilities: 1, ..Sizes::default() };
            assert_eq!(of.engine.sizes(), first, "side {side} holds more than its first object");
            assert_eq!(of.engine.promises(), 0, "side {side} counts promises that are gone");
            assert!(of.watched.is_empty(), "side {side} was not told of {:?}", of.watched);
        }
        for (call, known) in self.model.calls.iter().enumerate() {
            assert_ne!(known.state, CallState::Open, "call {call} has no end: {known:?}");
        }
        for (object, known) in self.model.objects.iter().enumerate() {
            let first = self.sides[known.owner].first == Some(object);
            assert_ne!(known.released, first, "object {object}");
        }
    }

    /// Ends the connection for one side and then for the other, which may have received more or
    /// fewer of the messages in flight.
    pub(crate) fn disconnect(&mut self) {
        let first = self.rng.below(2);
        for side in [first, 1 - first] {
            if side != first {
                for _ in 0..self.rng.below(8) {
                    self.step();
                }
            }
            log!(self, "{side} ends");
            let failure = Exception::new(ExceptionKind::Disconnected, "the stream is closed");
            self.sides[side].ended = true;
            self.sides[side].engine.end(failure.into());
            self.sides[side].wire.clear();
            // The messages in flight may be cut anywhere.
            let keep = self.rng.below(self.sides[1 - side].wire.len() + 1);
            if self.rng.one_in(2) {
                self.sides[1 - side].wire.truncate(keep);
            }
            self.drain(side, None);
            assert!(self.sides[side].engine.next_effect().is_none());
            // Nothing waits any more, and there are no effects.
            self.sides[side].watched.clear();
        }
        // Later calls of the engine have no effect.
        for _ in 0..20 {
            self.step();
        }
        self.closing = true;
        for side in 0..2 {
            while let Some(place) = self.rng.place(self.sides[side].served.len()) {
                self.answer(side, place);
            }
            while let Some(place) = self.rng.place(self.sides[side].refs.len()) {
                self.release(side, place);
            }
            self.drain(side, None);
            assert!(self.sides[side].engine.sizes().is_empty(), "side {side} holds something");
        }
        for (call, known) in self.model.calls.iter().enumerate() {
            assert_ne!(known.state, CallState::Open, "call {call} has no end: {known:?}");
        }
        for (object, known) in self.model.objects.iter().enumerate() {
            assert!(known.released, "object {object} is held");
        }
    }
}
