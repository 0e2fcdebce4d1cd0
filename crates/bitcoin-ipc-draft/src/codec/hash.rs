//! Hashes of 20 bytes.

use bitcoin_ipc::bitcoin::hashes::Hash;
use multiprocess::{Codec, CodecError};

/// For a hash of 20 bytes, such as a [`PubkeyHash`](bitcoin_ipc::bitcoin::PubkeyHash): its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Hash20;

impl<T: Hash<Bytes = [u8; 20]>> Codec<T> for Hash20 {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<T, CodecError> {
        match <[u8; 20]>::try_from(wire) {
            Ok(bytes) => Ok(T::from_byte_array(bytes)),
            Err(wire) => Err(format!("this hash has 20 bytes, not {}", wire.len()).into()),
        }
    }

    fn encode(value: &T) -> Result<Vec<u8>, CodecError> {
        Ok(value.to_byte_array().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin_ipc::bitcoin::PubkeyHash;

    #[test]
    fn a_hash_has_20_bytes_in_their_order() {
        let bytes: Vec<u8> = (1..=20).collect();
        let hash: PubkeyHash = Hash20::decode(bytes.clone()).unwrap();
        assert_eq!(hash.to_string(), "0102030405060708090a0b0c0d0e0f1011121314");
        assert_eq!(Hash20::encode(&hash).unwrap(), bytes);
        for length in [0, 19, 21, 32] {
            let error = <Hash20 as Codec<PubkeyHash>>::decode(vec![7; length]).unwrap_err();
            assert_eq!(error.to_string(), format!("this hash has 20 bytes, not {length}"));
        }
    }
}
