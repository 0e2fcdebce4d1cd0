//! What wallets tell of themselves, and to whom.

mod subscribers;

use bitcoin_ipc::bitcoin::Txid;
use bitcoin_ipc_draft::values::ChangeType;

use crate::vault::{AddressBookChange, Listener};

pub(crate) use subscribers::Subscribers;

/// What one wallet tells of itself. As the vault's listener it is called on the thread that changed something, and
/// only passes it on.
pub(crate) struct Events {
    /// The wallet is unloaded.
    pub(crate) unload: Subscribers<()>,
    /// How far something is: a title, and 0 to 100, where 100 ends it.
    pub(crate) progress: Subscribers<(String, i32)>,
    /// The wallet was locked, unlocked or encrypted.
    pub(crate) status: Subscribers<()>,
    /// The address book has changed.
    pub(crate) address_book: Subscribers<AddressBookChange>,
    /// A transaction is new or has changed.
    pub(crate) transactions: Subscribers<(Txid, ChangeType)>,
    /// Whether the wallet can make addresses has changed.
    pub(crate) can_get_addresses: Subscribers<()>,
}

impl Events {
    /// With nobody who is told.
    pub(crate) fn new() -> Events {
        Events {
            unload: Subscribers::new("unload"),
            progress: Subscribers::new("progress"),
            status: Subscribers::new("status"),
            address_book: Subscribers::new("addresses"),
            transactions: Subscribers::new("transactions"),
            can_get_addresses: Subscribers::new("can-get-addresses"),
        }
    }
}

impl Listener for Events {
    fn address_book_changed(&self, change: &AddressBookChange) {
        self.address_book.tell(change);
    }

    fn transaction_changed(&self, txid: Txid, change: ChangeType) {
        self.transactions.tell(&(txid, change));
    }

    fn status_changed(&self) {
        self.status.tell(&());
    }
}
