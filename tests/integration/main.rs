//! The crate as its users meet it: real connections on real sockets.

mod listen;
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
