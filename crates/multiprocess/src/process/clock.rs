//! The monotonic clock in nanoseconds. Through libc: rustix looks for the kernel's page with the clock by
//! itself, and crashes where there is none, as under valgrind.

/// Now, as the kernel's last tick has it.
pub(crate) fn coarse_nanoseconds() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = libc::CLOCK_MONOTONIC_COARSE;
    #[cfg(not(target_os = "linux"))]
    let clock = libc::CLOCK_MONOTONIC;
    read(clock)
}

/// Now.
pub(crate) fn exact_nanoseconds() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes one timespec. It cannot fail: each system has these clocks.
    unsafe { libc::clock_gettime(clock, &mut time) };
    // Neither is ever negative.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
