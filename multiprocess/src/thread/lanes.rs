//! Calls that run on whatever pool thread is free, at most so many at once, started in the order
//! in which they arrived.
//!
//! With one lane: the calls of one connection that have no context. With several: the pool that a
//! peer asked for with makePool. A method that waits for an answer itself must not hold up what
//! comes after it, or two peers that call each other could wait for ever: before it waits, it gives
//! its lane to another thread.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::pool;
use crate::server::Task;

pub(crate) struct Lanes {
    count: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// Lanes that a thread is at.
    held: usize,
}

thread_local! {
    /// The lane that the current thread holds.
    static HELD: RefCell<Option<Arc<Lanes>>> = const { RefCell::new(None) };
}

impl Lanes {
    pub(crate) fn new(count: usize) -> Arc<Lanes> {
        Arc::new(Lanes { count, state: Mutex::default() })
    }

    /// Adds a call. True when there is a lane for it, which is to be [started](Self::start).
    pub(crate) fn push(&self, task: Task) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tasks.push_back(task);
        let start = state.held < self.count;
        if start {
            state.held += 1;
        }
        start
    }

    pub(crate) fn start(self: Arc<Self>) {
        pool::run(move || self.serve());
    }

    fn serve(self: Arc<Self>) {
        loop {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(task) = state.tasks.pop_front() else {
                state.held -= 1;
                return;
            };
            drop(state);
            HELD.set(Some(Arc::clone(&self)));
            task.run();
            if HELD.take().is_none() {
                return; // given away while the method waited
            }
        }
    }

    fn give_away(self: Arc<Self>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let start = !state.tasks.is_empty();
        if !start {
            state.held -= 1;
        }
        drop(state);
        if start {
            self.start();
        }
    }
}

/// Gives the lane that the current thread holds, if it does, to another: the thread is about to wait.
pub(crate) fn release_lane() {
    if let Some(lanes) = HELD.take() {
        lanes.give_away();
    }
}
