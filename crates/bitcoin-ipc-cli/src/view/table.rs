//! A look as text.

use super::look::{CoinRow, Look, TransactionRow, WalletLook, amount, bitcoins, time};
use crate::tables::{Column, columns};
use crate::top::bytes;

/// All of it.
pub(super) fn of(look: &Look) -> String {
    let mut text = head(look) + "\n";
    let Ok(wallets) = &look.wallets else { return text };
    text += "\n";
    text += &columns(&WALLETS, wallets.iter().map(wallet));
    text += "\n";
    text += &columns(&TRANSACTIONS, transactions(wallets).into_iter());
    text += "\n";
    text += &columns(&COINS, coins(wallets).into_iter());
    text
}

/// The node, and what is wrong: a line each.
pub(super) fn head(look: &Look) -> String {
    let node = &look.node;
    let mut text = format!(
        "block {} of {}: {}, {:.1} % verified, memory pool {} transactions, {}",
        node.height,
        time(node.time),
        node.hash,
        node.progress * 100.0,
        node.transactions,
        bytes(node.bytes),
    );
    if node.catching_up {
        text += ", still catching up";
    }
    if !node.warning.is_empty() {
        text += &format!("\nwarning: {}", node.warning);
    }
    match &look.wallets {
        Ok(wallets) => {
            let problems = wallets.iter().filter_map(|wallet| {
                Some(format!("\nwallet {:?}: {}", wallet.name, wallet.problem.as_ref()?))
            });
            text.extend(problems);
        }
        Err(why) => text += &format!("\nno wallets: {why}"),
    }
    text
}

pub(super) const WALLETS: [Column; 7] = [
    ("WALLET", false),
    ("KEYS", false),
    ("BALANCE", true),
    ("UNCONFIRMED", true),
    ("IMMATURE", true),
    ("TRANSACTIONS", true),
    ("COINS", true),
];

pub(super) fn wallet(row: &WalletLook) -> Vec<String> {
    let balances = &row.balances;
    vec![
        row.name.clone(),
        row.keys.name().to_owned(),
        amount(balances.balance),
        amount(balances.unconfirmed_balance),
        amount(balances.immature_balance),
        row.all_transactions.to_string(),
        row.all_coins.to_string(),
    ]
}

pub(super) const TRANSACTIONS: [Column; 5] = [
    ("TRANSACTION", false),
    ("WALLET", false),
    ("TIME", false),
    ("AMOUNT", true),
    ("CONFIRMATIONS", true),
];

pub(super) fn transactions(wallets: &[WalletLook]) -> Vec<Vec<String>> {
    let row = |wallet: &WalletLook, row: &TransactionRow| {
        let confirmations = row.confirmations.map_or("-".to_owned(), |number| number.to_string());
        let (id, name) = (row.txid.to_string(), wallet.name.clone());
        vec![id, name, time(row.time), bitcoins(row.amount), confirmations]
    };
    let of = |wallet| move |transaction| row(wallet, transaction);
    wallets.iter().flat_map(|wallet| wallet.transactions.iter().map(of(wallet))).collect()
}

pub(super) const COINS: [Column; 5] = [
    ("COIN", false),
    ("WALLET", false),
    ("ADDRESS", false),
    ("AMOUNT", true),
    ("CONFIRMATIONS", true),
];

pub(super) fn coins(wallets: &[WalletLook]) -> Vec<Vec<String>> {
    let row = |wallet: &WalletLook, row: &CoinRow| {
        let (coin, name) = (row.outpoint.to_string(), wallet.name.clone());
        vec![coin, name, row.address.clone(), amount(row.amount), row.confirmations.to_string()]
    };
    let of = |wallet| move |coin| row(wallet, coin);
    wallets.iter().flat_map(|wallet| wallet.coins.iter().map(of(wallet))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::look::tests::look;
    use super::*;

    #[test]
    fn all_of_a_look_in_three_tables() {
        let txid = "ab".repeat(32);
        let expected = format!(
            "\
block 104 of 2027-01-15 08:00:00: 00ff, 100.0 % verified, memory pool 2 transactions, 500

WALLET  KEYS        BALANCE  UNCONFIRMED    IMMATURE  TRANSACTIONS  COINS
alice   locked  48.75000000   0.00000000  0.00000000             1      1

TRANSACTION                                                       WALLET  TIME                      AMOUNT  CONFIRMATIONS
{txid}  alice   2027-01-15 08:00:00  -1.25000000              3

COIN                                                                WALLET  ADDRESS             AMOUNT  CONFIRMATIONS
{txid}:1  alice   bcrt1qexample  48.75000000              3
"
        );
        let text = of(&look());
        assert_eq!(text, expected, "{text}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut wrong = look();
        wrong.node.warning = "odd".to_owned();
        wrong.node.catching_up = true;
        wrong.wallets.as_mut().unwrap()[0].problem = Some("no answer".to_owned());
        let text = head(&wrong);
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(lines, ["warning: odd", "wallet \"alice\": no answer"], "{text}");
        assert!(text.contains("catching up"), "{text}");
        wrong.wallets = Err("no process".to_owned());
        assert!(of(&wrong).ends_with("\nno wallets: no process\n"), "{}", of(&wrong));
    }
}
