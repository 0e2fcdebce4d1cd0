//! Helpers of the tests of the chain's parts.

use std::sync::Arc;
use std::thread;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::{
    Amount, Block, OutPoint, ScriptBuf, Transaction, TxIn, TxMerkleNode, TxOut, transaction,
};

use super::chain::Chain;
use super::solve::solve;
use super::template::{Template, TemplateOptions, mine_block};

pub(super) fn op_true() -> ScriptBuf {
    ScriptBuf::from_bytes(vec![0x51])
}

pub(super) fn mine(chain: &Chain, blocks: u32) {
    for _ in 0..blocks {
        mine_block(chain, op_true()).unwrap();
    }
}

/// The next block, unsolved, changed by `change`, then with a fitting merkle root and nonce.
pub(super) fn block_with(chain: &Arc<Chain>, change: impl FnOnce(&mut Block)) -> Block {
    let mut block = Template::new(chain, TemplateOptions::default()).unwrap().block();
    change(&mut block);
    complete(&mut block);
    block
}

/// A fitting merkle root and nonce.
pub(super) fn complete(block: &mut Block) {
    let root = block.compute_merkle_root();
    block.header.merkle_root = root.unwrap_or_else(TxMerkleNode::all_zeros);
    solve(&mut block.header);
}

pub(super) fn spend(outpoint: OutPoint, value: Amount) -> Transaction {
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn { previous_output: outpoint, ..TxIn::default() }],
        output: vec![TxOut { value, script_pubkey: op_true() }],
    }
}

pub(super) fn coinbase_outpoint(chain: &Chain, height: u32) -> OutPoint {
    let block = chain.block_by_height(height).unwrap();
    OutPoint { txid: block.txdata[0].compute_txid(), vout: 0 }
}

#[track_caller]
pub(super) fn assert_refused(chain: &Arc<Chain>, reason: &str, change: impl FnOnce(&mut Block)) {
    let block = block_with(chain, change);
    let before = chain.tip();
    assert_eq!(chain.check_block(&block, true, true).unwrap_err().reason, reason);
    assert_eq!(chain.submit_block(&block).unwrap_err().reason, reason);
    assert_eq!(chain.tip(), before);
}

pub(super) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}
