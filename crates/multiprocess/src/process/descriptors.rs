//! Which descriptors a child gets: 0, 1, 2, its socket and what it is given, whatever else is open here.
//!
//! Everything named `*_in_child` runs between fork and exec, where locks of other threads are never
//! released: so it makes only system calls, without allocation or logging.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use rustix::fs::{Mode, OFlags};

/// The first descriptor that is not standard input, output or error.
const FIRST: RawFd = 3;

/// The highest number that the slowest way below tries.
const HIGHEST: u64 = 1 << 20;

/// Opens `/dev/null` in the place of each of 0, 1 and 2 that is closed in this process. It stays there, as it does
/// where Rust's runtime fills such a place when a program begins: another thread may be spawning a process as well, and
/// count on it.
///
/// Otherwise the socket, or the pipe over which the child tells that exec failed, could get such
/// a number and be taken for standard output.
pub(super) fn fill_standard() -> io::Result<()> {
    while !(0..FIRST).all(is_open) {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let null = rustix::fs::open(c"/dev/null", flags, Mode::empty())?;
        if null.as_raw_fd() < FIRST {
            let _stays = null.into_raw_fd();
        }
    }
    Ok(())
}

/// Whether `fd` is open in this process.
pub(super) fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD reads the flags of a number; no memory is touched, and a closed one is
    // an error.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// Makes `number` another descriptor for the same as `descriptor`, which is not `number`. Exec does not close it.
pub(super) fn put_in_child(descriptor: RawFd, number: RawFd) -> io::Result<()> {
    // SAFETY: dup2 changes this process's own table of descriptors; no memory is touched, and a closed one is an error.
    match unsafe { libc::dup2(descriptor, number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Makes exec close everything but 0, 1, 2 and `kept`.
///
/// Closing right here would be simpler, but would close the pipe of `std::process` that tells
/// the parent why exec failed.
pub(super) fn keep_only_in_child(kept: &[RawFd]) -> io::Result<()> {
    let marked = mark_range_in_child() || mark_listed_in_child();
    if !marked {
        mark_to_limit_in_child();
    }
    for fd in 0..FIRST {
        // A closed one was filled before the fork; closed since then, it stays closed.
        let _ = set_flags(fd, 0);
    }
    kept.iter().try_for_each(|&fd| set_flags(fd, 0))
}

fn set_flags(fd: RawFd, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: F_SETFD changes the flags of a number; no memory is touched, and a closed one is
    // an error.
    match unsafe { libc::fcntl(fd, libc::F_SETFD, flags) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// One system call, on Linux 5.11 and newer.
#[cfg(target_os = "linux")]
fn mark_range_in_child() -> bool {
    // SAFETY: close_range with CLOEXEC changes flags of descriptors and touches no memory. It
    // is called by number because not every libc has a function for it.
    let done = unsafe {
        let last = libc::c_uint::MAX;
        libc::syscall(libc::SYS_close_range, FIRST, last, libc::CLOSE_RANGE_CLOEXEC)
    };
    done == 0
}

#[cfg(not(target_os = "linux"))]
fn mark_range_in_child() -> bool {
    false
}

/// Goes through the kernel's own list, on older Linux or where a sandbox refuses close_range.
#[cfg(target_os = "linux")]
fn mark_listed_in_child() -> bool {
    use std::mem::MaybeUninit;

    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(list) = rustix::fs::open(c"/proc/self/fd", flags, Mode::empty()) else {
        return false;
    };
    // Big enough for several entries; the kernel is asked again until there are no more.
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = rustix::fs::RawDir::new(&list, &mut buffer);
    while let Some(entry) = entries.next() {
        let Ok(entry) = entry else { return false };
        let number = std::str::from_utf8(entry.file_name().to_bytes());
        // "." and ".." are no numbers.
        if let Some(fd) = number.ok().and_then(|n| n.parse::<RawFd>().ok())
            && fd >= FIRST
            && set_flags(fd, libc::FD_CLOEXEC).is_err()
        {
            return false;
        }
    }
    true
}

#[cfg(not(target_os = "linux"))]
fn mark_listed_in_child() -> bool {
    false
}

/// Tries every number up to the limit: anywhere else. The hard limit, because descriptors stay
/// open when the soft limit is lowered.
fn mark_to_limit_in_child() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let end = limit.maximum.unwrap_or(HIGHEST).min(HIGHEST);
    for fd in FIRST..RawFd::try_from(end).unwrap_or(RawFd::MAX) {
        let _ = set_flags(fd, libc::FD_CLOEXEC);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::testing::wait_until;
    use super::*;
    use std::fs::File;
    use std::os::unix::process::CommandExt;

    /// Starts `sleep` with `mark` run in the child, and waits until it has only 0, 1 and 2.
    fn leaves_three(mark: fn() -> bool) {
        let file = File::open("/dev/null").unwrap();
        set_flags(file.as_raw_fd(), 0).unwrap();
        let mut command = std::process::Command::new("/bin/sleep");
        command.arg("1000");
        let step = move || if mark() { Ok(()) } else { Err(io::ErrorKind::Other.into()) };
        // SAFETY: the marking functions make system calls only.
        unsafe { command.pre_exec(step) };
        let mut child = command.spawn().unwrap();
        let list = format!("/proc/{}/fd", child.id());
        // The loader opens and closes libraries first; what has leaked would stay.
        wait_until("the child has three descriptors", || {
            std::fs::read_dir(&list).unwrap().count() == 3
        });
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn every_way_of_marking_leaves_the_standard_three() {
        leaves_three(mark_range_in_child);
        leaves_three(mark_listed_in_child);
        leaves_three(|| {
            mark_to_limit_in_child();
            true
        });
    }
}
