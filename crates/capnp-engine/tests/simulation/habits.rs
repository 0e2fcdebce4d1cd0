//! How often each step happens in an episode. It differs between episodes, as many errors only show
//! when something that is common is missing.

use crate::rng::Rng;

/// A step that a side takes by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Call,
    Answer,
    Cancel,
    Release,
    Duplicate,
    Watch,
    Close,
    Handle,
    Bootstrap,
    Object,
    Discard,
    Look,
}

/// Each step with its usual weight.
const ACTS: [(Act, usize); 12] = [
    (Act::Call, 18),
    (Act::Answer, 12),
    (Act::Cancel, 4),
    (Act::Release, 8),
    (Act::Duplicate, 2),
    (Act::Watch, 2),
    (Act::Close, 8),
    (Act::Handle, 2),
    (Act::Bootstrap, 2),
    (Act::Object, 1),
    (Act::Discard, 1),
    (Act::Look, 1),
];

#[derive(Debug)]
pub(crate) struct Habits {
    weights: [usize; ACTS.len()],
    all: usize,
    /// How often, of eight times, each side receives something.
    pub(crate) receives: [usize; 2],
    /// How many messages at once, at most.
    pub(crate) batch: usize,
    /// One in this many capability slots of a message has a capability.
    pub(crate) caps: usize,
    /// How often a reference that is called, or put into a message, is: any; one that is not
    /// resolved yet; an object of the side's own; an object of the other side.
    pub(crate) calls: [usize; 4],
    pub(crate) passes: [usize; 4],
    /// One answer in this many is an exception.
    pub(crate) exceptions: usize,
    /// One call in this many is answered as soon as it arrives.
    pub(crate) at_once: usize,
}

fn kinds(rng: &mut Rng) -> [usize; 4] {
    let mut kinds = [1, 0, 0, 0];
    kinds.iter_mut().for_each(|weight| *weight += [0, 1, 4][rng.below(3)]);
    kinds
}

impl Habits {
    pub(crate) fn new(rng: &mut Rng) -> Habits {
        let weights = ACTS.map(|(act, usual)| match (act, rng.below(4)) {
            // Without these steps little else happens.
            (Act::Call | Act::Answer | Act::Bootstrap, 0) => usual,
            (_, 0) => 0,
            (_, 1) => 3 * usual,
            _ => usual,
        });
        Habits {
            all: weights.iter().sum(),
            weights,
            receives: [1 + rng.below(6), 1 + rng.below(6)],
            batch: 1 + rng.below(6),
            caps: 1 + rng.below(4),
            calls: kinds(rng),
            passes: kinds(rng),
            exceptions: [3, 6, 12, 100][rng.below(4)],
            at_once: [2, 6, 20, 1000][rng.below(4)],
        }
    }

    pub(crate) fn any(&self, rng: &mut Rng) -> Act {
        let mut left = rng.below(self.all);
        for ((act, _), weight) in ACTS.iter().zip(self.weights) {
            if left < weight {
                return *act;
            }
            left -= weight;
        }
        Act::Look
    }
}
