//! A node for the tests.

use std::time::{Duration, Instant};

use bitcoin_regtest::RegtestNode;

/// The longest time that anything in these tests may take.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A node with one block: on an old tip, as that of a new chain, a test network has a better template every second.
pub(crate) fn node() -> RegtestNode {
    let node = RegtestNode::start().unwrap();
    node.mine(1).unwrap();
    node
}

/// Waits until `done` is true; panics with `what` if it takes too long.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
