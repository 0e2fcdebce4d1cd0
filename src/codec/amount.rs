//! Amounts in satoshis.

use bitcoin::Amount;
use multiprocess::{Codec, CodecError};

/// For an [`Amount`] that travels as a number of satoshis: from 0 to 21 million bitcoins, and an error
/// otherwise, in both directions.
#[derive(Debug, Clone, Copy)]
pub struct Satoshis;

impl Codec<Amount> for Satoshis {
    type Wire = i64;

    fn decode(wire: i64) -> Result<Amount, CodecError> {
        match u64::try_from(wire).map(Amount::from_sat) {
            Ok(amount) if amount <= Amount::MAX_MONEY => Ok(amount),
            _ => Err(out_of_range(wire.into())),
        }
    }

    fn encode(value: &Amount) -> Result<i64, CodecError> {
        match i64::try_from(value.to_sat()) {
            Ok(satoshis) if *value <= Amount::MAX_MONEY => Ok(satoshis),
            _ => Err(out_of_range(value.to_sat().into())),
        }
    }
}

fn out_of_range(satoshis: i128) -> CodecError {
    let most = Amount::MAX_MONEY.to_sat();
    format!("an amount has from 0 to {most} satoshis, not {satoshis}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_travel_within_the_range_of_money() {
        for satoshis in [0, 1, 5_000_000_000, 2_100_000_000_000_000] {
            let amount = Satoshis::decode(satoshis).unwrap();
            assert_eq!(amount.to_sat(), satoshis.unsigned_abs());
            assert_eq!(Satoshis::encode(&amount).unwrap(), satoshis);
        }
        for satoshis in [-1, 2_100_000_000_000_001, i64::MIN, i64::MAX] {
            let error = Satoshis::decode(satoshis).unwrap_err().to_string();
            assert!(error.ends_with(&format!("satoshis, not {satoshis}")), "{error}");
        }
        for satoshis in [2_100_000_000_000_001, u64::MAX] {
            let error = Satoshis::encode(&Amount::from_sat(satoshis)).unwrap_err().to_string();
            assert!(error.ends_with(&format!("satoshis, not {satoshis}")), "{error}");
        }
    }
}
