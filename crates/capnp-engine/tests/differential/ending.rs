//! How programs end, and the checks at the end.

use std::collections::{BTreeSet, HashMap};

use capnp_engine::{ExceptionKind, Sizes};

use crate::BOOTSTRAP;
use crate::model::{Call, End, Means, Method, Outcome, Side};
use crate::world::World;

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Every call is answered, and every capability is released.
    Orderly,
    /// The same, with tail calls at the end. See [`World::tail_calls`].
    TailCalls,
    /// Either side ends the connection while calls are in flight.
    Engine {
        abort: bool,
    },
    Rpc {
        orderly: bool,
    },
}

/// capnp-rpc's error for a call on the results of a call that failed and was not sent. It does not
/// give the reason.
const NO_RESULTS: &str = "PipelineInnerSender was canceled";

impl World {
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
        // A call that capnp-rpc cancels never returns: the engine keeps it until the end, and with
        // it the capability that it was sent to.
        let stuck = self.asked.len();
        assert!(self.asked.values().all(|finished| *finished), "{:?}", self.asked);
        let sizes = self.engine.engine.sizes();
        // The engine keeps its bootstrap capability.
        let none = Sizes { capabilities: 1, ..Sizes::default() };
        if stuck == 0 {
            assert_eq!(sizes, none, "of the engine, when everything was released");
        } else {
            assert_eq!(sizes.questions, stuck, "questions of the engine: {sizes:?}");
            // capnp-rpc may hold the capabilities of such a call for ever.
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
        // Every call is answered; but capnp-rpc does not end its own calls when it is only dropped.
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
            "objects without references are released"
        );
    }

    /// capnp-rpc can answer a call with a call of its own back to the caller. It does not clear the
    /// id of such a call, which then can't be used again; so these calls come last, all at once.
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

    /// Calls through one handle are sent, and arrive, in the order in which they were made. For
    /// capnp-rpc's calls the order of making is not checked: a call that stays on its side, or
    /// waits there, is made only when its answer is polled, and another call may come before.
    /// capnp-rpc's calls must be delivered in the order in which they first arrived; but not if
    /// they arrived by two paths, and the engine had said that a promise is now the result of one
    /// of its own calls. If that result is back at the engine by then, capnp-rpc calls it there
    /// without a Disembargo: the calls before may still be on the longer path.
    fn check_order(&self) {
        let log = self.log.borrow();
        let call = |number: &u32| self.model.calls.get(*number as usize);
        let (mut sent, mut delivered) = (HashMap::new(), HashMap::new());
        let mut seen = BTreeSet::new();
        // A call may come back and be sent again.
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
                assert_eq!(end, End::Object(*object), "the target of call {number}");
            }
            if object % 2 != BOOTSTRAP[0] {
                continue;
            }
            let place = match by {
                Side::Engine => Some((*number as usize, None)),
                Side::Rpc => {
                    let mut received = self.received.iter().enumerate();
                    let first = received.find(|(_, (received, _))| received == number);
                    first.map(|(place, (_, target))| (place, self.reflected.then_some(*target)))
                }
            };
            let way = place.and_then(|(_, way)| way);
            let before = delivered.insert((object, handle, way), place);
            assert!(
                before.is_none_or(|before| before < place),
                "object {object} was called with handle {handle}: call {number} came too late"
            );
        }
    }
}
