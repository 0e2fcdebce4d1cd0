//! What is to happen later: one thread for all of a process's wallets (`wallet-timers`), and the time by which they
//! go, which tests set.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use multiprocess::Error;

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs at their time. Jobs are short: they run one after the other. Those that are not due when it is dropped
/// never run.
pub(crate) struct Timers {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Tells a job from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerId(u64);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: BTreeMap<(Instant, TimerId), Job>,
    next: u64,
    stopped: bool,
    /// The time that was set, in seconds since 1970.
    set: Option<u64>,
}

impl Timers {
    /// # Errors
    /// The system gives no more threads.
    pub(crate) fn start() -> Result<Timers, Error> {
        let shared = Arc::<Shared>::default();
        let runs = Arc::clone(&shared);
        let thread =
            Builder::new().name("wallet-timers".to_owned()).spawn(move || runs.run()).map_err(
                |error| Error::failed(format!("cannot start the thread for timers: {error}")),
            )?;
        Ok(Timers { shared, thread: Some(thread) })
    }

    /// Runs `job` after this time.
    pub(crate) fn after(&self, delay: Duration, job: impl FnOnce() + Send + 'static) -> TimerId {
        let mut state = self.shared.lock();
        state.next += 1;
        let id = TimerId(state.next);
        state.jobs.insert((Instant::now() + delay, id), Box::new(job));
        self.shared.changed.notify_all();
        id
    }

    /// Has a job never run. One that is running does.
    pub(crate) fn cancel(&self, id: TimerId) {
        self.shared.lock().jobs.retain(|(_, other), _| *other != id);
    }

    /// How many jobs wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.shared.lock().jobs.len()
    }

    /// Runs now what is due within this time, and the rest so much sooner.
    pub(crate) fn forward(&self, by: Duration) {
        let mut state = self.shared.lock();
        let now = Instant::now();
        // An instant cannot be made as early as one likes: what is due is due now.
        let sooner = |at: Instant| at.checked_sub(by).unwrap_or(now);
        let jobs = std::mem::take(&mut state.jobs);
        state.jobs = jobs.into_iter().map(|((at, id), job)| ((sooner(at), id), job)).collect();
        self.shared.changed.notify_all();
    }

    /// Sets the time that [`now`](Timers::now) tells, in seconds since 1970; none for this machine's clock.
    pub(crate) fn set_time(&self, time: Option<u64>) {
        self.shared.lock().set = time;
    }

    /// The time in seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.shared.lock().set.unwrap_or_else(clock)
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        // A job may own what owns the timers.
        let jobs = std::mem::take(&mut state.jobs);
        self.shared.changed.notify_all();
        drop(state);
        drop(jobs);
        if let Some(thread) = self.thread.take()
            // It may be a job that drops them.
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the thread for timers has panicked");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.stopped {
            let now = Instant::now();
            let wait = match state.jobs.first_key_value() {
                None => None,
                Some(((at, _), _)) => match at.checked_duration_since(now) {
                    Some(left) if !left.is_zero() => Some(left),
                    _ => {
                        let job = state.jobs.pop_first();
                        drop(state);
                        if let Some((_, job)) = job {
                            job();
                        }
                        state = self.lock();
                        continue;
                    }
                },
            };
            state = match wait {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{RecvTimeoutError, channel};

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn jobs_run_in_the_order_of_their_times() {
        let timers = Timers::start().unwrap();
        let (sender, ran) = channel();
        let job = |number| {
            let sender = sender.clone();
            move || sender.send(number).unwrap()
        };
        timers.after(LONG * 60, job(3));
        let never = timers.after(LONG, job(2));
        timers.after(Duration::ZERO, job(1));
        assert_eq!(ran.recv_timeout(LONG), Ok(1));
        timers.cancel(never);
        timers.forward(LONG * 61);
        assert_eq!(ran.recv_timeout(LONG), Ok(3));
        timers.after(LONG, job(4));
        drop(timers);
        drop(sender);
        let ended = ran.recv_timeout(LONG);
        assert_eq!(ended, Err(RecvTimeoutError::Disconnected), "what is not due never runs");
    }

    #[test]
    fn a_job_runs_when_its_time_has_come_by_itself() {
        let timers = Timers::start().unwrap();
        let (sender, ran) = channel();
        timers.after(Duration::from_millis(20), move || sender.send(()).unwrap());
        assert_eq!(ran.recv_timeout(LONG), Ok(()));
    }

    /// So long that the thread surely waits by then. If it does not, the tests show less, and do not fail.
    fn let_it_wait() {
        std::thread::sleep(Duration::from_millis(50));
    }

    #[test]
    fn a_thread_that_waits_is_woken_by_what_is_new_or_due_sooner() {
        let timers = Timers::start().unwrap();
        let (sender, ran) = channel();
        let job = |number| {
            let sender = sender.clone();
            move || sender.send(number).unwrap()
        };
        // While there is no job, and while the first is due much later.
        let_it_wait();
        timers.after(Duration::ZERO, job(1));
        assert_eq!(ran.recv_timeout(LONG), Ok(1));
        timers.after(LONG * 60, job(3));
        let_it_wait();
        timers.after(Duration::ZERO, job(2));
        assert_eq!(ran.recv_timeout(LONG), Ok(2));
        let_it_wait();
        timers.forward(LONG * 61);
        assert_eq!(ran.recv_timeout(LONG), Ok(3));
    }

    #[test]
    fn all_of_time_is_not_too_far_to_go_forward() {
        let timers = Timers::start().unwrap();
        let (sender, ran) = channel();
        timers.after(LONG * 60, move || sender.send(()).unwrap());
        timers.forward(Duration::MAX);
        assert_eq!(ran.recv_timeout(LONG), Ok(()));
    }

    #[test]
    fn a_job_may_add_another_and_be_the_last_to_have_the_timers() {
        let timers = Arc::new(Timers::start().unwrap());
        let (go, may_go) = channel::<()>();
        let (sender, ran) = channel();
        let own = Arc::clone(&timers);
        timers.after(Duration::ZERO, move || {
            may_go.recv().unwrap();
            let last = Arc::clone(&own);
            own.after(Duration::ZERO, move || {
                drop(last);
                sender.send(()).unwrap();
            });
        });
        drop(timers);
        go.send(()).unwrap();
        assert_eq!(ran.recv_timeout(LONG), Ok(()));
    }

    #[test]
    fn the_time_can_be_set() {
        let timers = Timers::start().unwrap();
        assert!(timers.now() > 1_700_000_000);
        timers.set_time(Some(7));
        assert_eq!(timers.now(), 7);
        timers.set_time(None);
        assert!(timers.now() > 1_700_000_000);
    }
}
