//! What a wallet tells of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin::bip32::{DerivationPath, Fingerprint};
use bitcoin::{Amount, BlockHash, OutPoint, PublicKey, ScriptBuf, Transaction, TxOut, Txid};
use bitcoin_ipc_draft::values::AddressPurpose;

/// What a wallet is, without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Whether its keys are encrypted.
    pub encrypted: bool,
}

/// How a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxState {
    /// In a block of the chain.
    Confirmed {
        /// The block.
        hash: BlockHash,
        /// Its height.
        height: u32,
        /// Its time, in seconds since 1970.
        time: u64,
    },
    /// In the node's memory pool.
    InMempool,
    /// Neither; its inputs count as spent.
    Inactive,
    /// Given up: its inputs are free.
    Abandoned,
    /// Another one spends its inputs: one in the chain, or a later one.
    Conflicted,
}

/// A transaction, and what it means to the wallet.
#[derive(Debug, Clone)]
pub struct WalletTransaction {
    /// Its id.
    pub txid: Txid,
    /// The transaction.
    pub tx: Arc<Transaction>,
    /// How it stands.
    pub state: TxState,
    /// Confirmations; 0 if there is none; below 0 for each confirmation of what conflicts with it.
    pub depth: i32,
    /// In how many blocks a coinbase transaction can be spent.
    pub blocks_to_maturity: u32,
    /// Whether its outputs can be relied on.
    pub trusted: bool,
    /// What its outputs bring to the wallet.
    pub credit: Amount,
    /// What its inputs take from the wallet.
    pub debit: Amount,
    /// What of the credit is change.
    pub change: Amount,
    /// Its fee, if all inputs are known.
    pub fee: Option<Amount>,
    /// For each input, whether it spends from the wallet.
    pub inputs_mine: Vec<bool>,
    /// For each output, whether it pays to the wallet.
    pub outputs_mine: Vec<bool>,
    /// For each output, whether it is change.
    pub outputs_change: Vec<bool>,
    /// When it was first seen, in seconds since 1970.
    pub time_received: u64,
    /// What the user notes on it.
    pub value_map: BTreeMap<String, String>,
    /// What else the user notes on it.
    pub order_form: Vec<(String, String)>,
    /// Other transactions of the wallet that spend one of its inputs.
    pub conflicts: Vec<Txid>,
}

/// An output of the wallet's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coin {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it is.
    pub txout: TxOut,
    /// Confirmations of its transaction; 0 if there is none.
    pub depth: i32,
    /// When its transaction was first seen, in seconds since 1970.
    pub time: u64,
    /// Whether it is spent.
    pub spent: bool,
    /// Whether it is an output of a coinbase transaction that cannot be spent yet.
    pub immature: bool,
    /// Whether it can be relied on: confirmed, or of an own transaction in the memory pool.
    pub trusted: bool,
    /// Whether its transaction is in the chain or the memory pool.
    pub available: bool,
    /// Whether it is an address for change.
    pub is_change: bool,
    /// Whether `lock_coin` keeps it.
    pub locked: bool,
}

/// An entry of the address book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressEntry {
    /// The address.
    pub script: ScriptBuf,
    /// Its label.
    pub label: String,
    /// What it is for.
    pub purpose: AddressPurpose,
    /// Whether it is the wallet's own.
    pub is_mine: bool,
}

/// How the wallet has an own script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptInfo {
    /// The key that signs for it.
    pub public_key: PublicKey,
    /// The master key of it.
    pub fingerprint: Fingerprint,
    /// The path from there.
    pub path: DerivationPath,
    /// Its descriptor, with the public key.
    pub descriptor: String,
    /// The descriptor of which it is one.
    pub parent_descriptor: String,
    /// Whether it is of the addresses for change.
    pub internal: bool,
}

/// A transaction that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTransaction {
    /// The transaction; without signatures if none were asked for.
    pub tx: Transaction,
    /// Its fee.
    pub fee: Amount,
    /// Which of the outputs is the change.
    pub change_pos: Option<u32>,
}

/// A replacement with a higher fee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BumpedTransaction {
    /// The transaction, without signatures.
    pub tx: Transaction,
    /// The fee before.
    pub old_fee: Amount,
    /// Its fee.
    pub new_fee: Amount,
}

/// How a PSBT is to be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FillOptions {
    /// Whether it is signed.
    pub sign: bool,
    /// Whether inputs with all signatures are finalized.
    pub finalize: bool,
    /// Whether paths of keys are added.
    pub bip32_derivs: bool,
}

/// What became of a PSBT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// How many inputs the wallet signed.
    pub signed: u64,
    /// Whether all inputs have all that they need.
    pub complete: bool,
}
