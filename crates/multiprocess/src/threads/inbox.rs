//! The inbox of a thread: the calls that are to run on it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use super::task::{Queue, Task, take_cancelled};
use crate::connection::{ArcConn, Conn, Parker};
use crate::forked::is_forked;
use crate::sync::{Mutex, MutexGuard};
use crate::{Error, Result, thread_list};

/// The calls for one thread, first in first out.
pub(crate) struct Inbox {
    name: String,
    parker: Arc<Parker>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// The peer that a worker was made for has released it. It ends once it has nothing to do: until
    /// then a method of its may wait for a call, whose callbacks arrive here.
    released: bool,
    closed: bool,
}

/// What a worker is to do next.
pub(super) enum Next {
    /// Run this call. The flag: whether another one waits behind it.
    Call(Task, bool),
    Wait,
    /// Nothing more comes.
    End,
}

impl Inbox {
    pub(crate) fn new(name: String) -> Inbox {
        Inbox { name, parker: Arc::new(Parker::new()), state: Mutex::default() }
    }

    /// Tells inboxes of this process apart.
    pub(crate) fn id(&self) -> u64 {
        self.parker.id()
    }

    /// How its thread waits, and is woken.
    pub(crate) fn parker(&self) -> &Arc<Parker> {
        &self.parker
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the current thread the one that is woken for this inbox.
    pub(crate) fn attach(&self) {
        self.parker.attach();
    }

    /// Adds a call, which is to be followed by a [wake](Parker::wake). False when the thread has
    /// ended: the call is refused.
    pub(crate) fn push(&self, task: Task) -> bool {
        let mut state = self.state();
        if state.closed {
            drop(state);
            task.refuse(Error::failed(format!("thread {} has ended", self.name)));
            return false;
        }
        state.tasks.push_back(task);
        true
    }

    /// The next call that may run while its thread, the current one, waits: of a connection that it waits
    /// for, directly or around what it does now. Any other peer could make the wait longer than that for
    /// its answer. Of a connection that has ended a call may be dropped anywhere.
    pub(crate) fn pop_allowed(&self) -> Option<Task> {
        let tasks = &mut self.state().tasks;
        let place = tasks.iter().position(is_allowed)?;
        tasks.remove(place)
    }

    /// Whether there is such a call.
    pub(crate) fn has_allowed(&self) -> bool {
        self.state().tasks.iter().any(is_allowed)
    }

    /// What the thread is to do next. Calls that came before the end are run before it.
    pub(super) fn next(&self) -> Next {
        let mut state = self.state();
        match state.tasks.pop_front() {
            Some(task) => Next::Call(task, !state.tasks.is_empty()),
            None if state.released => {
                // From now on calls are refused: nobody would run them.
                state.closed = true;
                Next::End
            }
            None => Next::Wait,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state().tasks.is_empty()
    }

    /// How many calls of one connection wait.
    pub(crate) fn count_of(&self, conn: &ArcConn) -> usize {
        self.state().tasks.iter().filter(|task| is_of(task, conn)).count()
    }

    /// The next call of one connection.
    pub(crate) fn pop_of(&self, conn: &ArcConn) -> Option<Task> {
        let tasks = &mut self.state().tasks;
        let place = tasks.iter().position(|task| is_of(task, conn))?;
        tasks.remove(place)
    }

    pub(crate) fn is_released(&self) -> bool {
        self.state().released
    }

    /// Lets a worker end once it has nothing to do.
    pub(super) fn release(&self) {
        self.state().released = true;
        self.parker.wake();
    }

    /// Refuses further calls, and wakes the thread so that it sees that.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.parker.wake();
    }

    /// Answers the calls that were not run with an error.
    fn refuse_all(&self) {
        let tasks = std::mem::take(&mut self.state().tasks);
        for task in tasks {
            task.refuse(Error::failed(format!("thread {} has ended", self.name)));
        }
    }
}

impl Queue for Inbox {
    fn take_cancelled(&self) -> Vec<Task> {
        take_cancelled(&mut self.state().tasks)
    }
}

/// Notes that the current thread waits for an answer over this connection, until the guard is dropped. None:
/// for something of this process.
pub(crate) fn enter_wait(conn: Option<&ArcConn>) -> WaitGuard {
    let enter =
        |conn| WAITS.try_with(|waits| waits.borrow_mut().push(ArcConn::as_ptr(conn))).is_ok();
    WaitGuard(conn.is_some_and(enter))
}

pub(crate) struct WaitGuard(bool);

impl Drop for WaitGuard {
    fn drop(&mut self) {
        if self.0 {
            let _ = WAITS.try_with(|waits| waits.borrow_mut().pop());
        }
    }
}

fn is_allowed(task: &Task) -> bool {
    let conn = task.connection();
    let waits = WAITS.try_with(|waits| waits.borrow().contains(&conn.as_ptr()));
    waits.unwrap_or(true) || conn.upgrade().is_none_or(|conn| conn.ended().is_some())
}

fn is_of(task: &Task, conn: &ArcConn) -> bool {
    std::ptr::eq(task.connection().as_ptr(), ArcConn::as_ptr(conn))
}

/// Something that is notified when the current thread ends.
pub(crate) trait ThreadEnd {
    /// Identifies it, so that it is notified once however often it was registered.
    fn key(&self) -> usize;
    /// Whether it no longer needs to be notified.
    fn is_over(&self) -> bool;
    /// The thread with this inbox has ended.
    fn thread_ended(&self, inbox: u64);
}

/// This thread's inbox, and what is notified when the thread ends.
struct ThisThread {
    inbox: Arc<Inbox>,
    ends: RefCell<Vec<Box<dyn ThreadEnd>>>,
}

impl Drop for ThisThread {
    /// The thread ends: among others, the threads that peers have for it are released.
    fn drop(&mut self) {
        if is_forked() {
            // What it would tell is the parent's to tell, and its locks may be taken for ever.
            return std::mem::forget(self.ends.take());
        }
        self.inbox.close();
        self.inbox.parker.drop_wake_fd();
        self.inbox.refuse_all();
        for end in self.ends.take() {
            end.thread_ended(self.inbox.id());
        }
    }
}

thread_local! {
    /// The connections over which this thread waits for answers, the outermost first.
    static WAITS: RefCell<Vec<*const Conn>> = const { RefCell::new(Vec::new()) };
    static THIS: RefCell<Option<ThisThread>> = const { RefCell::new(None) };
}

/// Makes `inbox` the current thread's. A worker calls this before anything else.
pub(super) fn adopt(inbox: Arc<Inbox>) {
    inbox.attach();
    THIS.with_borrow_mut(|this| *this = Some(ThisThread { inbox, ends: RefCell::default() }));
}

/// The current thread's inbox, made on first use.
///
/// Within the destructor of a thread-local value, where the thread has lost its inbox already, one that
/// nobody else knows.
pub(crate) fn this_inbox() -> Arc<Inbox> {
    let new = || {
        let inbox = Inbox::new(thread_list::name());
        inbox.attach();
        Arc::new(inbox)
    };
    let known = THIS.try_with(|this| {
        let mut this = this.borrow_mut();
        let this =
            this.get_or_insert_with(|| ThisThread { inbox: new(), ends: RefCell::default() });
        Arc::clone(&this.inbox)
    });
    known.unwrap_or_else(|_| new())
}

/// Fails where this thread is about to end and has told its peers so: it cannot wait for a call any more.
pub(crate) fn check_thread() -> Result<()> {
    THIS.try_with(|_| ()).map_err(|_| {
        Error::misuse(
            "a call was waited for while its thread ends, in the destructor of a thread-local value: \
             make the call before, or on another thread",
        )
    })
}

/// Has the threads that peers have for the current one released, as when it ends: it is about to do
/// something else.
pub(super) fn release_peers_threads() {
    let take = |this: &RefCell<Option<ThisThread>>| {
        this.borrow().as_ref().map(|this| (this.inbox.id(), this.ends.take()))
    };
    let Some((inbox, ends)) = THIS.try_with(take).ok().flatten() else { return };
    for end in ends {
        end.thread_ended(inbox);
    }
}

/// Registers `end` to be notified when the current thread ends.
pub(crate) fn at_thread_end(end: impl ThreadEnd + 'static) {
    let _ = THIS.try_with(|this| {
        if let Some(this) = &*this.borrow() {
            let mut ends = this.ends.borrow_mut();
            ends.retain(|known| !known.is_over());
            if ends.iter().all(|known| known.key() != end.key()) {
                ends.push(Box::new(end));
            }
        }
    });
}

#[cfg(all(test, shuttle))]
#[path = "inbox_schedules.rs"]
pub(crate) mod schedules;
