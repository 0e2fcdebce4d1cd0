//! The serial executor: starts calls in the order in which they arrived, on pool threads, at most so
//! many at once as it has slots.
//!
//! One with a single slot runs those calls of a connection that have no context. One with several is
//! the pool that a peer asked for with makePool, or runs callbacks that name no thread in particular. A
//! method that waits for an answer must not hold up the calls behind it, or two peers that call each other
//! could wait for ever: before it waits, its thread releases its slot to another thread. That one more
//! thread counts in the connection's [`ThreadBudget`]; if there is none left, the calls wait until one of
//! the methods has ended, and are refused if none has for a second: they may be what the methods wait for. A
//! method that blocks for something else ([`block`]) releases its slot as well, but as long as one does the calls
//! are not refused: it is slow, and they wait for it.
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
use super::budget::{ThreadBudget, ThreadClaim};
use super::inbox::{Inbox, release_peers_threads, this_inbox};
use super::task::{Queue, Task, take_cancelled};
use crate::connection::{IdleReader, WeakConn};
use crate::driver::{Source, driver};
use crate::may_block::check_may_wait;
use crate::{Result, pool};

/// How long a thread without a call reads the socket before it ends.
const MAX_IDLE: Duration = Duration::from_secs(5);
/// How many threads of this process do so at once; the driver reads the other sockets.
const MAX_IDLE_THREADS: usize = 16;
/// When a thread is asked for again where there was none.
const RETRY: Duration = Duration::from_millis(50);
/// How long calls wait for one of the methods that wait before them to end, where no other thread is to be
/// had.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct SerialExecutor {
    /// How many calls run at once.
    slots: usize,
    /// How many threads it has without a claim.
    reserved: usize,
    budget: Arc<ThreadBudget>,
    state: Mutex<State>,
    /// For the reserved threads, where they count: until the last has ended, which may be after the
    /// connection.
    #[allow(dead_code, reason = "counts until it is dropped")]
    claim: Option<ThreadClaim>,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// Threads, with those that were asked for.
    threads: usize,
    /// Those of them whose slot was released: their methods wait.
    waiting: usize,
    /// How many wait for something that is no call, and so may take as long as it likes.
    blocked: usize,
    /// For the threads beyond the reserved ones.
    claims: Vec<ThreadClaim>,
    /// A thread was not to be had, and is asked for again later.
    retries: bool,
    /// Since when no call was started for want of a thread.
    starved: Option<Instant>,
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

/// What a thread has of an executor while it runs a call of it.
struct Slot {
    executor: Arc<SerialExecutor>,
    released: bool,
}

thread_local! {
    static SLOT: RefCell<Option<Slot>> = const { RefCell::new(None) };
}

impl SerialExecutor {
    /// Runs so many calls at once. So many of its threads do not count.
    pub(crate) fn new(
        slots: usize,
        reserved: usize,
        budget: &Arc<ThreadBudget>,
    ) -> Arc<SerialExecutor> {
        SerialExecutor::with_claim(slots, reserved, budget, None)
    }

    /// The same where a thread for each slot is taken from the budget, until none of them runs any more.
    ///
    /// # Errors
    /// It has not so many left.
    pub(crate) fn claimed(slots: usize, budget: &Arc<ThreadBudget>) -> Result<Arc<SerialExecutor>> {
        let claim = budget.claim(slots)?;
        Ok(SerialExecutor::with_claim(slots, slots, budget, Some(claim)))
    }

    fn with_claim(
        slots: usize,
        reserved: usize,
        budget: &Arc<ThreadBudget>,
        claim: Option<ThreadClaim>,
    ) -> Arc<SerialExecutor> {
        let (budget, state) = (Arc::clone(budget), Mutex::default());
        Arc::new(SerialExecutor { slots, reserved, budget, state, claim })
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
        if (state.used() == 0 || !state.quick) && self.claim_slot(&mut state) {
            return Start::Thread;
        }
        if state.used() < self.slots && state.started_at_tick.is_none() {
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
    fn claim_slot(self: &Arc<Self>, state: &mut State) -> bool {
        if state.tasks.is_empty() || state.used() >= self.slots || state.starting {
            return false;
        }
        if state.threads >= self.reserved {
            match self.budget.claim_unasked() {
                Ok(claim) => state.claims.push(claim),
                Err(_) => {
                    state.starved.get_or_insert_with(Instant::now);
                    self.retry(state);
                    return false;
                }
            }
        }
        state.threads += 1;
        state.starting = true;
        true
    }

    /// Starts a thread for a slot that was claimed. If there is no thread to be had and none that will
    /// have time, the calls that wait are refused.
    pub(crate) fn start(self: Arc<Self>) {
        let executor = Arc::clone(&self);
        let run = move || {
            let quick = {
                let mut state = executor.state();
                state.starting = false;
                state.quick
            };
            executor.serve(Batch::after(quick));
        };
        let Err(error) = pool::run(run) else { return };
        let mut state = self.state();
        state.starting = false;
        let claim = self.uncount_thread(&mut state);
        let refused = if state.threads == 0 {
            std::mem::take(&mut state.tasks)
        } else {
            state.starved.get_or_insert_with(Instant::now);
            self.retry(&mut state);
            VecDeque::new()
        };
        drop(state);
        drop(claim);
        for task in refused {
            task.refuse(error.clone());
        }
    }

    /// Asks for a thread again later, on the driver thread.
    fn retry(self: &Arc<Self>, state: &mut State) {
        let Ok(driver) = driver() else { return };
        if std::mem::replace(&mut state.retries, true) {
            return;
        }
        let executor = Arc::downgrade(self);
        let again = move || {
            let Some(executor) = executor.upgrade() else { return };
            let mut state = executor.state();
            state.retries = false;
            let start = executor.claim_slot(&mut state);
            let refused = if start { VecDeque::new() } else { executor.lose_patience(&mut state) };
            drop(state);
            if start {
                Arc::clone(&executor).start();
            }
            for task in refused {
                task.refuse(executor.budget.exhausted());
            }
        };
        driver.add_timer(Instant::now() + RETRY, Box::new(again));
    }

    /// The calls that have waited too long for methods that wait themselves. Not for one that has blocked for something
    /// else: that is slow, and the calls wait for it as for any other that is.
    fn lose_patience(&self, state: &mut State) -> VecDeque<Task> {
        let too_long = state.starved.is_some_and(|since| since.elapsed() >= PATIENCE);
        if state.used() > 0 || state.blocked > 0 || !too_long {
            return VecDeque::new();
        }
        state.starved = None;
        std::mem::take(&mut state.tasks)
    }

    /// A thread is gone. Its claim is to be dropped outside the lock.
    fn uncount_thread(&self, state: &mut State) -> Option<ThreadClaim> {
        state.threads -= 1;
        if state.claims.len() > state.threads.saturating_sub(self.reserved) {
            state.claims.pop()
        } else {
            None
        }
    }

    /// Runs calls until there are none for a while, or another thread has its slot.
    fn serve(self: Arc<Self>, mut batch: Batch) {
        let mut last = WeakConn::new();
        loop {
            let mut state = self.state();
            if let Some(task) = state.tasks.pop_front() {
                state.started += 1;
                state.starved = None;
                let more = !state.tasks.is_empty();
                let start = batch.is_slow() && self.claim_slot(&mut state);
                drop(state);
                if start {
                    Arc::clone(&self).start();
                }
                last = task.connection();
                SLOT.set(Some(Slot { executor: Arc::clone(&self), released: false }));
                batch.run(task, more);
                let released = SLOT.take().is_some_and(|slot| slot.released);
                let mut state = self.state();
                state.quick = !batch.is_slow();
                if released {
                    state.waiting -= 1;
                    // Goes on if nobody has taken its slot, for want of a thread or of calls.
                    if state.used() > self.slots {
                        return self.leave(state, &last);
                    }
                }
                continue;
            }
            if state.idle.is_some() {
                return self.leave(state, &last);
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
                self.leave(state, &last);
                inbox.parker().drop_wake_fd();
                return;
            }
        }
    }

    /// The current thread goes back to the pool. What it calls there has nothing to do with `conn`, whose
    /// peer need not keep a thread for it.
    fn leave(&self, mut state: MutexGuard<'_, State>, conn: &WeakConn) {
        let claim = self.uncount_thread(&mut state);
        drop(state);
        if conn.strong_count() > 0 {
            release_peers_threads();
        }
        drop(claim);
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
        state.waiting += 1;
        let start = self.claim_slot(&mut state);
        drop(state);
        if start {
            self.start();
        }
    }
}

impl State {
    /// How many slots are taken.
    fn used(&self) -> usize {
        self.threads - self.waiting
    }
}

impl Queue for SerialExecutor {
    fn take_cancelled(&self) -> Vec<Task> {
        take_cancelled(&mut self.state().tasks)
    }
}

impl Source for SerialExecutor {
    fn readable(self: Arc<Self>) {}

    /// Asks for another thread if calls wait and none was started since the last tick: those that run
    /// take long.
    fn tick(self: Arc<Self>) -> bool {
        let mut state = self.state();
        // Nothing to do where every slot is used: the threads that have them go on with the rest.
        if state.tasks.is_empty() || state.used() >= self.slots || state.retries {
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
    let release = |slot: &RefCell<Option<Slot>>| {
        let mut slot = slot.borrow_mut();
        let slot = slot.as_mut().filter(|slot| !slot.released)?;
        slot.released = true;
        Some(Arc::clone(&slot.executor))
    };
    if let Ok(Some(executor)) = SLOT.try_with(release) {
        executor.release();
    }
}

/// Runs `wait`, which blocks this thread until something happens that is no call's answer. The calls behind the one that
/// this thread serves go on meanwhile, as they do while it waits for a call; but they are not refused where no other
/// thread is to be had.
///
/// # Errors
/// [`Error::ApiMisuse`](crate::Error::ApiMisuse): this thread polls a future. Nothing was run.
pub fn block<R>(wait: impl FnOnce() -> R) -> Result<R> {
    check_may_wait()?;
    let _blocked = Blocked::here();
    release_slot();
    Ok(wait())
}

/// This thread is blocked by something else than a call, if it runs one of an executor.
struct Blocked(Option<Arc<SerialExecutor>>);

impl Blocked {
    fn here() -> Blocked {
        let executor = |slot: &RefCell<Option<Slot>>| {
            slot.borrow().as_ref().map(|slot| Arc::clone(&slot.executor))
        };
        let executor = SLOT.try_with(executor).ok().flatten();
        if let Some(executor) = &executor {
            executor.state().blocked += 1;
        }
        Blocked(executor)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let Some(executor) = &self.0 else { return };
        let mut state = executor.state();
        state.blocked -= 1;
        // The patience with other methods that wait begins anew.
        state.starved = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::Error;
    use crate::threads::RunCall;

    const LONG: Duration = Duration::from_secs(60);

    /// Runs this, and tells what became of it.
    struct Method<F>(F, Sender<&'static str>);

    impl<F: FnOnce() + Send> RunCall for Method<F> {
        fn run(self: Box<Self>) {
            (self.0)();
            let _ = self.1.send("run");
        }

        fn refuse(self: Box<Self>, _: Error) {
            let _ = self.1.send("refused");
        }

        fn connection(&self) -> WeakConn {
            WeakConn::new()
        }
    }

    /// An executor whose only thread is in `wait`, a call behind that, and what becomes of it.
    fn waits(
        wait: impl FnOnce() + Send + 'static,
    ) -> (Arc<SerialExecutor>, Receiver<&'static str>) {
        // No thread but the reserved one.
        let executor = SerialExecutor::new(1, 1, &ThreadBudget::new(0));
        let (tell, behind) = channel();
        let first = Method(wait, channel().0);
        assert!(matches!(executor.push(Task::new(Box::new(first))), Start::Thread));
        Arc::clone(&executor).start();
        let second = Method(|| {}, tell);
        assert!(matches!(executor.push(Task::new(Box::new(second))), Start::Nobody));
        (executor, behind)
    }

    /// As if the call behind had waited for longer than it does.
    fn starve(executor: &SerialExecutor) -> MutexGuard<'_, State> {
        let end = Instant::now() + LONG;
        loop {
            let mut state = executor.state();
            if state.waiting == 1 {
                state.starved = Instant::now().checked_sub(2 * PATIENCE);
                assert!(state.starved.is_some());
                return state;
            }
            drop(state);
            assert!(Instant::now() < end, "the method does not wait");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_call_behind_one_that_is_blocked_waits_for_it() {
        let (go, blocks) = channel::<()>();
        let (executor, behind) = waits(move || {
            let _ = block(|| blocks.recv());
        });
        let mut state = starve(&executor);
        let refused = executor.lose_patience(&mut state);
        assert!(refused.is_empty(), "it is refused");
        drop(state);
        drop(go);
        assert_eq!(behind.recv_timeout(LONG), Ok("run"));
    }

    #[test]
    fn a_call_behind_one_that_waits_for_a_call_is_refused() {
        let (go, answer) = channel::<()>();
        let (executor, behind) = waits(move || {
            release_slot();
            let _ = answer.recv();
        });
        drop(starve(&executor));
        assert_eq!(behind.recv_timeout(LONG), Ok("refused"));
        drop(go);
    }
}
