//! What a side may do at any time.

use capnp_engine::{
    CallKind, CallOptions, Cap, Draft, Exception, ExceptionKind, Heap, Stage, State,
};

use crate::content::{self, NONE, Numbers, SLOTS, path};
use crate::habits::Act;
use crate::model::{CallState, DESTROY, INTERRUPT, MAKE, Origin, Outcome, PLAIN, Stream};
use crate::world::{NOTHING, Ref, World, log};

pub(crate) const INTERFACE: u64 = 0xfeed_0000_beef;
/// The first question, which no object serves.
pub(crate) const BOOTSTRAP: u16 = u16::MAX;
/// More references than this are not collected.
const MANY: usize = 24;

impl World<'_> {
    /// One random thing.
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

    /// One random thing of a side's own. Its effects are left there.
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

    /// Some reference, most often one of the newest.
    fn some_ref(&mut self, side: usize) -> Option<usize> {
        let count = self.sides[side].refs.len();
        let newest = if self.rng.one_in(2) { count.min(4) } else { count };
        self.rng.place(newest).map(|back| count - 1 - back)
    }

    fn object(&mut self, side: usize, closable: bool) -> (Cap, Stream) {
        let object = self.model.object(side, closable);
        let cap = self.sides[side].engine.object(object as u64);
        (cap, self.model.reference(Origin::Object(object)))
    }

    /// References to put into a message.
    fn some_caps(&mut self, side: usize, one_in: usize) -> ([Option<Cap>; SLOTS], [Stream; SLOTS]) {
        let (mut caps, mut streams) = (NOTHING, [NONE; SLOTS]);
        for slot in 0..SLOTS {
            if !self.rng.one_in(one_in) {
                continue;
            }
            let (cap, stream) = match self.some_ref(side) {
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

    fn call_any(&mut self, side: usize) {
        let Some(place) = self.some_ref(side) else { return };
        let held = self.sides[side].refs[place];
        // Two in a row, so that there is an order to keep.
        for _ in 0..=self.rng.below(2) {
            let pipeline = self.rng.one_in(2).then(|| self.rng.below(SLOTS));
            self.call(side, held, PLAIN, CallKind::Ordinary, pipeline);
        }
    }

    /// Makes a call; the promise of one of its results, if that was asked for.
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
            _ => self.some_caps(side, self.habits.caps + 1),
        };
        let call = self.model.call(side, held.stream, method);
        let numbers = Numbers {
            call,
            stream: held.stream,
            place: self.model.calls[call].place,
            streams,
        };
        let rng = &mut self.rng;
        let draft = Draft::call(&Heap, (INTERFACE, method), |to| {
            Ok::<_, ()>(content::write(to, &numbers, caps, rng))
        })
        .expect("it does not fail");
        // Now and then a capability that there is none of.
        let (slot, way) = match pipeline {
            Some(_) if method == PLAIN && self.rng.one_in(40) => (9, Some(vec![9])),
            Some(_) if method == PLAIN && self.rng.one_in(40) => (9, Some(vec![])),
            Some(slot) => (slot, Some(path(slot))),
            None => (0, None),
        };
        let options = CallOptions { tag: call as u64, kind, pipeline: way };
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
                let (cap, stream) = self.made(side, call);
                let (mut caps, mut streams) = (NOTHING, [NONE; SLOTS]);
                (caps[0], streams[0]) = (Some(cap), stream);
                (caps, streams)
            }
            (_, true) => (NOTHING, [NONE; SLOTS]),
            _ => self.some_caps(side, self.habits.caps),
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
    fn made(&mut self, side: usize, asked: usize) -> (Cap, Stream) {
        let asked = &self.model.calls[asked];
        let roundabout = asked.roundabout || asked.unused && asked.side != side;
        let place = self.rng.place(self.sides[side].refs.len());
        if let Some(place) = place
            && !self.closing
            && self.rng.one_in(2)
            && !self.sides[side].refs[place].closable
        {
            let held = self.sides[side].refs[place];
            if let Some(call) = self.call(side, held, MAKE, CallKind::Ordinary, Some(0)) {
                self.model.calls[call].unused = true;
                self.model.calls[call].roundabout = roundabout;
                let promise = self.sides[side].refs.pop().expect("it was asked for");
                return (promise.cap, promise.stream);
            }
        }
        let made = self.object(side, true);
        if let Some(object) = self.model.objects.last_mut() {
            object.guarded = !roundabout;
        }
        made
    }

    fn cancel(&mut self, side: usize) {
        let Some(place) = self.rng.place(self.sides[side].open.len()) else { return };
        let (call, id) = self.sides[side].open.swap_remove(place);
        if self.model.calls[call].state != CallState::Open || self.model.calls[call].cancelled {
            return;
        }
        // What was answered may not have been taken out yet.
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
        if waits {
            self.sides[side].watched.insert(tag);
        }
    }

    /// Something with an object that is this side's alone: makes, calls or ends it.
    fn close(&mut self, side: usize) {
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

    /// Makes a handle of a reference, or looks at one.
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

    /// A handle, which is not among the others now, is the last one or not.
    fn check_handle(&self, side: usize, held: Ref) {
        let engine = &self.sides[side].engine;
        let now = engine.resolved(held.cap);
        let refs = &self.sides[side].refs;
        let others =
            refs.iter().filter(|other| other.handle && engine.resolved(other.cap) == now).count();
        let open = engine.state(now) == State::Peer && engine.stage(now) == Stage::Open;
        assert_eq!(engine.is_last_handle(held.cap), open && others == 0, "{held:?}: {others}");
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
                self.model.calls[call].outcome =
                    Some(Outcome::Results([stream, NONE, NONE, NONE]));
                let stream = self.model.reference(Origin::Result(call, 0));
                self.sides[side].refs.push(Ref { cap, stream, handle: false, closable: false });
            }
            Err(failure) => {
                assert!(self.sides[side].ended, "{failure}");
                self.model.calls[call].state = CallState::Answered;
            }
        }
    }

    /// Writes a message and gives it up.
    fn discard(&mut self, side: usize) {
        let (caps, streams) = self.some_caps(side, 2);
        let numbers = Numbers { call: 0, stream: NONE, place: 0, streams };
        let rng = &mut self.rng;
        let draft = Draft::call(&Heap, (INTERFACE, PLAIN), |to| {
            Ok::<_, ()>(content::write(to, &numbers, caps, rng))
        });
        self.sides[side].engine.discard(draft.expect("it does not fail"));
    }
}
