//! How many bytes of a peer's calls, and of results that are kept, this process holds: a share of its own for
//! each connection, and more from what all connections share.

use std::sync::atomic::{AtomicUsize, Ordering};

use capnp_engine::Engine;

use crate::ProcessLimits;

/// What each connection can hold without taking from what all share.
const OWN: usize = 1 << 20;
/// More is taken and given back in such steps, so that most calls touch nothing that is shared.
const STEP: usize = 1 << 20;

/// The bytes that connections hold beyond their own.
static SHARED: AtomicUsize = AtomicUsize::new(0);

/// The bytes of one connection.
pub(super) struct Allowance {
    /// Its limit, however much the others hold.
    most: usize,
    /// What it has taken from what is shared.
    taken: usize,
}

impl Allowance {
    pub(super) fn new(most: usize) -> Allowance {
        Allowance { most, taken: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.most.min(OWN.saturating_add(self.taken))
    }

    fn take(&mut self, bytes: usize) {
        let limit = ProcessLimits::current().call_bytes;
        let take = |shared: usize| shared.checked_add(bytes).filter(|shared| *shared <= limit);
        if SHARED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            self.taken += bytes;
        }
    }

    fn give(&mut self, bytes: usize) {
        self.taken -= bytes;
        SHARED.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// So many bytes more are about to be held: takes from what is shared, as far as there is some. The
    /// engine refuses what is beyond it.
    pub(super) fn allow(&mut self, engine: &mut Engine, bytes: usize) {
        let needed = engine.held_bytes().saturating_add(bytes);
        if needed > self.bytes() {
            self.allow_more(engine, needed);
        }
    }

    #[cold]
    fn allow_more(&mut self, engine: &mut Engine, needed: usize) {
        let missing = needed.min(self.most).saturating_sub(self.bytes());
        self.take(missing.div_ceil(STEP) * STEP);
        engine.set_bytes(self.bytes());
    }

    /// Gives back what is not needed any more, but for a step, which the next call may need.
    pub(super) fn allow_less(&mut self, engine: &mut Engine) {
        if self.taken == 0 {
            return;
        }
        let spare = self.bytes().saturating_sub(engine.held_bytes());
        let back = (spare / STEP).saturating_sub(1) * STEP;
        if back > 0 {
            self.give(back.min(self.taken));
            engine.set_bytes(self.bytes());
        }
    }

    /// Says that the peer's calls have as many bytes as they may have, and why.
    pub(super) fn reached(&self) -> String {
        let most = self.most;
        if self.bytes() < most {
            let limit = ProcessLimits::current().call_bytes;
            return format!(
                "the calls that wait or run on all connections of this process have more than {limit} \
                 bytes (ProcessLimits::call_bytes)"
            );
        }
        format!(
            "the calls that wait or run on one connection have more than {most} bytes \
             (Limits::call_bytes)"
        )
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.give(self.taken);
    }
}
