//! A child process by its number: waiting for its exit, reaping it and signalling it, so that the
//! number is still its own.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

use crate::{Error, Result};

/// The longest time between two looks at a child where the kernel cannot wake this thread.
const SLOWEST_LOOK: Duration = Duration::from_millis(20);

/// A child of this process. A [`Child`](super::Child) and the reaper share it, and any thread may ask.
///
/// The lock is held for single system calls that do not block, and makes signals safe: nobody
/// reaps the child, so nobody else gets its number, between the look and the signal.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    /// Becomes readable when the child exits. None where the kernel has no such thing, or no
    /// descriptor was left: then threads that wait look again and again.
    exit: ExitEvent,
    /// The exit status, once the child is reaped. From then on its number may be another's.
    status: Mutex<Option<ExitStatus>>,
}

impl Process {
    pub(super) fn new(pid: Pid) -> Process {
        Process { pid, exit: ExitEvent::of(pid), status: Mutex::default() }
    }

    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    fn status(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exit status, reaping the child if it has one.
    pub(super) fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.reap(&mut self.status())
    }

    fn reap(&self, status: &mut Option<ExitStatus>) -> Result<Option<ExitStatus>> {
        if status.is_none() {
            let reaped = rustix::process::waitpid(Some(self.pid), WaitOptions::NOHANG);
            let reaped = reaped.map_err(|error| {
                Error::io(format!("wait for child process {}", self.id()), error.into())
            })?;
            *status = reaped.map(|(_, status)| ExitStatus::from_raw(status.as_raw()));
        }
        Ok(*status)
    }

    /// Asks the child to end. A stopped one is continued, so that it can.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    /// Ends the child.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    pub(super) fn signal(&self, signal: Signal) {
        let mut status = self.status();
        if let Ok(None) = self.reap(&mut status)
            && let Err(error) = rustix::process::kill_process(self.pid, signal)
        {
            tracing::warn!(pid = self.id(), %error, ?signal, "cannot signal child");
        }
    }

    /// As where the kernel gives no notice of the exit.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn lose_exit_event(&mut self) {
        self.exit = ExitEvent(None);
    }

    /// Blocks until the child has exited (Some) or the time has come (None).
    pub(super) fn wait_until(&self, end: Option<Instant>) -> Result<Option<ExitStatus>> {
        let mut told = false;
        let mut look = Duration::from_micros(500);
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            // The kernel reports an exit and there is nothing to reap: a debugger that traces the child
            // is told first. Asking again at once would spin until it has looked.
            if told || !self.exit.exists() {
                std::thread::sleep(left.map_or(look, |left| left.min(look)));
                look = (look * 2).min(SLOWEST_LOOK);
            } else {
                told = self.exit.wait(left)?;
            }
        }
    }
}

/// The kernel's notice of a process's exit, where there is one.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct ExitEvent(Option<std::os::fd::OwnedFd>);

#[cfg(target_os = "linux")]
impl ExitEvent {
    /// `pid` is a child that was not waited for yet, so that the number is surely its own.
    fn of(pid: Pid) -> ExitEvent {
        ExitEvent(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok())
    }

    fn exists(&self) -> bool {
        self.0.is_some()
    }

    /// Blocks up to `left`, or until a signal handler ran. Whether the process has exited.
    fn wait(&self, left: Option<Duration>) -> Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let Some(fd) = &self.0 else { return Ok(false) };
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(fd, PollFlags::IN)], timeout.as_ref()) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(Error::io("poll a child process", error.into())),
        }
    }
}

/// Elsewhere that would take a kqueue or a signal handler: threads that wait ask every now and then.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct ExitEvent;

#[cfg(not(target_os = "linux"))]
impl ExitEvent {
    fn of(_pid: Pid) -> ExitEvent {
        ExitEvent
    }

    fn exists(&self) -> bool {
        false
    }

    fn wait(&self, _left: Option<Duration>) -> Result<bool> {
        Ok(false)
    }
}
