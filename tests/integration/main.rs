//! The crate as its users meet it: real connections on real sockets.

mod listen;
mod nodes;
mod reconnect;
mod rpc;
mod session;
mod typed;
mod versions;
mod waiting;

use std::time::{Duration, Instant};

/// The longest time that anything in these tests may take.
const LONG: Duration = Duration::from_secs(20);

/// Waits until `done` is true; panics with `what` if it takes too long.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A chain whose tip is a minute old. That of a new chain is many years old, and while it is older than 20 minutes
/// a test network has a better template every second.
fn fresh_chain() -> std::sync::Arc<bitcoin_regtest::Chain> {
    let chain = bitcoin_regtest::Chain::regtest();
    let genesis = chain.block_by_height(0).expect("a chain has a first block");
    chain.set_time(Some(u64::from(genesis.header.time) + 60));
    chain
}
