//! A node's JSON-RPC methods (Bitcoin Core 32 and newer), with the values of serde.
//!
//! [`RpcClient::call`] runs a method and makes of its result whatever can be deserialized: a [`Value`], a
//! number, a struct of your own. With the feature `rpc-types` the results of Bitcoin Core's methods are in
//! `rpc::types`, which is the crate [corepc-types](https://docs.rs/corepc-types).
//!
//! ```
//! use std::time::Duration;
//! use bitcoin_ipc::rpc::{RpcClient, Value, code};
//!
//! fn ask(rpc: &RpcClient) -> bitcoin_ipc::Result<()> {
//!     let info: Value = rpc.call("getblockchaininfo", ()).wait()?; // or .await, on any executor
//!     println!("{} has {} blocks", info["chain"], info["blocks"]);
//!     // Arguments by their places; by their names in a map or a struct.
//!     let hash: String = rpc.call("getblockhash", [0]).timeout(Duration::from_secs(5)).wait()?;
//!     let error = rpc.call::<Value>("getblock", ["00".repeat(32)]).wait().unwrap_err();
//!     assert_eq!(error.code(), Some(code::INVALID_ADDRESS_OR_KEY));
//! #   assert_eq!((&info["chain"], &info["blocks"], hash.len()), (&"regtest".into(), &0.into(), 64));
//!     Ok(())
//! }
//! # let init = bitcoin_ipc::init::InitClient::new(bitcoin_regtest::NodeInit::new(bitcoin_regtest::Chain::regtest()));
//! # ask(&init.make_rpc().wait().unwrap().unwrap()).unwrap();
//! ```

mod answer;
mod call;
pub mod code;
mod error;

pub use crate::generated::rpc::{Client, Rpc, RpcClient};
pub use call::{RpcCall, RpcEndpoint};
#[cfg(feature = "rpc-types")]
pub use corepc_types as types;
pub use error::{NodeError, RpcError};
pub use serde_json::Value;
