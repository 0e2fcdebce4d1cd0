//! A child by its pidfd: a descriptor that stands for this one process for as long as it is open.
//!
//! A number is only a child's own until the child is reaped. If other code of this program reaps it,
//! for instance with `waitpid(-1)`, the kernel may give the number to any other process. Nothing that
//! is done through a pidfd can reach that process.
//!
//! Linux 5.4 and newer has all of this. Elsewhere there is never a [`Pidfd`].

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::Signal;

use super::exit::Exit;

/// What the kernel says of a child when it is asked for its exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(super) enum Taken {
    /// It runs, or a debugger that traces it has to be told of its exit first.
    Nothing,
    /// It has exited; whoever asked has reaped it.
    Exit(Exit),
    /// This kernel, or a sandbox, does not do that.
    Unsupported,
}

/// The descriptor. The kernel makes it close-on-exec, so that no other child inherits it.
#[derive(Debug)]
pub(super) struct Pidfd(OwnedFd);

impl Pidfd {
    /// Readable when the child has exited, whoever reaps it.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(target_os = "linux")]
impl Pidfd {
    /// The pidfd of a child that nobody has waited for: `pid` must be its own still. None where the
    /// kernel has no such thing, or no descriptor is left. [`vfork`](super::vfork) gets one with the
    /// child instead.
    #[cfg(test)]
    pub(super) fn open(pid: rustix::process::Pid) -> Option<Pidfd> {
        let flags = rustix::process::PidfdFlags::empty();
        rustix::process::pidfd_open(pid, flags).ok().map(Pidfd)
    }

    /// Takes the child's exit status, and reaps it, if it has exited. Does not block.
    pub(super) fn take_status(&self) -> Taken {
        use rustix::process::{WaitId, WaitIdOptions};
        let flags = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        match rustix::process::waitid(WaitId::PidFd(self.as_fd()), flags) {
            Ok(None) => Taken::Nothing,
            Ok(Some(status)) => Taken::Exit(exit_of(&status)),
            // No child of this process any more: reaped by others, or by the kernel itself, which does
            // so where SIGCHLD is ignored.
            Err(rustix::io::Errno::CHILD) => Taken::Exit(Exit::Unknown),
            Err(_) => Taken::Unsupported,
        }
    }

    /// Sends `signal`. None where the kernel or a sandbox does not know the call. A child that has been
    /// reaped is no error.
    pub(super) fn signal(&self, signal: Signal) -> Option<rustix::io::Result<()>> {
        match rustix::process::pidfd_send_signal(&self.0, signal) {
            Err(rustix::io::Errno::NOSYS) => None,
            Err(rustix::io::Errno::SRCH) => Some(Ok(())),
            sent => Some(sent),
        }
    }
}

#[cfg(target_os = "linux")]
impl From<OwnedFd> for Pidfd {
    fn from(fd: OwnedFd) -> Pidfd {
        Pidfd(fd)
    }
}

/// What waitpid would have told.
#[cfg(target_os = "linux")]
fn exit_of(status: &rustix::process::WaitIdStatus) -> Exit {
    const DUMPED: i32 = 0x80;
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) if status.dumped() => signal | DUMPED,
        (None, Some(signal)) => signal,
        (None, None) => return Exit::Unknown,
    };
    Exit::Status(std::os::unix::process::ExitStatusExt::from_raw(raw))
}

#[cfg(not(target_os = "linux"))]
impl Pidfd {
    pub(super) fn open(_pid: rustix::process::Pid) -> Option<Pidfd> {
        None
    }

    pub(super) fn take_status(&self) -> Taken {
        Taken::Unsupported
    }

    pub(super) fn signal(&self, _signal: Signal) -> Option<rustix::io::Result<()>> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    use rustix::process::Pid;

    use super::super::testing::wait_until;
    use super::*;

    /// The status of a shell that runs `script`, as a pidfd tells it and as waitpid encodes it.
    #[expect(clippy::zombie_processes, reason = "its pidfd waits for it")]
    fn status_of(script: &str) -> ExitStatus {
        let child = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
        let pidfd = Pidfd::open(Pid::from_child(&child)).unwrap();
        let mut taken = Taken::Nothing;
        wait_until("the shell has exited", || {
            taken = pidfd.take_status();
            taken != Taken::Nothing
        });
        assert_eq!(pidfd.take_status(), Taken::Exit(Exit::Unknown), "reaped already");
        assert_eq!(pidfd.signal(Signal::KILL), Some(Ok(())));
        match taken {
            Taken::Exit(Exit::Status(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn status_is_what_waitpid_tells() {
        assert_eq!(status_of("exit 0").into_raw(), 0);
        assert_eq!(status_of("exit 201").into_raw(), 201 << 8);
        assert_eq!(status_of("ulimit -c 0; kill -KILL $$").into_raw(), libc::SIGKILL);
    }
}
