//! The process's thread pool, for work that need not run on a certain thread: calls without a context,
//! dropped user objects, cleanup hooks. It has as many threads as are busy at once; idle ones end.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

type Work = Box<dyn FnOnce() + Send>;

/// How long a thread waits for work before it ends.
const MAX_IDLE: Duration = Duration::from_secs(5);
/// How many destructors and hooks run at once. A peer decides how many there are to run, so there has to
/// be a bound; with fewer that block than this, none delays another.
const MAX_CLEANUP_THREADS: usize = 32;

#[derive(Default)]
struct State {
    work: VecDeque<Work>,
    /// Threads that wait for work. The one that became idle last is woken first: its caches are warm, and
    /// the threads that are not needed stay idle and end.
    idle: Vec<Thread>,
}

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    cleanup: Mutex<Cleanup>,
}

/// Destructors and hooks that wait for a thread.
#[derive(Default)]
struct Cleanup {
    work: VecDeque<Work>,
    /// Threads that run them, or were asked for.
    threads: usize,
    /// A thread was asked for and has not started yet.
    starting: bool,
}

impl Cleanup {
    /// Counts one more thread if work waits and there may be another. If this returns true the caller is
    /// to start it.
    fn claim_thread(&mut self) -> bool {
        let start = !self.work.is_empty() && self.threads < MAX_CLEANUP_THREADS && !self.starting;
        if start {
            self.threads += 1;
            self.starting = true;
        }
        start
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(Pool::default)
}

/// Runs `work` on a pool thread, soon.
pub(crate) fn run(work: impl FnOnce() + Send + 'static) {
    let pool = pool();
    let mut state = lock(&pool.state);
    state.work.push_back(Box::new(work));
    if let Some(idle) = state.idle.pop() {
        drop(state);
        idle.unpark();
        return;
    }
    drop(state);
    let started = thread::Builder::new().name("mp-pool".to_owned()).spawn(|| serve(self::pool()));
    if let Err(error) = started {
        // The work stays queued for the next thread that becomes idle.
        tracing::error!("cannot start a thread: {error}");
    }
}

fn serve(pool: &Pool) {
    let mut state = lock(&pool.state);
    loop {
        while let Some(work) = state.work.pop_front() {
            drop(state);
            crate::panics::run_hook("work on a pool thread", work);
            state = lock(&pool.state);
        }
        state.idle.push(thread::current());
        drop(state);
        match wait_for_work(pool) {
            Some(locked) => state = locked,
            None => return,
        }
    }
}

/// Waits until [`run`] takes this thread from the idle ones. None if that has not happened for long: the
/// thread is then off the list and is to end.
fn wait_for_work(pool: &Pool) -> Option<MutexGuard<'_, State>> {
    let own = thread::current().id();
    let end = Instant::now() + MAX_IDLE;
    loop {
        thread::park_timeout(end.saturating_duration_since(Instant::now()));
        let mut state = lock(&pool.state);
        let Some(place) = state.idle.iter().position(|idle| idle.id() == own) else {
            return Some(state);
        };
        if Instant::now() >= end {
            state.idle.remove(place);
            return None;
        }
    }
}

/// Runs a destructor or a hook of the user's on a pool thread, when fewer than
/// [`MAX_CLEANUP_THREADS`] run.
pub(crate) fn clean_up(work: impl FnOnce() + Send + 'static) {
    let mut cleanup = lock(&pool().cleanup);
    cleanup.work.push_back(Box::new(work));
    let start = cleanup.claim_thread();
    drop(cleanup);
    if start {
        run(serve_cleanup);
    }
}

fn serve_cleanup() {
    lock(&pool().cleanup).starting = false;
    loop {
        let mut cleanup = lock(&pool().cleanup);
        let Some(work) = cleanup.work.pop_front() else {
            cleanup.threads -= 1;
            return;
        };
        let start = cleanup.claim_thread();
        drop(cleanup);
        if start {
            run(serve_cleanup);
        }
        crate::panics::run_hook("a destructor or hook", work);
    }
}
