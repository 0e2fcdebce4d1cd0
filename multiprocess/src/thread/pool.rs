//! The process's threads for work that no thread is named for: calls without a context, dropped
//! user objects, cleanup hooks. There are as many as are busy at once; idle ones end.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

type Work = Box<dyn FnOnce() + Send>;

const IDLE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct State {
    work: VecDeque<Work>,
    /// Threads that wait and are not yet spoken for.
    idle: usize,
}

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    wake: Condvar,
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(Pool::default)
}

/// Runs `work` on some thread, soon.
pub(crate) fn run(work: impl FnOnce() + Send + 'static) {
    let pool = pool();
    let mut state = pool.state.lock().unwrap_or_else(PoisonError::into_inner);
    state.work.push_back(Box::new(work));
    if state.idle > 0 {
        state.idle -= 1;
        drop(state);
        pool.wake.notify_one();
        return;
    }
    drop(state);
    let started =
        std::thread::Builder::new().name("mp-pool".to_owned()).spawn(|| serve(self::pool()));
    if let Err(error) = started {
        // The work stays queued for the next thread that becomes idle.
        tracing::error!("cannot start a thread: {error}");
    }
}

fn serve(pool: &Pool) {
    let mut state = pool.state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        while let Some(work) = state.work.pop_front() {
            drop(state);
            crate::guard::run_hook("work on a pool thread", work);
            state = pool.state.lock().unwrap_or_else(PoisonError::into_inner);
        }
        state.idle += 1;
        let (locked, timeout) = pool
            .wake
            .wait_timeout_while(state, IDLE, |state| state.work.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state = locked;
        if timeout.timed_out() && state.work.is_empty() {
            // Whoever added work has counted this thread out already; here nobody did.
            state.idle = state.idle.saturating_sub(1);
            return;
        }
    }
}
