//! The two sides, the messages between them, and what a program does with them.

use std::collections::{BTreeSet, HashMap, VecDeque};

use capnp::capability::Client;
use capnp_engine::{Cap, Fatal};

use crate::BOOTSTRAP;
use crate::engine_side::EngineSide;
use crate::model::{Call, Means, Method, Model, Random, Shared, Side};
use crate::rpc_side::RpcSide;
use crate::wire::{Kind, Target, describe, kind_of};

/// A capability that a side has, for the program to use.
pub(crate) struct Handle<C> {
    pub(crate) name: u32,
    pub(crate) cap: C,
    means: Means,
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) log: Shared,
    pub(crate) model: Model,
    pub(crate) engine: EngineSide,
    pub(crate) rpc: RpcSide,
    /// Messages of the engine that have not arrived.
    wire: VecDeque<Vec<u8>>,
    pub(crate) engine_handles: Vec<Handle<Cap>>,
    pub(crate) rpc_handles: Vec<Handle<Client>>,
    names: u32,
    /// The calls that the engine sent and received, in order.
    pub(crate) sent: Vec<u32>,
    pub(crate) received: Vec<(u32, Target)>,
    /// The engine has told the other side that a promise resolved to a capability of that side.
    pub(crate) reflected: bool,
    /// Questions of the engine that have not returned, and whether they are finished.
    pub(crate) asked: HashMap<u32, bool>,
    /// Questions of capnp-rpc that are not finished.
    pub(crate) unfinished: BTreeSet<u32>,
    pub(crate) told: bool,
}

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
            reflected: false,
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

    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
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

    pub(crate) fn wake_one(&mut self) {
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

    pub(crate) fn resolve_one(&mut self) {
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
        // capnp-rpc panics if a promise is resolved to itself.
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
            self.tell(|| format!("Engine drops handle {name}"));
            self.engine.release(cap);
        } else if self.rpc_handles.len() > 3 {
            let place = 3 + self.random.below(self.rpc_handles.len() - 3);
            let Handle { name, .. } = self.rpc_handles.swap_remove(place);
            self.tell(|| format!("Rpc drops handle {name}"));
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

    /// Delivers one message, or runs the other side.
    fn deliver_one(&mut self) {
        match self.random.below(3) {
            0 => self.rpc.run(),
            1 => drop(self.engine_receives()),
            _ => drop(self.rpc_receives()),
        }
    }

    fn engine_receives(&mut self) -> bool {
        let Some(message) = self.rpc.output.take_message() else { return false };
        match kind_of(capnp::Word::words_to_bytes(&message)).unwrap() {
            Kind::Question(id, number) => {
                self.received.extend(number);
                self.unfinished.insert(id);
            }
            Kind::Return(id, _) => assert!(self.asked.remove(&id).is_some()),
            Kind::Finish(id) => drop(self.unfinished.remove(&id)),
            Kind::Reflect | Kind::Other => {}
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

    fn rpc_receives(&mut self) -> bool {
        self.wire.append(&mut self.engine.out);
        let Some(message) = self.wire.pop_front() else { return false };
        match kind_of(&message).unwrap() {
            Kind::Question(id, number) => {
                self.sent.extend(number.map(|(number, _)| number));
                assert!(self.asked.insert(id, false).is_none(), "a number that is in use");
            }
            Kind::Finish(id) => drop(self.asked.get_mut(&id).map(|finished| *finished = true)),
            Kind::Return(id, true) => drop(self.unfinished.remove(&id)),
            Kind::Reflect => self.reflected = true,
            Kind::Return(..) | Kind::Other => {}
        }
        self.tell(|| format!("-> {}", describe(&message)));
        self.rpc.input.push(&message);
        true
    }

    /// Runs until nothing changes any more.
    pub(crate) fn settle(&mut self) {
        loop {
            self.rpc.run();
            let mut moved = false;
            while self.engine_receives() | self.rpc_receives() {
                moved = true;
                self.rpc.run();
            }
            self.collect();
            if !moved {
                return;
            }
        }
    }

    /// Adds received capabilities to the handles that the program can use.
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
}
