//! The crate and its programs, as their users meet them: real processes on real sockets.

mod cli;
mod listen;
mod node;
mod steps;
mod versions;

use std::time::{Duration, Instant};

/// How long anything in these tests may take before it has failed.
const LONG: Duration = Duration::from_secs(20);

/// Waits until `done` is true; fails with `what` if that never comes.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process is there, be it as a zombie.
fn process_exists(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}
