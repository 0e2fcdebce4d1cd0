//! Block templates and the chain's tip.
//!
//! Hashes, headers, blocks and transactions travel in Bitcoin's own serialization; the functions
//! here turn them into rust-bitcoin's types and back.

pub use crate::generated::common::BlockRef;
pub use crate::generated::mining::{
    BlockCheckOptions, BlockCreateOptions, BlockTemplate, BlockTemplateClient,
    BlockTemplateSubmitSolutionResults, BlockWaitOptions, Client, CoinbaseTx, MAX_DOUBLE,
    MAX_MONEY, Mining, MiningCheckBlockResults, MiningClient, MiningSubmitBlockResults,
};

use bitcoin::BlockHash;
use bitcoin::consensus::{Decodable, deserialize};
use bitcoin::hashes::Hash;
use multiprocess::{Error, Result};
use std::time::Duration;

/// The hash in 32 bytes, in the order of the messages.
///
/// # Errors
/// [`Error::Decode`] where there are not 32 bytes.
pub fn block_hash(bytes: &[u8]) -> Result<BlockHash> {
    decode_hash("hash", bytes)
}

/// The same where it is something else than a field called `hash`: what it is, such as
/// `Mining.waitTipChanged.currentTip`, begins the error.
///
/// # Errors
/// [`Error::Decode`] where there are not 32 bytes.
pub fn decode_hash(what: &str, bytes: &[u8]) -> Result<BlockHash> {
    BlockHash::from_slice(bytes).map_err(|_| {
        Error::decode(what, format!("a block hash has 32 bytes, this has {}", bytes.len()))
    })
}

/// A value in Bitcoin's serialization, such as a [`bitcoin::Block`] or a [`bitcoin::TxOut`].
///
/// # Errors
/// [`Error::Decode`] where the bytes are not one such value and nothing else.
pub fn decode<T: Decodable>(what: &str, bytes: &[u8]) -> Result<T> {
    deserialize(bytes).map_err(|error| Error::decode(what, with_sources(&error)))
}

/// An error with its sources, which rust-bitcoin's own text leaves out.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let told = error.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        source = error.source();
    }
    text
}

/// A timeout as it is sent: in milliseconds, where none means forever.
pub fn timeout_ms(timeout: Option<Duration>) -> f64 {
    timeout.map_or(MAX_DOUBLE, |timeout| timeout.as_secs_f64() * 1000.0)
}

/// A timeout that arrived: none if it means forever, and zero if it is not a number or negative.
pub fn timeout_from_ms(ms: f64) -> Option<Duration> {
    if ms.is_nan() || ms <= 0.0 {
        return Some(Duration::ZERO);
    }
    Duration::try_from_secs_f64(ms / 1000.0).ok().filter(|timeout| timeout.as_secs() < 1 << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_travel() {
        assert_eq!(
            timeout_from_ms(timeout_ms(Some(Duration::from_millis(1500)))),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(timeout_from_ms(timeout_ms(None)), None);
        for odd in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            assert_eq!(timeout_from_ms(odd), Some(Duration::ZERO));
        }
        assert_eq!(timeout_from_ms(f64::INFINITY), None);
    }

    #[test]
    fn what_does_not_decode_is_told() {
        let error = decode::<bitcoin::Block>("block", &[1, 2, 3]).unwrap_err().to_string();
        assert!(error.contains("block") && error.contains("UnexpectedEof"), "{error}");
    }

    #[test]
    fn a_hash_has_32_bytes() {
        assert!(block_hash(&[7; 32]).is_ok());
        assert!(block_hash(&[7; 31]).unwrap_err().to_string().contains("this has 31"));
    }
}
