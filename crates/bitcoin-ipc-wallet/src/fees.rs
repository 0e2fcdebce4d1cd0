//! Which fee rate a transaction gets.

use bitcoin_ipc::bitcoin::{Amount, Network};
use bitcoin_ipc::common::FeeCalculation;
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::FeeRate;
use bitcoin_ipc_draft::chain::ChainHandle;
use bitcoin_ipc_draft::values::FeeReason;
use bitcoin_ipc_draft::wallet::CoinControl;

use crate::error::WalletError;

/// The highest fee that a wallet pays: a tenth of a bitcoin, as in Bitcoin Core.
pub(crate) const MAX_FEE: Amount = Amount::from_sat(10_000_000);
/// Within how many blocks a transaction is to be confirmed unless told otherwise, as in Bitcoin Core.
pub(crate) const CONFIRM_TARGET: u32 = 6;
/// The least that the wallet pays, in satoshis for 1,000 virtual bytes.
const LEAST: FeeRate = FeeRate::from_sat_per_kvb(1_000);
/// What it pays where there is no estimate, on networks whose coins are worth nothing.
const FALLBACK: FeeRate = FeeRate::from_sat_per_kvb(20_000);

/// A fee rate, and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct ChosenFee {
    pub(crate) rate: FeeRate,
    pub(crate) reason: FeeReason,
    /// The node's own account of an estimate.
    pub(crate) calculation: FeeCalculation,
}

impl ChosenFee {
    /// The fee of so many virtual bytes, rounded up.
    pub(crate) fn of(&self, bytes: u32) -> Amount {
        fee(self.rate, bytes)
    }
}

fn fee(rate: FeeRate, bytes: u32) -> Amount {
    let per_kvb = rate.sat_per_kvb().max(0).unsigned_abs();
    Amount::from_sat(per_kvb.saturating_mul(u64::from(bytes)).div_ceil(1_000))
}

/// The least rate that the wallet and the node allow.
fn required_rate(chain: &ChainHandle) -> Result<FeeRate, WalletError> {
    Ok(chain.relay_min_fee().wait()?.max(LEAST))
}

/// The least fee of a transaction of so many virtual bytes.
pub(crate) fn required(chain: &ChainHandle, bytes: u32) -> Result<Amount, WalletError> {
    Ok(fee(required_rate(chain)?, bytes))
}

/// The rate that `control` gives, or the node's estimate, and never less than what is needed.
pub(crate) fn choose(
    chain: &ChainHandle,
    network: Network,
    control: &CoinControl,
) -> Result<ChosenFee, WalletError> {
    let required = required_rate(chain)?;
    let mut calculation = FeeCalculation::default();
    let (mut rate, mut reason) = match control.fee_rate {
        Some(rate) if control.override_fee_rate => {
            return Ok(ChosenFee { rate, reason: FeeReason::None, calculation });
        }
        Some(rate) => (rate, FeeReason::None),
        None => {
            let target = control.confirm_target.filter(|target| *target > 0);
            let target = target.unwrap_or(CONFIRM_TARGET.cast_signed());
            // 2 is the careful estimate; without a mode a transaction that can be replaced needs none.
            let conservative = control.fee_mode == 2;
            let estimate = chain.estimate_smart_fee(target, conservative, true).wait()?;
            calculation = estimate.calc.unwrap_or_default();
            if estimate.result.sat_per_kvb() > 0 {
                let enough = chain.mempool_min_fee().wait()?;
                let reason = FeeReason::from(calculation.reason);
                if estimate.result < enough {
                    (enough, FeeReason::MempoolMin)
                } else {
                    (estimate.result, reason)
                }
            } else {
                (fallback(chain, network)?, FeeReason::Fallback)
            }
        }
    };
    if rate < required {
        if control.fee_rate.is_some() {
            return Err(WalletError::Fee(format!(
                "the fee rate of {} sat/kvB is below {} sat/kvB, the least that is relayed: give a higher one",
                rate.sat_per_kvb(),
                required.sat_per_kvb()
            )));
        }
        (rate, reason) = (required, FeeReason::Required);
    }
    calculation.reason = reason.into();
    Ok(ChosenFee { rate, reason, calculation })
}

/// The rate where there is no estimate: the node's setting `fallbackfee`, in bitcoins for 1,000 virtual bytes.
fn fallback(chain: &ChainHandle, network: Network) -> Result<FeeRate, WalletError> {
    let disabled = || {
        WalletError::Fee(
            "Fee estimation failed. Fallbackfee is disabled. Give a fee rate, wait a few blocks, or set \
             `fallbackfee`."
                .to_owned(),
        )
    };
    let set = match chain.get_setting("fallbackfee").wait()? {
        Value::Null if network == Network::Bitcoin => return Err(disabled()),
        Value::Null => return Ok(FALLBACK),
        Value::String(text) => text,
        other => other.to_string(),
    };
    let amount =
        Amount::from_str_in(&set, bitcoin_ipc::bitcoin::Denomination::Bitcoin).map_err(|_| {
            WalletError::Fee(format!(
                "the setting `fallbackfee` is {set}, which is no amount of bitcoins"
            ))
        })?;
    match i64::try_from(amount.to_sat()) {
        Ok(rate) if rate > 0 => Ok(FeeRate::from_sat_per_kvb(rate)),
        _ => Err(disabled()),
    }
}
