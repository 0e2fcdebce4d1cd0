//! Bitcoin wallets in a process of their own, for a node that speaks Bitcoin Core's draft IPC interfaces.
//!
//! - [`vault`]: one wallet: its keys, coins and transactions, on bdk_wallet and SQLite. It knows nothing of IPC.
//! - [`WalletProcess`]: what a process with wallets serves to its node.

#![forbid(unsafe_code)]

/// The README's program runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod commands;
mod error;
mod events;
mod fees;
mod follow;
mod init;
mod loader;
mod open;
mod served;
mod timers;
pub mod vault;
mod wallet;

pub use init::WalletProcess;
