//! Two engines, the streams between them, and what each side holds.

use std::collections::{BTreeSet, VecDeque};

use capnp_engine::{
    CallId, Cap, Delivery, Effect, Engine, Failure, Heap, Incoming, Limits, Message, MessageView,
    Payload, Serving, SharedMessage, first_word,
};

use crate::content::{self, NONE, SLOTS};
use crate::count::Counts;
use crate::habits::Habits;
use crate::model::{CallState, Model, Origin, Outcome, Stream};
use crate::rng::Rng;

/// A reference that a side holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ref {
    pub(crate) cap: Cap,
    pub(crate) stream: Stream,
    pub(crate) handle: bool,
    /// It is not passed on, so only this side calls the object.
    pub(crate) closable: bool,
}

/// A call that a side serves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    pub(crate) serving: Serving,
    pub(crate) call: usize,
    pub(crate) method: u16,
    pub(crate) begun: bool,
    pub(crate) cancelled: bool,
}

pub(crate) struct Side {
    pub(crate) engine: Engine,
    pub(crate) refs: Vec<Ref>,
    pub(crate) served: Vec<Served>,
    /// Calls that may be cancelled.
    pub(crate) open: Vec<(usize, CallId)>,
    pub(crate) watched: BTreeSet<u64>,
    /// Messages that have not arrived yet.
    pub(crate) wire: VecDeque<SharedMessage>,
    pub(crate) first: Option<usize>,
    pub(crate) ended: bool,
}

pub(crate) struct World<'a> {
    pub(crate) sides: [Side; 2],
    pub(crate) model: Model,
    pub(crate) rng: Rng,
    pub(crate) habits: Habits,
    pub(crate) counts: &'a mut Counts,
    /// The log, if there is to be one.
    pub(crate) log: Option<Vec<String>>,
    /// New references are released at once.
    pub(crate) closing: bool,
    /// There are calls that wait for each other, which only the end of the connection ends.
    pub(crate) circles: bool,
    /// The calls that the peer's engine cancelled while effects were taken.
    given_up: Vec<usize>,
}

/// Logs if there is a log.
macro_rules! log {
    ($world:expr, $($what:tt)*) => {
        if let Some(log) = &mut $world.log {
            log.push(format!($($what)*));
        }
    };
}
pub(crate) use log;

impl<'a> World<'a> {
    pub(crate) fn new(seed: u64, counts: &'a mut Counts, log: bool) -> World<'a> {
        let side = || Side {
            engine: Engine::new(&Heap, Limits::NONE),
            refs: vec![],
            served: vec![],
            open: vec![],
            watched: BTreeSet::new(),
            wire: VecDeque::new(),
            first: None,
            ended: false,
        };
        let mut rng = Rng::new(seed);
        let habits = Habits::new(&mut rng);
        let mut world = World {
            sides: [side(), side()],
            model: Model::default(),
            rng,
            habits,
            counts,
            log: log.then(Vec::new),
            closing: false,
            circles: false,
            given_up: vec![],
        };
        for side in 0..2 {
            let object = world.model.object(side, false);
            let engine = &mut world.sides[side].engine;
            let cap = engine.object(object as u64);
            engine.set_bootstrap(cap);
            world.sides[side].first = Some(object);
        }
        world
    }

    /// Receives the first message that the other side has sent.
    pub(crate) fn receive(&mut self, side: usize) {
        let Some(shared) = self.sides[side].wire.pop_front() else { return };
        let view =
            if self.rng.one_in(2) { shared.view() } else { MessageView::new(shared.bytes()) };
        let segments = view.segments().expect("a message of the engine's own");
        let message = Incoming::new(view, &segments);
        log!(self, "{side} receives");
        if let Err(fatal) = self.sides[side].engine.receive(&message) {
            panic!("side {side} takes it for a mistake of the other side: {fatal}");
        }
        self.drain(side, Some(&message));
    }

    /// Carries out an engine's effects.
    pub(crate) fn drain(&mut self, side: usize, current: Option<&Incoming<'_>>) {
        while let Some(effect) = self.sides[side].engine.next_effect() {
            if !matches!(effect, Effect::Write(_)) {
                log!(self, "  {side}: {effect:?}");
            }
            match effect {
                Effect::Write(message) => self.write(side, &message),
                Effect::Deliver(delivery) => self.deliver(side, delivery, current),
                Effect::Answered { tag, call, answer } => {
                    self.sides[side].open.retain(|(_, id)| *id != call);
                    self.answered(side, tag as usize, answer, current);
                }
                Effect::Over { tag } => self.over(side, tag as usize),
                Effect::Cancelled { tag } => self.given_up.push(tag as usize),
                Effect::Resolved { tag } => {
                    assert!(self.sides[side].watched.remove(&tag), "{tag} was not watched");
                }
                Effect::WriteWith(_) => panic!("nothing has a descriptor here"),
                Effect::Refused { limit, .. } => panic!("{limit:?} is not reached here"),
                Effect::Released { object } => {
                    let object = &mut self.model.objects[object as usize];
                    assert_eq!(object.owner, side);
                    assert!(!std::mem::replace(&mut object.released, true), "released twice");
                }
            }
            if !self.closing && self.rng.one_in(16) {
                self.act(side);
            }
        }
        for call in std::mem::take(&mut self.given_up) {
            self.check_cancelled(side, call);
        }
    }

    fn write(&mut self, side: usize, message: &Message) {
        let mut bytes = Vec::with_capacity(message.size_in_words() * 8 + 64);
        let start = first_word(&bytes);
        bytes.resize(start, 0);
        capnp::serialize::write_message(&mut bytes, message).expect("a Vec takes all");
        let shared = SharedMessage::new(bytes, start, None);
        let text = self.counts.message(shared.bytes(), self.log.is_some()).expect("well-formed");
        if self.log.is_some() {
            let segments = shared.view().segments().expect("well-formed");
            let message = Incoming::new(shared.view(), &segments);
            log!(self, "  {side} writes of call {:?}: {text}", content::call_of(&message));
        }
        if !self.sides[1 - side].ended {
            self.sides[1 - side].wire.push_back(shared);
        }
    }

    /// Turns the capabilities of a message into references.
    fn take(
        &mut self,
        side: usize,
        payload: Payload,
        current: Option<&Incoming<'_>>,
        unused: bool,
        closable: bool,
    ) -> content::Numbers {
        let read = payload.with(current, |content| content::read(&content?));
        let (numbers, caps) = read.expect("content of this simulation's");
        let mut left = payload.caps;
        for (slot, cap) in caps.into_iter().enumerate() {
            let stream = numbers.streams[slot];
            assert_eq!(cap.is_some(), stream != NONE, "slot {slot} of {numbers:?}");
            let Some(cap) = cap else { continue };
            let place = left.iter().position(|other| *other == Some(cap));
            left.swap_remove(place.expect("each capability comes with a reference"));
            if unused || self.closing {
                self.sides[side].engine.release(cap);
            } else {
                let closable = closable && slot == 0;
                self.sides[side].refs.push(Ref { cap, stream, handle: false, closable });
            }
        }
        assert!(left.iter().all(Option::is_none), "capabilities that nothing names");
        numbers
    }

    fn deliver(&mut self, side: usize, delivery: Delivery, current: Option<&Incoming<'_>>) {
        assert_eq!(delivery.interface, crate::ops::INTERFACE);
        let (serving, method) = (delivery.call, delivery.method);
        let numbers = self.take(side, delivery.params, current, false, false);
        let call = numbers.call;
        let known = &self.model.calls[call];
        assert_eq!((known.stream, known.place), (numbers.stream, numbers.place));
        assert_eq!(known.method, method);
        let ended = self.sides[known.side].ended;
        self.model.deliver(call, side, delivery.object as usize, ended);
        let begun = !self.rng.one_in(8);
        if begun {
            self.sides[side].engine.begin(serving, call as u64);
        }
        self.sides[side].served.push(Served { serving, call, method, begun, cancelled: false });
        if self.rng.one_in(self.habits.at_once) {
            // While the effects are taken out.
            self.answer(side, self.sides[side].served.len() - 1);
        }
    }

    fn answered(
        &mut self,
        side: usize,
        call: usize,
        answer: Result<Payload, Failure>,
        current: Option<&Incoming<'_>>,
    ) {
        let known = &mut self.model.calls[call];
        assert_eq!(known.side, side);
        assert_eq!(known.state, CallState::Open, "call {call} has two ends");
        assert!(!known.cancelled, "call {call} was answered after its cancel");
        known.state = CallState::Answered;
        let (unused, made) = (known.unused, known.method == crate::model::MAKE);
        match answer {
            Ok(payload) if known.method == crate::ops::BOOTSTRAP => {
                let cap = payload.with(current, |content| content?.cap_at(&[]));
                let cap = cap.expect("well-formed").expect("the first object");
                assert_eq!(payload.caps, [Some(cap)]);
                let first = self.sides[1 - side].first.expect("there is one");
                let stream = self.model.reference(Origin::Object(first));
                match self.closing {
                    true => self.sides[side].engine.release(cap),
                    false => {
                        let closable = false;
                        self.sides[side].refs.push(Ref { cap, stream, handle: false, closable });
                    }
                }
            }
            Ok(payload) => {
                let numbers = self.take(side, payload, current, unused, made);
                assert_eq!(numbers.call, call, "results of another call");
                let outcome = Outcome::Results(numbers.streams);
                let known = &self.model.calls[call];
                assert_eq!(known.outcome.as_ref(), Some(&outcome), "{call} was not answered so");
            }
            Err(failure) => {
                let why = match &failure {
                    Failure::Exception(exception) => {
                        Outcome::Exception(exception.kind, exception.reason.clone())
                    }
                    other => {
                        Outcome::Exception(capnp_engine::ExceptionKind::Failed, other.to_string())
                    }
                };
                assert!(
                    !failure.to_string().contains("that was released"),
                    "call {call}: {failure}"
                );
                if !self.sides[side].ended {
                    let closed = failure.to_string() == Failure::Closed.to_string();
                    self.model.failed(call, closed, &why);
                }
            }
        }
    }

    fn over(&mut self, side: usize, call: usize) {
        let known = &mut self.model.calls[call];
        assert_eq!(known.side, side);
        assert_eq!(known.state, CallState::Open, "call {call} has two ends");
        assert!(known.cancelled, "call {call} is over, and was not cancelled");
        known.state = CallState::Over;
    }
}

/// No capabilities.
pub(crate) const NOTHING: [Option<Cap>; SLOTS] = [None; SLOTS];
