//! What a wait of a stream brings, and how long one lasts.

use std::time::{Duration, Instant};

use multiprocess::{Error, Result};

/// How long a single wait in the node lasts at most; then it begins again, with the same tip or template. So
/// one that nobody wants any more and that cannot be interrupted does not stay in the node for ever.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// A wait that ends within this time has ended at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Waits in a row that the node has ended at once. A node that is shutting down does so with each; one that ends
/// later than that, or a single one, may be due to an interrupt that was meant for another wait of the object.
#[derive(Default)]
pub(crate) struct Ended(u32);

impl Ended {
    /// The node has ended a wait that began then, before its time: whether it ends them all.
    pub(crate) fn again(&mut self, begun: Instant) -> bool {
        self.0 = if begun.elapsed() < AT_ONCE { self.0 + 1 } else { 0 };
        self.0 >= 3
    }

    /// A wait has lasted its time, or brought something.
    pub(crate) fn reset(&mut self) {
        self.0 = 0;
    }
}

/// How a wait of a stream has ended.
pub(crate) enum Waited<T> {
    Next(T),
    /// The time that the user gave has passed.
    TimedOut,
    /// The node ends all waits.
    ShutDown,
    Failed(Error),
    /// It had ended before.
    Over,
}

impl<T> Waited<T> {
    /// As the item of a stream.
    pub(crate) fn into_item(self) -> Option<Result<T>> {
        match self {
            Waited::Next(item) => Some(Ok(item)),
            Waited::Failed(error) => Some(Err(error)),
            Waited::TimedOut | Waited::ShutDown | Waited::Over => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_ends_three_waits_at_once_ends_them_all() {
        let mut ended = Ended::default();
        let (now, before) = (Instant::now(), Instant::now() - 2 * AT_ONCE);
        assert!(!ended.again(before), "the wait that was under way");
        assert_eq!([now; 3].map(|begun| ended.again(begun)), [false, false, true]);
        ended.reset();
        assert_eq!([now, now, before, now, now].map(|begun| ended.again(begun)), [false; 5]);
        assert!(ended.again(now));
    }
}
