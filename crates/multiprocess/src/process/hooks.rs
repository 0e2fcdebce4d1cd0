//! What waits for a child's exit without a thread of its own: hooks, and the wakers of futures.
//!
//! They are the user's code and may block or panic, so each child's run on a thread that is started for
//! them. Whoever finds the exit, the reaper or a thread that waits, goes on at once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::exit::Exit;
use crate::panics::run_hook;
use crate::thread_start;

/// A function of the user's that gets the exit.
pub(super) type Hook = Box<dyn FnOnce(Exit) + Send>;

/// The hooks and wakers of one child that runs.
#[derive(Default)]
pub(super) struct Watchers {
    hooks: Vec<Hook>,
    /// Each with the key of its future.
    wakers: Vec<(u64, Waker)>,
    next_key: u64,
}

impl Watchers {
    pub(super) fn add_hook(&mut self, hook: Hook) {
        self.hooks.push(hook);
    }

    /// Sets the waker of the future that has `key`. One without a key gets one.
    pub(super) fn set_waker(&mut self, key: &mut Option<u64>, waker: &Waker) {
        let next = &mut self.next_key;
        let key = *key.get_or_insert_with(|| {
            *next += 1;
            *next
        });
        match self.wakers.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => old.clone_from(waker),
            None => self.wakers.push((key, waker.clone())),
        }
    }

    /// Takes out the waker of a future that was dropped. The caller drops it, without the lock that
    /// guards this: it is the user's code too.
    pub(super) fn remove_waker(&mut self, key: u64) -> Option<Waker> {
        let place = self.wakers.iter().position(|(other, _)| *other == key)?;
        Some(self.wakers.swap_remove(place).1)
    }

    /// Tells everyone of the exit, on a thread of its own: first the futures, then the hooks in the
    /// order in which they came. Does not block.
    pub(super) fn tell(self, exit: Exit) {
        if self.hooks.is_empty() && self.wakers.is_empty() {
            return;
        }
        run(Box::new(move || {
            for (_, waker) in self.wakers {
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

/// Jobs whose thread has not begun yet.
static JOBS: Mutex<VecDeque<Job>> = Mutex::new(VecDeque::new());

fn jobs() -> MutexGuard<'static, VecDeque<Job>> {
    JOBS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts one thread for each job, so that none waits for another.
fn run(job: Job) {
    jobs().push_back(job);
    let started = thread_start::start_uncounted("mp-exit", || {
        while let Some(job) = next_job() {
            job();
        }
    });
    if let Err(error) = started {
        // It stays in the queue, for the next thread that is started or has done its job.
        tracing::error!(%error, "no thread for the hooks of a child process, they have to wait");
    }
}

/// A function, so that the lock is not held while the job runs.
fn next_job() -> Option<Job> {
    jobs().pop_front()
}
