//! The two sides, and the steps of a program.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixStream;

use capnp_engine::{Cap, ExceptionKind, Fatal};

use crate::BOOTSTRAP;
use crate::engine_side::EngineSide;
use crate::model::{Call, End, Means, Method, Model, Outcome, Random, Shared, Side};
use crate::wire::{Received, Wire, describe};

/// A capability that a side has, for the program to use.
pub(crate) struct Handle<C> {
    pub(crate) number: u32,
    pub(crate) cap: C,
    means: Means,
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) log: Shared,
    pub(crate) model: Model,
    pub(crate) engine: EngineSide,
    pub(crate) wire: Wire,
    /// The object that takes commands.
    pub(crate) driver: Option<Cap>,
    pub(crate) engine_handles: Vec<Handle<Cap>>,
    /// The other side has these by name.
    pub(crate) peer_handles: Vec<Handle<String>>,
    handles: u32,
    /// Calls of the other side that are under way, by the commands that started them.
    pub(crate) peer_calls: BTreeMap<u64, u32>,
    /// Other commands that are not answered.
    commands: BTreeSet<u64>,
    /// The answers of commands that somebody waits for.
    answers: BTreeMap<u64, String>,
    /// Calls that wait for the program, if they are served by the other side.
    pub(crate) slow: Vec<u32>,
    /// Promises that the other side resolves, now or later.
    pub(crate) promises: Vec<u32>,
    /// Calls whose capability the other side keeps, if they are served there.
    holds: Vec<u32>,
    /// The other side has ended the connection.
    pub(crate) over: bool,
    /// The other side's promises that have resolved.
    resolved_there: BTreeSet<String>,
    /// Those of them that it gave again, as promises, and has not resolved a second time: how often. Each time the
    /// engine may have let go of the one before.
    pub(crate) given_again: BTreeMap<String, i64>,
}

impl Random {
    /// A handle to call, rarely one on an object of the calling side.
    fn handle<'a, C>(&mut self, handles: &'a [Handle<C>], side: Side) -> &'a Handle<C> {
        loop {
            let handle = &handles[self.below(handles.len())];
            let own = matches!(handle.means, Means::Object(object) if object % 2 == side as u32);
            if !own || self.percent(20) {
                return handle;
            }
        }
    }
}

const METHODS: [Method; 20] = {
    use Method::*;
    [
        Echo, Echo, Echo, Echo, Echo, Fail, Give, Give, Give, Make, Make, Callback, Callback, Slow,
        Slow, SlowFail, Hold, Promise, Promise, Promise,
    ]
};

fn name(method: Method) -> &'static str {
    match method {
        Method::Echo => "echo",
        Method::Fail => "fail",
        Method::Give => "give",
        Method::Make => "make",
        Method::Callback => "callback",
        Method::Slow => "slow",
        Method::SlowFail => "slowFail",
        Method::Hold => "hold",
        Method::Promise => "promise",
        Method::Tail => "tail",
    }
}

impl World {
    pub(crate) fn new(seed: u64, stream: UnixStream) -> World {
        let log = Shared::default();
        let mut world = World {
            random: Random(seed),
            model: Model::default(),
            engine: EngineSide::new(&log),
            log,
            wire: Wire::new(stream),
            driver: None,
            engine_handles: Vec::new(),
            peer_handles: Vec::new(),
            handles: 0,
            peer_calls: BTreeMap::new(),
            commands: BTreeSet::new(),
            answers: BTreeMap::new(),
            slow: Vec::new(),
            promises: Vec::new(),
            holds: Vec::new(),
            over: false,
            resolved_there: BTreeSet::new(),
            given_again: BTreeMap::new(),
        };
        let cap = world.engine.bootstrap();
        world.engine.engine.retain(cap);
        world.driver = Some(cap);
        world.add_engine(cap, Means::Object(BOOTSTRAP[1]));
        world.add_peer(format!("o{}", BOOTSTRAP[0]), Means::Object(BOOTSTRAP[0]));
        for id in [10, 12] {
            let cap = world.engine.object(id);
            world.add_engine(cap, Means::Object(id));
            world.command(&format!("object {}", id + 1));
            world.add_peer(format!("o{}", id + 1), Means::Object(id + 1));
        }
        world.add_peer(format!("o{}", BOOTSTRAP[1]), Means::Object(BOOTSTRAP[1]));
        world
    }

    fn add_engine(&mut self, cap: Cap, means: Means) {
        self.handles += 1;
        self.engine_handles.push(Handle { number: self.handles, cap, means });
    }

    fn add_peer(&mut self, cap: String, means: Means) {
        self.handles += 1;
        self.peer_handles.push(Handle { number: self.handles, cap, means });
    }

    /// One step of the program.
    pub(crate) fn step(&mut self) {
        match self.random.below(100) {
            0..46 => self.call(),
            46..54 => self.wake_one(),
            54..62 => self.resolve_one(),
            62..68 => self.drop_one(),
            68..72 => self.cancel_one(),
            72..74 => {
                let place = self.random.below(self.engine_handles.len());
                self.engine.watch(self.engine_handles[place].cap);
            }
            74..78 => self.sync(),
            78..90 => {
                // Receives some of the messages that come until the other side is idle.
                let sync = self.command("sync");
                for _ in 0..self.random.below(8) {
                    if self.commands.contains(&sync) {
                        self.receive(true);
                    }
                }
            }
            _ => while self.receive(false) {},
        }
        self.flush();
    }

    // ---- the other side

    /// Tells the other side to do something.
    pub(crate) fn command(&mut self, text: &str) -> u64 {
        eprintln!("command: {text}");
        let tag = self.engine.command(self.driver.expect("it is there"), text);
        self.commands.insert(tag);
        self.flush();
        tag
    }

    /// The answer of a command.
    pub(crate) fn answer(&mut self, command: u64) -> String {
        loop {
            if let Some(answer) = self.answers.remove(&command) {
                return answer;
            }
            assert!(self.receive(true), "the other side has ended the connection");
        }
    }

    /// Waits until the other side is idle.
    pub(crate) fn sync(&mut self) {
        let sync = self.command("sync");
        self.answer(sync);
    }

    pub(crate) fn flush(&mut self) {
        while let Some(message) = self.engine.out.pop_front() {
            eprintln!("-> {}", describe(&message));
            self.wire.send(&message);
        }
    }

    /// Notes what a message of the other side's says of its promises.
    fn note_promises(&mut self, message: &str) {
        let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
        for resolved in message.split("(promiseId = ").skip(1).map(number) {
            self.given_again.remove(&resolved);
            self.resolved_there.insert(resolved);
        }
        for given in message.split("senderPromise = ").skip(1).map(number) {
            if self.resolved_there.contains(&given) {
                *self.given_again.entry(given).or_default() += 1;
            }
        }
    }

    /// Receives one message. False if there is none: `wait`, until the end.
    pub(crate) fn receive(&mut self, wait: bool) -> bool {
        self.flush();
        let message = match self.wire.receive(wait) {
            Received::Message(message) => message,
            Received::Nothing => return false,
            Received::End => {
                self.over = true;
                return false;
            }
        };
        let text = describe(capnp::Word::words_to_bytes(&message));
        eprintln!("<- {text}");
        self.note_promises(&text);
        if self.engine.ended {
            return true;
        }
        match self.engine.receive(&message) {
            Ok(()) => {}
            Err(Fatal::Aborted(reason)) => panic!("the other side aborted: {reason}"),
            Err(fatal) => panic!("the engine ended the connection: {fatal}"),
        }
        self.flush();
        self.collect();
        true
    }

    /// Makes the capabilities and answers that have arrived available to the program.
    fn collect(&mut self) {
        for (call, is_param, cap) in std::mem::take(&mut self.engine.inbox) {
            let means = self.means(call, is_param);
            self.add_engine(cap, means);
        }
        for (command, answer) in std::mem::take(&mut self.engine.done) {
            match (self.peer_calls.remove(&command), answer) {
                (Some(call), Ok(answer)) => self.answered(call, &answer),
                (Some(_), Err(_)) if self.engine.ended => {}
                (None, answer) => {
                    assert!(self.commands.remove(&command), "a command is answered once");
                    if !self.engine.ended {
                        self.answers.insert(command, answer.unwrap());
                    }
                }
                (Some(call), Err(failure)) => panic!("call {call}: {failure}"),
            }
        }
        let log = self.log.clone();
        let held = |call: &u32| log.borrow().answers.contains_key(call);
        for call in self.holds.extract_if(.., |call| held(call)).collect::<Vec<_>>() {
            let outcome = log.borrow().answers[&call].clone();
            let served = self.model.end(self.model.calls[call as usize].target).0;
            if let (End::Object(object), Outcome::Value(..)) = (served, outcome)
                && object % 2 == BOOTSTRAP[1]
            {
                self.add_peer(format!("h{call}"), self.means(call, true));
            }
        }
    }

    /// A call of the other side's has its answer.
    fn answered(&mut self, call: u32, answer: &str) {
        let (what, rest) = answer.split_once(' ').unwrap_or((answer, ""));
        let (first, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let outcome = match what {
            "value" => {
                let cap = rest == "cap";
                if cap {
                    self.add_peer(format!("r{call}"), Means::Result(call));
                }
                Outcome::Value(first.parse().unwrap(), cap)
            }
            "error" => {
                let kind = match first {
                    "FAILED" => ExceptionKind::Failed,
                    "OVERLOADED" => ExceptionKind::Overloaded,
                    "DISCONNECTED" => ExceptionKind::Disconnected,
                    "UNIMPLEMENTED" => ExceptionKind::Unimplemented,
                    other => panic!("an error of the kind {other}"),
                };
                Outcome::Error(kind, rest.to_owned())
            }
            "cancelled" => {
                assert!(self.model.calls[call as usize].cancelled, "call {call} was cancelled");
                return;
            }
            other => panic!("call {call} was answered with {other}"),
        };
        self.log.borrow_mut().answer(call, outcome);
    }

    fn means(&self, call: u32, is_param: bool) -> Means {
        match is_param {
            true => self.model.calls[call as usize].cap.unwrap(),
            false => Means::Result(call),
        }
    }

    // ---- what a program does

    fn call(&mut self) {
        let number = self.model.calls.len() as u32;
        let method = METHODS[self.random.below(METHODS.len())];
        let pipeline = method.returns_cap() && self.random.percent(70);
        let by = if self.random.percent(50) { Side::Engine } else { Side::Rpc };
        let (target, cap, handle);
        if by == Side::Engine {
            let to = self.random.handle(&self.engine_handles, Side::Engine);
            let with = &self.engine_handles[self.random.below(self.engine_handles.len())];
            let with = method.takes_cap().then_some(with);
            (target, handle, cap) = (to.means, to.number, with.map(|with| with.means));
            eprintln!("call {number}: handle {handle} ({target:?}).{method:?}({cap:?})");
            let with = with.map(|with| with.cap);
            let promised = self.engine.call(to.cap, method, number, with, pipeline);
            if let Some(promised) = promised {
                self.add_engine(promised, Means::Result(number));
            }
        } else {
            let to = self.random.handle(&self.peer_handles, Side::Rpc);
            let with = &self.peer_handles[self.random.below(self.peer_handles.len())];
            let with = method.takes_cap().then_some(with);
            (target, handle, cap) = (to.means, to.number, with.map(|with| with.means));
            let (with, yes) =
                (with.map_or("-", |with| &with.cap), if pipeline { "yes" } else { "no" });
            let text = format!("call {number} {} {} {with} {yes}", to.cap, name(method));
            eprintln!("call {number} by Python: handle {handle} ({target:?}).{method:?}({cap:?})");
            let command = self.command(&text);
            self.commands.remove(&command);
            self.peer_calls.insert(command, number);
            if pipeline {
                self.add_peer(format!("p{number}"), Means::Result(number));
            }
        }
        self.model.calls.push(Call { by, handle, target, method, cap, cancelled: false });
        match method {
            Method::Slow | Method::SlowFail => self.slow.push(number),
            Method::Promise => self.promises.push(number),
            Method::Hold => self.holds.push(number),
            _ => {}
        }
        self.collect();
    }

    pub(crate) fn wake_one(&mut self) {
        let count = self.log.borrow().slow.len();
        if count > 0 && self.random.percent(50) {
            let (_, call) = self.log.borrow_mut().slow.swap_remove(self.random.below(count));
            eprintln!("the engine goes on with call {call}");
            self.engine.wake(call);
            self.collect();
        } else if !self.slow.is_empty() {
            let call = self.slow.swap_remove(self.random.below(self.slow.len()));
            self.command(&format!("wake {call}"));
        }
    }

    pub(crate) fn resolve_one(&mut self) {
        let count = self.log.borrow().promises.len();
        if count > 0 && self.random.percent(50) {
            let (_, promise) = self.log.borrow_mut().promises.swap_remove(self.random.below(count));
            let place = self.random.below(self.engine_handles.len());
            let means = self.engine_handles[place].means;
            let to = self.resolution(promise, means);
            self.engine.resolve(promise, to.map(|_| self.engine_handles[place].cap));
            self.collect();
        } else if !self.promises.is_empty() {
            // The call may not have arrived at the other side yet, which decides there how to resolve
            // it.
            let place = self.random.below(self.promises.len());
            let promise = self.promises[place];
            match self.model.end(self.model.calls[promise as usize].target) {
                (End::Object(object), _) if object % 2 == BOOTSTRAP[1] => {}
                (End::Open(_), _) => return,
                _ => {
                    self.promises.swap_remove(place);
                    return;
                }
            }
            self.promises.swap_remove(place);
            let place = self.random.below(self.peer_handles.len());
            let means = self.peer_handles[place].means;
            let text = match self.resolution(promise, means) {
                Ok(_) => format!("resolve {promise} {}", self.peer_handles[place].cap),
                Err(_) => format!("reject {promise}"),
            };
            self.command(&text);
        }
    }

    /// The resolution of a promise: this, unless that is the promise itself, or at random another
    /// one.
    fn resolution(&mut self, promise: u32, means: Means) -> Result<Means, u32> {
        let to = match self.model.depends(means, promise, &mut BTreeSet::new()) {
            true => Err(promise),
            false if self.random.percent(15) => Err(promise),
            false => Ok(means),
        };
        eprintln!("the promise of call {promise} becomes {to:?}");
        self.model.resolved.insert(promise, to);
        to
    }

    fn drop_one(&mut self) {
        // The first ones stay, so that there is always something to call.
        if self.random.percent(50) && self.engine_handles.len() > 3 {
            let place = 3 + self.random.below(self.engine_handles.len() - 3);
            let Handle { cap, number, .. } = self.engine_handles.swap_remove(place);
            eprintln!("the engine drops handle {number}");
            self.engine.release(cap);
        } else if self.peer_handles.len() > 3 {
            let place = 3 + self.random.below(self.peer_handles.len() - 3);
            let Handle { cap, .. } = self.peer_handles.swap_remove(place);
            self.command(&format!("drop {cap}"));
        }
    }

    fn cancel_one(&mut self) {
        let number = self.random.below(self.model.calls.len());
        let Some(Call { by, cancelled: false, .. }) = self.model.calls.get(number) else { return };
        let cancelled = match by {
            Side::Engine => self.engine.cancel(number as u32),
            Side::Rpc => self.peer_calls.values().any(|call| *call as usize == number),
        };
        if !cancelled {
            return;
        }
        eprintln!("call {number} is cancelled");
        self.model.calls[number].cancelled = true;
        if self.model.calls[number].by == Side::Rpc {
            self.command(&format!("cancel {number}"));
        }
        self.collect();
    }

    /// Commands that are not answered.
    pub(crate) fn commanded(&self) -> usize {
        self.commands.len()
    }
}
