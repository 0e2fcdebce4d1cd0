//! The node's side of a node that is split from its wallet: a regtest chain served as the interfaces of Bitcoin
//! Core's draft.

#![forbid(unsafe_code)]

/// The programs of the chapter on three processes run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/SPLIT.md")]
struct Split;

mod chain;
mod commands;
mod init;
mod messages;
mod node;
pub mod rpc;
mod settings;
mod split_node;
mod wallet_process;

pub use commands::Commands;
pub use init::init;
pub use messages::{Message, Messages};
pub use settings::{Settings, SettingsError};
pub use split_node::SplitNode;
pub use wallet_process::{WalletEvent, WalletOptions, WalletProcess};
