//! Tells a running method that nobody waits for its answer any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Hook = Box<dyn FnOnce() + Send>;

/// Fires when a call that is being served is cancelled: its caller dropped it, its deadline passed,
/// or the connection ended.
#[derive(Clone)]
pub struct CancelToken(Arc<Token>);

impl CancelToken {
    pub(crate) fn new(token: Arc<Token>) -> CancelToken {
        CancelToken(token)
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

#[derive(Default)]
pub(crate) struct Token {
    fired: AtomicBool,
    hooks: Mutex<Vec<Hook>>,
}

impl Token {
    pub(crate) fn is_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    fn add_hook(&self, hook: Hook) {
        {
            let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.is_fired() {
                hooks.push(hook);
                return;
            }
        }
        hook();
    }

    /// Marks the token, and has its hooks run where they hold nobody up.
    pub(crate) fn fire(&self) {
        let hooks = {
            let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
            self.fired.store(true, Ordering::Release);
            std::mem::take(&mut *hooks)
        };
        for hook in hooks {
            crate::thread::pool::run(move || crate::guard::run_hook("a cancel hook", hook));
        }
    }

    /// The call has ended: what was to run on cancel no longer is.
    pub(crate) fn retire(&self) {
        let hooks = std::mem::take(&mut *self.hooks.lock().unwrap_or_else(PoisonError::into_inner));
        drop(hooks);
    }
}
