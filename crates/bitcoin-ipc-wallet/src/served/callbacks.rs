//! Those who are told of what happens to a wallet, until they drop what they get here.

use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::wallet::{
    AddressBookChangedCallbackClient, CanGetAddressesChangedCallbackClient,
    ShowWalletProgressCallbackClient, StatusChangedCallbackClient,
    TransactionChangedCallbackClient, TxDestination, UnloadWalletCallbackClient,
};
use multiprocess::Result;

use super::no_callback;
use crate::vault::AddressBookChange;
use crate::wallet::LoadedWallet;

/// It is unloaded.
pub(super) fn unload(
    wallet: &LoadedWallet,
    callback: Option<UnloadWalletCallbackClient>,
) -> Result<Option<HandlerClient>> {
    let callback = callback.ok_or_else(no_callback)?;
    wallet.events.unload.add(move |()| callback.call().wait()).map(Some)
}

/// How far a look at the chain is that takes long.
pub(super) fn show_progress(
    wallet: &LoadedWallet,
    callback: Option<ShowWalletProgressCallbackClient>,
) -> Result<Option<HandlerClient>> {
    let callback = callback.ok_or_else(no_callback)?;
    let tell = move |(title, percent): (String, i32)| callback.call(title, percent).wait();
    wallet.events.progress.add(tell).map(Some)
}

/// It was encrypted, locked or unlocked.
pub(super) fn status_changed(
    wallet: &LoadedWallet,
    callback: Option<StatusChangedCallbackClient>,
) -> Result<Option<HandlerClient>> {
    let callback = callback.ok_or_else(no_callback)?;
    wallet.events.status.add(move |()| callback.call().wait()).map(Some)
}

/// The address book has changed.
pub(super) fn address_book_changed(
    wallet: &LoadedWallet,
    callback: Option<AddressBookChangedCallbackClient>,
) -> Result<Option<HandlerClient>> {
    let callback = callback.ok_or_else(no_callback)?;
    let tell = move |changed: AddressBookChange| {
        let dest = TxDestination::from(&changed.script);
        let (is_mine, purpose) = (changed.is_mine, changed.purpose);
        callback.call(dest, changed.label, is_mine, purpose, changed.change).wait()
    };
    wallet.events.address_book.add(tell).map(Some)
}

/// A transaction is new or has changed.
pub(super) fn transaction_changed(
    wallet: &LoadedWallet,
    callback: Option<TransactionChangedCallbackClient>,
) -> Result<Option<HandlerClient>> {
    let callback = callback.ok_or_else(no_callback)?;
    let tell = move |(txid, change)| callback.call(txid, change).wait();
    wallet.events.transactions.add(tell).map(Some)
}

/// Whether there are addresses to get has changed. There always are: nobody is ever told.
pub(super) fn can_get_addresses_changed(
    wallet: &LoadedWallet,
    callback: Option<CanGetAddressesChangedCallbackClient>,
) -> Result<Option<HandlerClient>> {
    let callback = callback.ok_or_else(no_callback)?;
    wallet.events.can_get_addresses.add(move |()| callback.call().wait()).map(Some)
}
