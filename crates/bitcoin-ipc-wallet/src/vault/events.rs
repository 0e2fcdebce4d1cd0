//! What a wallet tells its owner.

use bitcoin::{ScriptBuf, Txid};
use bitcoin_ipc_draft::values::{AddressPurpose, ChangeType};

/// A change of the address book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressBookChange {
    /// The address.
    pub script: ScriptBuf,
    /// Its label.
    pub label: String,
    /// Whether it is the wallet's own.
    pub is_mine: bool,
    /// What it is for.
    pub purpose: AddressPurpose,
    /// What happened to it.
    pub change: ChangeType,
}

/// Who is told of a wallet's changes: after they are on the disk, on the thread that made them, while no lock of the
/// wallet's is held (so it may call the wallet).
pub trait Listener: Send + Sync {
    /// The address book has changed.
    fn address_book_changed(&self, _change: &AddressBookChange) {}
    /// A transaction is new or has changed.
    fn transaction_changed(&self, _txid: Txid, _change: ChangeType) {}
    /// The wallet was encrypted, locked or unlocked.
    fn status_changed(&self) {}
}
