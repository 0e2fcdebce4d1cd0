//! The next block before it is solved.

use bitcoin::block::{self, Header};
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{
    Amount, Block, ScriptBuf, Sequence, Transaction, TxMerkleNode, TxOut, Weight, Witness, Wtxid,
    absolute, merkle_tree, transaction,
};
use bitcoin_ipc::mining::CoinbaseTx;

use super::chain::Chain;
use super::check::{COMMITMENT_PREFIX, height_script};
use super::coins::subsidy;
use super::solve::{anyone_can_spend, coinbase_transaction};
use super::template::{TemplateOptions, TemplateTx};

/// Version of a block that signals no deployment (BIP 9).
const BLOCK_VERSION: i32 = 0x2000_0000;
/// The witness reserved value (BIP 141); any 32 bytes would do, Core takes zeros.
const RESERVED_VALUE: [u8; 32] = [0; 32];

/// The next block with a dummy coinbase and without a merkle root, and what miners are told of it.
pub(super) struct Draft {
    pub(super) block: Block,
    pub(super) coinbase: CoinbaseTx,
    /// Of the transactions after the coinbase.
    pub(super) fees: Vec<Amount>,
    pub(super) sigops: Vec<i64>,
}

impl Draft {
    /// On the present tip. `transactions`: instead of those of the memory pool.
    pub(super) fn new(
        chain: &Chain,
        options: &TemplateOptions,
        transactions: Option<Vec<TemplateTx>>,
    ) -> Draft {
        let room = Weight::MAX_BLOCK.to_wu().saturating_sub(options.block_reserved_weight);
        let from_mempool = options.use_mempool && transactions.is_none();
        let (next, now, selected) = chain.for_template(from_mempool.then_some(room));
        let transactions = transactions.unwrap_or(selected);
        let fees: Vec<Amount> = transactions.iter().map(|tx| tx.fee).collect();
        let sigops = transactions.iter().map(|tx| tx.sigops).collect();
        let add = |sum: Amount, fee: &Amount| sum.checked_add(*fee).unwrap_or(Amount::MAX);
        let reward = fees.iter().fold(subsidy(next.height), add);
        let coinbase = CoinbaseTx::new(
            transaction::Version::TWO,
            // Not final, so that the lock time counts.
            Sequence::ENABLE_LOCKTIME_NO_RBF,
            // One byte for heights up to 16, where at least one more has to follow.
            height_script(next.height),
            Witness::from_slice(&[RESERVED_VALUE]),
            reward,
            vec![commitment_output(&transactions)],
            // It makes the transaction's hash unique to the height.
            absolute::LockTime::from_consensus(next.height - 1),
        );
        let others = transactions.into_iter().map(|tx| tx.transaction);
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        let block = Block {
            header: Header {
                version: block::Version::from_consensus(BLOCK_VERSION),
                prev_blockhash: next.previous,
                merkle_root: TxMerkleNode::all_zeros(),
                time: next.min_time.max(now),
                bits: next.bits,
                nonce: 0,
            },
            txdata: std::iter::once(coinbase_transaction(&coinbase, &[], anyone_can_spend()))
                .chain(others)
                .collect(),
        };
        Draft { block, coinbase, fees, sigops }
    }
}

/// Puts a coinbase in a block, and the merkle root that follows.
pub(super) fn set_coinbase(block: &mut Block, coinbase: Transaction) {
    block.txdata[0] = coinbase;
    if let Some(root) = block.compute_merkle_root() {
        block.header.merkle_root = root;
    }
}

/// The output that commits to all witnesses but the coinbase's own (BIP 141).
fn commitment_output(transactions: &[TemplateTx]) -> TxOut {
    let others = transactions.iter().map(|tx| tx.transaction.compute_wtxid());
    let wtxids = std::iter::once(Wtxid::all_zeros()).chain(others).map(Wtxid::to_raw_hash);
    // There is always the coinbase, so there is always a root.
    let root = merkle_tree::calculate_root(wtxids).unwrap_or_else(sha256d::Hash::all_zeros);
    let commitment = Block::compute_witness_commitment(&root.into(), &RESERVED_VALUE);
    let script = [&COMMITMENT_PREFIX[..], commitment.as_byte_array()].concat();
    TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from_bytes(script) }
}
