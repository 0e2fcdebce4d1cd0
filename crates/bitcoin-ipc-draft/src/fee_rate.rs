//! Fee rates.

use std::fmt;

use bitcoin_ipc::bitcoin;

/// A fee rate in satoshis for 1,000 virtual bytes, as Bitcoin Core counts it.
///
/// rust-bitcoin's [`FeeRate`](bitcoin::FeeRate) counts satoshis for 1,000 weight units, a quarter of that: so
/// every one of its rates can be converted, but only every fourth of these.
///
/// ```
/// use bitcoin_ipc_draft::FeeRate;
/// use bitcoin_ipc::bitcoin;
///
/// let rate = FeeRate::from_sat_per_kvb(1_000);
/// assert_eq!(bitcoin::FeeRate::try_from(rate).unwrap(), bitcoin::FeeRate::from_sat_per_kwu(250));
/// // Half a satoshi for 1,000 weight units.
/// assert!(bitcoin::FeeRate::try_from(FeeRate::from_sat_per_kvb(1_002)).is_err());
/// assert_eq!(FeeRate::from_sat_per_kvb(1_002).rounded_up(), Some(bitcoin::FeeRate::from_sat_per_kwu(251)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FeeRate(i64);

/// A fee rate that cannot be converted without becoming another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InexactFeeRate(());

impl fmt::Display for InexactFeeRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this fee rate has no exact counterpart: round it first")
    }
}

impl std::error::Error for InexactFeeRate {}

impl FeeRate {
    /// From satoshis for 1,000 virtual bytes. Bitcoin Core also has negative ones, which mean that there is
    /// none.
    pub const fn from_sat_per_kvb(satoshis: i64) -> FeeRate {
        FeeRate(satoshis)
    }

    /// In satoshis for 1,000 virtual bytes.
    pub const fn sat_per_kvb(self) -> i64 {
        self.0
    }

    /// The lowest rate of rust-bitcoin's that is not below it; none if it is negative.
    pub fn rounded_up(self) -> Option<bitcoin::FeeRate> {
        let satoshis = u64::try_from(self.0).ok()?;
        Some(bitcoin::FeeRate::from_sat_per_kwu(satoshis.div_ceil(4)))
    }
}

impl TryFrom<FeeRate> for bitcoin::FeeRate {
    type Error = InexactFeeRate;

    fn try_from(rate: FeeRate) -> Result<bitcoin::FeeRate, InexactFeeRate> {
        match rate.rounded_up() {
            Some(rounded) if rate.0 % 4 == 0 => Ok(rounded),
            _ => Err(InexactFeeRate(())),
        }
    }
}

/// Fails only for rates that are higher than all the money there is.
impl TryFrom<bitcoin::FeeRate> for FeeRate {
    type Error = InexactFeeRate;

    fn try_from(rate: bitcoin::FeeRate) -> Result<FeeRate, InexactFeeRate> {
        let satoshis = rate.to_sat_per_kwu().checked_mul(4).and_then(|rate| rate.try_into().ok());
        satoshis.map(FeeRate).ok_or(InexactFeeRate(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_conversions_are_made() {
        let kwu = bitcoin::FeeRate::from_sat_per_kwu;
        for (own, other) in [(0, 0), (4, 1), (1000, 250), (i64::MAX - 3, i64::MAX as u64 / 4)] {
            assert_eq!(bitcoin::FeeRate::try_from(FeeRate(own)), Ok(kwu(other)), "{own}");
            assert_eq!(FeeRate::try_from(kwu(other)), Ok(FeeRate(own)), "{other}");
        }
        for own in [1, 2, 3, 1001, -4, i64::MIN, i64::MAX] {
            assert!(bitcoin::FeeRate::try_from(FeeRate(own)).is_err(), "{own}");
        }
        for other in [i64::MAX as u64 / 4 + 1, u64::MAX] {
            assert!(FeeRate::try_from(kwu(other)).is_err(), "{other}");
        }
        assert_eq!(FeeRate(1001).rounded_up(), Some(kwu(251)));
        assert_eq!(FeeRate(-1).rounded_up(), None);
    }
}
