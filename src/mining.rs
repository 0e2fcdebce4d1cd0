//! Block templates and the chain's tip, in rust-bitcoin's types.
//!
//! Each method that takes or returns such a type has a second form whose name ends in `_raw`
//! ([`MiningClient::submit_block_raw`], [`BlockTemplateClient::get_block_raw`]): it has the values as they
//! travel, for programs that pass them on or decode them elsewhere. [`codec`](crate::codec) says how they
//! travel.
//!
//! The methods that only Bitcoin Core 30 has ([`BlockTemplateClient::get_coinbase_tx_v30`] and the like)
//! return bytes.
//!
//! Options begin with the schema's defaults:
//!
//! ```
//! use bitcoin_ipc::bitcoin::Amount;
//! use bitcoin_ipc::codec::FOREVER;
//! use bitcoin_ipc::mining::{BlockCheckOptions, BlockCreateOptions, BlockWaitOptions};
//!
//! let create = BlockCreateOptions::default().use_mempool(false).block_reserved_weight(4_000);
//! assert_eq!(create.coinbase_output_max_additional_sigops, 400);
//! let wait = BlockWaitOptions::default().fee_threshold(Amount::from_sat(10_000));
//! assert_eq!(wait.timeout, FOREVER);
//! // For a block that is not solved yet.
//! let check = BlockCheckOptions::default().check_pow(false);
//! assert!(check.check_merkle_root);
//! ```

mod coinbase;
#[cfg(test)]
mod options;
mod outcome;
pub mod reason;
mod tips;
mod updates;
pub(crate) mod wait;

pub use crate::generated::common::BlockRef;
pub use crate::generated::mining::{
    BlockCheckOptions, BlockCreateOptions, BlockTemplate, BlockTemplateClient,
    BlockTemplateSubmitSolutionResults, BlockWaitOptions, Client, CoinbaseTx, Mining,
    MiningCheckBlockResults, MiningClient, MiningSubmitBlockResults,
};
pub use outcome::{Outcome, Rejection};
pub use tips::Tips;
pub use updates::Updates;
