//! The process's threads for work that need not run on a certain one: calls without a context, calls of
//! local objects that were started, cleanup. Each piece of work has a thread at once, an idle one or a new
//! one; who gives it out bounds how much there is. Idle threads end after a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::forked::check_forked;
use crate::{Result, thread_start};

pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// How long a thread waits for work before it ends.
const MAX_IDLE: Duration = Duration::from_secs(5);

/// The threads that wait for work. The one that became idle last is given work first: its caches are
/// warm, and the threads that are not needed stay idle and end.
static IDLE: Mutex<Vec<Arc<Idle>>> = Mutex::new(Vec::new());

/// A thread that waits for work, and the work that it is given.
struct Idle {
    thread: Thread,
    work: Mutex<Option<Work>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` on a pool thread, now.
///
/// # Errors
/// No thread could be had, as in a fork. The work is dropped.
pub(crate) fn run(work: impl FnOnce() + Send + 'static) -> Result<()> {
    check_forked()?;
    let work: Work = Box::new(work);
    let idle = lock(&IDLE).pop();
    let Some(idle) = idle else {
        return thread_start::start("mp-pool", move || serve(work));
    };
    *lock(&idle.work) = Some(work);
    idle.thread.unpark();
    Ok(())
}

/// Runs `work`, and then what the thread is given until it has been idle for long.
fn serve(work: Work) {
    let own = Arc::new(Idle { thread: thread::current(), work: Mutex::default() });
    let mut next = Some(work);
    while let Some(work) = next {
        crate::panics::run_hook("work on a pool thread", work);
        next = wait_for_work(&own);
    }
}

/// Waits until [`run`] takes this thread from the idle ones. None if that has not happened for long: the
/// thread is then off the list and is to end.
fn wait_for_work(own: &Arc<Idle>) -> Option<Work> {
    lock(&IDLE).push(Arc::clone(own));
    let end = Instant::now() + MAX_IDLE;
    loop {
        thread::park_timeout(end.saturating_duration_since(Instant::now()));
        if let Some(work) = lock(&own.work).take() {
            return Some(work);
        }
        if Instant::now() >= end {
            let mut idle = lock(&IDLE);
            // Where it is not on the list it is about to be given work.
            if let Some(place) = idle.iter().position(|idle| Arc::ptr_eq(idle, own)) {
                idle.remove(place);
                return None;
            }
            drop(idle);
            thread::yield_now();
        }
    }
}
