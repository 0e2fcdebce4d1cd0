//! How a thread waits, and how it is woken: for something that other threads tell it, and for a socket
//! at the same time where it reads one.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::wake_fd::{Happened, WakeFd};

/// What one thread is woken through.
pub(crate) struct Parker {
    id: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whom to wake. None until the thread runs.
    thread: Option<Thread>,
    /// The thread waits for a socket, and is woken through its descriptor.
    polls: bool,
    wake_fd: Option<Arc<WakeFd>>,
}

impl Parker {
    pub(crate) fn new() -> Parker {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Parker { id: NEXT.fetch_add(1, Ordering::Relaxed), state: Mutex::default() }
    }

    /// Tells threads of this process apart.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the current thread for the one that waits here.
    pub(crate) fn attach(&self) {
        self.state().thread = Some(thread::current());
    }

    /// Wakes the thread to look at what it waits for.
    pub(crate) fn wake(&self) {
        let state = self.state();
        match (&state.wake_fd, &state.thread) {
            (Some(wake_fd), _) if state.polls => {
                let wake_fd = Arc::clone(wake_fd);
                drop(state);
                wake_fd.wake();
            }
            (_, Some(thread)) => {
                let thread = thread.clone();
                drop(state);
                thread.unpark();
            }
            _ => {}
        }
    }

    /// Gives back the descriptor that the thread is woken through while it waits for a socket.
    pub(crate) fn drop_wake_fd(&self) {
        let wake_fd = self.state().wake_fd.take();
        drop(wake_fd);
    }

    /// Blocks until `socket` can be read (or written, where `writes` says so), the thread is woken, or
    /// `deadline`. May return early. Does not block if `ready` is true once a wake would be noticed.
    pub(super) fn wait_for(
        &self,
        socket: &OwnedFd,
        writes: bool,
        deadline: Option<Instant>,
        ready: impl FnOnce() -> bool,
    ) -> Happened {
        let wake_fd = {
            let mut state = self.state();
            if state.wake_fd.is_none() {
                state.wake_fd = WakeFd::new().ok().map(Arc::new);
            }
            state.polls = state.wake_fd.is_some();
            state.wake_fd.clone()
        };
        let Some(wake_fd) = wake_fd else {
            // No descriptor left: the driver wakes this thread, at most a little late.
            let soon = Instant::now() + Duration::from_millis(1);
            Parker::park(Some(deadline.map_or(soon, |deadline| deadline.min(soon))));
            return Happened { readable: true, writable: writes };
        };
        let happened = match ready() {
            true => Happened::default(),
            false => wake_fd.wait(socket, writes, deadline),
        };
        self.state().polls = false;
        happened
    }

    /// Blocks until woken or `deadline`. May return early.
    pub(crate) fn park(deadline: Option<Instant>) {
        match deadline {
            None => thread::park(),
            Some(deadline) => {
                thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
            }
        }
    }
}
