//! The checks of a block, except those of the [coins](super::coins) that it spends.
//!
//! Reasons and order are Bitcoin Core's, so that a client sees here what it would see there.

use std::collections::HashSet;

use bitcoin::hashes::Hash;
use bitcoin::script::Builder;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, ScriptBuf, Sequence, Target, Transaction,
    TxMerkleNode, Weight, WitnessCommitment,
};

use super::rejection::{Rejection, ensure, reject};

/// Regtest's target in compact form, the same for every block: regtest never retargets.
pub(super) const REGTEST_BITS: u32 = 0x207f_ffff;
/// How a witness commitment's output script begins: OP_RETURN, 36-byte push, header (BIP 141).
pub(super) const COMMITMENT_PREFIX: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
/// How far ahead of this machine's clock a block's time may be, in seconds.
const MAX_FUTURE_BLOCK_TIME: u64 = 2 * 60 * 60;
/// Lock times below this are heights, others Unix times (BIP 65).
const LOCKTIME_THRESHOLD: u32 = 500_000_000;

/// What the next block's header has to contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextBlock {
    /// The block it builds on.
    pub previous: BlockHash,
    /// Its height.
    pub height: u32,
    /// Its target.
    pub bits: CompactTarget,
    /// The earliest time it may have, Unix seconds: one more than the median of the last 11 (BIP
    /// 113).
    pub min_time: u32,
}

/// The checks that do not need the chain, in the order of Core's CheckBlock.
pub(super) fn check_alone(
    block: &Block,
    check_merkle_root: bool,
    check_pow: bool,
) -> Result<(), Rejection> {
    if check_pow {
        let target = block.header.target();
        let limit = Target::from_compact(CompactTarget::from_consensus(REGTEST_BITS));
        let met = target <= limit && target.is_met_by(block.block_hash());
        ensure(met, "high-hash", "proof of work failed")?;
    }
    if check_merkle_root {
        // In Core the merkle root of no transactions is zero. Such a block is refused below.
        let root = block.compute_merkle_root().unwrap_or_else(TxMerkleNode::all_zeros);
        ensure(root == block.header.merkle_root, "bad-txnmrklroot", "hashMerkleRoot mismatch")?;
        // A repeated transaction can leave the root as it was (CVE-2012-2459).
        let mut seen = HashSet::new();
        let unique = block.txdata.iter().all(|tx| seen.insert(tx.compute_txid()));
        ensure(unique, "bad-txns-duplicate", "duplicate transaction")?;
    }
    // Weight is three times the size without witnesses plus the size with them (BIP 141).
    let stripped = block.weight().to_wu().saturating_sub(block.total_size() as u64) / 3;
    let fits = !block.txdata.is_empty() && stripped * 4 <= Weight::MAX_BLOCK.to_wu();
    ensure(fits, "bad-blk-length", "size limits failed")?;
    let mut coinbases = block.txdata.iter().map(Transaction::is_coinbase);
    ensure(coinbases.next() == Some(true), "bad-cb-missing", "first tx is not coinbase")?;
    ensure(!coinbases.any(|is| is), "bad-cb-multiple", "more than one coinbase")?;
    block.txdata.iter().try_for_each(check_transaction)
}

/// The checks that need the chain before the block, in the order of Core's ContextualCheckBlockHeader
/// and ContextualCheckBlock.
///
/// `now`: Unix seconds.
pub(super) fn check_on_tip(block: &Block, next: &NextBlock, now: u64) -> Result<(), Rejection> {
    check_header(block, next, now)?;
    check_body(block, next)
}

/// The first of them. A header that is refused is forgotten.
pub(super) fn check_header(block: &Block, next: &NextBlock, now: u64) -> Result<(), Rejection> {
    // The earliest time is one more than the median.
    let (header, median_time) = (&block.header, next.min_time - 1);

    ensure(header.bits == next.bits, "bad-diffbits", "incorrect proof of work")?;
    ensure(header.time > median_time, "time-too-old", "block's timestamp is too early")?;
    ensure(
        u64::from(header.time) <= now.saturating_add(MAX_FUTURE_BLOCK_TIME),
        "time-too-new",
        "block timestamp too far in the future",
    )?;
    // Regtest enforces BIP 34, 66 and 65 (versions 2, 3 and 4) from the first block on.
    let version = header.version.to_consensus();
    if version < 4 {
        return Err(Rejection {
            reason: format!("bad-version(0x{version:08x})").into(),
            debug: format!("rejected nVersion=0x{version:08x} block"),
        });
    }
    Ok(())
}

/// The second: a block that is refused here is known to be bad from then on, unless what is wrong is not
/// covered by its hash.
pub(super) fn check_body(block: &Block, next: &NextBlock) -> Result<(), Rejection> {
    let median_time = next.min_time - 1;
    ensure(
        block.txdata.iter().all(|tx| is_final(tx, next.height, median_time)),
        "bad-txns-nonfinal",
        "non-final transaction",
    )?;
    ensure(
        coinbase_script(block).starts_with(height_script(next.height).as_bytes()),
        "bad-cb-height",
        "block height mismatch in coinbase",
    )?;
    check_witness(block)?;
    ensure(
        block.weight() <= Weight::MAX_BLOCK,
        "bad-blk-weight",
        "ContextualCheckBlock : weight limit failed",
    )
}

/// How a coinbase's script has to begin (BIP 34): the height as script numbers are pushed, which is
/// one byte for heights up to 16.
pub(super) fn height_script(height: u32) -> ScriptBuf {
    Builder::new().push_int(i64::from(height)).into_script()
}

/// Core's CheckTransaction.
pub(super) fn check_transaction(tx: &Transaction) -> Result<(), Rejection> {
    let ensure = |holds, reason| {
        if holds {
            return Ok(());
        }
        Err(reject(reason, format!("Transaction check failed (tx hash {}) ", tx.compute_txid())))
    };
    ensure(!tx.input.is_empty(), "bad-txns-vin-empty")?;
    ensure(!tx.output.is_empty(), "bad-txns-vout-empty")?;
    let mut total = Amount::ZERO;
    for output in &tx.output {
        ensure(output.value <= Amount::MAX_MONEY, "bad-txns-vout-toolarge")?;
        total = total.checked_add(output.value).unwrap_or(Amount::MAX);
        ensure(total <= Amount::MAX_MONEY, "bad-txns-txouttotal-toolarge")?;
    }
    let mut seen = HashSet::new();
    ensure(
        tx.input.iter().all(|input| seen.insert(input.previous_output)),
        "bad-txns-inputs-duplicate",
    )?;
    if tx.is_coinbase() {
        let length = tx.input.first().map_or(0, |input| input.script_sig.len());
        ensure((2..=100).contains(&length), "bad-cb-length")
    } else {
        ensure(
            !tx.input.iter().any(|input| input.previous_output.is_null()),
            "bad-txns-prevout-null",
        )
    }
}

/// Core's CheckWitnessMalleation (BIP 141): the last commitment output counts; without one, no
/// transaction may have a witness.
fn check_witness(block: &Block) -> Result<(), Rejection> {
    let commitment = block.txdata.first().and_then(|coinbase| {
        coinbase.output.iter().rev().find_map(|output| {
            let script = output.script_pubkey.as_bytes();
            let hash = script.strip_prefix(&COMMITMENT_PREFIX)?.first_chunk::<32>()?;
            Some((coinbase, WitnessCommitment::from_byte_array(*hash)))
        })
    });
    let Some((coinbase, commitment)) = commitment else {
        let witness =
            block.txdata.iter().flat_map(|tx| &tx.input).any(|input| !input.witness.is_empty());
        let debug = "CheckWitnessMalleation : unexpected witness data found";
        return ensure(!witness, "unexpected-witness", debug);
    };
    let witness =
        coinbase.input.first().map(|input| &input.witness).filter(|witness| witness.len() == 1);
    let reserved =
        witness.and_then(|witness| witness.nth(0)).filter(|reserved| reserved.len() == 32);
    let reserved = reserved.ok_or_else(|| {
        reject(
            "bad-witness-nonce-size",
            "CheckWitnessMalleation : invalid witness reserved value size",
        )
    })?;
    let expected =
        block.witness_root().map(|root| Block::compute_witness_commitment(&root, reserved));
    ensure(
        expected == Some(commitment),
        "bad-witness-merkle-match",
        "CheckWitnessMalleation : witness merkle commitment mismatch",
    )
}

/// Core's IsFinalTx, with the median time as BIP 113 has it.
pub(super) fn is_final(tx: &Transaction, height: u32, median_time: u32) -> bool {
    let lock = tx.lock_time.to_consensus_u32();
    let passed = if lock < LOCKTIME_THRESHOLD { lock < height } else { lock < median_time };
    lock == 0 || passed || tx.input.iter().all(|input| input.sequence == Sequence::MAX)
}

fn coinbase_script(block: &Block) -> &[u8] {
    let input = block.txdata.first().and_then(|coinbase| coinbase.input.first());
    input.map_or(&[], |input| input.script_sig.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;
    use crate::coins::subsidy;
    use crate::solve::solve;
    use crate::template::{Template, TemplateOptions, TemplateTx};
    use crate::testing::{assert_refused, block_with, coinbase_outpoint, mine, op_true, spend};
    use bitcoin::Witness;
    use bitcoin::absolute::LockTime;

    #[test]
    fn refuses_bad_headers() {
        let chain = Chain::regtest();
        mine(&chain, 3);
        let mut block = block_with(&chain, |_| ());
        while block.header.target().is_met_by(block.block_hash()) {
            block.header.nonce += 1;
        }
        assert_eq!(chain.submit_block(&block).unwrap_err().reason, "high-hash");
        assert_eq!(chain.check_block(&block, true, true).unwrap_err().reason, "high-hash");
        assert_eq!(chain.check_block(&block, true, false), Ok(()));

        assert_refused(&chain, "bad-diffbits", |b| {
            b.header.bits = CompactTarget::from_consensus(0x207f_fffe)
        });
        // Above the limit: the block's own target is met, but is no regtest target.
        assert_refused(&chain, "high-hash", |b| {
            b.header.bits = CompactTarget::from_consensus(0x2100_ffff)
        });
        let median = chain.median_time_past(3).unwrap();
        assert_refused(&chain, "time-too-old", |b| b.header.time = median);
        assert_refused(&chain, "time-too-new", |b| b.header.time = u32::MAX);
        assert_refused(&chain, "bad-version(0x00000003)", |b| {
            b.header.version = bitcoin::block::Version::from_consensus(3);
        });
    }

    #[test]
    fn refuses_bad_coinbases() {
        let chain = Chain::regtest();
        mine(&chain, 20);
        assert_refused(&chain, "bad-blk-length", |b| b.txdata.clear());
        assert_refused(&chain, "bad-cb-missing", |b| b.txdata[0].input[0].previous_output.vout = 0);
        assert_refused(&chain, "bad-cb-multiple", |b| {
            let mut second = b.txdata[0].clone();
            second.output.pop();
            b.txdata.push(second);
        });
        assert_refused(&chain, "bad-cb-length", |b| b.txdata[0].input[0].script_sig = op_true());
        assert_refused(&chain, "bad-cb-length", |b| {
            b.txdata[0].input[0].script_sig = vec![0; 101].into()
        });
        assert_refused(&chain, "bad-cb-height", |b| {
            b.txdata[0].input[0].script_sig = height_script(22)
        });
        assert_refused(&chain, "bad-txns-nonfinal", |b| {
            b.txdata[0].lock_time = LockTime::from_height(21).unwrap()
        });
        assert_refused(&chain, "bad-txns-vout-empty", |b| b.txdata[0].output.clear());
        assert_refused(&chain, "bad-txns-vout-toolarge", |b| {
            b.txdata[0].output[0].value = Amount::MAX
        });
        assert_refused(&chain, "bad-txns-txouttotal-toolarge", |b| {
            b.txdata[0].output.iter_mut().for_each(|output| output.value = Amount::MAX_MONEY);
        });
        assert_refused(&chain, "bad-cb-amount", |b| b.txdata[0].output[0].value += Amount::ONE_SAT);

        let mut block = block_with(&chain, |_| ());
        block.header.merkle_root = Hash::all_zeros();
        assert_eq!(chain.check_block(&block, false, false), Ok(()));
        solve(&mut block.header);
        assert_eq!(chain.check_block(&block, true, true).unwrap_err().reason, "bad-txnmrklroot");
        assert_eq!(chain.submit_block(&block).unwrap_err().reason, "bad-txnmrklroot");
    }

    #[test]
    fn refuses_bad_witnesses() {
        let chain = Chain::regtest();
        mine(&chain, 1);
        assert_refused(&chain, "bad-witness-nonce-size", |b| {
            b.txdata[0].input[0].witness = Witness::new()
        });
        assert_refused(&chain, "bad-witness-nonce-size", |b| {
            b.txdata[0].input[0].witness = Witness::from_slice(&[[0; 31]]);
        });
        assert_refused(&chain, "bad-witness-merkle-match", |b| {
            b.txdata[0].input[0].witness = Witness::from_slice(&[[1; 32]]);
        });
        assert_refused(&chain, "unexpected-witness", |b| {
            b.txdata[0].output.pop();
        });
        let bare = block_with(&chain, |b| {
            b.txdata[0].output.pop();
            b.txdata[0].input[0].witness = Witness::new();
        });
        assert_eq!(chain.submit_block(&bare), Ok(()));
    }

    #[test]
    fn refuses_too_much_weight() {
        let chain = Chain::regtest();
        assert_refused(&chain, "bad-blk-length", |b| {
            b.txdata[0].output[0].script_pubkey = vec![0x51; 1_000_000].into();
        });
        mine(&chain, 101);
        let mut heavy = spend(coinbase_outpoint(&chain, 1), subsidy(1));
        heavy.input[0].witness = Witness::from_slice(&[vec![0; 4_000_000]]);
        let tx = TemplateTx { transaction: heavy, fee: Amount::ZERO, sigops: 0 };
        let template =
            Template::with_transactions(&chain, TemplateOptions::default(), vec![tx]).unwrap();
        assert_eq!(
            chain.check_block(&template.block(), false, false).unwrap_err().reason,
            "bad-blk-weight"
        );
    }
}
