//! A child process, as users hold it: waiting for it from any thread, and making sure that it ends.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::pid::Process;
use super::reaper;
use crate::Result;

/// How long a dropped child may take for each step of its end.
const DROP_GRACE: Duration = Duration::from_secs(10);

/// A process started with [`Command`](super::Command).
///
/// Every method can be called from several threads at once. A child that still runs when this is
/// dropped gets 10 seconds to see that its socket is closed, 10 more after SIGTERM, and then
/// SIGKILL, from a background thread: dropping never blocks and never leaves a zombie.
#[derive(Debug)]
pub struct Child {
    process: Arc<Process>,
}

impl Child {
    /// `pid` is a child of this process that nobody has waited for.
    pub(super) fn new(pid: Pid) -> Child {
        Child { process: Arc::new(Process::new(pid)) }
    }

    /// The process id. Once the child was waited for, it may be another process's.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The exit status, or `None` while the child runs.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) where other code of this program has already waited for the child, here and
    /// in the methods below.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Blocks until the child has exited. Later calls give the same status.
    ///
    /// A child that serves a connection of this process exits when that ends. Every handle keeps it,
    /// also one that was closed: drop them all before, or this waits for ever.
    pub fn wait(&self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.process.wait_until(None)? {
                return Ok(status);
            }
        }
    }

    /// Blocks until the child has exited or `timeout` has passed, when it gives `None`.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<ExitStatus>> {
        // A time that is too far away for the clock means forever.
        self.process.wait_until(Instant::now().checked_add(timeout))
    }

    /// Makes the child end: waits up to `grace` for it to exit by itself, which it does when the
    /// parent's end of its socket is closed; then sends SIGTERM and waits up to `grace` again;
    /// then sends SIGKILL. Returns when the child is reaped.
    ///
    /// Close the socket before, or the first `grace` is lost time.
    pub fn shutdown(&self, grace: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.wait_timeout(grace)? {
            return Ok(status);
        }
        tracing::warn!(pid = self.id(), "child did not exit after its socket closed: SIGTERM");
        self.process.terminate();
        if let Some(status) = self.wait_timeout(grace)? {
            return Ok(status);
        }
        tracing::warn!(pid = self.id(), "child did not exit after SIGTERM: SIGKILL");
        self.process.kill();
        self.wait()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Ok(None) = self.try_wait() {
            reaper::adopt(Arc::clone(&self.process), DROP_GRACE);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal;

    use super::super::Command;
    use super::super::testing::wait_until;
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    fn start(program: &str, args: &[&str]) -> Child {
        let command = Command::new(program);
        args.iter().fold(command, |command, arg| command.arg(*arg)).spawn().unwrap().0
    }

    fn sleeper() -> Child {
        start("/bin/sleep", &["1000"])
    }

    /// A sleeper that ignores SIGTERM already.
    fn stubborn() -> Child {
        let child = start("/bin/sh", &["-c", "trap '' TERM; exec sleep 1000"]);
        let comm = format!("/proc/{}/comm", child.id());
        wait_until("the shell became sleep", || {
            std::fs::read_to_string(&comm).is_ok_and(|comm| comm == "sleep\n")
        });
        child
    }

    fn exists(pid: u32) -> bool {
        std::path::Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn status_is_told_to_everyone_who_waits() {
        let child = start("/bin/sh", &["-c", "sleep 0.05; exit 3"]);
        std::thread::scope(|scope| {
            let waits: Vec<_> = (0..4).map(|_| scope.spawn(|| child.wait().unwrap())).collect();
            for wait in waits {
                assert_eq!(wait.join().unwrap().code(), Some(3));
            }
        });
        assert_eq!(child.wait().unwrap().code(), Some(3));
        assert_eq!(child.shutdown(LONG).unwrap().code(), Some(3));
        assert!(!exists(child.id()));
    }

    #[test]
    fn waiting_works_without_the_kernels_notice() {
        let mut child = start("/bin/sh", &["-c", "exec sleep 0.05"]);
        Arc::get_mut(&mut child.process).unwrap().lose_exit_event();
        assert!(child.wait_timeout(Duration::from_millis(1)).unwrap().is_none());
        assert!(child.wait_timeout(Duration::MAX).unwrap().unwrap().success());
    }

    #[test]
    fn crash_is_told_as_its_signal() {
        let child = start("/bin/sh", &["-c", "kill -SEGV $$"]);
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGSEGV));
    }

    #[test]
    fn shutdown_goes_from_waiting_to_term_to_kill() {
        assert!(start("/bin/true", &[]).shutdown(LONG).unwrap().success());
        assert_eq!(sleeper().shutdown(SOON).unwrap().signal(), Some(libc::SIGTERM));
        assert_eq!(stubborn().shutdown(SOON).unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn stopped_child_ends_on_term_if_it_can_and_on_kill_if_not() {
        let child = sleeper();
        child.process.signal(Signal::STOP);
        assert_eq!(child.shutdown(SOON).unwrap().signal(), Some(libc::SIGTERM));

        let child = stubborn();
        child.process.signal(Signal::STOP);
        assert_eq!(child.shutdown(SOON).unwrap().signal(), Some(libc::SIGKILL));
        assert!(!exists(child.id()));
    }

    #[test]
    fn shutdown_from_two_threads_agrees() {
        let child = sleeper();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| child.shutdown(SOON).unwrap());
            assert_eq!(child.shutdown(SOON).unwrap(), other.join().unwrap());
        });
    }

    #[test]
    fn dropped_child_is_reaped_when_it_exits() {
        let child = start("/bin/sh", &["-c", "exec sleep 0.05"]);
        let id = child.id();
        drop(child);
        wait_until("the dropped child is reaped", || !exists(id));
    }
}
