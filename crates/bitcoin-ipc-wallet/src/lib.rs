//! Bitcoin wallets in a process of their own, for a node that speaks Bitcoin Core's draft IPC interfaces.
//!
//! - [`vault`]: one wallet: its keys, coins and transactions, on bdk_wallet and SQLite. It knows nothing of IPC.

#![forbid(unsafe_code)]

pub mod vault;
