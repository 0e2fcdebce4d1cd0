//! What a child process is doing, as far as its parent knows.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use super::exit::Exit;

/// What a child is doing: from [`Child::state`](super::Child::state) and
/// [`Supervisor::state`](super::Supervisor::state). It only goes forward, in the order of this list, and may
/// skip steps.
///
/// A stopped child (SIGSTOP) is not told apart: it is in the state in which it was stopped, and calls of
/// it end with their deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildState {
    /// It runs, and has not answered yet; or nobody tells this process whether it has.
    Started,
    /// It has answered over its socket, and the connection has not ended.
    Serving,
    /// Its connection has ended, and it still runs.
    Lost,
    /// It has exited, and is reaped.
    Exited(Exit),
}

impl fmt::Display for ChildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChildState::Started => f.write_str("started"),
            ChildState::Serving => f.write_str("serving"),
            ChildState::Lost => f.write_str("running without its connection"),
            ChildState::Exited(exit) => write!(f, "exited ({exit})"),
        }
    }
}

const STARTED: u8 = 0;
const SERVING: u8 = 1;
const LOST: u8 = 2;

/// What whoever connects a child has told of it. Any thread may tell and ask.
#[derive(Debug, Default)]
pub(crate) struct Serves(AtomicU8);

impl Serves {
    /// It has answered. Says nothing new once its connection has ended.
    pub(crate) fn set_serving(&self) {
        let _ = self.0.compare_exchange(STARTED, SERVING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Its connection has ended.
    pub(crate) fn set_lost(&self) {
        self.0.store(LOST, Ordering::Release);
    }

    /// The state of a child that has not exited.
    pub(super) fn state(&self) -> ChildState {
        match self.0.load(Ordering::Acquire) {
            STARTED => ChildState::Started,
            SERVING => ChildState::Serving,
            _ => ChildState::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_only_goes_forward() {
        let serves = Serves::default();
        assert_eq!(serves.state(), ChildState::Started);
        serves.set_serving();
        assert_eq!(serves.state(), ChildState::Serving);
        serves.set_lost();
        serves.set_serving();
        assert_eq!(serves.state(), ChildState::Lost);
        let early = Serves::default();
        early.set_lost();
        assert_eq!(early.state(), ChildState::Lost);
        assert_eq!(ChildState::Exited(Exit::Unknown).to_string(), "exited (unknown exit status)");
    }
}
