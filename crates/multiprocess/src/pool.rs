//! The process's threads for work that no thread is named for: calls without a context, dropped
//! user objects, cleanup hooks. There are as many as are busy at once; idle ones end.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

type Work = Box<dyn FnOnce() + Send>;

const IDLE: Duration = Duration::from_secs(5);
/// How many destructors and hooks run at once. A peer decides how many there are to run, and one that
/// blocks holds up no others until there are so many.
const CLEANING: usize = 32;

#[derive(Default)]
struct State {
    work: VecDeque<Work>,
    /// Threads that wait for work. The one that came last is woken first: what it needs is in its
    /// processor's cache, and those that are too many find nothing to do and end.
    idle: Vec<Thread>,
}

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    cleaning: Mutex<Cleaning>,
}

/// Destructors and hooks that wait for a thread.
#[derive(Default)]
struct Cleaning {
    work: VecDeque<Work>,
    /// Threads that run them, or are on their way.
    threads: usize,
    starting: bool,
}

impl Cleaning {
    /// Whether one more thread is to come.
    fn ask(&mut self) -> bool {
        let ask = !self.work.is_empty() && self.threads < CLEANING && !self.starting;
        if ask {
            self.threads += 1;
            self.starting = true;
        }
        ask
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(Pool::default)
}

/// Runs `work` on some thread, soon.
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

/// Waits until this thread is taken from the idle ones. None if it has waited long: it is none of
/// them any more.
fn wait_for_work(pool: &Pool) -> Option<MutexGuard<'_, State>> {
    let own = thread::current().id();
    let end = Instant::now() + IDLE;
    loop {
        // May return early.
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

/// Runs a destructor or a hook of the user's, soon.
pub(crate) fn clean_up(work: impl FnOnce() + Send + 'static) {
    let mut cleaning = lock(&pool().cleaning);
    cleaning.work.push_back(Box::new(work));
    let ask = cleaning.ask();
    drop(cleaning);
    if ask {
        run(serve_cleaning);
    }
}

fn serve_cleaning() {
    lock(&pool().cleaning).starting = false;
    loop {
        let mut cleaning = lock(&pool().cleaning);
        let Some(work) = cleaning.work.pop_front() else {
            cleaning.threads -= 1;
            return;
        };
        let ask = cleaning.ask();
        drop(cleaning);
        if ask {
            run(serve_cleaning);
        }
        crate::panics::run_hook("a destructor or hook", work);
    }
}
