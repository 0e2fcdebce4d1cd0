//! The object that is called. It counts what lives of it, and knows which of its methods wait.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use multiprocess::{Result, current_call};

use crate::generated::soak::{Callback, CallbackClient, Item, ItemClient, Mill, MillClient};

/// Mills, items and callbacks of this process that are not dropped.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// A wait for a condition gives up after this time: it hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

/// How many served objects of this process live.
pub(crate) fn live() -> usize {
    LIVE.load(Ordering::SeqCst)
}

/// Counts one object while it lives.
struct Counted;

impl Counted {
    fn new() -> Counted {
        LIVE.fetch_add(1, Ordering::SeqCst);
        Counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Serves `Mill`.
pub(crate) struct MillServer {
    this: Weak<MillServer>,
    /// The tickets of the calls of `block` that wait now.
    waiting: Mutex<BTreeSet<u64>>,
    changed: Condvar,
    _counted: Counted,
}

impl MillServer {
    /// A mill that nobody calls yet.
    pub(crate) fn new() -> Arc<MillServer> {
        Arc::new_cyclic(|this| MillServer {
            this: this.clone(),
            waiting: Mutex::default(),
            changed: Condvar::new(),
            _counted: Counted::new(),
        })
    }

    /// A handle on it.
    pub(crate) fn client(self: &Arc<Self>) -> MillClient {
        MillClient::from(Arc::clone(self))
    }

    /// Waits until the `block` with this ticket runs.
    pub(crate) fn wait_runs(&self, ticket: u64) -> std::result::Result<(), String> {
        self.wait_for(|waiting| waiting.contains(&ticket), || format!("call {ticket} never ran"))
    }

    /// Waits until the `block` with this ticket has ended.
    pub(crate) fn wait_ended(&self, ticket: u64) -> std::result::Result<(), String> {
        self.wait_for(|waiting| !waiting.contains(&ticket), || format!("call {ticket} runs on"))
    }

    /// Waits until no `block` runs.
    pub(crate) fn wait_idle(&self) -> std::result::Result<(), String> {
        self.wait_for(BTreeSet::is_empty, || "cancelled calls run on".to_owned())
    }

    fn wait_for(
        &self,
        holds: impl Fn(&BTreeSet<u64>) -> bool,
        problem: impl Fn() -> String,
    ) -> std::result::Result<(), String> {
        let until = Instant::now() + HANGS;
        let mut waiting = self.waiting();
        while !holds(&waiting) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(problem());
            }
            let woken = self.changed.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mill for MillServer {
    fn echo(&self, data: Vec<u8>) -> Result<Vec<u8>> {
        Ok(data)
    }

    fn echo_inline(&self, data: Vec<u8>) -> Result<Vec<u8>> {
        Ok(data)
    }

    fn block(&self, ticket: u64) -> Result<()> {
        let token = current_call().map(|call| call.cancel_token());
        if let (Some(token), Some(this)) = (&token, self.this.upgrade()) {
            token.on_cancel(move || {
                // Under the lock, so that whoever waits has looked at the token or is woken.
                let _waiting = this.waiting();
                this.changed.notify_all();
            });
        }
        let cancelled = || token.as_ref().is_none_or(multiprocess::CancelToken::is_cancelled);
        let mut waiting = self.waiting();
        waiting.insert(ticket);
        self.changed.notify_all();
        while !cancelled() {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.remove(&ticket);
        self.changed.notify_all();
        Ok(())
    }

    fn make_item(&self, number: u64) -> Result<ItemClient> {
        Ok(ItemClient::new(ItemServer(number, Counted::new())))
    }

    fn call_back(&self, callback: CallbackClient, number: u64) -> Result<u64> {
        callback.call(number).wait()
    }
}

/// Serves `Item`.
struct ItemServer(u64, #[allow(dead_code, reason = "counts while it lives")] Counted);

impl Item for ItemServer {
    fn number(&self) -> Result<u64> {
        Ok(self.0)
    }
}

/// A callback that adds one.
struct AddOne(#[allow(dead_code, reason = "counts while it lives")] Counted);

impl Callback for AddOne {
    fn call(&self, number: u64) -> Result<u64> {
        Ok(number + 1)
    }
}

/// A handle on a new callback that adds one.
pub(crate) fn add_one() -> CallbackClient {
    CallbackClient::new(AddOne(Counted::new()))
}
