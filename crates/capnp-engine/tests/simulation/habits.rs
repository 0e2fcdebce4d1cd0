//! What happens often in an episode, and what seldom or never: other things in each, as much goes wrong
//! only where something that is mostly there is not.

use crate::rng::Rng;

/// Something that a side does of its own accord.
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

/// Each with its usual weight.
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
    /// One place in so many of a message's has a capability.
    pub(crate) caps: usize,
    /// One answer in so many is an exception.
    pub(crate) exceptions: usize,
    /// One call in so many is answered as soon as it comes.
    pub(crate) at_once: usize,
}

impl Habits {
    pub(crate) fn new(rng: &mut Rng) -> Habits {
        let weights = ACTS.map(|(act, usual)| match (act, rng.below(4)) {
            // Without these there is not much else.
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
