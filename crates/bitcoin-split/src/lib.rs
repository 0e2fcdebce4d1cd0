//! The node's side of a node that is split from its wallet: a regtest chain served as the interfaces of Bitcoin
//! Core's draft.
//!
//! A [`SplitNode`] is what all objects of the node's process share. Its [`chain_handle`](SplitNode::chain_handle) is what a
//! wallet process gets; [`rpc::execute`] answers JSON-RPC requests, also those for methods of other processes. The README
//! has an example of both.
//!
//! ```text
//! rpc -> commands (methods of other processes)
//! chain: Chain served -> blocks, mempool, fees: look-ups in one View of the chain
//!   |                '-> notifications: a thread for each subscriber
//! node: Node served, from chain, rpc, messages -> subscribers: a thread for each
//!   '----> split_node -> settings, messages, commands
//! init: the bootstrap object -> chain, node, rpc
//! wallet_process: starts a wallet process or lets one connect, and gives split_node its wallets
//! ```

#![forbid(unsafe_code)]

/// The README's program runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

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
mod tellers;
mod wallet_process;

pub use commands::Commands;
pub use init::init;
pub use messages::{Message, Messages};
pub use settings::{Settings, SettingsError};
pub use split_node::SplitNode;
pub use wallet_process::{WalletEvent, WalletOptions, WalletProcess};
