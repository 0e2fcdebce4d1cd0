//! Counts how often limits were met, and says so in the log, once a minute for each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often one limit is mentioned in the log at most.
const INTERVAL: Duration = Duration::from_secs(60);

/// A limit, and what happens beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Connections of a server ([`ServerBuilder::max_connections`](crate::ServerBuilder::max_connections)):
    /// one was refused.
    Connections,
    /// Users who may connect ([`ServerBuilder::accept_if`](crate::ServerBuilder::accept_if)): one was
    /// refused.
    Users,
    /// The time to the first message
    /// ([`ServerBuilder::first_message`](crate::ServerBuilder::first_message)): a connection was ended.
    FirstMessage,
    /// The time for the rest of a message ([`Limits::partial_message`](crate::Limits::partial_message)): a
    /// connection was ended.
    PartialMessage,
    /// Calls of a peer's ([`Limits::calls`](crate::Limits::calls)): one was refused.
    Calls,
    /// Bytes of a peer's calls ([`Limits::call_bytes`](crate::Limits::call_bytes)): one was refused.
    CallBytes,
    /// Threads of a peer ([`Limits::threads`](crate::Limits::threads)): one was refused, or calls wait.
    Threads,
    /// Threads of the process ([`ProcessLimits::threads`](crate::ProcessLimits::threads)): one was refused,
    /// or something waits.
    ProcessThreads,
    /// Bytes for a peer that does not read ([`Limits::unsent`](crate::Limits::unsent)).
    Unsent,
}

const COUNT: usize = Limit::Unsent as usize + 1;

static MET: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];
/// When each was mentioned last, and how often it had been met then.
static MENTIONED: Mutex<[Option<(Instant, u64)>; COUNT]> = Mutex::new([None; COUNT]);

impl Limit {
    /// How often this process has met the limit.
    ///
    /// ```
    /// assert_eq!(multiprocess::Limit::Connections.times_met(), 0);
    /// ```
    pub fn times_met(self) -> u64 {
        MET[self as usize].load(Ordering::Relaxed)
    }

    /// The limit was met; `text` says so in the log. May be called anywhere.
    pub(crate) fn met(self, text: impl FnOnce() -> String) {
        let times = MET[self as usize].fetch_add(1, Ordering::Relaxed) + 1;
        let mut mentioned = MENTIONED.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &mentioned[self as usize] {
            Some((when, _)) if when.elapsed() < INTERVAL => return,
            Some((_, before)) => *before,
            None => 0,
        };
        mentioned[self as usize] = Some((Instant::now(), times));
        drop(mentioned);
        match times - before - 1 {
            0 => tracing::warn!("{}", text()),
            more => tracing::warn!("{} ({more} times more since this was said last)", text()),
        }
    }
}
