//! Wakes a thread that waits in poll(2) for a socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::sync::poll;

/// A descriptor that a thread polls beside a socket, so that others can wake it: an eventfd on Linux, a
/// pipe elsewhere.
pub(super) struct WakeFd {
    read: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    write: OwnedFd,
}

/// What a wait for a socket has found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Happened {
    /// The socket can be read, or has ended.
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

    /// Ends the wait of the thread; if it does not wait now, its next one.
    pub(super) fn wake(&self) {
        // Fails only where the descriptor is full of wakes that were not read: the next wait ends anyway.
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

    /// Blocks until `socket` can be read (or written, if `writes`), the thread is woken, or `deadline`.
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
            // Interrupted by a signal: the caller checks what it waits for and waits again.
            return Happened::default();
        }
        if !fds[1].revents().is_empty() {
            let _ = rustix::io::read(&self.read, &mut [0; 64]);
        }
        let happened = fds[0].revents();
        Happened {
            // Errors and hang-ups count as readable: reading finds out which it is.
            readable: !happened.difference(PollFlags::OUT).is_empty(),
            writable: writes && !happened.is_empty(),
        }
    }
}
