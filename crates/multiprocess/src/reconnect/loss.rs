//! What follows the loss of a connection or a failed attempt: the user is told, and the next attempt is
//! made after a delay, or there is none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::current::Current;
use super::random::spread;
use super::shared::{OnLoss, Phase, Shared};
use crate::Error;
use crate::cleanup::Cleanup;
use crate::count::Count;
use crate::panics::run_hook;

impl<T: Send + Sync + 'static> Shared<T> {
    /// The connection of this generation has ended. On the thread that ends it, so it must be quick.
    pub(super) fn lost(self: &Arc<Self>, generation: u64) {
        let mut state = self.state();
        if !matches!(&state.phase, Phase::Connected(current, _) if current.generation == generation)
        {
            return;
        }
        let last = std::mem::replace(&mut state.phase, Phase::Connecting);
        let Phase::Connected(current, since) = last else { return };
        let error = current.connection.end_reason();
        let error = error.unwrap_or_else(|| Error::disconnected("it has ended"));
        state.since = Instant::now();
        state.last_error = Some(error.clone());
        drop(state);
        let lasted = since.elapsed();
        let lost = self.settings.failed("lost the connection", "to", &error);
        tracing::info!(generation, "{lost}");
        let this = Arc::clone(self);
        Cleanup::new().run("the hook for the loss of a connection", move || {
            this.after_loss(current, error, lasted);
        });
    }

    fn after_loss(self: &Arc<Self>, last: Current<T>, error: Error, lasted: Duration) {
        let hook = self.state().on_loss.take();
        match hook {
            Some(hook) => self.tell_of_loss(hook, &error, lasted),
            None => self.retry(error, Some(lasted)),
        }
        // The user's destructor, which delays nothing.
        drop(last);
    }

    /// Runs the user's hook, and goes on when it has returned, or after the deadline.
    fn tell_of_loss(self: &Arc<Self>, mut hook: OnLoss, error: &Error, lasted: Duration) {
        let went_on = Arc::new(AtomicBool::new(false));
        let late = Instant::now().checked_add(self.settings.deadline).map(|late| {
            let (this, went_on, error) = (Arc::clone(self), Arc::clone(&went_on), error.clone());
            let go_on = move || {
                if !went_on.swap(true, Ordering::AcqRel) {
                    tracing::warn!(
                        "the hook for the loss of a connection is not waited for any more"
                    );
                    // It asks the user's function.
                    Cleanup::new().run("a delay", move || this.retry(error, Some(lasted)));
                }
            };
            self.driver.add_timer(late, Box::new(go_on))
        });
        run_hook("the hook for the loss of a connection", || hook(error.clone()));
        let mut state = self.state();
        let over = match state.is_over() {
            true => Some(hook),
            false => {
                state.on_loss = Some(hook);
                None
            }
        };
        drop(state);
        drop(over);
        if let Some(late) = late {
            self.driver.remove_timer(late);
        }
        if !went_on.swap(true, Ordering::AcqRel) {
            self.retry(error.clone(), Some(lasted));
        }
    }

    /// Has the next attempt made after a delay, or ends this. `lasted`: how long there was a connection,
    /// where one was lost.
    pub(super) fn retry(self: &Arc<Self>, error: Error, lasted: Option<Duration>) {
        let settings = &self.settings;
        let Some(retry_if) = self.state().retry_if.clone() else { return };
        let may_retry = catch_unwind(AssertUnwindSafe(|| retry_if(&error)));
        drop(retry_if);
        // A panic is no answer, so it is as if nobody had been asked.
        if !may_retry.unwrap_or(true) {
            drop(self.end(error));
            return;
        }
        let mut state = self.state();
        if state.is_over() {
            return;
        }
        let delay = match lasted {
            Some(lasted) => state.delays.next(lasted),
            None => state.delays.next_in_a_row(),
        };
        let delay = delay.map(|delay| spread(delay, settings.jitter));
        let without = state.since.elapsed();
        let next = delay.filter(|delay| is_in_time(without, *delay, settings.give_up_after));
        let at = next.and_then(|delay| Instant::now().checked_add(delay));
        let Some(at) = at else {
            let attempts = Count(state.attempt, "attempt");
            drop(state);
            let what = format!("given up after {attempts} in {without:.1?}");
            let reason = settings.failed(&what, "to connect to", &error);
            tracing::error!("{reason}");
            drop(self.end(Error::disconnected(reason)));
            return;
        };
        // Weakly: a handle that is dropped meanwhile ends this.
        let weak = Arc::downgrade(self);
        let begin = move || {
            if let Some(this) = weak.upgrade() {
                this.begin();
            }
        };
        state.next_try = Some((at, self.driver.add_timer(at, Box::new(begin))));
    }
}

/// Whether an attempt after `delay` comes in the time that is given, where there was no connection for
/// `without` already.
fn is_in_time(without: Duration, delay: Duration, give_up_after: Option<Duration>) -> bool {
    // A backoff may be as long as a Duration can be.
    give_up_after.is_none_or(|most| without.saturating_add(delay) <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_of_any_length_are_compared_with_the_time_to_give_up() {
        const SECOND: Duration = Duration::from_secs(1);
        assert!(is_in_time(SECOND, SECOND, Some(2 * SECOND)));
        assert!(!is_in_time(SECOND, 2 * SECOND, Some(2 * SECOND)));
        assert!(!is_in_time(SECOND, Duration::MAX, Some(2 * SECOND)));
        assert!(is_in_time(SECOND, Duration::MAX, None));
    }
}
