//! Bitcoin Core's multiprocess IPC in Rust.
//!
//! Talks to a running Bitcoin Core (30 to 32) over its IPC socket, and splits Rust programs into
//! processes in the same way. The interfaces are in `schema/`; the machinery is the
//! [`multiprocess`] crate.
//!
//! ```no_run
//! use bitcoin_ipc::ipc::{Ipc, IpcOptions};
//! use bitcoin_ipc::mining::BlockRef;
//!
//! # fn main() -> multiprocess::Result<()> {
//! let ipc = Ipc::new(IpcOptions::client("my-monitor").datadir("/home/me/.bitcoin/regtest"));
//! let Some(init) = ipc.connect_address("unix")? else { return Ok(()) };
//! let mining = init.make_mining().wait()?.ok_or_else(|| multiprocess::Error::failed("no mining"))?;
//! let tip: Option<BlockRef> = mining.get_tip().wait()?;
//! println!("{tip:?}");
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! - [`ipc`]: spawning and connecting, addresses, and the bootstrap object of a process;
//! - [`init`], [`echo`], [`mining`], [`rpc`]: the interfaces, one module for each area;
//! - [`session`]: a connection that outlives the node, with streams of tips and templates; [`Blocking`] makes
//!   iterators of them, as a `for` loop does;
//! - [`codec`]: how the types of [`bitcoin`] travel, for schemas of your own as well.
//!
//! Nodes of Bitcoin Core 30, 31 and 32 are called through the same handles: [`PeerVersion::of`] tells which
//! one it is, as far as the node's answers have told. What a node is too old for is
//! [`Error::Unimplemented`] or [`Error::PeerTooOld`].
//!
//! A node to develop against, in memory, is the crate `bitcoin-regtest`; the command line is
//! `bitcoin-ipc-cli`.

#![forbid(unsafe_code)]

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

// So that the paths in the schemas are the same for every crate that compiles them.
extern crate self as bitcoin_ipc;

mod blocking;
pub mod codec;
pub mod common;
pub mod echo;
// For the generated code of crates whose schemas import this one's (`Builder::crate_provides`).
#[doc(hidden)]
pub mod generated;
pub mod init;
pub mod ipc;
pub mod mining;
pub mod rpc;
pub mod session;

pub use bitcoin;
pub use blocking::Blocking;
pub use multiprocess::{Call, Connection, Error, PeerVersion, Result};
