//! Checks that are valid at any time.

use capnp_engine::{Stage, State};

use crate::model::Truth;
use crate::world::{Ref, World};

impl World<'_> {
    /// Checks that nobody needs the results of a served call that the engine cancelled.
    pub(crate) fn check_cancelled(&mut self, side: usize, call: usize) {
        let served = self.sides[side].served.iter_mut().find(|served| served.call == call);
        if let Some(served) = served {
            assert!(served.begun, "call {call} was not begun");
            assert!(!std::mem::replace(&mut served.cancelled, true), "cancelled twice");
        }
        if self.sides[0].ended || self.sides[1].ended {
            return;
        }
        assert!(self.model.calls[call].cancelled, "nobody cancelled call {call}");
        let needed = self.model.is_needed(call);
        assert_eq!(needed, None, "call {call} was given up, and another needs its results");
    }

    /// Checks that the capabilities that are held can be called.
    pub(crate) fn check_refs(&self) {
        for (side, of) in self.sides.iter().enumerate().filter(|(_, side)| !side.ended) {
            for held in &of.refs {
                if let State::Broken(failure) = of.engine.state(held.cap) {
                    let (truth, doubtful) = self.model.truth(held.stream);
                    assert!(
                        !failure.to_string().contains("that was released"),
                        "side {side} holds {held:?}, and it is gone"
                    );
                    let broken = !matches!(truth, Truth::Object(_));
                    assert!(broken || doubtful, "{held:?} is broken, and leads to {truth:?}");
                }
            }
        }
    }

    /// Checks whether a handle, which is not among the others now, is the last one.
    pub(crate) fn check_handle(&self, side: usize, held: Ref) {
        let engine = &self.sides[side].engine;
        let now = engine.resolved(held.cap);
        let refs = &self.sides[side].refs;
        let others =
            refs.iter().filter(|other| other.handle && engine.resolved(other.cap) == now).count();
        let open = engine.state(now) == State::Peer && engine.stage(now) == Stage::Open;
        let last = open && others == 0 && !engine.is_given_back(now);
        assert_eq!(engine.is_last_handle(held.cap), last, "{held:?}: {others}");
    }
}
