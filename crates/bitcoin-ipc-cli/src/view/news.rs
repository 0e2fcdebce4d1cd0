//! What has happened.

use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin_ipc::bitcoin::Txid;
use bitcoin_ipc_draft::values::ChangeType;

use super::look::{Look, time};

/// Something that happened, and when this process was told: in seconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct News {
    pub(super) time: i64,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// There is a new tip.
    Block {
        height: i32,
        hash: String,
    },
    /// A transaction of a wallet's is new or has changed.
    Transaction {
        wallet: String,
        txid: Txid,
        change: ChangeType,
    },
    Loaded(String),
    Unloaded(String),
    /// The wallet process is there.
    WalletsThere,
    /// It is not, for this reason.
    WalletsGone(String),
    /// What one of the programs has for the user.
    Said(String),
    /// The node is not there, for this reason.
    Away(String),
    Back,
}

impl News {
    /// It happened now.
    pub(super) fn now(what: What) -> News {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        News { time: i64::try_from(now.as_secs()).unwrap_or(i64::MAX), what }
    }

    pub(super) fn line(&self) -> String {
        format!("{}  {}", time(self.time), self.what.text())
    }
}

impl What {
    pub(super) fn text(&self) -> String {
        match self {
            What::Block { height, hash } => format!("block {height}: {hash}"),
            What::Transaction { wallet, txid, change } => {
                format!("transaction {txid} of wallet {wallet:?} {}", change_name(*change))
            }
            What::Loaded(name) => format!("wallet {name:?} is loaded"),
            What::Unloaded(name) => format!("wallet {name:?} is unloaded"),
            What::WalletsThere => "the wallet process is there".to_owned(),
            What::WalletsGone(why) => format!("no wallets: {why}"),
            What::Said(text) => text.clone(),
            What::Away(why) => format!("the node is away: {why}; connecting again"),
            What::Back => "the node is back".to_owned(),
        }
    }
}

/// What became of a transaction.
pub(super) fn change_name(change: ChangeType) -> &'static str {
    match change {
        ChangeType::New => "is new",
        ChangeType::Deleted => "is gone",
        _ => "has changed",
    }
}

/// What of the wallets has changed from one look to the next.
pub(super) fn of_wallets(before: &Look, now: &Look) -> Vec<What> {
    match (&before.wallets, &now.wallets) {
        (Ok(before), Ok(now)) => {
            let lacks = |wallets: &[super::look::WalletLook], name: &str| {
                wallets.iter().all(|wallet| wallet.name != name)
            };
            let gone = before.iter().filter(|wallet| lacks(now, &wallet.name));
            let new = now.iter().filter(|wallet| lacks(before, &wallet.name));
            gone.map(|wallet| What::Unloaded(wallet.name.clone()))
                .chain(new.map(|wallet| What::Loaded(wallet.name.clone())))
                .collect()
        }
        (Ok(_), Err(why)) => vec![What::WalletsGone(why.clone())],
        (Err(_), Ok(_)) => vec![What::WalletsThere],
        (Err(_), Err(_)) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::look::WalletLook;
    use super::super::look::tests::look;
    use super::*;

    fn with(names: &[&str]) -> Look {
        let wallet = |name: &&str| WalletLook { name: (*name).to_owned(), ..WalletLook::default() };
        Look { wallets: Ok(names.iter().map(wallet).collect()), ..look() }
    }

    #[test]
    fn wallets_that_come_and_go_are_news() {
        let gone = Look { wallets: Err("no process".to_owned()), ..look() };
        let news = |before: &Look, now: &Look| {
            of_wallets(before, now).iter().map(What::text).collect::<Vec<_>>()
        };
        let (a, b) = (with(&["a"]), with(&["b"]));
        assert_eq!(news(&a, &b), ["wallet \"a\" is unloaded", "wallet \"b\" is loaded"]);
        assert_eq!(news(&a, &gone), ["no wallets: no process"]);
        assert_eq!(news(&gone, &b), ["the wallet process is there"]);
        for same in [&a, &gone] {
            assert!(news(same, same).is_empty());
        }
    }
}
