//! Lists of pairs whose keys are outpoints.

use bitcoin_ipc::bitcoin::{Amount, OutPoint};
use bitcoin_ipc::codec::{Consensus, OrEmpty, Satoshis};
use bitcoin_ipc::common::{Pair, PairInt64};
use multiprocess::{Codec, CodecError};

use super::Serialized;
use crate::Coin;

/// For outpoints with the coins that they name. A coin that is spent or not known is empty, and none in Rust.
#[derive(Debug, Clone, Copy)]
pub struct Coins;

impl Codec<Vec<(OutPoint, Option<Coin>)>> for Coins {
    type Wire = Vec<Pair<Vec<u8>, Vec<u8>>>;

    fn decode(wire: Self::Wire) -> Result<Vec<(OutPoint, Option<Coin>)>, CodecError> {
        let coin = OrEmpty::<Serialized>::decode;
        wire.into_iter().map(|pair| Ok((Consensus::decode(pair.key)?, coin(pair.value)?))).collect()
    }

    fn encode(value: &Vec<(OutPoint, Option<Coin>)>) -> Result<Self::Wire, CodecError> {
        let bytes = OrEmpty::<Serialized>::encode;
        value
            .iter()
            .map(|(key, coin)| Ok(Pair::new(Consensus::encode(key)?, bytes(coin)?)))
            .collect()
    }
}

/// For outpoints with fees.
#[derive(Debug, Clone, Copy)]
pub struct BumpFees;

impl Codec<Vec<(OutPoint, Amount)>> for BumpFees {
    type Wire = Vec<PairInt64<Vec<u8>>>;

    fn decode(wire: Self::Wire) -> Result<Vec<(OutPoint, Amount)>, CodecError> {
        let amount = Satoshis::decode;
        wire.into_iter()
            .map(|pair| Ok((Consensus::decode(pair.key)?, amount(pair.value)?)))
            .collect()
    }

    fn encode(value: &Vec<(OutPoint, Amount)>) -> Result<Self::Wire, CodecError> {
        value
            .iter()
            .map(|(key, fee)| {
                Ok(PairInt64::new(Consensus::encode(key)?).value(Satoshis::encode(fee)?))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin_ipc::bitcoin::hashes::Hash;
    use bitcoin_ipc::bitcoin::{ScriptBuf, TxOut, Txid};

    fn outpoint(vout: u32) -> OutPoint {
        OutPoint { txid: Txid::from_byte_array([7; 32]), vout }
    }

    #[test]
    fn coins_travel_beside_their_outpoints() {
        let output = TxOut { value: Amount::from_sat(1), script_pubkey: ScriptBuf::new() };
        let coin = Coin { output, height: 1, coinbase: false };
        let coins = vec![(outpoint(2), Some(coin)), (outpoint(1), None)];
        let wire = Coins::encode(&coins).unwrap();
        let key = |vout| [&[7; 32][..], &[vout, 0, 0, 0]].concat();
        assert_eq!(wire, [Pair::new(key(2), vec![2, 1, 6]), Pair::new(key(1), vec![])]);
        assert_eq!(Coins::decode(wire).unwrap(), coins);
        assert!(Coins::decode(vec![Pair::new(key(2), vec![2, 1])]).is_err(), "half a coin");
        assert!(Coins::decode(vec![Pair::new(vec![7], vec![])]).is_err(), "half an outpoint");
    }

    #[test]
    fn fees_travel_beside_their_outpoints() {
        let fees = vec![(outpoint(2), Amount::from_sat(5)), (outpoint(1), Amount::ZERO)];
        let wire = BumpFees::encode(&fees).unwrap();
        assert_eq!(wire.iter().map(|pair| pair.value).collect::<Vec<_>>(), [5, 0]);
        assert_eq!(wire[0].key[32..], [2, 0, 0, 0]);
        assert_eq!(BumpFees::decode(wire.clone()).unwrap(), fees);
        let negative = wire.into_iter().map(|pair| pair.value(-1)).collect();
        assert!(BumpFees::decode(negative).is_err());
    }
}
