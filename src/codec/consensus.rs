//! Values in Bitcoin's consensus encoding.

use bitcoin::consensus::{Decodable, Encodable, deserialize, serialize};
use multiprocess::{Codec, CodecError};

/// For what has a consensus encoding, such as a [`bitcoin::Block`] or a [`bitcoin::TxOut`]: those bytes, and
/// nothing before or after them.
#[derive(Debug, Clone, Copy)]
pub struct Consensus;

impl<T: Encodable + Decodable> Codec<T> for Consensus {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<T, CodecError> {
        deserialize(&wire).map_err(|error| with_sources(&error).into())
    }

    fn encode(value: &T) -> Result<Vec<u8>, CodecError> {
        Ok(serialize(value))
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::block::Header;
    use bitcoin::blockdata::constants::genesis_block;
    use bitcoin::{Amount, Block, Network, ScriptBuf, Transaction, TxOut};

    /// Encodes and decodes, and checks that every shorter text and one longer byte is refused.
    #[track_caller]
    fn travels<T: Encodable + Decodable + PartialEq + std::fmt::Debug>(value: &T) {
        let bytes = <Consensus as Codec<T>>::encode(value).unwrap();
        let decode = |bytes: &[u8]| <Consensus as Codec<T>>::decode(bytes.to_vec());
        assert_eq!(&decode(&bytes).unwrap(), value);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
        }
        let longer = decode(&[bytes, vec![0]].concat()).unwrap_err().to_string();
        assert!(longer.contains("not consumed entirely"), "{longer}");
    }

    #[test]
    fn blocks_and_their_parts_travel_whole() {
        let block = genesis_block(Network::Regtest);
        travels::<Header>(&block.header);
        travels::<Transaction>(&block.txdata[0]);
        travels::<TxOut>(&TxOut {
            value: Amount::from_sat(7),
            script_pubkey: ScriptBuf::from_bytes(vec![0x51]),
        });
        travels::<Block>(&block);
    }

    #[test]
    fn what_does_not_decode_says_why() {
        let error = <Consensus as Codec<Block>>::decode(vec![1, 2, 3]).unwrap_err().to_string();
        assert!(error.contains("UnexpectedEof"), "{error}");
    }
}
