//! The systems that the benches measure. Each module is one way for two processes to communicate,
//! with a server that runs in a process of its own and a client that calls it:
//!
//! - [`ours`]: the `multiprocess` runtime;
//! - [`raw`]: bytes over a blocking socket pair, nothing else: the floor of the machine;
//! - [`plain`]: capnp-rpc on tokio as its own examples use it, with the same schema: a program that
//!   is written by hand, without this project;
//! - [`over_tarpc`]: tarpc, the widely used Rust framework for this, with bincode;
//! - [`layers`]: the steps between `raw` and `ours`, one after another.
//!
//! The bench executable is also the server: [`Peer::start`] runs it again with an argument that
//! makes [`serve_if_peer`], called first in its `main`, serve instead of measure. A server ends
//! when its socket closes, so at the latest when the bench ends. [`start_program`] starts servers
//! of other programs.

pub mod generated;
pub mod layers;
pub mod ours;
pub mod over_tarpc;
mod peer;
pub mod plain;
pub mod raw;

pub use peer::{Failure, Peer, serve_if_peer, start_program};

/// 110 bytes of text, which most of the benches echo.
pub const TEXT: &str = "The quick brown fox jumps over the lazy dog; the five boxing wizards jump quickly; pack my box and be off now.";

const _: () = assert!(TEXT.len() == 110);
