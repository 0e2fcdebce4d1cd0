//! The schema of the runtime's tests, an object that serves it, and helpers of the tests. The tests
//! are in `tests/`: `main` has those that can run in parallel, `counting` those that count the
//! threads and descriptors of the process.

pub mod compile;
mod dice;
mod fragile;
pub mod generated;
mod pair;
pub mod raw;
pub mod recorder;
mod server;
mod sink;
mod watchdog;

pub use dice::Dice;
pub use fragile::Fragile;
pub use pair::{LONG, Pair, eventually, pair, pair_of, pair_with, wait_until, within_time};
pub use server::{LabServer, Relay};
pub use sink::{SinkPair, Taken, sink, sink_before, sink_of_futures};
pub use watchdog::Watchdog;
