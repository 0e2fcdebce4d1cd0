//! Calls that run on whatever pool thread is free, at most so many at once, started in the order
//! in which they arrived.
//!
//! With one lane: the calls of one connection that have no context. With several: the pool that a
//! peer asked for with makePool. A method that waits for an answer itself must not hold up what
//! comes after it, or two peers that call each other could wait for ever: before it waits, it gives
//! its lane to another thread.
//!
//! A thread whose lanes have nothing to do reads the socket for a while, so that it runs the next
//! call at once. Calls that come together are run one after the other by as few threads as keep up.
//! While methods are quick that is one; where one has no end within a millisecond or two, the driver
//! sees that no other call was begun meanwhile, and asks for one more thread, which asks for the next.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::answering::{Batch, none_follows};
use super::inbox::{Inbox, this_inbox};
use super::task::Task;
use crate::connection::{IdleLead, WeakConn};
use crate::driver::{Source, driver};
use crate::pool;

/// How long a thread reads a socket that nothing comes from.
const IDLE: Duration = Duration::from_secs(5);
/// How many threads do so in this process; the driver reads for the others.
const MOST_IDLE: usize = 16;

pub(crate) struct SerialExecutor {
    count: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// Lanes that a thread is at, or on its way to.
    held: usize,
    /// A thread was asked for and has not come yet.
    starting: bool,
    /// The inbox of the thread that is at a lane with nothing to do.
    idle: Option<Arc<Inbox>>,
    /// The calls that ended last were quick.
    quick: bool,
    /// How many calls were begun; and how many when the driver last looked, where it does.
    begun: u64,
    seen: Option<u64>,
}

/// Who is to run a call that was added.
pub(crate) enum Start {
    /// Whoever is at the lanes already.
    Nobody,
    /// A thread of the pool, by [`SerialExecutor::start`].
    Thread,
    /// The idle thread.
    Wake(Arc<Inbox>),
}

thread_local! {
    /// The lane that the current thread holds.
    static HELD: RefCell<Option<Arc<SerialExecutor>>> = const { RefCell::new(None) };
}

impl SerialExecutor {
    pub(crate) fn new(count: usize) -> Arc<SerialExecutor> {
        Arc::new(SerialExecutor { count, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call.
    pub(crate) fn push(self: &Arc<Self>, task: Task) -> Start {
        let mut state = self.state();
        state.tasks.push_back(task);
        if let Some(inbox) = state.idle.take() {
            return Start::Wake(inbox);
        }
        if (state.held == 0 || !state.quick) && self.ask(&mut state) {
            return Start::Thread;
        }
        if state.held < self.count && state.seen.is_none() {
            // It looks twice at least: the first time may be at once.
            state.seen = Some(state.begun.wrapping_sub(1));
            drop(state);
            if let Ok(driver) = driver() {
                let lanes: Weak<SerialExecutor> = Arc::downgrade(self);
                driver.look_after(lanes);
            }
        }
        Start::Nobody
    }

    /// Whether to ask for one more thread.
    fn ask(&self, state: &mut State) -> bool {
        let ask = !state.tasks.is_empty() && state.held < self.count && !state.starting;
        if ask {
            state.held += 1;
            state.starting = true;
        }
        ask
    }

    pub(crate) fn start(self: Arc<Self>) {
        pool::run(move || {
            let quick = {
                let mut state = self.state();
                state.starting = false;
                state.quick
            };
            self.serve(Batch::after(quick));
        });
    }

    fn serve(self: Arc<Self>, mut batch: Batch) {
        let mut last = WeakConn::new();
        loop {
            let mut state = self.state();
            if let Some(task) = state.tasks.pop_front() {
                state.begun += 1;
                let more = !state.tasks.is_empty();
                let ask = batch.is_slow() && self.ask(&mut state);
                drop(state);
                if ask {
                    Arc::clone(&self).start();
                }
                last = task.connection();
                HELD.set(Some(Arc::clone(&self)));
                batch.run(task, more);
                if HELD.take().is_none() {
                    return; // given away while the method waited
                }
                self.state().quick = !batch.is_slow();
                continue;
            }
            if state.idle.is_some() {
                state.held -= 1;
                return;
            }
            let inbox = this_inbox();
            state.idle = Some(Arc::clone(&inbox));
            drop(state);
            self.read_for_a_while(&last, &inbox);
            let mut state = self.state();
            if state.idle.as_ref().is_some_and(|idle| idle.id() == inbox.id()) {
                state.idle = None;
            }
            if state.tasks.is_empty() {
                state.held -= 1;
                drop(state);
                inbox.parker().drop_wake_fd();
                return;
            }
        }
    }

    /// Leads the connection until there is a call to run, or none for a while.
    fn read_for_a_while(&self, conn: &WeakConn, inbox: &Arc<Inbox>) {
        static IDLING: AtomicUsize = AtomicUsize::new(0);
        if IDLING.fetch_add(1, Ordering::Relaxed) < MOST_IDLE
            && let Some(lead) = IdleLead::take(conn, inbox.parker())
        {
            let end = Instant::now() + IDLE;
            while self.state().tasks.is_empty() && Instant::now() < end {
                let ready = || !self.state().tasks.is_empty();
                if !lead.wait(inbox.parker(), Some(end), ready, ready) {
                    break;
                }
            }
        }
        IDLING.fetch_sub(1, Ordering::Relaxed);
    }

    fn give_away(self: Arc<Self>) {
        let mut state = self.state();
        state.held -= 1;
        let start = self.ask(&mut state);
        drop(state);
        if start {
            self.start();
        }
    }
}

impl Source for SerialExecutor {
    fn readable(self: Arc<Self>) {}

    /// Calls wait, and none was begun since the last look: those that run take long.
    fn look(self: Arc<Self>) -> bool {
        let mut state = self.state();
        // Where every lane is held there is nothing to ask for: whoever is at one goes on with the rest.
        if state.tasks.is_empty() || state.held >= self.count {
            state.seen = None;
            return false;
        }
        let begun = state.begun;
        let stuck = state.seen.replace(begun) == Some(begun);
        // The thread that comes asks for the next one at once.
        state.quick &= !stuck;
        let start = stuck && self.ask(&mut state);
        drop(state);
        if start {
            self.start();
        }
        true
    }
}

/// Gives the lane that the current thread holds, if it does, to another: the thread is about to wait.
pub(crate) fn release_lane() {
    none_follows();
    if let Some(lanes) = HELD.take() {
        lanes.give_away();
    }
}
