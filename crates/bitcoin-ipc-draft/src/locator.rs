//! Where somebody is in the chain.

use bitcoin_ipc::bitcoin::BlockHash;
use bitcoin_ipc::bitcoin::consensus::encode::{Decodable, serialize};

use crate::format::FormatError;

/// The version that Bitcoin Core writes in front of a locator. What it reads there does not matter.
const VERSION: i32 = 70016;

/// Hashes of a chain's blocks, from the tip down to the genesis block with growing gaps: so the last block
/// that two chains have in common can be found without telling all hashes (CBlockLocator).
///
/// ```
/// use bitcoin_ipc_draft::Locator;
/// use bitcoin_ipc::bitcoin::{Network, constants::genesis_block};
///
/// let genesis = genesis_block(Network::Regtest).block_hash();
/// let locator = Locator::new([genesis]);
/// assert_eq!(locator.hashes(), [genesis]);
/// assert_eq!(Locator::from_bytes(&locator.to_bytes()).unwrap(), locator);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Locator(Vec<BlockHash>);

impl Locator {
    /// A locator of these hashes, the highest block's first.
    pub fn new(hashes: impl IntoIterator<Item = BlockHash>) -> Locator {
        Locator(hashes.into_iter().collect())
    }

    /// The hashes, the highest block's first.
    pub fn hashes(&self) -> &[BlockHash] {
        &self.0
    }

    /// As Bitcoin Core serializes it: a version, then the hashes.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&VERSION.to_le_bytes()[..], &serialize(&self.0)].concat()
    }

    /// From such bytes, and nothing after them.
    ///
    /// # Errors
    /// The bytes are no locator.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Locator, FormatError> {
        let broken = || FormatError::new("a locator that is cut off or has bytes after its end");
        bytes = bytes.get(VERSION.to_le_bytes().len()..).ok_or_else(broken)?;
        let hashes = Vec::consensus_decode(&mut bytes).map_err(|_| broken())?;
        if bytes.is_empty() { Ok(Locator(hashes)) } else { Err(broken()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin_ipc::bitcoin::hashes::Hash;

    fn hash(byte: u8) -> BlockHash {
        BlockHash::from_byte_array([byte; 32])
    }

    #[test]
    fn a_locator_is_a_version_and_hashes() {
        let locator = Locator::new([hash(1), hash(2)]);
        // 70016 is 0x11180.
        let bytes = [&[0x80, 0x11, 1, 0, 2][..], &[1; 32], &[2; 32]].concat();
        assert_eq!(locator.to_bytes(), bytes);
        assert_eq!(Locator::from_bytes(&bytes).unwrap(), locator);
        assert_eq!(Locator::default().to_bytes(), [0x80, 0x11, 1, 0, 0]);
        assert_eq!(Locator::from_bytes(&[0x80, 0x11, 1, 0, 0]).unwrap(), Locator::default());
    }

    #[test]
    fn any_version_is_read_and_no_other_length() {
        let locator = Locator::new([hash(9)]);
        let mut bytes = locator.to_bytes();
        bytes[..4].copy_from_slice(&[0xff; 4]);
        assert_eq!(Locator::from_bytes(&bytes).unwrap(), locator);
        for length in 0..bytes.len() {
            assert!(Locator::from_bytes(&bytes[..length]).is_err(), "{length}");
        }
        bytes.push(0);
        assert!(Locator::from_bytes(&bytes).is_err());
    }
}
