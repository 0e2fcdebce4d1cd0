//! Tells a running method that nobody waits for its answer any more.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::Waker;

use crate::cleanup::Cleanup;
use crate::moment::Moment;
use crate::sync::{AtomicBool, Mutex, MutexGuard};
use crate::thread_list;

type Hook = Box<dyn FnOnce() + Send>;

/// Fires when a call that is being served is cancelled: its caller dropped it, its deadline passed,
/// or the connection ended.
#[derive(Clone)]
pub struct CancelToken(Arc<Token>);

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("method", &self.0.about.method)
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

impl CancelToken {
    pub(crate) fn new(token: Arc<Token>) -> CancelToken {
        CancelToken(token)
    }

    /// What the call is.
    pub(crate) fn about(&self) -> About {
        self.0.about
    }

    /// For the runtime's own: see [`Token::on_fire`].
    pub(crate) fn on_fire(&self, wake: impl FnOnce() + Send + 'static) {
        self.0.on_fire(wake);
    }

    /// Whether the call was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_fired()
    }

    /// Runs `hook` on a thread of the runtime when the call is cancelled; here and at once if it was
    /// already. It is dropped unrun when the call ends.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) {
        self.0.add_hook(Box::new(hook));
    }
}

/// A call that is being served, as those see it who neither run nor answer it.
pub(crate) struct Token {
    fired: AtomicBool,
    waiting: Mutex<Waiting>,
    pub(crate) about: About,
    /// The number of the thread that runs the method; 0 before, [`POLLED`] where it is a future.
    thread: AtomicU64,
}

/// What a call is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    /// `Interface.method`.
    pub(crate) method: &'static str,
    /// The size of its message.
    pub(crate) bytes: usize,
    /// When it arrived.
    pub(crate) since: Moment,
}

const POLLED: u64 = u64::MAX;

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It waits for its turn.
    Queued,
    /// On the thread with this number.
    Thread(u64),
    /// Its method is a future.
    Future,
}

#[derive(Default)]
struct Waiting {
    hooks: Vec<Hook>,
    /// Those who wait in the runtime.
    wakes: Vec<Hook>,
    /// The waker of the task that serves the call, if the method is a future.
    task: Option<Waker>,
}

impl Token {
    pub(crate) fn new(about: About) -> Token {
        let (fired, waiting) = (AtomicBool::new(false), Mutex::default());
        Token { fired, waiting, about, thread: AtomicU64::new(0) }
    }

    /// This thread runs the method from now on.
    pub(crate) fn runs_here(&self) {
        self.thread.store(thread_list::number(), Ordering::Relaxed);
    }

    /// The method is a future, which an executor has.
    pub(crate) fn is_polled(&self) {
        self.thread.store(POLLED, Ordering::Relaxed);
    }

    /// Where the call is now.
    pub(crate) fn place(&self) -> Place {
        match self.thread.load(Ordering::Relaxed) {
            0 => Place::Queued,
            POLLED => Place::Future,
            number => Place::Thread(number),
        }
    }

    pub(crate) fn is_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_hook(&self, hook: Hook) {
        {
            let mut waiting = self.waiting();
            if !self.is_fired() {
                waiting.hooks.push(hook);
                return;
            }
        }
        hook();
    }

    /// Whether the call was cancelled; if not, `task` is woken when it is.
    pub(crate) fn is_fired_or_wakes(&self, task: &Waker) -> bool {
        let mut waiting = self.waiting();
        if self.is_fired() {
            return true;
        }
        let before = match &waiting.task {
            Some(known) if known.will_wake(task) => None,
            _ => waiting.task.replace(task.clone()),
        };
        drop(waiting);
        drop(before);
        false
    }

    /// Runs `wake` when the call is cancelled, on the thread that cancels it; here and at once if it was
    /// already. It must be quick: it is the runtime's own.
    pub(crate) fn on_fire(&self, wake: impl FnOnce() + Send + 'static) {
        {
            let mut waiting = self.waiting();
            if !self.is_fired() {
                waiting.wakes.push(Box::new(wake));
                return;
            }
        }
        wake();
    }

    /// Marks the token, wakes the call's task and who waits, and has the user's hooks run where they delay
    /// nobody.
    pub(crate) fn fire(&self, cleanup: &Arc<Cleanup>) {
        let Waiting { hooks, wakes, task } = {
            let mut waiting = self.waiting();
            self.fired.store(true, Ordering::Release);
            std::mem::take(&mut *waiting)
        };
        if let Some(task) = task {
            crate::panics::run_hook("a waker", || task.wake());
        }
        for wake in wakes {
            wake();
        }
        for hook in hooks {
            cleanup.run("a hook for a call that is cancelled", hook);
        }
    }

    /// The call has ended: drops the hooks that were to run on cancel.
    pub(crate) fn retire(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        drop(waiting);
    }
}

#[cfg(all(test, shuttle))]
#[path = "token_schedules.rs"]
mod schedules;
