//! Wakes a thread that waits for a descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A descriptor that a thread waits for beside another: an eventfd on Linux, a pipe elsewhere.
pub(super) struct WakeFd {
    read: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    write: OwnedFd,
}

/// What a wait for a socket has seen there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Happened {
    /// It can be read, or has ended.
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl WakeFd {
    #[cfg(target_os = "linux")]
    pub(super) fn new() -> io::Result<WakeFd> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(WakeFd { read: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn new() -> io::Result<WakeFd> {
        let (read, write) = rustix::pipe::pipe()?;
        for end in [&read, &write] {
            rustix::io::ioctl_fionbio(end, true)?;
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok(WakeFd { read, write })
    }

    /// Ends the wait, or the next one.
    pub(super) fn wake(&self) {
        // It fails only where it was written so often that nobody can have missed it.
        let _ = rustix::io::write(self.write_end(), &1_u64.to_ne_bytes());
    }

    #[cfg(target_os = "linux")]
    fn write_end(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    #[cfg(not(target_os = "linux"))]
    fn write_end(&self) -> BorrowedFd<'_> {
        self.write.as_fd()
    }

    /// Waits until `socket` can be read (or written, where `writes` says so), the thread is woken, or
    /// `deadline`.
    pub(super) fn wait(
        &self,
        socket: &OwnedFd,
        writes: bool,
        deadline: Option<Instant>,
    ) -> Happened {
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let mut wanted = PollFlags::IN;
        wanted.set(PollFlags::OUT, writes);
        let mut fds = [PollFd::new(socket, wanted), PollFd::new(&self.read, PollFlags::IN)];
        if poll(&mut fds, timeout.as_ref()).is_err() {
            // Interrupted by a signal: whoever waits looks again.
            return Happened::default();
        }
        if !fds[1].revents().is_empty() {
            let _ = rustix::io::read(&self.read, &mut [0; 64]);
        }
        let happened = fds[0].revents();
        Happened {
            // An end is seen by reading.
            readable: !happened.difference(PollFlags::OUT).is_empty(),
            writable: writes && !happened.is_empty(),
        }
    }
}
