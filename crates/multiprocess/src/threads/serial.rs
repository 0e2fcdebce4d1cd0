//! The serial executor: starts calls in the order in which they arrived, on pool threads, at most so
//! many at once as it has slots.
//!
//! One with a single slot runs those calls of a connection that have no context. One with several is
//! the pool that a peer asked for with makePool. A method that waits for an answer must not hold up the
//! calls behind it, or two peers that call each other could wait for ever: before it waits, its thread
//! releases its slot to another thread.
//!
//! A thread with a slot that has no call to run reads the socket for a while, so that it runs the next
//! call at once. Calls that arrive together are run one after the other by as few threads as keep up.
//! While methods are quick that is one thread. If one takes longer than a millisecond or two, the driver
//! sees at a tick that no other call was started meanwhile, and asks for another thread; that one asks
//! for the next.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::answering::{Batch, end_batch};
use super::inbox::{Inbox, this_inbox};
use super::task::Task;
use crate::connection::{IdleReader, WeakConn};
use crate::driver::{Source, driver};
use crate::pool;

/// How long a thread without a call reads the socket before it ends.
const MAX_IDLE: Duration = Duration::from_secs(5);
/// How many threads of this process do so at once; the driver reads the other sockets.
const MAX_IDLE_THREADS: usize = 16;

pub(crate) struct SerialExecutor {
    /// How many calls run at once.
    slots: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// Slots that a thread has, or that a thread was asked for to take.
    used: usize,
    /// A thread was asked for and has not started yet.
    starting: bool,
    /// The inbox of the thread that has a slot and no call to run. There is one at most.
    idle: Option<Arc<Inbox>>,
    /// The calls that ended last were quick.
    quick: bool,
    /// How many calls were started.
    started: u64,
    /// The value of `started` at the driver's last tick; none while the driver does not tick.
    started_at_tick: Option<u64>,
}

/// Who is to run a call that was added.
pub(crate) enum Start {
    /// A thread that has a slot already, after what it runs now.
    Nobody,
    /// A thread of the pool, by [`SerialExecutor::start`].
    Thread,
    /// The idle thread.
    Wake(Arc<Inbox>),
}

thread_local! {
    /// The executor of which the current thread has a slot.
    static SLOT: RefCell<Option<Arc<SerialExecutor>>> = const { RefCell::new(None) };
}

impl SerialExecutor {
    pub(crate) fn new(slots: usize) -> Arc<SerialExecutor> {
        Arc::new(SerialExecutor { slots, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call, and says who is to run it.
    pub(crate) fn push(self: &Arc<Self>, task: Task) -> Start {
        let mut state = self.state();
        state.tasks.push_back(task);
        if let Some(inbox) = state.idle.take() {
            return Start::Wake(inbox);
        }
        if (state.used == 0 || !state.quick) && self.claim_slot(&mut state) {
            return Start::Thread;
        }
        if state.used < self.slots && state.started_at_tick.is_none() {
            // One less than there were: the first tick may come at once and must not ask for a thread.
            state.started_at_tick = Some(state.started.wrapping_sub(1));
            drop(state);
            if let Ok(driver) = driver() {
                let executor: Weak<SerialExecutor> = Arc::downgrade(self);
                driver.start_ticks(executor);
            }
        }
        Start::Nobody
    }

    /// Claims a slot for one more thread, if calls wait and a slot is free. If this returns true the
    /// caller is to [start](Self::start) the thread.
    fn claim_slot(&self, state: &mut State) -> bool {
        let claim = !state.tasks.is_empty() && state.used < self.slots && !state.starting;
        if claim {
            state.used += 1;
            state.starting = true;
        }
        claim
    }

    /// Starts a thread for a slot that was claimed.
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

    /// Runs calls until there are none for a while, or the slot is released.
    fn serve(self: Arc<Self>, mut batch: Batch) {
        let mut last = WeakConn::new();
        loop {
            let mut state = self.state();
            if let Some(task) = state.tasks.pop_front() {
                state.started += 1;
                let more = !state.tasks.is_empty();
                let start = batch.is_slow() && self.claim_slot(&mut state);
                drop(state);
                if start {
                    Arc::clone(&self).start();
                }
                last = task.connection();
                SLOT.set(Some(Arc::clone(&self)));
                batch.run(task, more);
                if SLOT.take().is_none() {
                    return; // the slot was released while the method waited
                }
                self.state().quick = !batch.is_slow();
                continue;
            }
            if state.idle.is_some() {
                state.used -= 1;
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
                state.used -= 1;
                drop(state);
                inbox.parker().drop_wake_fd();
                return;
            }
        }
    }

    /// Reads the connection until there is a call to run, or none for [`MAX_IDLE`].
    fn read_for_a_while(&self, conn: &WeakConn, inbox: &Arc<Inbox>) {
        static IDLE_THREADS: AtomicUsize = AtomicUsize::new(0);
        if IDLE_THREADS.fetch_add(1, Ordering::Relaxed) < MAX_IDLE_THREADS
            && let Some(reader) = IdleReader::acquire(conn, inbox.parker())
        {
            let end = Instant::now() + MAX_IDLE;
            while self.state().tasks.is_empty() && Instant::now() < end {
                let ready = || !self.state().tasks.is_empty();
                if !reader.wait(inbox.parker(), Some(end), ready, ready) {
                    break;
                }
            }
        }
        IDLE_THREADS.fetch_sub(1, Ordering::Relaxed);
    }

    /// Gives the current thread's slot to another thread, if calls wait.
    fn release(self: Arc<Self>) {
        let mut state = self.state();
        state.used -= 1;
        let start = self.claim_slot(&mut state);
        drop(state);
        if start {
            self.start();
        }
    }
}

impl Source for SerialExecutor {
    fn readable(self: Arc<Self>) {}

    /// Asks for another thread if calls wait and none was started since the last tick: those that run
    /// take long.
    fn tick(self: Arc<Self>) -> bool {
        let mut state = self.state();
        // Nothing to do where every slot is used: the threads that have them go on with the rest.
        if state.tasks.is_empty() || state.used >= self.slots {
            state.started_at_tick = None;
            return false;
        }
        let started = state.started;
        let stuck = state.started_at_tick.replace(started) == Some(started);
        // Not quick: the new thread asks for the next one as soon as it has taken a call.
        state.quick &= !stuck;
        let start = stuck && self.claim_slot(&mut state);
        drop(state);
        if start {
            self.start();
        }
        true
    }
}

/// Releases the slot of the current thread, if it has one: the thread is about to wait.
pub(crate) fn release_slot() {
    end_batch();
    if let Some(executor) = SLOT.take() {
        executor.release();
    }
}
