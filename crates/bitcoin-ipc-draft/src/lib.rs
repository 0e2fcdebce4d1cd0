//! The interfaces by which Bitcoin Core's draft splits node, wallet and user interface into processes: typed
//! proxies to call and to serve them.
//!
//! They are a draft (bitcoin/bitcoin#10102): no release of Bitcoin Core has them, and their methods have moved
//! and will move. This crate has the form of July 2026, and calls and serves peers of February 2026 through the same
//! handles and traits. Who calls first says which one the peer has, by
//! [`PeerVersion::assume`](multiprocess::PeerVersion::assume) with `2026-07` or `2026-02`: they use the same ordinals
//! for different methods, and what could reach another method is refused until then. Who is called finds it out by the
//! first call that differs, such as `makeWalletLoader`. Echo, Mining and Rpc, which
//! are released, are those of [`bitcoin_ipc`].
//!
//! A chain that is served, and called as a wallet calls it:
//!
//! ```
//! use bitcoin_ipc::bitcoin::{BlockHash, Network, constants::genesis_block};
//! use bitcoin_ipc_draft::chain::{
//!     Chain, ChainFindBlockResults, ChainHandle, FoundBlockParam, FoundBlockResult,
//! };
//! use multiprocess::Result;
//!
//! struct Genesis(BlockHash);
//!
//! // What is left out answers `Error::Unimplemented`.
//! impl Chain for Genesis {
//!     fn get_height(&self) -> Result<Option<i32>> {
//!         Ok(Some(0))
//!     }
//!
//!     fn find_block(&self, hash: BlockHash, asked: FoundBlockParam) -> Result<ChainFindBlockResults> {
//!         let found = hash == self.0;
//!         let mut block = FoundBlockResult::default().found(found);
//!         if found && asked.want_in_active_chain {
//!             block = block.in_active_chain(true);
//!         }
//!         Ok(ChainFindBlockResults::default().block(block).result(found))
//!     }
//! }
//!
//! let hash = genesis_block(Network::Regtest).block_hash();
//! let chain = ChainHandle::new(Genesis(hash)); // here, or over a connection
//! let asked = FoundBlockParam::default().want_in_active_chain(true);
//! assert!(chain.find_block(hash, asked).wait()?.block.in_active_chain);
//! # Ok::<(), multiprocess::Error>(())
//! ```
//!
//! # Where to look
//!
//! - [`init`], [`chain`], [`wallet`], [`node`], [`handler`]: the interfaces, one module for each area;
//! - [`bitcoin_ipc::common`]: what they share, such as [`GlobalArgs`](bitcoin_ipc::common::GlobalArgs) and
//!   results with an error for the user;
//! - [`values`]: Bitcoin Core's enums; [`codec`]: how values travel;
//! - [`CommandError`]: how a JSON-RPC method fails that another process answers.

#![forbid(unsafe_code)]

/// The README's program runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

// So that the paths in the schemas are the same for every crate that compiles them.
extern crate self as bitcoin_ipc_draft;

pub mod chain;
pub mod codec;
mod coin;
mod command_error;
mod destination;
mod fee_rate;
mod format;
mod generated;
pub mod handler;
pub mod init;
mod locator;
pub mod node;
mod passphrase;
pub mod values;
pub mod wallet;

pub use coin::Coin;
pub use command_error::CommandError;
pub use destination::DestinationError;
pub use fee_rate::{FeeRate, InexactFeeRate};
pub use format::FormatError;
pub use locator::Locator;
pub use passphrase::Passphrase;
