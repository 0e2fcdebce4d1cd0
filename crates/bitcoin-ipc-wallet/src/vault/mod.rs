//! One wallet: its keys, coins and transactions, on bdk_wallet and SQLite.
//!
//! A [`Vault`] follows a chain that others tell it of, and makes and signs transactions that others broadcast: it calls
//! nobody. What a method has changed is on the disk when it returns.
//!
//! ```text
//! Vault (one mutex; listeners are called without it)
//!   opening here, backup, passphrase     the file, the keys
//!   follow                               blocks and the memory pool come in
//!   reading, book                        balances, transactions; addresses and labels
//!   spend, bump -> build; history; sign  transactions go out
//!        |
//!        v
//! view    what is valid, spent, trusted at one moment
//! state   bdk's wallet in memory + the database; every change is one transaction
//!        |
//!        v
//! records, blocks, keys -> seal          what the tables beside bdk's have
//! store, dir                             the database; files, names, locks
//! amounts                                sums that do not overflow, whatever a node tells
//! ```
//!
//! A wallet that gets paid:
//!
//! ```
//! use bitcoin_ipc_draft::values::OutputType;
//! use bitcoin_ipc_wallet::vault::{Vault, WalletsDir};
//! use bitcoin::Network;
//! use bitcoin_regtest::{Chain, mine_block};
//!
//! # let datadir = tempfile::tempdir().unwrap();
//! let wallets = WalletsDir::open(datadir.path(), Network::Regtest)?;
//! let vault = Vault::create(&wallets, "", &Default::default(), 0, None)?;
//! let address = vault.new_address(OutputType::Bech32, "mining")?;
//!
//! let chain = Chain::regtest();
//! mine_block(&chain, address.script_pubkey()).unwrap();
//! vault.connect_block(&chain.block_by_height(1).unwrap(), 1)?;
//! assert_eq!(vault.balances()?.immature_balance.to_btc(), 50.0);
//! # Ok::<(), bitcoin_ipc_wallet::vault::VaultError>(())
//! ```

mod amounts;
mod backup;
mod blocks;
mod book;
mod build;
mod bump;
mod dir;
mod error;
mod events;
mod follow;
mod history;
mod keys;
mod passphrase;
mod reading;
mod records;
mod seal;
mod sign;
mod spend;
mod state;
mod store;
mod types;
mod view;

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bdk_wallet::Wallet;
use bitcoin::Network;
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::values::wallet_flags;

pub use bdk_wallet::chain::BlockId;
pub use dir::WalletsDir;
pub use error::VaultError;
pub use events::{AddressBookChange, Listener};
pub use types::{
    AddressEntry, BumpedTransaction, Coin, CreatedTransaction, FillOptions, Filled, Inspected,
    ScriptInfo, TxState, WalletTransaction,
};

pub(crate) use amounts::total;

use blocks::Blocks;
use dir::Place;
use keys::Keys;
use state::{Event, Events, LOOKAHEAD, State};

type Result<T> = std::result::Result<T, VaultError>;

/// A wallet that is open: nobody else can open it until this is dropped. All methods can be called from any thread;
/// they wait for each other and for the disk, never for a network.
pub struct Vault {
    name: String,
    file: PathBuf,
    network: Network,
    state: Mutex<State>,
    listener: Mutex<Option<Arc<dyn Listener>>>,
    /// Dropped last: whoever opens the wallet next finds it closed.
    _lock: File,
}

impl Vault {
    /// Makes a wallet with fresh keys, and opens it. With a passphrase its keys are encrypted from the start, and it is
    /// locked. Nothing before `birthday` is looked at, which is the chain's tip (none: the genesis block).
    /// `flags` are those of [`wallet_flags`]: [`DESCRIPTORS`](wallet_flags::DESCRIPTORS) always counts as set.
    ///
    /// # Errors
    /// The name is bad or taken, a flag is not supported, or it cannot be written. Then there is no such wallet.
    pub fn create(
        dir: &WalletsDir,
        name: &str,
        passphrase: &Passphrase,
        flags: u64,
        birthday: Option<BlockId>,
    ) -> Result<Vault> {
        if flags & !wallet_flags::DESCRIPTORS != 0 {
            return Err(VaultError::Unsupported(
                "this kind of wallet is not supported: make one with private keys, not blank, without other options",
            ));
        }
        let (place, lock) = dir.new_place(name)?;
        let made = make(&place, dir.network(), passphrase, birthday).and_then(|()| place.finish());
        match made {
            Ok(()) => Vault::open(dir, &place, lock),
            Err(error) => {
                place.give_up();
                Err(error)
            }
        }
    }

    /// Opens a wallet. If its keys are encrypted, it is locked.
    ///
    /// # Errors
    /// There is none of that name; it is open already; its file is damaged, of another network or of a newer version,
    /// or cannot be read.
    pub fn load(dir: &WalletsDir, name: &str) -> Result<Vault> {
        let place = dir.place(name)?;
        let lock = place.lock()?;
        Vault::open(dir, &place, lock)
    }

    fn open(dir: &WalletsDir, place: &Place, lock: File) -> Result<Vault> {
        let mut db = store::open(&place.file())?;
        store::check(&db, dir.network())?;
        let bdk = state::load(&mut db)?;
        let blocks = Blocks::load(&db)?;
        let keys = Keys::load(&db, dir.network())?;
        let state = State::new(db, bdk, blocks, keys);
        // If it was killed while it was encrypted, or another program read the file.
        passphrase::scrub_or_warn(&state, &place.name);
        Ok(Vault {
            name: place.name.clone(),
            file: place.file(),
            network: dir.network(),
            state: Mutex::new(state),
            listener: Mutex::default(),
            _lock: lock,
        })
    }

    /// Looks into a wallet without opening it, also while it is open: whether it can be loaded, and whether it is
    /// encrypted.
    ///
    /// # Errors
    /// As [`load`](Vault::load), save that it may be open.
    pub fn inspect(dir: &WalletsDir, name: &str) -> Result<Inspected> {
        let db = store::open(&dir.place(name)?.file())?;
        store::check(&db, dir.network())?;
        Ok(Inspected { encrypted: Keys::load(&db, dir.network())?.is_encrypted() })
    }

    /// Its name: empty for the default wallet.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its network.
    pub fn network(&self) -> Network {
        self.network
    }

    /// What kind of wallet it is: [`wallet_flags`].
    pub fn flags(&self) -> u64 {
        wallet_flags::DESCRIPTORS
    }

    /// Who is told of changes from now on; none for nobody.
    pub fn set_listener(&self, listener: Option<Arc<dyn Listener>>) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = listener;
    }

    /// Runs something with the wallet. Listeners are told what it did when its lock is released.
    fn with<T>(&self, run: impl FnOnce(&mut State, &mut Events) -> Result<T>) -> Result<T> {
        let mut events = Events::new();
        let result = {
            // A panic while it was changed has left a note in it.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.check()?;
            run(&mut state, &mut events)?
        };
        self.tell(events);
        Ok(result)
    }

    /// Looks at something in memory.
    fn read<T>(&self, run: impl FnOnce(&State) -> T) -> T {
        run(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, events: Events) {
        if events.is_empty() {
            return;
        }
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(listener) = listener else { return };
        for event in events {
            match event {
                Event::AddressBook(change) => listener.address_book_changed(&change),
                Event::Transaction(txid, change) => listener.transaction_changed(txid, change),
                Event::Status => listener.status_changed(),
            }
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Makes the file of a new wallet, in one transaction.
fn make(
    place: &Place,
    network: Network,
    passphrase: &Passphrase,
    birthday: Option<BlockId>,
) -> Result<()> {
    let keys = Keys::fresh(network, passphrase)?;
    let [external, internal] = keys.descriptors(&bitcoin::secp256k1::Secp256k1::new())?;
    let mut bdk = Wallet::create(external, internal)
        .network(network)
        .lookahead(LOOKAHEAD)
        .use_spk_cache(true)
        .create_wallet_no_persist()
        .map_err(|error| VaultError::Storage(error.to_string()))?;
    drop(dir::new_private_file(&place.new_file())?);
    let mut db = store::open(&place.new_file())?;
    let transaction = db.transaction()?;
    store::make_tables(&transaction)?;
    if let Some(staged) = bdk.take_staged() {
        staged.persist_to_sqlite(&transaction)?;
    }
    Blocks::new(bdk.local_chain().genesis_hash(), birthday).save(&transaction)?;
    keys.save(&transaction)?;
    transaction.commit()?;
    // Its log goes with it.
    db.close().map_err(|(_, error)| error.into())
}
