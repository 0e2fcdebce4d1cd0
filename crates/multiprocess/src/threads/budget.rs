//! How many threads one peer can make this process have: those that it asks for, and those that its calls
//! take without asking.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::count::Count;
use crate::limits_met::Limit;
use crate::{Error, ProcessLimits, Result};

/// The threads that a connection can have without taking from those that all connections share.
const OWN: usize = 8;

/// The threads of a connection that are always there and not counted: one for calls without a Context,
/// one for callbacks that no thread waits for.
const RESERVED: usize = 2;

/// The threads that connections have beyond their own.
static SHARED: AtomicUsize = AtomicUsize::new(0);

/// The threads of one connection.
pub(crate) struct ThreadBudget {
    limit: usize,
    claimed: Mutex<usize>,
}

impl ThreadBudget {
    pub(crate) fn new(limit: usize) -> Arc<ThreadBudget> {
        Arc::new(ThreadBudget { limit, claimed: Mutex::default() })
    }

    fn claimed(&self) -> MutexGuard<'_, usize> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes this many threads until the claim is dropped.
    ///
    /// # Errors
    /// [`Error::Overloaded`], if the connection or the process has not so many left.
    pub(crate) fn claim(self: &Arc<Self>, threads: usize) -> Result<ThreadClaim> {
        self.claim_within(threads, self.limit)
    }

    /// The error where the connection has no thread left.
    pub(super) fn exhausted(&self) -> Error {
        let limit = Count(self.limit, "thread");
        overloaded(format!("more than {limit} on one connection (Limits::threads)"))
    }

    /// Takes a thread that the peer has not asked for. With the reserved ones there are as many of these
    /// as the limit says at most: each may call the peer, which then makes a thread for it, and has the
    /// same limit.
    pub(super) fn claim_unasked(self: &Arc<Self>) -> Result<ThreadClaim> {
        self.claim_within(1, self.limit.saturating_sub(RESERVED))
    }

    fn claim_within(self: &Arc<Self>, threads: usize, limit: usize) -> Result<ThreadClaim> {
        let mut claimed = self.claimed();
        let before = *claimed;
        let after = before.saturating_add(threads);
        if after > limit {
            let error = self.exhausted();
            Limit::Threads.met(|| error.to_string());
            return Err(error);
        }
        let (more, most) =
            (beyond_own(after) - beyond_own(before), ProcessLimits::shared_threads());
        let take = |shared: usize| shared.checked_add(more).filter(|shared| *shared <= most);
        if more > 0 && SHARED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            let error = overloaded(format!(
                "the connections of this process use all of the {most} threads that they share \
                 (half of ProcessLimits::threads)"
            ));
            Limit::ProcessThreads.met(|| error.to_string());
            return Err(error);
        }
        *claimed = after;
        Ok(ThreadClaim { budget: Arc::clone(self), threads })
    }
}

fn beyond_own(threads: usize) -> usize {
    threads.saturating_sub(OWN)
}

fn overloaded(message: String) -> Error {
    Error::Overloaded { message }
}

/// Threads that count for a connection until this is dropped.
pub(crate) struct ThreadClaim {
    budget: Arc<ThreadBudget>,
    threads: usize,
}

impl Drop for ThreadClaim {
    fn drop(&mut self) {
        let mut claimed = self.budget.claimed();
        let before = *claimed;
        *claimed = before.saturating_sub(self.threads);
        let fewer = beyond_own(before) - beyond_own(*claimed);
        drop(claimed);
        SHARED.fetch_sub(fewer, Ordering::Relaxed);
    }
}
