//! The ways in which programs end, and the checks afterwards.

use std::collections::HashMap;

use capnp_engine::{ExceptionKind, Sizes};

use crate::BOOTSTRAP;
use crate::model::{Call, End, Method, Outcome, Side};
use crate::world::World;

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything is answered, everything is released.
    Orderly,
    /// The connection ends with calls under way: the engine sends an Abort, ..
    Abort,
    /// .. or nothing more is written, ..
    Shutdown,
    /// .. or the other side goes away.
    Peer,
}

impl World {
    pub(crate) fn end(&mut self, ending: Ending) {
        eprintln!("the end: {ending:?}");
        match ending {
            Ending::Orderly => return self.end_orderly(),
            Ending::Abort => self.engine.end("that is all", true),
            Ending::Shutdown => {}
            Ending::Peer => drop(self.command("close")),
        }
        self.flush();
        if ending != Ending::Peer {
            self.wire.shutdown();
        }
        while !self.over {
            self.receive(true);
        }
        self.engine.end("the other side is gone", false);
        self.receive(false);
        self.end_broken();
    }

    fn unanswered(&self, by: Side) -> Vec<usize> {
        let log = self.log.borrow();
        let calls = self.model.calls.iter().enumerate();
        calls
            .filter(|(number, call)| {
                call.by == by && !call.cancelled && !log.answers.contains_key(&(*number as u32))
            })
            .map(|(number, _)| number)
            .collect()
    }

    /// Ends everything that waits for the program.
    fn let_all_go_on(&mut self) {
        /// Chains of promises are shorter.
        const ROUNDS: usize = 1000;
        for _ in 0..ROUNDS {
            while !self.log.borrow().slow.is_empty() || !self.slow.is_empty() {
                self.wake_one();
            }
            let resolved = self.model.resolved.len();
            let promises = self.promises.len() + self.log.borrow().promises.len();
            for _ in 0..promises {
                self.resolve_one();
            }
            let waits = !self.log.borrow().promises.is_empty()
                || !self.unanswered(Side::Engine).is_empty()
                || !self.peer_calls.is_empty();
            // The rest are promises that nobody resolves: of calls on the result of a cancelled call.
            if !waits && self.model.resolved.len() == resolved {
                return;
            }
            self.sync();
        }
        let there: Vec<_> = self.peer_calls.values().collect();
        panic!("never answered: {:?} and {there:?}", self.unanswered(Side::Engine));
    }

    fn end_orderly(&mut self) {
        self.let_all_go_on();
        self.sync();
        assert_eq!(self.unanswered(Side::Rpc), []);
        self.check_answers();
        let log = self.command("log");
        let delivered = self.answer(log);
        self.check_order(&delivered);
        // All that is watched is known, but for promises that had resolved when they were given once more:
        // the Release had not arrived there, and a promise is resolved once.
        let unknown = self.engine.watched;
        let given_again = &self.given_again;
        let most: i64 = given_again.values().sum();
        assert!(unknown <= most, "{unknown} unknown, {given_again:?} again");

        self.let_go();
        let gone = self.command("gone");
        self.answer(gone);
        assert_eq!(self.commanded(), 0, "commands that were not answered");
        self.engine.release(self.driver.take().unwrap());
        // The capability that remains is the engine's own bootstrap object.
        let none = Sizes { capabilities: 1, ..Sizes::default() };
        loop {
            let sizes = self.engine.engine.sizes();
            // What is watched is held.
            let Sizes { imports, capabilities, .. } = sizes;
            let held = Sizes { imports, capabilities, ..none };
            if sizes == none || (sizes == held && (1..=unknown).contains(&(imports as i64))) {
                break;
            }
            eprintln!("when everything was released: {sizes:?}");
            assert!(self.receive(true), "the end, and the engine has {sizes:?}");
        }
        self.check_over();
        self.wire.shutdown();
        while !self.over {
            assert!(!self.receive(true), "a message when all was over");
        }
        self.engine.end("that is all", false);
        self.check_gone();
    }

    /// Checks that each cancelled call has ended once.
    fn check_over(&self) {
        let log = self.log.borrow();
        for (number, call) in (0..).zip(&self.model.calls) {
            let over = log.over.contains(&number);
            assert_eq!(over, call.by == Side::Engine && call.cancelled, "whether {number} is over");
        }
    }

    fn end_broken(&mut self) {
        // Calls that the engine serves go on.
        loop {
            let mut log = self.log.borrow_mut();
            let (slow, promise) = (log.slow.pop(), log.promises.pop());
            drop(log);
            match (slow, promise) {
                (None, None) => break,
                (slow, promise) => {
                    slow.into_iter().for_each(|(_, call)| self.engine.wake(call));
                    promise.into_iter().for_each(|(_, call)| self.engine.resolve(call, Err(call)));
                }
            }
        }
        assert_eq!(self.unanswered(Side::Engine), []);
        self.check_order("");
        self.let_go();
        self.engine.release(self.driver.take().unwrap());
        self.check_over();
        self.check_gone();
    }

    fn let_go(&mut self) {
        for handle in std::mem::take(&mut self.engine_handles) {
            self.engine.release(handle.cap);
        }
        self.peer_handles.clear();
        self.engine.let_go();
        self.flush();
    }

    fn check_gone(&mut self) {
        let sizes = self.engine.engine.sizes();
        assert!(sizes.is_empty(), "of the engine, after its end: {sizes:?}");
        let log = self.log.borrow();
        assert_eq!(log.released[0], log.created[0], "objects without references are released");
    }

    /// Whether the other side serves a call.
    fn is_served_there(&self, call: u32) -> bool {
        let end = self.model.end(self.model.calls[call as usize].target).0;
        matches!(end, End::Object(object) if object % 2 == BOOTSTRAP[1])
    }

    /// The kind that an error has where it was raised by this call, when another ends with it. Python
    /// raises only one kind, and so does a method of Python's that passes one on.
    fn kind(&self, kind: ExceptionKind, raised: u32, call: u32) -> ExceptionKind {
        let passed_on = self.model.calls[call as usize].method == Method::Callback;
        match self.is_served_there(raised) || passed_on && self.is_served_there(call) {
            true => ExceptionKind::Failed,
            false => kind,
        }
    }

    fn check_answers(&self) {
        let log = self.log.borrow();
        for (number, call) in (0..).zip(&self.model.calls) {
            let Some(outcome) = log.answers.get(&number) else {
                assert!(call.cancelled, "call {number} is not answered");
                continue;
            };
            let outcome = match outcome {
                Outcome::Error(kind, text) => Outcome::Error(*kind, plain(text).to_owned()),
                value => value.clone(),
            };
            let (mut expected, loose) = self.model.outcome(number);
            if let Outcome::Error(kind, text) = &mut expected {
                let raised = text.rsplit(' ').next().unwrap().parse().unwrap();
                *kind = self.kind(*kind, raised, number);
            }
            match &outcome {
                outcome if *outcome == expected => {}
                Outcome::Error(ExceptionKind::Failed, _) if loose => {}
                outcome => panic!("call {number} got {outcome:?}, not {expected:?}"),
            }
        }
    }

    /// Checks that calls with one handle arrive in the order in which they were made, at the right
    /// object.
    fn check_order(&self, there: &str) {
        let log = self.log.borrow();
        let there = there.split_whitespace().map(|entry| {
            let (object, call) = entry.split_once(':').unwrap();
            (object.parse::<u32>().unwrap(), call.parse::<u32>().unwrap())
        });
        let mut before = HashMap::new();
        for (object, number) in log.delivered.iter().copied().chain(there) {
            let Some(call) = self.model.calls.get(number as usize) else { continue };
            let Call { handle, target, .. } = call;
            if let (end, _) = self.model.end(*target)
                && !matches!(end, End::Open(_))
            {
                assert_eq!(end, End::Object(object), "the target of call {number}");
            }
            let before = before.insert((object, *handle), number);
            assert!(
                before < Some(number),
                "object {object} was called with handle {handle}: {number} came after {before:?}"
            );
        }
    }
}

/// The original text of an error. Python puts the traceback before it.
fn plain(text: &str) -> &str {
    match text.starts_with("message = Traceback") {
        true => text.trim_end().lines().last().and_then(|line| line.split_once(": ")).unwrap().1,
        false => text,
    }
}
