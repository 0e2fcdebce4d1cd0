//! Waiting for the next block.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use bitcoin::BlockHash;

use super::chain::{Chain, Tip};

/// How a wait for another tip ended.
pub(super) enum Waited {
    Changed,
    TimedOut,
    Ended,
}

impl Chain {
    /// Waits, on the calling thread, until the tip is another block than `current`.
    ///
    /// Returns at once if it already is. After `timeout` returns the unchanged tip; `None` waits
    /// forever, and so does a timeout too long for the clock. Returns `None` when the chain is shut
    /// down (even if the tip differs), or when `cancelled` says true.
    ///
    /// `cancelled` is asked at the start and after each [`wake_waiters`](Chain::wake_waiters), with
    /// no lock held, so it may take locks and call this chain.
    pub fn wait_tip_changed(
        &self,
        current: BlockHash,
        timeout: Option<Duration>,
        cancelled: &dyn Fn() -> bool,
    ) -> Option<Tip> {
        match self.wait(current, timeout, cancelled) {
            Waited::Changed | Waited::TimedOut => Some(self.tip()),
            Waited::Ended => None,
        }
    }

    /// How old the tip is by the chain's clock, in seconds.
    pub(super) fn tip_age(&self) -> u64 {
        let state = self.lock();
        let time = state.stored(&state.tip().hash).map_or(0, |block| block.header.time);
        state.clock.now().saturating_sub(u64::from(time))
    }

    /// Makes every wait call its `cancelled` again. Call it after a change that makes one return
    /// true.
    pub fn wake_waiters(&self) {
        self.lock().wakes += 1;
        self.changed.notify_all();
    }

    /// Ends every wait, those under way and those to come. The chain can still be read and
    /// extended.
    pub fn shutdown(&self) {
        self.lock().shut_down = true;
        self.changed.notify_all();
    }

    /// Whether [`shutdown`](Chain::shutdown) was called.
    pub fn is_shut_down(&self) -> bool {
        self.lock().shut_down
    }

    /// How many threads wait for another tip now, through the chain or a template of it.
    pub fn waiters(&self) -> usize {
        self.lock().waiters
    }

    /// The loop of every wait. `stop` is called first, with no lock held. Once it has returned true the
    /// wait ends and it is not called again, so it may consume a request to stop.
    pub(super) fn wait(
        &self,
        current: BlockHash,
        timeout: Option<Duration>,
        stop: &dyn Fn() -> bool,
    ) -> Waited {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        state.waiters += 1;
        let waited = 'wait: loop {
            // Read before `stop` is called, so that a wake between that call and the wait is not lost.
            let wakes = state.wakes;
            drop(state);
            let stopped = stop();
            state = self.lock();
            if stopped {
                break Waited::Ended;
            }
            loop {
                if state.shut_down {
                    break 'wait Waited::Ended;
                }
                if state.tip().hash != current {
                    break 'wait Waited::Changed;
                }
                let left =
                    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                if left == Some(Duration::ZERO) {
                    break 'wait Waited::TimedOut;
                }
                if state.wakes != wakes {
                    break;
                }
                state = match left {
                    None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                    Some(left) => {
                        self.changed
                            .wait_timeout(state, left)
                            .unwrap_or_else(PoisonError::into_inner)
                            .0
                    }
                };
            }
        };
        state.waiters -= 1;
        waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{mine, until};
    use bitcoin::hashes::Hash;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    #[test]
    fn a_wait_ends_with_the_next_block() {
        let chain = Chain::regtest();
        let genesis = chain.tip();
        thread::scope(|scope| {
            let waits: Vec<_> = [None, Some(Duration::MAX), Some(Duration::from_secs(3600))]
                .map(|timeout| {
                    scope.spawn({
                        let chain = &chain;
                        move || chain.wait_tip_changed(genesis.hash, timeout, &|| false)
                    })
                })
                .into();
            until(|| chain.waiters() == 3);
            mine(&chain, 1);
            for wait in waits {
                assert_eq!(wait.join().unwrap(), Some(chain.tip()));
            }
        });
        assert_eq!(chain.waiters(), 0);
        assert_eq!(chain.wait_tip_changed(genesis.hash, None, &|| false), Some(chain.tip()));
    }

    #[test]
    fn a_wait_times_out_with_the_unchanged_tip() {
        let chain = Chain::regtest();
        for timeout in [Duration::ZERO, Duration::from_millis(5)] {
            let started = Instant::now();
            assert_eq!(
                chain.wait_tip_changed(chain.tip().hash, Some(timeout), &|| false),
                Some(chain.tip())
            );
            assert!(started.elapsed() >= timeout);
        }
    }

    #[test]
    fn cancelled_is_asked_again_when_woken() {
        let chain = Chain::regtest();
        let tip = chain.tip();
        assert_eq!(chain.wait_tip_changed(tip.hash, None, &|| true), None);
        let flag = AtomicBool::new(false);
        // It may call the chain: no lock is held.
        let cancelled = || chain.tip() == tip && flag.load(Ordering::Acquire);
        thread::scope(|scope| {
            let wait = scope.spawn(|| chain.wait_tip_changed(tip.hash, None, &cancelled));
            until(|| chain.waiters() == 1);
            chain.wake_waiters();
            assert!(!wait.is_finished());
            flag.store(true, Ordering::Release);
            chain.wake_waiters();
            assert_eq!(wait.join().unwrap(), None);
        });
    }

    #[test]
    fn shutdown_ends_present_and_later_waits() {
        let chain = Chain::regtest();
        let tip = chain.tip();
        thread::scope(|scope| {
            let wait = scope.spawn(|| chain.wait_tip_changed(tip.hash, None, &|| false));
            until(|| chain.waiters() == 1);
            chain.shutdown();
            assert_eq!(wait.join().unwrap(), None);
        });
        assert!(chain.is_shut_down());
        assert_eq!(chain.wait_tip_changed(tip.hash, None, &|| false), None);
        assert_eq!(chain.wait_tip_changed(BlockHash::all_zeros(), None, &|| false), None);
    }
}
