//! The running calls of one served object, so that its destroy can let them end first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cleanup::Cleanup;
use crate::driver::driver;
use crate::session::ThreadAddress;

/// How long a destroy waits for other calls of its object: long enough for calls that were
/// cancelled, not for calls that wait. It also ends a deadlock: a running method may be waiting, in
/// a way that the runtime does not see, for the caller of the destroy.
const PATIENCE: Duration = Duration::from_secs(1);

type End = Box<dyn FnOnce() + Send>;

/// The running calls of one object, by the threads that they were sent to.
#[derive(Default)]
pub(super) struct RunningCalls(Mutex<State>);

#[derive(Default)]
struct State {
    /// The number of calls for each thread; a list, because there are few.
    running: Vec<(ThreadAddress, usize)>,
    ending: Option<Box<Ending>>,
}

/// The end of the object.
struct Ending {
    /// The thread of the call that asked for it.
    thread: ThreadAddress,
    end: End,
    /// Where it runs: the object's destructor is the user's.
    cleanup: Arc<Cleanup>,
}

impl State {
    /// Whether a call runs for another thread. A call for the same thread waits for this destroy,
    /// because it called back and the callback destroys the object.
    fn others(&self, thread: ThreadAddress) -> bool {
        self.running.iter().any(|(running, _)| *running != thread)
    }
}

impl RunningCalls {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `end` when no other thread's call is running: at once on this thread, or later on a thread
    /// of `cleanup`. So no thread waits meanwhile. A destroy that was sent to no thread runs now.
    pub(super) fn end(
        self: &Arc<Self>,
        thread: Option<ThreadAddress>,
        cleanup: &Arc<Cleanup>,
        end: End,
    ) {
        let mut state = self.state();
        let Some(thread) = thread.filter(|thread| state.others(*thread)) else {
            drop(state);
            return end();
        };
        let Ok(driver) = driver() else {
            drop(state);
            return end();
        };
        state.ending = Some(Box::new(Ending { thread, end, cleanup: Arc::clone(cleanup) }));
        drop(state);
        let running = Arc::downgrade(self);
        let timer = move || {
            if let Some(running) = running.upgrade() {
                running.go_on(|_, _| true);
            }
        };
        driver.add_timer(Instant::now() + PATIENCE, Box::new(timer));
    }

    fn go_on(&self, if_so: impl FnOnce(&State, ThreadAddress) -> bool) {
        let mut state = self.state();
        let Some(ending) = state.ending.take() else { return };
        if if_so(&state, ending.thread) {
            drop(state);
            let Ending { end, cleanup, .. } = *ending;
            cleanup.run("the end of an object", end);
        } else {
            state.ending = Some(ending);
        }
    }
}

/// A call of an object, counted from when its thread is known until this is dropped.
pub(super) struct Use {
    running: Arc<RunningCalls>,
    thread: Option<ThreadAddress>,
}

impl Use {
    pub(super) fn new(running: &Arc<RunningCalls>) -> Use {
        Use { running: Arc::clone(running), thread: None }
    }

    /// The call goes to this thread.
    pub(super) fn count(&mut self, thread: ThreadAddress) {
        if self.thread.replace(thread).is_some() {
            return;
        }
        let running = &mut self.running.state().running;
        match running.iter_mut().find(|(running, _)| *running == thread) {
            Some((_, count)) => *count += 1,
            None => running.push((thread, 1)),
        }
    }

    /// The running calls of its object, and the thread to which the call was sent.
    pub(super) fn place(&self) -> (Arc<RunningCalls>, Option<ThreadAddress>) {
        (Arc::clone(&self.running), self.thread)
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let Some(thread) = self.thread else { return };
        let mut state = self.running.state();
        let running = &mut state.running;
        if let Some(place) = running.iter().position(|(running, _)| *running == thread) {
            running[place].1 -= 1;
            if running[place].1 == 0 {
                running.swap_remove(place);
            }
        }
        drop(state);
        self.running.go_on(|state, thread| !state.others(thread));
    }
}
