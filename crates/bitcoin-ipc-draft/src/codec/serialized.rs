//! Bitcoin Core's own serializations.

use multiprocess::{Codec, CodecError};

use crate::{Coin, FeeRate, Locator};

/// For what Bitcoin Core serializes in a way of its own: a [`Locator`] and a [`Coin`].
#[derive(Debug, Clone, Copy)]
pub struct Serialized;

impl Codec<Locator> for Serialized {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<Locator, CodecError> {
        Ok(Locator::from_bytes(&wire)?)
    }

    fn encode(value: &Locator) -> Result<Vec<u8>, CodecError> {
        Ok(value.to_bytes())
    }
}

impl Codec<Coin> for Serialized {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<Coin, CodecError> {
        Ok(Coin::from_bytes(&wire)?)
    }

    fn encode(value: &Coin) -> Result<Vec<u8>, CodecError> {
        Ok(value.to_bytes()?)
    }
}

/// For a [`FeeRate`]: 8 bytes, a signed number with the lowest byte first.
#[derive(Debug, Clone, Copy)]
pub struct PerKvb;

impl Codec<FeeRate> for PerKvb {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<FeeRate, CodecError> {
        match <[u8; 8]>::try_from(wire) {
            Ok(bytes) => Ok(FeeRate::from_sat_per_kvb(i64::from_le_bytes(bytes))),
            Err(wire) => Err(format!("a fee rate has 8 bytes, this has {}", wire.len()).into()),
        }
    }

    fn encode(value: &FeeRate) -> Result<Vec<u8>, CodecError> {
        Ok(value.sat_per_kvb().to_le_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin_ipc::bitcoin::constants::genesis_block;
    use bitcoin_ipc::bitcoin::{Amount, Network, ScriptBuf, TxOut};

    #[test]
    fn a_fee_rate_has_8_bytes() {
        for (rate, bytes) in [(0, [0; 8]), (1000, [0xe8, 3, 0, 0, 0, 0, 0, 0]), (-1, [0xff; 8])] {
            let rate = FeeRate::from_sat_per_kvb(rate);
            assert_eq!(PerKvb::encode(&rate).unwrap(), bytes);
            assert_eq!(PerKvb::decode(bytes.to_vec()).unwrap(), rate);
        }
        for length in [0, 7, 9] {
            let error = PerKvb::decode(vec![0; length]).unwrap_err().to_string();
            assert_eq!(error, format!("a fee rate has 8 bytes, this has {length}"));
        }
    }

    #[test]
    fn locators_and_coins_travel() {
        let locator = Locator::new([genesis_block(Network::Regtest).block_hash()]);
        let bytes = Serialized::encode(&locator).unwrap();
        assert_eq!(bytes, locator.to_bytes());
        assert_eq!(<Serialized as Codec<Locator>>::decode(bytes).unwrap(), locator);

        let output = TxOut { value: Amount::from_sat(1), script_pubkey: ScriptBuf::new() };
        let mut coin = Coin { output, height: 5, coinbase: true };
        let bytes = Serialized::encode(&coin).unwrap();
        assert_eq!(bytes, [11, 1, 6]);
        assert_eq!(<Serialized as Codec<Coin>>::decode(bytes).unwrap(), coin);
        coin.height = u32::MAX;
        assert!(Serialized::encode(&coin).is_err(), "it would become another height");
    }
}
