//! How far a long look at the chain is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How a rescan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// At the chain's tip.
    Done,
    /// Somebody has ended it early. It goes on with the next block of the chain.
    Aborted,
    /// For this reason. It is tried again.
    Failed(String),
}

/// A long look at the chain that is under way: for how long, and how much of it is done (0 to 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scanning {
    pub(crate) duration: Duration,
    pub(crate) progress: f64,
}

/// What others see of a wallet's look at the chain.
#[derive(Debug, Default)]
pub(super) struct Scan {
    state: Mutex<State>,
    abort: AtomicBool,
}

/// A look that takes long.
#[derive(Debug)]
struct Long {
    began: Instant,
    progress: f64,
    /// Somebody has asked for it.
    rescan: bool,
}

#[derive(Debug, Default)]
struct State {
    under_way: Option<Long>,
    outcome: Option<Outcome>,
}

impl Scan {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One begins that takes long. `rescan`: because somebody has asked for that.
    pub(super) fn begin(&self, rescan: bool) {
        self.lock().under_way = Some(Long { began: Instant::now(), progress: 0.0, rescan });
    }

    /// How much is done: 0 to 1.
    pub(super) fn progress(&self, done: f64) {
        if let Some(long) = &mut self.lock().under_way {
            long.progress = done;
        }
    }

    /// One has ended, long or not; like this, if it was a rescan. How others end does not matter to who asked for that.
    pub(super) fn end(&self, rescan: Option<Outcome>) {
        let mut state = self.lock();
        state.under_way = None;
        if rescan.is_some() {
            state.outcome = rescan;
        }
        self.abort.store(false, Ordering::Relaxed);
    }

    /// The one that takes long, if there is one.
    pub(super) fn under_way(&self) -> Option<Scanning> {
        let state = self.lock();
        let Long { began, progress, .. } = state.under_way.as_ref()?;
        Some(Scanning { duration: began.elapsed(), progress: *progress })
    }

    /// Whether one is under way that somebody has asked for.
    pub(super) fn is_rescan(&self) -> bool {
        self.lock().under_way.as_ref().is_some_and(|long| long.rescan)
    }

    /// How the last rescan ended.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.lock().outcome.clone()
    }

    /// Ends the one that takes long. False if there is none.
    pub(super) fn abort(&self) -> bool {
        let state = self.lock();
        let scans = state.under_way.is_some();
        if scans {
            self.abort.store(true, Ordering::Relaxed);
        }
        scans
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.abort.load(Ordering::Relaxed)
    }
}
