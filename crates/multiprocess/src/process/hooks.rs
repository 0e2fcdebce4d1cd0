//! What waits for a child's exit without a thread of its own: hooks, and the wakers of futures.
//!
//! They are the user's code and may block or panic, so each child's run on a thread that is started for
//! them. Whoever finds the exit, the reaper or a thread that waits, goes on at once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::exit::Exit;
use crate::panics::run_hook;
use crate::wakers::Wakers;
use crate::{Result, thread_start};

/// A function of the user's that gets the exit.
pub(super) type Hook = Box<dyn FnOnce(Exit) + Send>;

/// The hooks and wakers of one child that runs.
#[derive(Default)]
pub(super) struct Watchers {
    hooks: Vec<Hook>,
    wakers: Wakers,
}

impl Watchers {
    pub(super) fn add_hook(&mut self, hook: Hook) {
        self.hooks.push(hook);
    }

    /// The wakers of the futures.
    pub(super) fn wakers(&mut self) -> &mut Wakers {
        &mut self.wakers
    }

    /// Tells everyone of the exit, on a thread of its own: first the futures, then the hooks in the
    /// order in which they came. Does not block.
    pub(super) fn tell(mut self, exit: Exit) {
        if self.hooks.is_empty() && self.wakers.is_empty() {
            return;
        }
        run(Box::new(move || {
            for waker in self.wakers.take() {
                run_hook("the waker of a future that waits for a child", || waker.wake());
            }
            for hook in self.hooks {
                run_hook("a hook for the exit of a child", || hook(exit));
            }
        }));
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hooks, wakers) = (self.hooks.len(), self.wakers.len());
        f.debug_struct("Watchers").field("hooks", &hooks).field("wakers", &wakers).finish()
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Of the threads that run jobs.
const NAME: &str = "mp-exit";

/// Jobs whose thread has not begun yet.
static JOBS: Mutex<VecDeque<Job>> = Mutex::new(VecDeque::new());

fn jobs() -> MutexGuard<'static, VecDeque<Job>> {
    JOBS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts one thread for each job, so that none waits for another.
fn run(job: Job) {
    jobs().push_back(job);
    if let Err(error) = start_thread() {
        tracing::error!(%error, "no thread for the hooks of a child process, they have to wait");
        thread_start::start_again(NAME, start_threads);
    }
}

fn start_thread() -> Result<()> {
    thread_start::start_uncounted(NAME, || {
        while let Some(job) = next_job() {
            job();
        }
    })
}

/// Where threads could not be started: one for each job that waits, so that it does not wait for another
/// thread's job. One that finds no job left ends.
fn start_threads() {
    let waiting = jobs().len();
    for _ in 0..waiting {
        if start_thread().is_err() {
            return thread_start::start_again(NAME, start_threads);
        }
    }
}

/// A function, so that the lock is not held while the job runs.
fn next_job() -> Option<Job> {
    jobs().pop_front()
}
