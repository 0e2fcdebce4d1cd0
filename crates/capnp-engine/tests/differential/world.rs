//! The two sides, the messages between them, and what a program does with them.

use std::collections::{BTreeSet, HashMap, VecDeque};

use capnp::capability::Client;
use capnp_engine::{Cap, ExceptionKind, Fatal, Sizes};

use crate::BOOTSTRAP;
use crate::engine_side::EngineSide;
use crate::model::{Call, End, Means, Method, Model, Outcome, Random, Shared, Side};
use crate::rpc_side::RpcSide;
use crate::wire::{Kind, describe, kind_of};

/// A capability that a side has, for the program to use.
struct Handle<C> {
    name: u32,
    cap: C,
    means: Means,
}

pub(crate) struct World {
    random: Random,
    pub(crate) log: Shared,
    model: Model,
    engine: EngineSide,
    rpc: RpcSide,
    /// Messages of the engine's that are on their way.
    wire: VecDeque<Vec<u8>>,
    engine_handles: Vec<Handle<Cap>>,
    rpc_handles: Vec<Handle<Client>>,
    names: u32,
    /// The calls that the engine sent and received, in order.
    sent: Vec<u32>,
    received: Vec<u32>,
    /// Questions of the engine's that have not returned, and whether they are finished.
    asked: HashMap<u32, bool>,
    /// Questions of capnp-rpc's that are not finished.
    unfinished: BTreeSet<u32>,
    pub(crate) told: bool,
}

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything is answered, everything is let go of.
    Orderly,
    /// The same, and tail calls come last. See [`World::tail_calls`].
    TailCalls,
    /// The connection ends, by either side, with all that is under way.
    Engine {
        abort: bool,
    },
    Rpc {
        orderly: bool,
    },
}

/// What capnp-rpc says where something was called on the results of a call that failed, and did not
/// leave it: not why it failed.
const NO_RESULTS: &str = "PipelineInnerSender was canceled";

const METHODS: [Method; 20] = {
    use Method::*;
    [
        Echo, Echo, Echo, Echo, Fail, Give, Give, Give, Make, Make, Callback, Callback, Callback,
        Slow, Slow, Slow, SlowFail, Hold, Promise, Promise,
    ]
};

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let log = Shared::default();
        let mut world = World {
            random: Random(seed),
            model: Model::default(),
            engine: EngineSide::new(&log),
            rpc: RpcSide::new(&log),
            log,
            wire: VecDeque::new(),
            engine_handles: Vec::new(),
            rpc_handles: Vec::new(),
            names: 0,
            sent: Vec::new(),
            received: Vec::new(),
            asked: HashMap::new(),
            unfinished: BTreeSet::new(),
            told: false,
        };
        let cap = world.engine.bootstrap();
        world.add_engine(cap, Means::Object(BOOTSTRAP[1]));
        let cap = world.rpc.bootstrap.clone().unwrap();
        world.add_rpc(cap, Means::Object(BOOTSTRAP[0]));
        for id in [10, 12] {
            let cap = world.engine.object(id);
            world.add_engine(cap, Means::Object(id));
            let cap = world.rpc.object(id + 1);
            world.add_rpc(cap, Means::Object(id + 1));
        }
        world
    }

    fn name(&mut self) -> u32 {
        self.names += 1;
        self.names
    }

    fn add_engine(&mut self, cap: Cap, means: Means) {
        let name = self.name();
        self.engine_handles.push(Handle { name, cap, means });
    }

    fn add_rpc(&mut self, cap: Client, means: Means) {
        let name = self.name();
        self.rpc_handles.push(Handle { name, cap, means });
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.told {
            println!("{}", what());
        }
    }

    /// One step of the program.
    pub(crate) fn step(&mut self) {
        match self.random.below(100) {
            0..40 => self.call(),
            40..48 => self.wake_one(),
            48..54 => self.resolve_one(),
            54..62 => self.drop_one(),
            62..66 => self.cancel_one(),
            66..68 => {
                let place = self.random.below(self.engine_handles.len());
                self.engine.watch(self.engine_handles[place].cap);
            }
            _ => {
                for _ in 0..self.random.below(4) {
                    self.deliver_one();
                }
            }
        }
        self.collect();
    }

    fn call(&mut self) {
        let number = self.model.calls.len() as u32;
        let method = METHODS[self.random.below(METHODS.len())];
        let pipeline = method.returns_cap() && self.random.percent(70);
        let (by, target, cap, handle);
        if self.random.percent(50) {
            let to = &self.engine_handles[self.random.below(self.engine_handles.len())];
            let with = &self.engine_handles[self.random.below(self.engine_handles.len())];
            let with = method.takes_cap().then_some(with);
            (by, target, handle, cap) =
                (Side::Engine, to.means, to.name, with.map(|with| with.means));
            let promised =
                self.engine.call(to.cap, method, number, with.map(|with| with.cap), pipeline);
            if let Some(promised) = promised {
                self.add_engine(promised, Means::Result(number));
            }
        } else {
            let to = &self.rpc_handles[self.random.below(self.rpc_handles.len())];
            let with = &self.rpc_handles[self.random.below(self.rpc_handles.len())];
            if method.takes_cap() && self.model.meet(to.means, with.means) {
                return;
            }
            let with = method.takes_cap().then_some(with);
            (by, target, handle, cap) = (Side::Rpc, to.means, to.name, with.map(|with| with.means));
            let promised =
                self.rpc.call(&to.cap, method, number, with.map(|with| &with.cap), pipeline);
            if let Some(promised) = promised {
                self.add_rpc(promised, Means::Result(number));
            }
        }
        self.tell(|| {
            format!("call {number} by {by:?}: handle {handle} ({target:?}).{method:?}({cap:?})")
        });
        let cancelled = false;
        self.model.calls.push(Call { by, handle, target, method, cap, cancelled });
    }

    fn wake_one(&mut self) {
        let count = self.log.borrow().slow.len();
        if count > 0 {
            let (side, call) = self.log.borrow_mut().slow.swap_remove(self.random.below(count));
            self.tell(|| format!("{side:?} goes on with call {call}"));
            match side {
                Side::Engine => self.engine.wake(call),
                Side::Rpc => self.rpc.wake(call),
            }
        }
    }

    fn resolve_one(&mut self) {
        let count = self.log.borrow().promises.len();
        if count == 0 {
            return;
        }
        let (side, promise) = self.log.borrow_mut().promises.swap_remove(self.random.below(count));
        let count = match side {
            Side::Engine => self.engine_handles.len(),
            Side::Rpc => self.rpc_handles.len(),
        };
        let place = self.random.below(count);
        let means = match side {
            Side::Engine => self.engine_handles[place].means,
            Side::Rpc => self.rpc_handles[place].means,
        };
        // capnp-rpc panics where a promise is resolved to itself.
        let to = match self.model.depends(means, promise, &mut BTreeSet::new()) {
            true => Err(promise),
            false if self.random.percent(15) => Err(promise),
            false => Ok(means),
        };
        self.tell(|| format!("{side:?} resolves the promise of call {promise}: {to:?}"));
        self.model.resolved.insert(promise, to);
        match side {
            Side::Engine => {
                self.engine.resolve(promise, to.map(|_| self.engine_handles[place].cap));
            }
            Side::Rpc => self.rpc.resolve(promise, to.map(|_| &self.rpc_handles[place].cap)),
        }
    }

    fn drop_one(&mut self) {
        // The first ones stay, so that there is always something to call.
        if self.random.percent(50) && self.engine_handles.len() > 3 {
            let place = 3 + self.random.below(self.engine_handles.len() - 3);
            let Handle { cap, name, .. } = self.engine_handles.swap_remove(place);
            self.tell(|| format!("Engine lets go of handle {name}"));
            self.engine.release(cap);
        } else if self.rpc_handles.len() > 3 {
            let place = 3 + self.random.below(self.rpc_handles.len() - 3);
            let Handle { name, .. } = self.rpc_handles.swap_remove(place);
            self.tell(|| format!("Rpc lets go of handle {name}"));
        }
    }

    fn cancel_one(&mut self) {
        if self.model.calls.is_empty() {
            return;
        }
        let number = self.random.below(self.model.calls.len());
        let call = &mut self.model.calls[number];
        if call.cancelled {
            return;
        }
        call.cancelled = match call.by {
            Side::Engine => self.engine.cancel(number as u32),
            Side::Rpc => self.rpc.cancel(number as u32),
        };
        if call.cancelled {
            self.tell(|| format!("call {number} is cancelled"));
        }
    }

    /// Has one message arrive, or the other side do what it can.
    fn deliver_one(&mut self) {
        match self.random.below(3) {
            0 => self.rpc.run(),
            1 => drop(self.to_engine()),
            _ => drop(self.to_rpc()),
        }
    }

    fn to_engine(&mut self) -> bool {
        let Some(message) = self.rpc.output.take_message() else { return false };
        match kind_of(capnp::Word::words_to_bytes(&message)).unwrap() {
            Kind::Question(id, number) => {
                self.received.extend(number);
                self.unfinished.insert(id);
            }
            Kind::Return(id, _) => assert!(self.asked.remove(&id).is_some()),
            Kind::Finish(id) => drop(self.unfinished.remove(&id)),
            Kind::Other => {}
        }
        self.tell(|| format!("<- {}", describe(capnp::Word::words_to_bytes(&message))));
        if self.engine.ended {
            return true;
        }
        match self.engine.receive(&message) {
            Ok(()) => {}
            Err(Fatal::Aborted(_)) if self.rpc.is_over() => self.engine.end("aborted", false),
            Err(fatal) => panic!("the engine ended the connection: {fatal}"),
        }
        true
    }

    fn to_rpc(&mut self) -> bool {
        self.wire.append(&mut self.engine.out);
        let Some(message) = self.wire.pop_front() else { return false };
        match kind_of(&message).unwrap() {
            Kind::Question(id, number) => {
                self.sent.extend(number);
                assert!(self.asked.insert(id, false).is_none(), "a number that is in use");
            }
            Kind::Finish(id) => drop(self.asked.get_mut(&id).map(|finished| *finished = true)),
            Kind::Return(id, true) => drop(self.unfinished.remove(&id)),
            Kind::Return(..) | Kind::Other => {}
        }
        self.tell(|| format!("-> {}", describe(&message)));
        self.rpc.input.push(&message);
        true
    }

    /// Until nothing moves any more.
    fn settle(&mut self) {
        loop {
            self.rpc.run();
            let mut moved = false;
            while self.to_engine() | self.to_rpc() {
                moved = true;
                self.rpc.run();
            }
            self.collect();
            if !moved {
                return;
            }
        }
    }

    /// What has come is there to be used.
    fn collect(&mut self) {
        for (call, is_param, cap) in std::mem::take(&mut self.engine.inbox) {
            let means = self.means(call, is_param);
            self.add_engine(cap, means);
        }
        let inbox = std::mem::take(&mut *self.rpc.inbox.borrow_mut());
        for (call, is_param, cap) in inbox {
            let means = self.means(call, is_param);
            self.add_rpc(cap, means);
        }
    }

    fn means(&self, call: u32, is_param: bool) -> Means {
        match is_param {
            true => self.model.calls[call as usize].cap.unwrap(),
            false => Means::Result(call),
        }
    }

    /// Nothing waits for the program any more.
    fn let_all_go_on(&mut self) {
        loop {
            self.settle();
            let waits = |world: &World| {
                let log = world.log.borrow();
                !(log.slow.is_empty() && log.promises.is_empty())
            };
            if !waits(self) {
                return;
            }
            while waits(self) {
                self.wake_one();
                self.resolve_one();
            }
        }
    }

    pub(crate) fn end(&mut self, ending: Ending) {
        match ending {
            Ending::Orderly => {}
            Ending::TailCalls => return self.end_orderly(true),
            Ending::Engine { abort } => {
                self.engine.end("that is all", abort);
                self.settle();
                self.rpc.input.close();
                return self.end_broken(true);
            }
            Ending::Rpc { orderly } => {
                self.rpc.end(orderly);
                return self.end_broken(orderly);
            }
        }
        self.end_orderly(false);
    }

    fn end_orderly(&mut self, tail_calls: bool) {
        self.let_all_go_on();
        if tail_calls {
            self.tail_calls();
        }
        self.check_answers();
        self.check_order();
        assert_eq!(self.engine.watched, 0, "everything is known");

        self.let_go();
        self.settle();
        // A call that capnp-rpc cancels never returns: it is the engine's until the end, and with it
        // what it was sent to.
        let stuck = self.asked.len();
        assert!(self.asked.values().all(|finished| *finished), "{:?}", self.asked);
        let sizes = self.engine.engine.sizes();
        // What its bootstrap returns is the engine's own.
        let none = Sizes { capabilities: 1, ..Sizes::default() };
        if stuck == 0 {
            assert_eq!(sizes, none, "of the engine, when everything was let go of");
        } else {
            assert_eq!(sizes.questions, stuck, "questions of the engine: {sizes:?}");
            // And capnp-rpc may hold for ever what such a call had.
            let unfinished = self.unfinished.len();
            assert_eq!((sizes.answers, sizes.embargoes), (unfinished, 0), "{sizes:?}");
        }
        self.engine.end("that is all", false);
        self.rpc.input.close();
        self.rpc.end(false);
        self.check_gone(stuck == 0);
    }

    fn end_broken(&mut self, orderly: bool) {
        self.settle();
        if !self.engine.ended {
            self.engine.end("the other side is gone", false);
        }
        self.let_all_go_on();
        // Everything is answered; but capnp-rpc leaves its own calls alone when it is just forgotten.
        let unanswered: Vec<_> = (self.model.calls.iter().enumerate())
            .filter(|(number, call)| {
                let asked = orderly || call.by == Side::Engine;
                asked
                    && !call.cancelled
                    && !self.log.borrow().answers.contains_key(&(*number as u32))
            })
            .map(|(number, _)| number)
            .collect();
        assert!(unanswered.is_empty(), "not answered: {unanswered:?}");
        self.check_order();
        self.let_go();
        self.settle();
        self.rpc.end(false);
        self.check_gone(orderly);
    }

    fn let_go(&mut self) {
        for handle in std::mem::take(&mut self.engine_handles) {
            self.engine.release(handle.cap);
        }
        self.rpc_handles.clear();
        self.engine.let_go();
        self.rpc.let_go();
    }

    fn check_gone(&mut self, rpc: bool) {
        self.rpc.run();
        let sizes = self.engine.engine.sizes();
        assert!(sizes.is_empty(), "of the engine, after its end: {sizes:?}");
        let log = self.log.borrow();
        let checked = if rpc { 2 } else { 1 };
        assert_eq!(
            log.released[..checked],
            log.created[..checked],
            "objects that nobody holds are gone"
        );
    }

    /// capnp-rpc can answer a call with a call of its own back to who called. It forgets to clear the
    /// number of such a call, which can't be used again; so these come last, all at once.
    fn tail_calls(&mut self) {
        let first = self.model.calls.len() as u32;
        let handle = self.engine_handles[0].name;
        let target = Means::Object(BOOTSTRAP[1]);
        for _ in 0..1 + self.random.below(4) {
            let number = self.model.calls.len() as u32;
            let object = 100_000 + 2 * number;
            let cap = self.engine.object(object);
            self.engine.call(self.engine_handles[0].cap, Method::Tail, number, Some(cap), false);
            self.engine.release(cap);
            self.tell(|| format!("tail call {number}"));
            let (by, method) = (Side::Engine, Method::Tail);
            let cap = Some(Means::Object(object));
            self.model.calls.push(Call { by, handle, target, method, cap, cancelled: false });
        }
        let last = self.model.calls.len() as u32;
        self.settle();
        let log = self.log.borrow();
        assert!((first..last).all(|call| log.answers.contains_key(&call)));
    }

    fn check_answers(&self) {
        let log = self.log.borrow();
        for (number, call) in (0..).zip(&self.model.calls) {
            let Some(outcome) = log.answers.get(&number) else {
                assert!(call.cancelled, "call {number} is not answered");
                continue;
            };
            let (expected, loose) = self.model.outcome(number);
            match outcome {
                outcome if *outcome == expected => {}
                Outcome::Error(ExceptionKind::Failed, text)
                    if loose || matches!(expected, Outcome::Error(..)) && text == NO_RESULTS => {}
                outcome => panic!("call {number} got {outcome:?}, not {expected:?}"),
            }
        }
    }

    /// Calls with one handle go out, and arrive, in the order in which they were made. Of capnp-rpc's
    /// that is not asked: where a call does not leave it, or waits there, it is made when somebody
    /// looks for its answer, and another may come before. Its calls are to be delivered in the order in
    /// which they first came.
    fn check_order(&self) {
        let log = self.log.borrow();
        let call = |number: &u32| self.model.calls.get(*number as usize);
        let (mut sent, mut delivered) = (HashMap::new(), HashMap::new());
        let mut seen = BTreeSet::new();
        // One may come back, and go out again.
        for number in self.sent.iter().filter(|number| seen.insert(**number)) {
            if let Some(Call { by: Side::Engine, handle, .. }) = call(number) {
                let before = sent.insert(handle, number);
                assert!(before < Some(number), "{number} was sent after {before:?}");
            }
        }
        for (object, number) in &log.delivered {
            let Some(Call { by, handle, target, .. }) = call(number) else { continue };
            if let (end, _) = self.model.end(*target)
                && !matches!(end, End::Open(_))
            {
                assert_eq!(end, End::Object(*object), "where call {number} was to go");
            }
            if object % 2 != BOOTSTRAP[0] {
                continue;
            }
            let place = match by {
                Side::Engine => Some(*number as usize),
                Side::Rpc => self.received.iter().position(|received| received == number),
            };
            let before = delivered.insert((object, handle), place);
            assert!(
                before.is_none_or(|before| before < place),
                "object {object} was called with handle {handle}: call {number} came too late"
            );
        }
    }
}
