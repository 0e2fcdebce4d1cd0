//! One object that serves all of `Everything`: each group of methods is a file.

mod borrowed;
mod calls;
mod folders;
mod foo;
mod objects;
mod stores;
mod uploads;
mod values;

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use multiprocess::Result;

use crate::generated::everything::{Everything, EverythingClient, SCHEMA_VERSION};
use crate::generated::foo::FooCallback;

/// A function that takes nothing.
type Function = Arc<dyn Fn() + Send + Sync>;
/// A function of a number.
type IntFunction = Arc<dyn Fn(i32) -> i32 + Send + Sync>;

/// Serves `Everything`, with the state that its methods need.
pub struct EverythingServer {
    this: Weak<EverythingServer>,
    state: Mutex<State>,
    changed: Condvar,
    /// The number of counters that exist.
    counters: Arc<AtomicU32>,
}

#[derive(Default)]
struct State {
    /// The callback that `saveCallback` keeps.
    saved: Option<Arc<dyn FooCallback>>,
    function: Option<Function>,
    int_function: Option<IntFunction>,
    notes: Vec<i32>,
    chunks: (u32, u64),
    /// How often the waits under way were told to end, and how many wait now.
    interrupts: u64,
    waiting: u32,
    released: Vec<String>,
    /// How many calls of `meet` have come.
    met: u32,
}

impl EverythingServer {
    /// An object in its initial state.
    pub fn new() -> Arc<EverythingServer> {
        Arc::new_cyclic(|this| EverythingServer {
            this: this.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
            counters: Arc::default(),
        })
    }

    /// A handle on this object.
    pub fn client(&self) -> EverythingClient {
        match self.this.upgrade() {
            Some(this) => EverythingClient::from(this),
            None => unreachable!("it is only ever used through its Arc"),
        }
    }

    /// Sets the functions that `callFn`, `callFnAsync` and `callIntFnAsync` call.
    pub fn set_functions(
        &self,
        function: impl Fn() + Send + Sync + 'static,
        int_function: impl Fn(i32) -> i32 + Send + Sync + 'static,
    ) {
        let mut state = self.state();
        state.function = Some(Arc::new(function));
        state.int_function = Some(Arc::new(int_function));
    }

    /// Whether a callback is kept.
    pub fn holds_callback(&self) -> bool {
        self.state().saved.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `look` finds something in the state.
    fn wait_until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut state = self.state();
        loop {
            if let Some(found) = look(&mut state) {
                return found;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Changes the state and wakes the threads that wait.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.notify_all();
        changed
    }
}

impl Everything for EverythingServer {
    fn version(&self) -> Result<u32> {
        Ok(SCHEMA_VERSION)
    }
}
