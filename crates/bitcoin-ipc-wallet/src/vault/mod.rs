//! One wallet: its keys, coins and transactions, in a SQLite database.

mod dir;
mod error;
mod events;
mod types;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bdk_wallet::chain::BlockId;
use bitcoin::bip32::KeySource;
use bitcoin::psbt::Psbt;
use bitcoin::{
    Address, Amount, Block, BlockHash, Network, OutPoint, PubkeyHash, PublicKey, Script, ScriptBuf, Transaction, TxIn,
    TxOut, Txid,
};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::values::{AddressPurpose, OutputType, RemovalReason};
use bitcoin_ipc_draft::wallet::{CoinControl, Recipient, WalletBalances};

pub use bdk_wallet::chain::BlockId as Checkpoint;
pub use dir::WalletsDir;
pub use error::VaultError;
pub use events::{AddressBookChange, Listener};
pub use types::*;

/// One wallet that is open. Dropped, it is written and its lock released.
#[derive(Debug)]
pub struct Vault {}

type Result<T> = std::result::Result<T, VaultError>;

// ---- opening
impl Vault {
    /// Makes a wallet with fresh keys and opens it. With a passphrase the keys are encrypted from the start, and it is
    /// locked. `flags`: `wallet_flags` of the draft (only DESCRIPTORS is supported; anything else is an error).
    /// `birthday` is the chain's tip: nothing before it is looked at (none: genesis).
    pub fn create(
        dir: &WalletsDir,
        name: &str,
        passphrase: &Passphrase,
        flags: u64,
        birthday: Option<BlockId>,
    ) -> Result<Vault> {
        todo!()
    }
    /// Opens a wallet.
    pub fn load(dir: &WalletsDir, name: &str) -> Result<Vault> {
        todo!()
    }
    /// Makes the wallet `name` of a backup and opens it.
    pub fn restore(dir: &WalletsDir, name: &str, backup: &Path) -> Result<Vault> {
        todo!()
    }
    /// Looks into a wallet without opening it: whether it can be loaded (version, network, not damaged), and whether
    /// it is encrypted. What `verify` and `isEncrypted` need. Works also while it is open.
    pub fn inspect(dir: &WalletsDir, name: &str) -> Result<Inspected> {
        todo!()
    }
    /// Writes a copy to a file (or into a directory, as `wallet.sqlite`).
    pub fn backup(&self, path: &Path) -> Result<()> {
        todo!()
    }
    /// Its name; empty for the default wallet.
    pub fn name(&self) -> &str {
        todo!()
    }
    pub fn network(&self) -> Network {
        todo!()
    }
    pub fn flags(&self) -> u64 {
        todo!()
    }
    /// Who is told of changes, from now on. Called on the thread that made the change, without any lock.
    pub fn set_listener(&self, listener: Option<Arc<dyn Listener>>) {
        todo!()
    }
    /// Writes what was not worth a write of its own: blocks without anything of the wallet's.
    pub fn flush(&self) -> Result<()> {
        todo!()
    }
}

// ---- following the chain
impl Vault {
    /// The last block that was looked at.
    pub fn tip(&self) -> BlockId {
        todo!()
    }
    /// The block from which a rescan begins.
    pub fn birthday(&self) -> BlockId {
        todo!()
    }
    /// Blocks that were looked at, from the tip downwards: each of the last ones, then fewer. Ends with genesis.
    /// For `Locator` / findLocatorFork.
    pub fn locator_hashes(&self) -> Vec<BlockHash> {
        todo!()
    }
    /// The height of a block that was looked at, if it is still remembered.
    pub fn height_of(&self, hash: BlockHash) -> Option<u32> {
        todo!()
    }
    /// A block that follows `tip()`. One that was connected already changes nothing; one that does not follow is
    /// `VaultError::NotNext`.
    pub fn connect_block(&self, block: &Block, height: u32) -> Result<()> {
        self.connect_blocks([(block, height)])
    }
    /// The same for several, with one write for all.
    pub fn connect_blocks<'a>(&self, blocks: impl IntoIterator<Item = (&'a Block, u32)>) -> Result<()> {
        todo!()
    }
    /// The tip leaves the chain; `prev` is the block before it. Nothing happens if it is not the tip.
    pub fn disconnect_block(&self, hash: BlockHash, height: u32, prev: BlockHash) -> Result<()> {
        todo!()
    }
    /// All blocks above this one leave the chain (it is at or below the tip): what findLocatorFork gave after a
    /// restart.
    pub fn rewind_to(&self, block: BlockId) -> Result<()> {
        todo!()
    }
    /// A transaction that came into the memory pool. Also to be called when the node took one of `commit_transaction`.
    pub fn transaction_added(&self, tx: &Transaction) -> Result<()> {
        todo!()
    }
    pub fn transaction_removed(&self, txid: Txid, reason: RemovalReason) -> Result<()> {
        todo!()
    }
    /// Own transactions that are not confirmed, not abandoned, and not known to be in the memory pool; parents first.
    pub fn unconfirmed_to_rebroadcast(&self) -> Result<Vec<Transaction>> {
        todo!()
    }
    /// Forgets all blocks above this height (not transactions), so that they are looked at again: `rescanblockchain`.
    pub fn rescan_from(&self, block: BlockId) -> Result<()> {
        self.rewind_to(block)
    }
}

// ---- reading
impl Vault {
    pub fn balances(&self) -> Result<WalletBalances> {
        todo!()
    }
    /// What it can spend with `control`.
    pub fn available_balance(&self, control: &CoinControl) -> Result<Amount> {
        todo!()
    }
    /// Unspent outputs of canonical transactions, locked ones too; not those of abandoned or conflicted ones.
    pub fn coins(&self) -> Result<Vec<Coin>> {
        todo!()
    }
    /// An output of the wallet's, spent or not.
    pub fn coin(&self, outpoint: OutPoint) -> Result<Option<Coin>> {
        todo!()
    }
    /// All transactions, in the order in which they came.
    pub fn transactions(&self) -> Result<Vec<WalletTransaction>> {
        todo!()
    }
    pub fn transaction(&self, txid: Txid) -> Result<Option<WalletTransaction>> {
        todo!()
    }
    pub fn is_mine(&self, script: &Script) -> Result<bool> {
        todo!()
    }
    /// Whether it is one of the wallet's that no address book entry has: where change goes.
    pub fn is_change(&self, script: &Script) -> Result<bool> {
        todo!()
    }
    /// Details of a script of the wallet's: descriptor, key, path (for getaddressinfo).
    pub fn script_info(&self, script: &Script) -> Result<Option<ScriptInfo>> {
        todo!()
    }
    pub fn debit(&self, txin: &TxIn) -> Result<Amount> {
        todo!()
    }
    pub fn credit(&self, txout: &TxOut) -> Result<Amount> {
        todo!()
    }
}

// ---- address book
impl Vault {
    /// Only BECH32 (the default); others are an error. On the disk before it is returned.
    pub fn new_address(&self, output_type: OutputType, label: &str) -> Result<Address> {
        todo!()
    }
    /// An internal address, never shown in the address book (getrawchangeaddress).
    pub fn new_change_address(&self) -> Result<Address> {
        todo!()
    }
    pub fn can_get_addresses(&self) -> bool {
        true
    }
    pub fn addresses(&self) -> Result<Vec<AddressEntry>> {
        todo!()
    }
    pub fn address(&self, script: &Script) -> Result<Option<AddressEntry>> {
        todo!()
    }
    /// `purpose` none: as before, or Receive/Send for own/others.
    pub fn set_address_book(&self, script: &Script, label: &str, purpose: Option<AddressPurpose>) -> Result<()> {
        todo!()
    }
    /// False: it was not there. An error for an own address, as in Core.
    pub fn del_address_book(&self, script: &Script) -> Result<bool> {
        todo!()
    }
    pub fn receive_requests(&self) -> Result<Vec<Vec<u8>>> {
        todo!()
    }
    /// Empty value: delete.
    pub fn set_receive_request(&self, script: &Script, id: &[u8], value: &[u8]) -> Result<bool> {
        todo!()
    }
    /// False: it is locked already. `persist`: also after a restart.
    pub fn lock_coin(&self, outpoint: OutPoint, persist: bool) -> Result<bool> {
        todo!()
    }
    /// False: it was not locked.
    pub fn unlock_coin(&self, outpoint: OutPoint) -> Result<bool> {
        todo!()
    }
    pub fn is_locked_coin(&self, outpoint: OutPoint) -> bool {
        todo!()
    }
    pub fn locked_coins(&self) -> Vec<OutPoint> {
        todo!()
    }
}

// ---- spending
impl Vault {
    /// `control.has_fee_rate` must be set (else `VaultError::NoFeeRate`). Its change address is used for nothing else.
    pub fn create_transaction(
        &self,
        recipients: &[Recipient],
        control: &CoinControl,
        sign: bool,
        change_pos: Option<u32>,
    ) -> Result<CreatedTransaction> {
        todo!()
    }
    /// Stored; from now on its inputs are spent. The caller then gives it to the node, and when that took it, calls
    /// `transaction_added`.
    pub fn commit_transaction(
        &self,
        tx: &Transaction,
        value_map: BTreeMap<String, String>,
        order_form: Vec<(String, String)>,
    ) -> Result<()> {
        todo!()
    }
    pub fn can_be_abandoned(&self, txid: Txid) -> Result<bool> {
        todo!()
    }
    /// It and what spends from it. An error (`NotAbandonable`) if confirmed, in the memory pool or unknown.
    pub fn abandon(&self, txid: Txid) -> Result<()> {
        todo!()
    }
    pub fn can_be_bumped(&self, txid: Txid) -> Result<bool> {
        todo!()
    }
    /// A replacement, unsigned; the fee comes from the change. `control.fee_rate`, or 1 sat/vB more than before.
    pub fn bump_fee(&self, txid: Txid, control: &CoinControl) -> Result<BumpedTransaction> {
        todo!()
    }
    /// Stores a (signed) replacement, notes `replaces_txid`/`replaced_by_txid`; gives its txid.
    pub fn commit_bump(&self, replaced: Txid, tx: &Transaction) -> Result<Txid> {
        todo!()
    }
    /// Signs what it can; whether all inputs are signed.
    pub fn sign(&self, tx: &mut Transaction) -> Result<bool> {
        todo!()
    }
    pub fn fill_psbt(&self, psbt: &mut Psbt, options: FillOptions) -> Result<Filled> {
        todo!()
    }
    /// Base64, as `signmessage`. `NoKey` if the hash is none of ours.
    pub fn sign_message(&self, message: &str, pkhash: PubkeyHash) -> Result<String> {
        todo!()
    }
    /// The public key with this hash.
    pub fn pub_key(&self, hash: PubkeyHash) -> Result<Option<PublicKey>> {
        todo!()
    }
}

// ---- keys
impl Vault {
    pub fn is_encrypted(&self) -> bool {
        todo!()
    }
    /// Encrypted, and the passphrase is not known now.
    pub fn is_locked(&self) -> bool {
        todo!()
    }
    /// Then it is locked. `AlreadyEncrypted`, `EmptyPassphrase`.
    pub fn encrypt(&self, passphrase: &Passphrase) -> Result<()> {
        todo!()
    }
    /// `WrongPassphrase`, `NotEncrypted`.
    pub fn unlock(&self, passphrase: &Passphrase) -> Result<()> {
        todo!()
    }
    /// `NotEncrypted`.
    pub fn lock(&self) -> Result<()> {
        todo!()
    }
    pub fn change_passphrase(&self, old: &Passphrase, new: &Passphrase) -> Result<()> {
        todo!()
    }
}
