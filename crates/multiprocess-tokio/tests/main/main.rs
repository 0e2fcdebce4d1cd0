//! The layer on real runtimes: connections over streams, objects, accept loops, sinks, streams, and what goes wrong.

mod blocking;
mod callbacks;
mod faults;
mod runtimes;
mod serving;
mod sinks;
mod stall;
mod streams;
mod tls;
mod waiting;

#[rustfmt::skip]
#[path = "../doc/generated/market.rs"]
#[allow(dead_code, unreachable_pub, reason = "generated for users of a crate")]
mod market;
