//! The messages of Stratum V2's Template Distribution Protocol, as far as they matter here. A provider has them,
//! with their encoding, from a crate of Stratum V2.

use bitcoin_ipc::Error;
use bitcoin_ipc::bitcoin::{BlockHash, CompactTarget, Target, Transaction, TxMerkleNode, block};
use bitcoin_ipc::mining::{CoinbaseTx, Outcome};

/// What the client sends.
#[derive(Debug)]
pub enum Request {
    /// The room that it needs in each coinbase: its first request. Another one replaces it.
    CoinbaseOutputConstraints {
        /// In bytes.
        max_additional_size: u32,
        /// Signature operations.
        max_additional_sigops: u16,
    },
    /// It wants a template's transactions.
    TransactionData {
        /// Of which template.
        template_id: u64,
    },
    /// It has solved a template.
    SubmitSolution {
        /// Which template.
        template_id: u64,
        /// The header's version.
        version: block::Version,
        /// The header's time.
        timestamp: u32,
        /// The header's nonce.
        nonce: u32,
        /// The whole coinbase transaction.
        coinbase: Transaction,
    },
}

/// What the client gets.
#[derive(Debug)]
pub enum Message {
    /// A template.
    NewTemplate(NewTemplate),
    /// The chain has another tip.
    SetNewPrevHash {
        /// The template to work on from now on.
        template_id: u64,
        /// The tip.
        prev_hash: BlockHash,
        /// The earliest time of the header.
        time: u32,
        /// The target in the header.
        bits: CompactTarget,
        /// The same as a number.
        target: Target,
    },
    /// A template's transactions, without the coinbase.
    TransactionData {
        /// Of which template.
        template_id: u64,
        /// The transactions.
        transactions: Vec<Transaction>,
    },
    /// There are none.
    TransactionDataError {
        /// Of which template.
        template_id: u64,
        /// Why, in the protocol's words.
        code: &'static str,
    },
    /// What the node says to a solution; none if its template is not there any more. (Not in the protocol.)
    Submitted {
        /// Of which template.
        template_id: u64,
        /// The node's words.
        outcome: Option<Outcome>,
    },
    /// There is no node, and no work until the next template. (Not in the protocol.)
    NodeLost(Error),
}

/// A template. A future one is to be worked on from the `SetNewPrevHash` that names it.
#[derive(Debug, Clone)]
pub struct NewTemplate {
    /// Its number.
    pub template_id: u64,
    /// Whether it is on a tip that was not told yet.
    pub future_template: bool,
    /// The header's version.
    pub version: block::Version,
    /// What the coinbase must have, and may pay out.
    pub coinbase: CoinbaseTx,
    /// From the coinbase to the merkle root.
    pub merkle_path: Vec<TxMerkleNode>,
}
