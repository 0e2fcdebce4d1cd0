//! How programs end, and what has to be true then.

use std::collections::{BTreeSet, HashMap};

use capnp_engine::{ExceptionKind, Sizes};

use crate::BOOTSTRAP;
use crate::model::{Call, End, Means, Method, Outcome, Side};
use crate::world::World;

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
        // A call that capnp-rpc cancels never returns: it is the engine's until the end, and with it
        // what it was sent to.
        let stuck = self.asked.len();
        assert!(self.asked.values().all(|finished| *finished), "{:?}", self.asked);
        let sizes = self.engine.engine.sizes();
        // What its bootstrap returns is the engine's own.
        let none = Sizes { capabilities: 1, ..Sizes::default() };
        if stuck == 0 {
            assert_eq!(sizes, none, "of the engine, when everything was released");
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
            "objects without references are released"
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
    /// which they first came; but not where they came in two ways, and the engine had said that a
    /// promise is now the result of one of its own calls. If that is back at the engine by then,
    /// capnp-rpc calls it there without a Disembargo: the calls before may still be on their way around.
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
