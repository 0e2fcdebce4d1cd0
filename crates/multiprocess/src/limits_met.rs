//! Counts how often limits were met, and says so in the log, once a minute for each.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::count::Count;

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
    /// Bytes of messages that have begun
    /// ([`ProcessLimits::partial_bytes`](crate::ProcessLimits::partial_bytes)): a connection was ended.
    PartialBytes,
    /// Calls of a peer's ([`Limits::calls`](crate::Limits::calls)): one was refused.
    Calls,
    /// Bytes of calls: of a peer's ([`Limits::call_bytes`](crate::Limits::call_bytes)), or of all peers'
    /// ([`ProcessLimits::call_bytes`](crate::ProcessLimits::call_bytes)). One was refused.
    CallBytes,
    /// Objects that a peer has or gives ([`Limits::objects`](crate::Limits::objects)), or those whose
    /// destructors wait: a call was refused.
    Objects,
    /// File descriptors of a peer's ([`Limits::descriptors`](crate::Limits::descriptors),
    /// [`Limits::held_descriptors`](crate::Limits::held_descriptors)): some were closed, and a call that they
    /// came with was refused. Or none could be closed for long: a connection was ended.
    Descriptors,
    /// The time for a thread to be known ([`Limits::unknown_thread`](crate::Limits::unknown_thread)): a call
    /// was refused.
    UnknownThread,
    /// The time in which a peer reads nothing ([`Limits::stalled`](crate::Limits::stalled)): a connection was
    /// ended.
    Stalled,
    /// Threads of a peer ([`Limits::threads`](crate::Limits::threads)): one was refused, or calls wait.
    Threads,
    /// Threads of the process ([`ProcessLimits::threads`](crate::ProcessLimits::threads)): one was refused,
    /// or something waits.
    ProcessThreads,
    /// Bytes for a peer that does not read ([`Limits::unsent`](crate::Limits::unsent)).
    Unsent,
}

/// All of them.
pub(crate) const ALL: [Limit; COUNT] = [
    Limit::Connections,
    Limit::Users,
    Limit::FirstMessage,
    Limit::PartialMessage,
    Limit::PartialBytes,
    Limit::Calls,
    Limit::CallBytes,
    Limit::Objects,
    Limit::Descriptors,
    Limit::UnknownThread,
    Limit::Stalled,
    Limit::Threads,
    Limit::ProcessThreads,
    Limit::Unsent,
];

const COUNT: usize = Limit::Unsent as usize + 1;

static MET: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];
/// What is to be written to the log.
static UNSAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
static ANY_UNSAID: AtomicBool = AtomicBool::new(false);
static WAKE: OnceLock<fn()> = OnceLock::new();
static MENTIONS: Mutex<[Mention; COUNT]> = Mutex::new([const { Mention(None) }; COUNT]);

impl Limit {
    /// How often this process has met the limit.
    ///
    /// ```
    /// assert_eq!(multiprocess::Limit::Connections.times_met(), 0);
    /// ```
    pub fn times_met(self) -> u64 {
        MET[self as usize].load(Ordering::Relaxed)
    }

    /// The limit was met; `text` says so in the log, soon and on the driver thread: this may be called under a
    /// connection's lock, and what writes the log is the user's code.
    pub(crate) fn met(self, text: impl FnOnce() -> String) {
        let times = MET[self as usize].fetch_add(1, Ordering::Relaxed) + 1;
        let mut mentions = MENTIONS.lock().unwrap_or_else(PoisonError::into_inner);
        let text = mentions[self as usize].mention(Instant::now(), times, text);
        drop(mentions);
        let Some(text) = text else { return };
        UNSAID.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        ANY_UNSAID.store(true, Ordering::SeqCst);
        if let Some(wake) = WAKE.get() {
            wake();
        }
    }
}

/// When a limit was mentioned last, and how often it had been met then.
struct Mention(Option<(Instant, u64)>);

impl Mention {
    /// What the log is to say now that the limit was met for this time, if anything.
    fn mention(
        &mut self,
        now: Instant,
        times: u64,
        text: impl FnOnce() -> String,
    ) -> Option<String> {
        let before = match self.0 {
            Some((when, _)) if now.saturating_duration_since(when) < INTERVAL => return None,
            Some((_, before)) => before,
            None => 0,
        };
        self.0 = Some((now, times));
        Some(match times.saturating_sub(before + 1) {
            0 => text(),
            more => {
                let more = Count(more, "time");
                format!("{} ({more} more since this was said last)", text())
            }
        })
    }
}

/// Has `wake` called when there is something to [say](say_all).
pub(crate) fn wake_with(wake: fn()) {
    WAKE.get_or_init(|| wake);
}

/// Whether there is.
pub(crate) fn is_any_unsaid() -> bool {
    ANY_UNSAID.load(Ordering::SeqCst)
}

/// Writes to the log what limits were met.
pub(crate) fn say_all() {
    if !ANY_UNSAID.swap(false, Ordering::SeqCst) {
        return;
    }
    let texts = std::mem::take(&mut *UNSAID.lock().unwrap_or_else(PoisonError::into_inner));
    for text in texts {
        tracing::warn!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{INTERVAL, Mention};

    #[test]
    fn a_limit_is_mentioned_once_a_minute_with_how_often_it_was_met() {
        let (mut mention, start) = (Mention(None), Instant::now());
        let mut say = |after, times| mention.mention(start + after, times, || "full".to_owned());
        assert_eq!(say(INTERVAL / 2, 1).as_deref(), Some("full"));
        assert_eq!(say(INTERVAL, 2), None);
        assert_eq!(say(INTERVAL, 3), None);
        let later = say(2 * INTERVAL, 4);
        assert_eq!(later.as_deref(), Some("full (2 times more since this was said last)"));
        assert_eq!(say(4 * INTERVAL, 5).as_deref(), Some("full"));
    }
}
