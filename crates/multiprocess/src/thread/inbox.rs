//! What waits to be run on one thread.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::bell::{Bell, Happened};
use crate::Error;
use crate::connection::{ArcConn, WeakConn};
use crate::server::Task;

/// The calls for one thread, first in first out.
pub(crate) struct Inbox {
    id: u64,
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// Whom to wake. None until the thread runs.
    thread: Option<Thread>,
    /// The thread waits for a descriptor, and is woken through its bell.
    polls: bool,
    bell: Option<Arc<Bell>>,
    /// The peer that a worker was made for has let it go. It ends when it has nothing to do: until
    /// then it may wait for a call of its own, whose callbacks come here.
    let_go: bool,
    closed: bool,
}

impl State {
    /// How to wake the thread, outside the lock.
    fn waker(&self) -> Wake {
        match (&self.bell, &self.thread) {
            (Some(bell), _) if self.polls => Wake::Ring(Arc::clone(bell)),
            (_, Some(thread)) => Wake::Unpark(thread.clone()),
            _ => Wake::Nobody,
        }
    }
}

/// What a worker is to do next.
pub(super) enum Next {
    /// Run this call; and whether there is another behind it.
    Call(Task, bool),
    Wait,
    /// Nothing more comes.
    End,
}

enum Wake {
    Nobody,
    Unpark(Thread),
    Ring(Arc<Bell>),
}

impl Wake {
    fn wake(self) {
        match self {
            Wake::Nobody => {}
            Wake::Unpark(thread) => thread.unpark(),
            Wake::Ring(bell) => bell.ring(),
        }
    }
}

impl Inbox {
    pub(crate) fn new(name: String) -> Inbox {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Inbox { id: NEXT.fetch_add(1, Ordering::Relaxed), name, state: Mutex::default() }
    }

    /// Tells inboxes of this process apart.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the current thread for the one that runs this inbox.
    pub(crate) fn attach(&self) {
        self.state().thread = Some(thread::current());
    }

    /// Adds a call, which is to be followed by a [`wake`](Self::wake). False when the thread has
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

    pub(crate) fn pop(&self) -> Option<Task> {
        self.state().tasks.pop_front()
    }

    /// What the thread is to do next. Calls that came before the end are run before it.
    pub(super) fn next(&self) -> Next {
        let mut state = self.state();
        match state.tasks.pop_front() {
            Some(task) => Next::Call(task, !state.tasks.is_empty()),
            None if state.let_go => {
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

    pub(crate) fn is_let_go(&self) -> bool {
        self.state().let_go
    }

    /// Has a worker end when it has nothing to do.
    pub(super) fn let_go(&self) {
        self.state().let_go = true;
        self.wake();
    }

    /// Wakes the thread to look at what it waits for.
    pub(crate) fn wake(&self) {
        let waker = self.state().waker();
        waker.wake();
    }

    /// Lets nothing more in, and wakes the thread to see it.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.wake();
    }

    /// Gives back the descriptor that the thread is woken through while it waits for a socket.
    pub(crate) fn drop_bell(&self) {
        let bell = self.state().bell.take();
        drop(bell);
    }

    /// Answers what is left with an error.
    fn refuse_all(&self) {
        let tasks = std::mem::take(&mut self.state().tasks);
        for task in tasks {
            task.refuse(Error::failed(format!("thread {} has ended", self.name)));
        }
    }

    /// Blocks until `socket` can be read (or written, where `writes` says so), this inbox is woken, or
    /// `deadline`. May return early. Does not block if `ready` is true once a wake would be noticed.
    pub(crate) fn wait_for(
        &self,
        socket: &OwnedFd,
        writes: bool,
        deadline: Option<Instant>,
        ready: impl FnOnce() -> bool,
    ) -> Happened {
        let bell = {
            let mut state = self.state();
            if !state.tasks.is_empty() {
                return Happened::default();
            }
            if state.bell.is_none() {
                state.bell = Bell::new().ok().map(Arc::new);
            }
            state.polls = state.bell.is_some();
            state.bell.clone()
        };
        let Some(bell) = bell else {
            // No descriptor left: the driver wakes this thread, at most a little late.
            let soon = Instant::now() + Duration::from_millis(1);
            Inbox::park(Some(deadline.map_or(soon, |deadline| deadline.min(soon))));
            return Happened { readable: true, writable: writes };
        };
        let happened = match ready() {
            true => Happened::default(),
            false => bell.wait(socket, writes, deadline),
        };
        self.state().polls = false;
        happened
    }

    /// Blocks until woken or `deadline`. May return early.
    pub(crate) fn park(deadline: Option<Instant>) {
        match deadline {
            None => thread::park(),
            Some(deadline) => {
                thread::park_timeout(deadline.saturating_duration_since(Instant::now()))
            }
        }
    }
}

/// This thread's inbox, and the connections that keep something for it.
struct ThisThread {
    inbox: Arc<Inbox>,
    used: RefCell<Vec<WeakConn>>,
}

impl Drop for ThisThread {
    /// The thread ends: the peers' threads for it are let go.
    fn drop(&mut self) {
        self.inbox.close();
        self.inbox.drop_bell();
        self.inbox.refuse_all();
        for conn in self.used.take() {
            if let Some(conn) = conn.upgrade() {
                conn.release_caller(self.inbox.id);
            }
        }
    }
}

thread_local! {
    static THIS: RefCell<Option<ThisThread>> = const { RefCell::new(None) };
}

/// Makes `inbox` the current thread's. For workers, before they do anything else.
pub(super) fn adopt(inbox: Arc<Inbox>) {
    inbox.attach();
    THIS.with_borrow_mut(|this| *this = Some(ThisThread { inbox, used: RefCell::default() }));
}

/// The current thread's inbox, made on first use.
pub(crate) fn this_inbox() -> Arc<Inbox> {
    THIS.with_borrow_mut(|this| {
        let this = this.get_or_insert_with(|| {
            let thread = thread::current();
            let inbox =
                Inbox::new(format!("{}-{:?}", thread.name().unwrap_or("thread"), thread.id()));
            inbox.attach();
            ThisThread { inbox: Arc::new(inbox), used: RefCell::default() }
        });
        Arc::clone(&this.inbox)
    })
}

/// Notes that `conn` keeps a server thread for the current thread, to be let go when it ends.
pub(crate) fn use_connection(conn: &ArcConn) {
    THIS.with_borrow(|this| {
        if let Some(this) = this {
            let mut used = this.used.borrow_mut();
            used.retain(|known| known.strong_count() > 0);
            used.push(ArcConn::downgrade(conn));
        }
    });
}
