//! Calls of all kinds, and their answers.

use capnp_engine::{CallKind, CallOptions, Cap, Draft, Exception, ExceptionKind, Heap};

use crate::content::{self, NONE, Numbers, SLOTS, path};
use crate::model::{CallState, DESTROY, INTERRUPT, MAKE, Origin, Outcome, PLAIN, Stream};
use crate::ops::INTERFACE;
use crate::world::{NOTHING, Ref, World, log};

impl World<'_> {
    pub(crate) fn call_any(&mut self, side: usize) {
        let Some(place) = self.some_ref(side, self.habits.calls) else { return };
        let held = self.sides[side].refs[place];
        // Two in a row, so that there is an order to check.
        for _ in 0..=self.rng.below(2) {
            let pipeline = self.rng.one_in(2).then(|| self.rng.below(SLOTS));
            self.call(side, held, PLAIN, CallKind::Ordinary, pipeline);
        }
    }

    /// Makes a call. Returns the promise of one of its results, if one was requested.
    fn call(
        &mut self,
        side: usize,
        held: Ref,
        method: u16,
        kind: CallKind,
        pipeline: Option<usize>,
    ) -> Option<usize> {
        let (caps, streams) = match method {
            DESTROY => (NOTHING, [NONE; SLOTS]),
            _ => self.some_caps(side, self.habits.caps + 1, None),
        };
        let call = self.model.call(side, held.stream, method);
        // Only the promise leads to the object that it makes. Until an embargo is over, the result
        // itself is another name of the object, with a stage of its own.
        self.model.calls[call].promised = pipeline;
        self.model.calls[call].unused = method == MAKE && pipeline.is_some();
        let numbers =
            Numbers { call, stream: held.stream, place: self.model.calls[call].place, streams };
        let rng = &mut self.rng;
        let draft = Draft::call(&Heap, (INTERFACE, method), |to| {
            Ok::<_, ()>(content::write(to, &numbers, caps, rng))
        })
        .expect("it does not fail");
        // Occasionally a capability that does not exist.
        let (slot, way) = match pipeline {
            Some(_) if method == PLAIN && self.rng.one_in(40) => (9, Some(vec![9])),
            Some(_) if method == PLAIN && self.rng.one_in(40) => (9, Some(vec![])),
            Some(slot) => (slot, Some(path(slot))),
            None => (0, None),
        };
        let options = CallOptions { tag: call as u64, kind, pipeline: way, nested: 0 };
        log!(self, "{side} calls {:?} by {held:?}: {method} {options:?}", numbers);
        match self.sides[side].engine.call(held.cap, draft, options) {
            Ok(called) => {
                self.sides[side].open.push((call, called.call));
                if let Some(cap) = called.promise {
                    let stream = self.model.reference(Origin::Result(call, slot));
                    let closable = method == MAKE;
                    self.sides[side].refs.push(Ref { cap, stream, handle: false, closable });
                }
                Some(call)
            }
            Err(failure) => {
                let closed = held.closable && failure == capnp_engine::Failure::Closed;
                assert!(self.sides[side].ended || closed, "call {call} was refused: {failure}");
                self.model.calls[call].state = CallState::Answered;
                None
            }
        }
    }

    /// Answers one of the calls that are served.
    pub(crate) fn answer(&mut self, side: usize, place: usize) {
        let served = self.sides[side].served.swap_remove(place);
        let call = served.call;
        if self.rng.one_in(self.habits.exceptions) {
            let kind = [
                ExceptionKind::Failed,
                ExceptionKind::Overloaded,
                ExceptionKind::Disconnected,
                ExceptionKind::Unimplemented,
            ][self.rng.below(4)];
            let reason = format!("the exception of call {call}");
            log!(self, "{side} answers call {call} with {kind:?}");
            self.model.outcome(call, Outcome::Exception(kind, reason.clone()));
            let exception = Exception::new(kind, reason);
            return self.sides[side].engine.answer(served.serving, Err(exception));
        }
        let (caps, streams) = match (served.method, self.closing || self.rng.one_in(4)) {
            (MAKE, _) => {
                let (cap, stream) = self.made(side);
                let (mut caps, mut streams) = (NOTHING, [NONE; SLOTS]);
                (caps[0], streams[0]) = (Some(cap), stream);
                (caps, streams)
            }
            (_, true) => (NOTHING, [NONE; SLOTS]),
            _ => self.some_caps(side, self.habits.caps, self.model.calls[call].promised),
        };
        let (mut caps, mut streams) = (caps, streams);
        for slot in 0..SLOTS {
            if streams[slot] == NONE || !self.model.closes_circle(call, streams[slot]) {
                continue;
            }
            if self.rng.one_in(50) {
                self.circles = true;
            } else if let Some(cap) = caps[slot].take() {
                self.sides[side].engine.release(cap);
                streams[slot] = NONE;
            }
        }
        self.model.outcome(call, Outcome::Results(streams));
        let numbers = Numbers { call, stream: NONE, place: 0, streams };
        log!(self, "{side} answers call {call} with {caps:?} {streams:?}");
        let rng = &mut self.rng;
        let draft = Draft::results(&Heap, served.serving, |to| {
            Ok::<_, ()>(content::write(to, &numbers, caps, rng))
        })
        .expect("it does not fail");
        self.sides[side].engine.answer(served.serving, Ok(draft));
    }

    /// An object for the caller alone, or the promise of one.
    fn made(&mut self, side: usize) -> (Cap, Stream) {
        let place = self.rng.place(self.sides[side].refs.len());
        if let Some(place) = place
            && !self.closing
            && self.rng.one_in(2)
            && !self.sides[side].refs[place].closable
        {
            let held = self.sides[side].refs[place];
            if self.call(side, held, MAKE, CallKind::Ordinary, Some(0)).is_some() {
                let promise = self.sides[side].refs.pop().expect("it was asked for");
                return (promise.cap, promise.stream);
            }
        }
        self.object(side, true)
    }

    /// A step with an object that only this side has: makes, calls or ends it.
    pub(crate) fn close(&mut self, side: usize) {
        let Some(place) = self.rng.place(self.sides[side].refs.len()) else { return };
        let held = self.sides[side].refs[place];
        if !held.closable {
            let pipeline = (!self.rng.one_in(4)).then_some(0);
            self.call(side, held, MAKE, CallKind::Ordinary, pipeline);
            return;
        }
        match self.rng.below(4) {
            0 => self.call(side, held, DESTROY, CallKind::Destroy, None),
            1 => self.call(side, held, INTERRUPT, CallKind::Interrupt, None),
            _ => self.call(side, held, PLAIN, CallKind::Ordinary, None),
        };
    }
}
