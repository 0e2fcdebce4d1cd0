//! The objects that the tests call. They remember the calls.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::ThreadId;

use multiprocess::{Error, Result, current_call};

use crate::generated::lab::{
    Callback, CallbackClient, Counter, CounterClient, Lab, LabClient, LabReadCounterResults,
};

/// Serves `Lab` and remembers what happened.
pub struct LabServer {
    this: Weak<LabServer>,
    state: Mutex<State>,
    changed: Condvar,
    /// Counters of this lab that are not dropped.
    counters: Arc<AtomicUsize>,
    /// Counters whose cleanup hook has not run.
    uncleaned: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    kept: Option<CallbackClient>,
    /// Names that `block` waits for now.
    blocked: Vec<String>,
    released: Vec<String>,
    /// Names whose `block` was cancelled.
    cancelled: Vec<String>,
    /// The sums that were asked for, in order.
    sums: Vec<i32>,
    /// The threads on which methods ran, in order.
    threads: Vec<ThreadId>,
    /// The counter that was handed out last, if it is to be kept.
    last: Option<CounterClient>,
    keep_last: bool,
}

impl LabServer {
    /// A lab in which nothing has happened.
    pub fn new() -> Arc<LabServer> {
        Arc::new_cyclic(|this| LabServer {
            this: this.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
            counters: Arc::default(),
            uncleaned: Arc::default(),
        })
    }

    /// A handle on this lab.
    pub fn client(&self) -> LabClient {
        LabClient::from(self.this.upgrade().expect("the lab is in an Arc"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `block` waits for this name.
    pub fn is_blocked(&self, name: &str) -> bool {
        self.state().blocked.iter().any(|blocked| blocked == name)
    }

    /// How many calls of `block` wait.
    pub fn blocked(&self) -> usize {
        self.state().blocked.len()
    }

    /// Whether the `block` of this name was cancelled.
    pub fn was_cancelled(&self, name: &str) -> bool {
        self.state().cancelled.iter().any(|cancelled| cancelled == name)
    }

    /// The first arguments of `add`, in the order in which it ran.
    pub fn sums(&self) -> Vec<i32> {
        self.state().sums.clone()
    }

    /// The threads on which methods ran since the last look.
    pub fn take_threads(&self) -> Vec<ThreadId> {
        std::mem::take(&mut self.state().threads)
    }

    /// How many of the lab's counters live.
    pub fn counters(&self) -> usize {
        self.counters.load(Ordering::SeqCst)
    }

    /// How many of the lab's counters have cleanup hooks that have not run.
    pub fn uncleaned(&self) -> usize {
        self.uncleaned.load(Ordering::SeqCst)
    }

    /// Keeps a handle on the counters that are made from now on, for [`last`](Self::last).
    pub fn keep_last(&self) {
        self.state().keep_last = true;
    }

    /// The counter that was made last, once.
    pub fn last(&self) -> Option<CounterClient> {
        self.state().last.take()
    }

    /// Whether a callback is kept.
    pub fn holds(&self) -> bool {
        self.state().kept.is_some()
    }

    /// The callback that is kept.
    pub fn kept(&self) -> Option<CallbackClient> {
        self.state().kept.clone()
    }

    /// Lets the calls of `block` with this name return.
    pub fn let_go(&self, name: &str) {
        self.state().released.push(name.to_owned());
        self.changed.notify_all();
    }

    fn note_thread(&self) {
        self.state().threads.push(std::thread::current().id());
    }

    /// A new counter of this lab's.
    pub fn counter(&self, start: i64) -> CounterClient {
        let alive = Arc::clone(&self.counters);
        alive.fetch_add(1, Ordering::SeqCst);
        let next = AtomicI64::new(start);
        let counter = CounterClient::new(CounterServer { next, lab: self.this.clone(), alive });
        let uncleaned = Arc::clone(&self.uncleaned);
        uncleaned.fetch_add(1, Ordering::SeqCst);
        counter.add_cleanup(move || {
            uncleaned.fetch_sub(1, Ordering::SeqCst);
        });
        let mut state = self.state();
        if state.keep_last {
            state.last = Some(counter.clone());
        }
        counter
    }
}

impl Lab for LabServer {
    fn add(&self, a: i32, b: i32) -> Result<i32> {
        self.note_thread();
        self.state().sums.push(a);
        Ok(a.wrapping_add(b))
    }

    fn add_inline(&self, a: i32, b: i32) -> Result<i32> {
        Ok(a.wrapping_add(b))
    }

    fn fail(&self, message: String) -> Result<()> {
        Err(Error::failed(message))
    }

    fn panics(&self) -> Result<()> {
        panic!("as it was asked to")
    }

    fn thread_name(&self) -> Result<String> {
        self.note_thread();
        Ok(std::thread::current().name().unwrap_or_default().to_owned())
    }

    fn call_back(&self, callback: CallbackClient, depth: i32) -> Result<i32> {
        self.note_thread();
        if depth == 0 {
            return Ok(0);
        }
        Ok(callback.call(Some(self.client()), depth - 1).wait()? + 1)
    }

    fn call_back_inline(&self, callback: CallbackClient, depth: i32) -> Result<i32> {
        self.call_back(callback, depth)
    }

    fn hold(&self, callback: Option<CallbackClient>) -> Result<()> {
        let last = std::mem::replace(&mut self.state().kept, callback);
        drop(last);
        Ok(())
    }

    fn poke(&self, value: i32) -> Result<i32> {
        let kept = self.kept().ok_or_else(|| Error::failed("no callback is kept"))?;
        kept.call(None, value).wait()
    }

    fn block(&self, name: String) -> Result<bool> {
        let token = current_call().map(|call| call.cancel_token());
        if let (Some(token), Some(this)) = (&token, self.this.upgrade()) {
            token.on_cancel(move || {
                // Under the lock, so that whoever waits has looked at the token or is woken.
                let _state = this.state();
                this.changed.notify_all();
            });
        }
        let cancelled = || token.as_ref().is_some_and(multiprocess::CancelToken::is_cancelled);
        let mut state = self.state();
        state.blocked.push(name.clone());
        while !state.released.contains(&name) && !cancelled() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let released = state.released.contains(&name);
        if let Some(place) = state.blocked.iter().position(|blocked| *blocked == name) {
            state.blocked.remove(place);
        }
        if !released {
            state.cancelled.push(name);
        }
        Ok(released)
    }

    fn release(&self, name: String) -> Result<()> {
        self.let_go(&name);
        Ok(())
    }

    fn make_counter(&self, start: i64) -> Result<CounterClient> {
        if start < 0 {
            return Err(Error::failed("a counter starts at zero or above"));
        }
        Ok(self.counter(start))
    }

    fn no_counter(&self) -> Result<Option<CounterClient>> {
        Ok(None)
    }

    fn read_counter(&self, counter: CounterClient) -> Result<LabReadCounterResults> {
        use multiprocess::rt::Interface;
        let is_local = counter.handle().is_local();
        Ok(LabReadCounterResults { result: counter.next().wait()?, is_local })
    }

    fn bytes(&self, data: Vec<u8>) -> Result<Vec<u8>> {
        Ok(data)
    }

    fn text(&self, text: String) -> Result<String> {
        Ok(text)
    }
}

/// A number that goes up. Counts itself in its lab until it is dropped.
struct CounterServer {
    next: AtomicI64,
    lab: Weak<LabServer>,
    alive: Arc<AtomicUsize>,
}

impl Drop for CounterServer {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Counter for CounterServer {
    fn next(&self) -> Result<i64> {
        Ok(self.next.fetch_add(1, Ordering::SeqCst))
    }

    fn split(&self) -> Result<CounterClient> {
        let lab = self.lab.upgrade().ok_or_else(|| Error::failed("the lab has gone"))?;
        Ok(lab.counter(self.next.load(Ordering::SeqCst)))
    }

    fn hang(&self) -> Result<()> {
        let lab = self.lab.upgrade().ok_or_else(|| Error::failed("the lab has gone"))?;
        lab.block("hang".to_owned()).map(drop)
    }
}

/// A callback that is a closure.
pub struct Relay<F>(pub F);

impl<F: Fn(Option<LabClient>, i32) -> Result<i32> + Send + Sync + 'static> Callback for Relay<F> {
    fn call(&self, lab: Option<LabClient>, depth: i32) -> Result<i32> {
        (self.0)(lab, depth)
    }
}

impl<F: Fn(Option<LabClient>, i32) -> Result<i32> + Send + Sync + 'static> Relay<F> {
    /// A handle on a callback that runs `call`.
    pub fn client(call: F) -> CallbackClient {
        CallbackClient::new(Relay(call))
    }
}
