//! A child process: waiting for its exit, reaping it and signalling it, so that no other process is ever
//! meant.
//!
//! On Linux that is done by the child's [`Pidfd`]. Without one (other systems, kernels before 5.4, no
//! descriptor left when the child was started) it is done by number, and then two things cannot be
//! had if other code of this program reaps children that are not its own: between the look at the child
//! and a signal its number can become another process's, which gets the signal; and if it becomes another
//! child's, that one's exit is taken for this one's.

use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

use super::exit::Exit;
use super::hooks::{Hook, Watchers};
use super::pidfd::{Pidfd, Taken};
use crate::thread_start;

/// The longest time between two looks at a child where the kernel cannot wake this thread.
const SLOWEST_LOOK: Duration = Duration::from_millis(20);

/// A child of this process. A [`Child`](super::Child) and the reaper share it, and any thread may ask.
///
/// In a fork of this process nothing is done: the child, and who waits for it, are the parent's, and
/// another thread may have had the lock at that moment. How the child ends is unknown there.
///
/// The lock is held for system calls that do not block, never while the user's code runs.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    pidfd: Option<Pidfd>,
    state: Mutex<State>,
    /// The process whose child it is.
    made_by: u32,
}

#[derive(Debug, Default)]
struct State {
    /// How it ended, once that is known. From then on its number may be another's.
    exit: Option<Exit>,
    /// Who is to be told of the exit. Empty once it is known.
    watchers: Watchers,
    /// Whether the reaper was asked to look for the exit.
    watched: bool,
}

impl Process {
    /// A child that nobody has waited for, so that `pid` is surely its own.
    #[cfg(any(not(target_os = "linux"), test))]
    pub(super) fn new(pid: Pid) -> Process {
        Process::with_pidfd(pid, Pidfd::open(pid))
    }

    /// A child that was started together with its pidfd.
    pub(super) fn with_pidfd(pid: Pid, pidfd: Option<Pidfd>) -> Process {
        Process { pid, pidfd, state: Mutex::default(), made_by: std::process::id() }
    }

    /// Whether this process started it, and is not a fork of the one that did.
    pub(super) fn is_ours(&self) -> bool {
        self.made_by == std::process::id()
    }

    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Becomes readable when the child exits. None where threads that wait have to look again and again.
    pub(super) fn exit_event(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(Pidfd::as_fd)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the child ended, reaping it if it has. None while it runs. Does not block.
    pub(super) fn try_wait(&self) -> Option<Exit> {
        if !self.is_ours() {
            return Some(Exit::Unknown);
        }
        let exit = self.reap(&mut self.state());
        // Not under the lock.
        thread_start::start_missing();
        exit
    }

    /// The first to find the exit has everyone told of it.
    fn reap(&self, state: &mut State) -> Option<Exit> {
        if state.exit.is_none() {
            let taken = self.pidfd.as_ref().map_or(Taken::Unsupported, Pidfd::take_status);
            state.exit = match taken {
                Taken::Exit(exit) => Some(exit),
                Taken::Nothing => None,
                Taken::Unsupported => self.take_status_by_number(),
            };
            if let Some(exit) = state.exit {
                std::mem::take(&mut state.watchers).tell(exit);
            }
        }
        state.exit
    }

    fn take_status_by_number(&self) -> Option<Exit> {
        match rustix::process::waitpid(Some(self.pid), WaitOptions::NOHANG) {
            Ok(reaped) => {
                reaped.map(|(_, status)| Exit::Status(ExitStatus::from_raw(status.as_raw())))
            }
            // ECHILD: others reaped it, or the kernel itself, which does so where SIGCHLD is ignored.
            Err(_) => Some(Exit::Unknown),
        }
    }

    /// As where there is no pidfd.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn lose_pidfd(&mut self) {
        self.pidfd = None;
    }

    /// As if the child had another process's number.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn with_number(mut self, pid: Pid) -> Process {
        self.pid = pid;
        self
    }

    /// Asks the child to end. A stopped one is continued, so that it can.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    /// Ends the child, also if it is stopped.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Does nothing to a child that has exited.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.is_ours() {
            return;
        }
        let by_pidfd = self.pidfd.as_ref().and_then(|pidfd| pidfd.signal(signal));
        if let Err(error) = by_pidfd.unwrap_or_else(|| self.signal_by_number(signal)) {
            tracing::warn!(pid = self.id(), %error, ?signal, "cannot signal child");
        }
    }

    /// Nothing in this crate reaps the child between the look and the signal, as that takes the lock.
    fn signal_by_number(&self, signal: Signal) -> rustix::io::Result<()> {
        let mut state = self.state();
        match self.reap(&mut state) {
            None => rustix::process::kill_process(self.pid, signal),
            Some(_) => Ok(()),
        }
    }

    /// Blocks until the child has exited (Some) or the time has come (None).
    pub(super) fn wait_until(&self, end: Option<Instant>) -> Option<Exit> {
        let mut told = false;
        let mut look = Duration::from_micros(500);
        loop {
            if let Some(exit) = self.try_wait() {
                return Some(exit);
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return None;
            }
            match self.exit_event() {
                Some(event) if !told => told = wait_readable(event, left),
                // No event; or it came and there is nothing to reap: a debugger that traces the child
                // is told first. Asking again at once would spin until it has looked.
                _ => {
                    std::thread::sleep(left.map_or(look, |left| left.min(look)));
                    look = (look * 2).min(SLOWEST_LOOK);
                }
            }
        }
    }

    /// Runs `hook` on a thread of its own when the child has exited, or now if it has. Whether the
    /// reaper is to [watch](super::reaper::watch) from now on.
    #[must_use]
    pub(super) fn on_exit(&self, hook: Hook) -> bool {
        if !self.is_ours() {
            return false;
        }
        thread_start::start_missing();
        let mut state = self.state();
        match self.reap(&mut state) {
            None => {
                state.watchers.add_hook(hook);
                !std::mem::replace(&mut state.watched, true)
            }
            Some(exit) => {
                let mut now = Watchers::default();
                now.add_hook(hook);
                now.tell(exit);
                false
            }
        }
    }

    /// The exit, or `waker` is woken when there is one. In that case also whether the reaper is to
    /// [watch](super::reaper::watch) from now on.
    pub(super) fn poll_exit(&self, key: &mut Option<u64>, waker: &Waker) -> Result<Exit, bool> {
        if !self.is_ours() {
            return Ok(Exit::Unknown);
        }
        thread_start::start_missing();
        // Cloned and dropped without the lock: that can run the user's code.
        let waker = waker.clone();
        let mut state = self.state();
        if let Some(exit) = self.reap(&mut state) {
            drop(state);
            return Ok(exit);
        }
        let old = state.watchers.wakers().set(key, waker);
        let watch = !std::mem::replace(&mut state.watched, true);
        drop(state);
        drop(old);
        Err(watch)
    }

    /// Wakes the future of this key no more.
    pub(super) fn forget_waker(&self, key: u64) {
        if !self.is_ours() {
            return;
        }
        let waker = self.state().watchers.wakers().remove(key);
        // After the lock is released: this can run the user's code.
        drop(waker);
    }
}

/// Blocks up to `left`, or until a signal handler ran. Whether it is readable, or waiting for it is not
/// possible.
fn wait_readable(event: BorrowedFd<'_>, left: Option<Duration>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut [PollFd::new(&event, PollFlags::IN)], timeout.as_ref()) {
        Ok(ready) => ready > 0,
        Err(error) => error != rustix::io::Errno::INTR,
    }
}
