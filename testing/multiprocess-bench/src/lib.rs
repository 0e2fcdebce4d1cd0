//! What the benches measure. Each module is one way for two processes to talk, with the server
//! that runs in a process of its own and the client that calls it:
//!
//! - [`ours`]: the `multiprocess` runtime;
//! - [`raw`]: bytes over a blocking socket pair, nothing else: the floor of the machine;
//! - [`plain`]: capnp-rpc on tokio as its own examples use it, with the same schema: what a program
//!   writes by hand without this project;
//! - [`over_tarpc`]: tarpc, the widely used Rust framework for this, with bincode;
//! - [`layers`]: what lies between the second and the first, one thing after another.
//!
//! The bench executable is the server's as well: [`Peer::start`] runs it again with an argument,
//! on which [`serve_if_peer`], first thing in its `main`, serves instead of measuring. A server
//! ends when its socket closes, thus with the bench at the latest, however that ends. Servers of
//! other makes come in by [`start_program`].

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
