//! What is shown of a node and its wallets, as plain data. Texts that other processes sent have no control characters here.

use bitcoin_ipc::bitcoin::{Amount, OutPoint, Txid};
use bitcoin_ipc_draft::wallet::WalletBalances;

/// So many of a wallet's transactions and coins are shown.
pub(super) const ROWS: usize = 20;

/// One look.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    pub(super) node: NodeLook,
    /// Or why there are none.
    pub(super) wallets: Result<Vec<WalletLook>, String>,
}

/// Where the node is.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct NodeLook {
    pub(super) height: i32,
    pub(super) hash: String,
    /// The tip's, in seconds since 1970.
    pub(super) time: i64,
    /// 0 to 1.
    pub(super) progress: f64,
    pub(super) catching_up: bool,
    /// Of the memory pool: transactions, and bytes.
    pub(super) transactions: u64,
    pub(super) bytes: u64,
    pub(super) warning: String,
}

/// One wallet.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct WalletLook {
    pub(super) name: String,
    pub(super) keys: Keys,
    pub(super) balances: WalletBalances,
    /// The newest first, [`ROWS`] at most.
    pub(super) transactions: Vec<TransactionRow>,
    /// The newest first, [`ROWS`] at most.
    pub(super) coins: Vec<CoinRow>,
    /// How many it has in all.
    pub(super) all_transactions: usize,
    pub(super) all_coins: usize,
    /// Why some of this is not known.
    pub(super) problem: Option<String>,
}

/// What protects a wallet's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Keys {
    #[default]
    Open,
    Unlocked,
    Locked,
}

impl Keys {
    pub(super) fn name(self) -> &'static str {
        match self {
            Keys::Open => "not encrypted",
            Keys::Unlocked => "unlocked",
            Keys::Locked => "locked",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct TransactionRow {
    pub(super) txid: Txid,
    /// In seconds since 1970.
    pub(super) time: i64,
    /// What it changes in the wallet, in satoshis.
    pub(super) amount: i64,
    /// None: the wallet cannot tell now.
    pub(super) confirmations: Option<i32>,
    pub(super) coinbase: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct CoinRow {
    pub(super) outpoint: OutPoint,
    /// Or its script, where it has none.
    pub(super) address: String,
    pub(super) amount: Amount,
    pub(super) confirmations: i32,
}

/// The whole bitcoins and the eight digits after them.
pub(super) fn bitcoins(satoshis: i64) -> String {
    let sign = if satoshis < 0 { "-" } else { "" };
    let satoshis = satoshis.unsigned_abs();
    format!("{sign}{}.{:08}", satoshis / 100_000_000, satoshis % 100_000_000)
}

/// The same of an amount.
pub(super) fn amount(amount: Amount) -> String {
    bitcoins(i64::try_from(amount.to_sat()).unwrap_or(i64::MAX))
}

/// A time of day (UTC), with its date.
pub(super) fn time(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days are counted from the first of March of the year 0, so that leap days are at the end of a year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1);
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    use bitcoin_ipc::bitcoin::hashes::Hash;

    /// A node with one wallet.
    pub(in super::super) fn look() -> Look {
        let txid = Txid::from_byte_array([0xab; 32]);
        let transaction = TransactionRow {
            txid,
            time: 1_800_000_000,
            amount: -125_000_000,
            confirmations: Some(3),
            coinbase: false,
        };
        let coin = CoinRow {
            outpoint: OutPoint { txid, vout: 1 },
            address: "bcrt1qexample".to_owned(),
            amount: Amount::from_sat(4_875_000_000),
            confirmations: 3,
        };
        let wallet = WalletLook {
            name: "alice".to_owned(),
            keys: Keys::Locked,
            balances: WalletBalances::default().balance(Amount::from_sat(4_875_000_000)),
            transactions: vec![transaction],
            coins: vec![coin],
            all_transactions: 1,
            all_coins: 1,
            problem: None,
        };
        let node = NodeLook {
            height: 104,
            hash: "00ff".to_owned(),
            time: 1_800_000_000,
            progress: 1.0,
            catching_up: false,
            transactions: 2,
            bytes: 500,
            warning: String::new(),
        };
        Look { node, wallets: Ok(vec![wallet]) }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_709_251_199, "2024-02-29 23:59:59"),
            (1_800_000_000, "2027-01-15 08:00:00"),
            (-1, "1969-12-31 23:59:59"),
        ] {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn amounts_have_eight_digits() {
        assert_eq!(bitcoins(-125_000_000), "-1.25000000");
        assert_eq!(bitcoins(-1), "-0.00000001");
        assert_eq!(amount(Amount::from_sat(5_000_000_000)), "50.00000000");
    }
}
