//! Hashes.

use bitcoin::hashes::Hash;
use multiprocess::{Codec, CodecError};

/// For a hash of 32 bytes, such as a [`bitcoin::BlockHash`] or a [`bitcoin::Txid`]: its bytes in the order in
/// which Bitcoin serializes them, the reverse of how it prints them.
#[derive(Debug, Clone, Copy)]
pub struct Hash32;

impl<T: Hash<Bytes = [u8; 32]>> Codec<T> for Hash32 {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<T, CodecError> {
        match <[u8; 32]>::try_from(wire) {
            Ok(bytes) => Ok(T::from_byte_array(bytes)),
            Err(wire) => Err(format!("a hash has 32 bytes, this has {}", wire.len()).into()),
        }
    }

    fn encode(value: &T) -> Result<Vec<u8>, CodecError> {
        Ok(value.to_byte_array().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::{BlockHash, TxMerkleNode, Txid, Wtxid};

    #[track_caller]
    fn travels<T: Hash<Bytes = [u8; 32]> + PartialEq + std::fmt::Debug>() {
        let mut bytes = [0; 32];
        (bytes[0], bytes[31]) = (1, 2);
        let hash: T = Hash32::decode(bytes.to_vec()).unwrap();
        assert_eq!(hash.to_byte_array(), bytes);
        assert_eq!(<Hash32 as Codec<T>>::encode(&hash).unwrap(), bytes);
        for length in [0, 31, 33] {
            let error = <Hash32 as Codec<T>>::decode(vec![7; length]).unwrap_err().to_string();
            assert_eq!(error, format!("a hash has 32 bytes, this has {length}"));
        }
    }

    #[test]
    fn a_hash_has_32_bytes() {
        travels::<BlockHash>();
        travels::<Txid>();
        travels::<Wtxid>();
        travels::<TxMerkleNode>();
    }

    #[test]
    fn the_last_byte_is_printed_first() {
        let mut bytes = vec![0; 32];
        bytes[31] = 0xab;
        let hash: BlockHash = Hash32::decode(bytes).unwrap();
        assert!(hash.to_string().starts_with("ab00"), "{hash}");
    }
}
