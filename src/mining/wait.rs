//! What a wait of a stream brings, and how long one lasts.

use std::time::Duration;

use multiprocess::{Error, Result};

/// How long a single wait in the node lasts at most; then it begins again, with the same tip or template. So
/// one that nobody wants any more and that cannot be interrupted does not stay in the node for ever.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// Waits in a row that the node has ended before their time. One may be due to an interrupt that was meant for
/// another wait of the object; a node that is shutting down ends each at once.
#[derive(Default)]
pub(crate) struct Ended(u32);

impl Ended {
    /// The node has ended a wait: whether it ends them all.
    pub(crate) fn again(&mut self) -> bool {
        self.0 += 1;
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
