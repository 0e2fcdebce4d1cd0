//! Amounts and fee rates as JSON has them: decimal numbers, read and written exactly.
//!
//! A JSON number is an `f64` here. That is exact all the same: up to 21 million bitcoins two amounts of satoshis are
//! never the same `f64`, the division that makes it is rounded to the nearest one, and the shortest text of an `f64`
//! is the amount's own decimals.

use bitcoin_ipc::bitcoin::{Amount, SignedAmount};
use bitcoin_ipc::rpc::{Value, code};
use bitcoin_ipc_draft::{CommandError, FeeRate};

use super::reply::fail;

/// Digits after the point of an amount in bitcoins.
const BITCOIN_DECIMALS: u32 = 8;
/// Digits after the point of a fee rate in satoshis for a virtual byte.
const FEE_RATE_DECIMALS: u32 = 3;

/// An amount in bitcoins.
pub(super) fn to_json(amount: Amount) -> Value {
    Value::from(amount.to_btc())
}

/// An amount in bitcoins that may be below 0.
pub(super) fn signed_to_json(amount: SignedAmount) -> Value {
    Value::from(amount.to_btc())
}

/// What an amount in bitcoins, a number or a text, stands for.
pub(super) fn from_json(value: &Value) -> Result<Amount, CommandError> {
    let range = || fail(code::TYPE_ERROR, "Amount out of range");
    let satoshis = fixed(value, BITCOIN_DECIMALS, range)?;
    Some(Amount::from_sat(satoshis)).filter(|amount| *amount <= Amount::MAX_MONEY).ok_or_else(range)
}

/// A fee rate in satoshis for a virtual byte, as the argument `fee_rate` of Bitcoin Core's.
pub(super) fn fee_rate_from_json(value: &Value) -> Result<FeeRate, CommandError> {
    let range = || fail(code::TYPE_ERROR, "Amount out of range");
    let per_kvb = i64::try_from(fixed(value, FEE_RATE_DECIMALS, range)?).map_err(|_| range())?;
    Ok(FeeRate::from_sat_per_kvb(per_kvb))
}

/// A decimal number as a multiple of its last digit.
fn fixed(
    value: &Value,
    decimals: u32,
    range: impl Fn() -> CommandError,
) -> Result<u64, CommandError> {
    // `Display` of a float is its shortest text, without an exponent.
    let text = match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(float)) => float.to_string(),
            (None, None) => number.to_string(),
        },
        Value::String(text) => text.clone(),
        _ => return Err(fail(code::TYPE_ERROR, "Amount is not a number or string")),
    };
    if let Some(rest) = text.strip_prefix('-') {
        return Err(match digits(rest, decimals) {
            Some(_) => range(),
            None => fail(code::TYPE_ERROR, "Invalid amount"),
        });
    }
    digits(&text, decimals).ok_or_else(|| fail(code::TYPE_ERROR, "Invalid amount"))
}

/// A decimal number without a sign as a multiple of its last digit; none if it is none, or has more digits than
/// fit.
fn digits(text: &str, decimals: u32) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = decimals.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let whole = whole.parse::<u64>().ok()?.checked_mul(10_u64.pow(decimals))?;
    whole.checked_add(fraction * 10_u64.pow(missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(value: Value) -> String {
        from_json(&value).unwrap_err().to_string()
    }

    #[test]
    fn amounts_are_read_to_the_last_satoshi() {
        for (value, satoshis) in [
            (json!(1), 100_000_000),
            (json!(0.1), 10_000_000),
            (json!(1e-8), 1),
            (json!(20_999_999.976_9), 2_099_999_997_690_000),
            (json!("20999999.97690001"), 2_099_999_997_690_001),
            (json!("0.10000000000"), 10_000_000),
            (json!(0), 0),
        ] {
            assert_eq!(from_json(&value).unwrap(), Amount::from_sat(satoshis), "{value}");
        }
        for wrong in [
            json!("1e"),
            json!(""),
            json!("."),
            json!("1."),
            json!(".5"),
            json!("0x1"),
            json!(1e-9),
        ] {
            assert_eq!(error(wrong.clone()), "Invalid amount (error -3)", "{wrong}");
        }
        for range in [json!(-1), json!(-0.5), json!(21_000_000.000_000_01), json!("-1")] {
            assert_eq!(error(range.clone()), "Amount out of range (error -3)", "{range}");
        }
        assert!(error(json!([1])).starts_with("Amount is not a number or string"));
    }

    #[test]
    fn what_is_written_and_read_again_is_the_same() {
        let most = Amount::MAX_MONEY.to_sat();
        let mut satoshis = 1_u64;
        // Spread over all sizes, with every last digit.
        while satoshis < most {
            for near in [satoshis - 1, satoshis, satoshis + 1, most - satoshis] {
                let amount = Amount::from_sat(near);
                let text = to_json(amount).to_string();
                let read: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(from_json(&read).unwrap(), amount, "{text}");
            }
            satoshis = satoshis * 3 / 2 + 7;
        }
        assert_eq!(to_json(Amount::from_sat(10_000_000)).to_string(), "0.1");
        assert_eq!(signed_to_json(SignedAmount::from_sat(-150_000_000)).to_string(), "-1.5");
    }

    #[test]
    fn fee_rates_have_three_digits_after_the_point() {
        let rate = |value| fee_rate_from_json(&value).map(FeeRate::sat_per_kvb);
        assert_eq!(rate(json!(1)).unwrap(), 1000);
        assert_eq!(rate(json!(2.345)).unwrap(), 2345);
        assert_eq!(rate(json!("0.1")).unwrap(), 100);
        for wrong in [json!(1.2345), json!(-1), json!(true)] {
            assert!(rate(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
