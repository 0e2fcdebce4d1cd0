//! Destructors, hooks and explanations of the user: code that may take as long as it likes. It runs on
//! threads of its own kind, a few for each connection, so that it delays neither the runtime nor what
//! belongs to other connections. What takes long is named in the log.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::driver::driver;
use crate::forked::is_forked;
use crate::panics::run_hook;
use crate::pool::{self, Work};

/// How many pieces of one queue run at once. A peer decides how many objects there are to drop, so there
/// has to be a bound; with fewer that block than this, none delays another of the same queue.
const MAX_THREADS: usize = 4;
/// What takes longer is named in the log, once.
pub(crate) const SLOW: Duration = Duration::from_secs(1);
/// When a thread is asked for again, where there was none.
const RETRY: Duration = Duration::from_millis(100);

/// The user's code of one connection that is to be run or dropped.
#[derive(Default)]
pub(crate) struct Cleanup {
    /// One piece after the other, in their order.
    one_by_one: bool,
    state: Mutex<State>,
    /// How many pieces wait, for who looks without the lock.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct State {
    work: VecDeque<(&'static str, Work)>,
    /// Threads that run it, or were asked for.
    threads: usize,
    /// A thread was asked for and has not started yet.
    starting: bool,
    running: Vec<Running>,
    /// When the first piece that waits became the first.
    first_since: Option<Instant>,
    /// Tells those that run apart.
    next: u64,
    /// The timer runs that looks for slow ones.
    timed: bool,
    /// The timer runs that asks for a thread again.
    retrying: bool,
}

struct Running {
    id: u64,
    what: &'static str,
    since: Instant,
    named: bool,
}

impl State {
    /// Counts one more thread if work waits and there may be another, of `most`. If this returns true the caller
    /// is to start it.
    fn claim_thread(&mut self, most: usize) -> bool {
        let start = !self.work.is_empty() && self.threads < most && !self.starting;
        if start {
            self.threads += 1;
            self.starting = true;
        }
        start
    }
}

thread_local! {
    /// Ends of objects that are to run elsewhere, while this thread drops what may hold the last handle on
    /// one. None otherwise.
    static LATER: RefCell<Option<Vec<Ended>>> = const { RefCell::new(None) };
}

type Ended = Box<dyn FnOnce() + Send>;

/// Runs the end of an object: here, or later where this thread is [not to be held up](Cleanup::drop_values).
pub(crate) fn end_here_or_later(end: impl FnOnce() + Send + 'static) {
    let defers = |later: &RefCell<Option<Vec<Ended>>>| later.borrow().is_some();
    // The value is gone at the end of the thread.
    if !LATER.try_with(defers).unwrap_or(false) {
        return end();
    }
    let end: Ended = Box::new(end);
    LATER.with(|later| later.borrow_mut().get_or_insert_default().push(end));
}

impl Cleanup {
    /// Drops a call's values on the thread that is about to answer it. An object whose last handle is among
    /// them ends on this queue instead: its destructor and hooks, which may block, hold up neither the
    /// answer nor the thread.
    pub(crate) fn drop_values<T>(self: &Arc<Self>, what: &'static str, values: T) {
        let outer = LATER.try_with(|later| later.replace(Some(Vec::new())));
        run_hook(what, || drop(values));
        let Ok(outer) = outer else { return };
        for end in LATER.with(|later| later.replace(outer)).unwrap_or_default() {
            self.run("the end of an object", end);
        }
    }

    pub(crate) fn new() -> Arc<Cleanup> {
        Arc::default()
    }

    /// The same for work that is done one piece after the other, in its order.
    pub(crate) fn one_by_one() -> Arc<Cleanup> {
        Arc::new(Cleanup { one_by_one: true, ..Cleanup::default() })
    }

    fn most_threads(&self) -> usize {
        if self.one_by_one { 1 } else { MAX_THREADS }
    }

    /// The queue for objects and hooks of no connection.
    pub(crate) fn unconnected() -> &'static Arc<Cleanup> {
        static UNCONNECTED: std::sync::OnceLock<Arc<Cleanup>> = std::sync::OnceLock::new();
        UNCONNECTED.get_or_init(Cleanup::new)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What runs now and for how long, and how much waits; without waiting for the lock.
    pub(crate) fn try_running(&self) -> Option<(Vec<(&'static str, Duration)>, usize)> {
        let state = self.state.try_lock().ok()?;
        let running = state.running.iter().map(|running| (running.what, running.since.elapsed()));
        Some((running.collect(), state.work.len()))
    }

    /// Runs `work` soon, on a thread for that. `what` says in the log what it is.
    pub(crate) fn run(self: &Arc<Self>, what: &'static str, work: impl FnOnce() + Send + 'static) {
        if is_forked() {
            // What it would do is the parent's to do, and this queue's lock may be taken for ever.
            return std::mem::forget(work);
        }
        let mut state = self.state();
        if state.work.is_empty() {
            state.first_since = Some(Instant::now());
        }
        state.work.push_back((what, Box::new(work)));
        self.waiting.store(state.work.len(), Ordering::Relaxed);
        let start = state.claim_thread(self.most_threads());
        drop(state);
        if start {
            self.start_thread();
        }
    }

    /// How many pieces wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether nothing runs or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().threads == 0 && self.waiting() == 0
    }

    /// Whether what waits has waited long, for what runs or for a thread.
    pub(crate) fn is_stuck(&self) -> bool {
        let state = self.state();
        let waits = !state.work.is_empty();
        waits && state.first_since.is_some_and(|since| since.elapsed() >= SLOW)
    }

    fn start_thread(self: &Arc<Self>) {
        let queue = Arc::clone(self);
        if let Err(error) = pool::run(move || queue.serve()) {
            let mut state = self.state();
            state.starting = false;
            state.threads -= 1;
            // Also beside threads that run something: that may take for ever.
            let waits = !state.work.is_empty() && !state.retrying;
            drop(state);
            tracing::error!("destructors and hooks wait for a thread: {error}");
            if waits {
                self.retry();
            }
        }
    }

    /// Has a thread asked for again in a while, on the driver thread. Where there is no driver, the next
    /// piece of work asks for it.
    fn retry(self: &Arc<Self>) {
        let Ok(driver) = driver() else { return };
        self.state().retrying = true;
        let queue = Arc::clone(self);
        driver.add_timer(Instant::now() + RETRY, Box::new(move || queue.start_again()));
    }

    fn start_again(self: &Arc<Self>) {
        let mut state = self.state();
        state.retrying = false;
        let start = state.claim_thread(self.most_threads());
        drop(state);
        if start {
            self.start_thread();
        }
    }

    fn serve(self: &Arc<Self>) {
        self.state().starting = false;
        loop {
            let mut state = self.state();
            let Some((what, work)) = state.work.pop_front() else {
                state.threads -= 1;
                return;
            };
            self.waiting.store(state.work.len(), Ordering::Relaxed);
            let start = state.claim_thread(self.most_threads());
            let id = state.next;
            state.next += 1;
            let now = Instant::now();
            state.first_since = Some(now);
            state.running.push(Running { id, what, since: now, named: false });
            let watch = !std::mem::replace(&mut state.timed, true);
            drop(state);
            if start {
                self.start_thread();
            }
            if watch {
                self.watch();
            }
            run_hook(what, work);
            let mut state = self.state();
            if let Some(place) = state.running.iter().position(|running| running.id == id) {
                let done = state.running.swap_remove(place);
                drop(state);
                if done.named {
                    tracing::warn!("{what} has ended, after {:?}", done.since.elapsed());
                }
            }
        }
    }

    /// Looks for what takes long, on the driver thread, as long as anything runs.
    fn watch(self: &Arc<Self>) {
        let Ok(driver) = driver() else { return };
        let queue = Arc::downgrade(self);
        let look = move || {
            if let Some(queue) = queue.upgrade() {
                queue.name_slow();
            }
        };
        driver.add_timer(Instant::now() + SLOW, Box::new(look));
    }

    fn name_slow(self: &Arc<Self>) {
        let mut state = self.state();
        let waiting = state.work.len();
        let mut slow = Vec::new();
        for running in &mut state.running {
            if !running.named && running.since.elapsed() >= SLOW {
                running.named = true;
                slow.push(running.what);
            }
        }
        let again = !state.running.is_empty();
        state.timed = again;
        drop(state);
        for what in slow {
            tracing::warn!("{what} takes longer than {SLOW:?}; {waiting} others wait behind it");
        }
        if again {
            self.watch();
        }
    }
}
