//! Which wallet a command is for: that of the path `/wallet/NAME`, or the only one.

use std::sync::Arc;

use bitcoin_ipc::rpc::code;
use bitcoin_ipc_draft::CommandError;

use super::reply::{fail, invalid};
use crate::loader::Wallets;
use crate::wallet::LoadedWallet;

/// Where the paths of wallets begin.
const PREFIX: &str = "/wallet/";

/// The name in a path, if it is a wallet's.
pub(super) fn name_of(uri: &str) -> Result<Option<String>, CommandError> {
    let Some(escaped) = uri.strip_prefix(PREFIX) else { return Ok(None) };
    let name = String::from_utf8(unescaped(escaped))
        .map_err(|_| invalid("The wallet's name in the path is not UTF-8"))?;
    Ok(Some(name))
}

/// The wallet that a request is for.
pub(super) fn wallet(wallets: &Wallets, uri: &str) -> Result<Arc<LoadedWallet>, CommandError> {
    if let Some(name) = name_of(uri)? {
        return named(wallets, &name);
    }
    let mut all = wallets.all();
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(fail(
            code::WALLET_NOT_FOUND,
            "No wallet is loaded. Load a wallet using loadwallet or create a new one with createwallet. \
             (Note: A default wallet is no longer automatically created)",
        )),
        (Some(_), false) => Err(fail(
            code::WALLET_NOT_SPECIFIED,
            "Multiple wallets are loaded. Please select which wallet to use by requesting the RPC through the \
             /wallet/<walletname> URI path.",
        )),
    }
}

/// The wallet of this name.
pub(super) fn named(wallets: &Wallets, name: &str) -> Result<Arc<LoadedWallet>, CommandError> {
    wallets.get(name).ok_or_else(|| {
        fail(code::WALLET_NOT_FOUND, "Requested wallet does not exist or is not loaded")
    })
}

/// A path without its escapes (`%20`). What is no escape stays as it is.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let digits = others.get(..2).filter(|_| *first == b'%');
        let byte = digits.and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            // `from_str_radix` takes a sign as well.
            let hex = digits.iter().all(u8::is_ascii_hexdigit);
            u8::from_str_radix(text, 16).ok().filter(|_| hex)
        });
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_wallets_name() {
        let name = |uri| name_of(uri).unwrap();
        assert_eq!(name("/"), None);
        assert_eq!(name(""), None);
        assert_eq!(name("/wallet/"), Some(String::new()));
        assert_eq!(name("/wallet/a"), Some("a".to_owned()));
        assert_eq!(name("/wallet/my%20wallet%2F%C3%A4%25"), Some("my wallet/\u{e4}%".to_owned()));
        assert_eq!(name("/wallet/50%"), Some("50%".to_owned()));
        assert_eq!(name("/wallet/%+1%zz"), Some("%+1%zz".to_owned()));
        assert!(name_of("/wallet/%ff").is_err());
    }
}
