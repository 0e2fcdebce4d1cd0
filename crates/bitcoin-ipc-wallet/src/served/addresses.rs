//! Addresses and the address book.

use bitcoin_ipc::bitcoin::ScriptBuf;
use bitcoin_ipc::common::UtilResult;
use bitcoin_ipc_draft::values::{AddressPurpose, OutputType};
use bitcoin_ipc_draft::wallet::{TxDestination, WalletAddress, WalletGetAddressResults};
use multiprocess::{Error, Result};

use super::{failed, vault};
use crate::wallet::LoadedWallet;

fn script(dest: &TxDestination) -> Result<ScriptBuf> {
    dest.script().map_err(|error| Error::failed(error.to_string()))
}

/// A fresh address.
pub(super) fn new_destination(
    wallet: &LoadedWallet,
    output_type: OutputType,
    label: &str,
) -> Result<UtilResult<TxDestination>> {
    Ok(match vault(wallet)?.new_address(output_type, label) {
        Ok(address) => UtilResult::new(TxDestination::from(&address)),
        Err(error) => UtilResult::failed(error.to_string()),
    })
}

/// Whether it is one of the wallet's, which has the keys of all.
pub(super) fn is_mine(wallet: &LoadedWallet, dest: &TxDestination) -> Result<bool> {
    Ok(vault(wallet)?.is_mine(&script(dest)?))
}

/// Writes an entry of the address book.
pub(super) fn set(
    wallet: &LoadedWallet,
    dest: &TxDestination,
    label: &str,
    purpose: AddressPurpose,
) -> Result<bool> {
    vault(wallet)?.set_address_book(&script(dest)?, label, Some(purpose)).map_err(failed)?;
    Ok(true)
}

/// Deletes an entry of the address book. False if there is none.
pub(super) fn delete(wallet: &LoadedWallet, dest: &TxDestination) -> Result<bool> {
    vault(wallet)?.del_address_book(&script(dest)?).map_err(failed)
}

/// An entry of the address book, and what of it is wanted.
pub(super) fn get(
    wallet: &LoadedWallet,
    dest: &TxDestination,
    want_name: bool,
    want_purpose: bool,
) -> Result<WalletGetAddressResults> {
    // What is no address is not in the address book.
    let Ok(script) = dest.script() else { return Ok(WalletGetAddressResults::default()) };
    let entry = vault(wallet)?.address(&script).map_err(failed)?;
    Ok(entry.map_or_else(WalletGetAddressResults::default, |entry| {
        WalletGetAddressResults::default()
            .name(want_name.then_some(entry.label))
            .purpose(want_purpose.then_some(entry.purpose))
            .result(true)
    }))
}

/// The address book.
pub(super) fn all(wallet: &LoadedWallet) -> Result<Vec<WalletAddress>> {
    let entries = vault(wallet)?.addresses().map_err(failed)?;
    let travels = entries.into_iter().map(|entry| {
        WalletAddress::default()
            .dest(TxDestination::from(&entry.script))
            .is_mine(entry.is_mine)
            .name(entry.label)
            .purpose(entry.purpose)
    });
    Ok(travels.collect())
}

/// Writes a request for a payment to an address; an empty one is deleted.
pub(super) fn set_receive_request(
    wallet: &LoadedWallet,
    dest: &TxDestination,
    id: &[u8],
    value: &[u8],
) -> Result<bool> {
    vault(wallet)?.set_receive_request(&script(dest)?, id, value).map_err(failed)
}
