//! How a thread waits and is woken: parked where it waits for other threads only, in poll(2) with a wake
//! descriptor where it waits for a socket as well.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::wake_fd::{Happened, WakeFd};
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard};

/// Waits on one thread; other threads wake it through this.
pub(crate) struct Parker {
    id: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The thread to unpark. None until it runs.
    thread: Option<Thread>,
    /// The thread waits for a socket, so it has to be woken through `wake_fd`.
    polls: bool,
    wake_fd: Option<Arc<WakeFd>>,
}

impl Parker {
    pub(crate) fn new() -> Parker {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Parker { id: NEXT.fetch_add(1, Ordering::Relaxed), state: Mutex::default() }
    }

    /// A number that no other thread of this process has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the current thread the one that waits here.
    pub(crate) fn attach(&self) {
        self.state().thread = Some(thread::current());
    }

    /// Wakes the thread, so that it checks what it waits for.
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

    /// Closes the wake descriptor. The thread's next wait for a socket makes another.
    pub(crate) fn drop_wake_fd(&self) {
        let wake_fd = self.state().wake_fd.take();
        drop(wake_fd);
    }

    /// Blocks until `socket` can be read (or written, if `writes`), the thread is woken, or `deadline`. May
    /// return early. `ready` is asked after a wake would be noticed, so that none is lost; if it is true
    /// this does not block.
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
            // The process has no descriptor left: look at the socket every millisecond instead.
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

#[cfg(all(test, shuttle))]
#[path = "parker_schedules.rs"]
mod schedules;
