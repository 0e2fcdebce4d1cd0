//! The chain: blocks, the coins they leave unspent, and waiting for the next one.
//!
//! One mutex guards all of it; one condition variable wakes everybody who waits. Blocks are only
//! ever added on top, so a height and a hash once seen stay true.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bitcoin::blockdata::constants::{COINBASE_MATURITY, genesis_block};
use bitcoin::hashes::Hash;
use bitcoin::script::Builder;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, Network, OutPoint, Sequence, Target, Transaction,
    TxMerkleNode, Txid, Weight, WitnessCommitment, Work, Wtxid,
};

/// Blocks between two halvings of the subsidy on regtest (mainnet: 210 000).
pub const HALVING_INTERVAL: u32 = 150;
/// Regtest's target in compact form, the same for every block: regtest never retargets.
pub const REGTEST_BITS: u32 = 0x207f_ffff;
/// How far ahead of this machine's clock a block's time may be, in seconds.
const MAX_FUTURE_BLOCK_TIME: u64 = 2 * 60 * 60;
/// Lock times below this are heights, others Unix times (BIP 65).
const LOCKTIME_THRESHOLD: u32 = 500_000_000;
/// How a witness commitment's output script begins: OP_RETURN, 36-byte push, header (BIP 141).
pub(super) const COMMITMENT_PREFIX: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// The newest block of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its hash.
    pub hash: BlockHash,
    /// Its height; the genesis block has 0.
    pub height: u32,
}

/// Why a block was refused, in Bitcoin Core's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The reject reason of BIP 22, such as `high-hash`.
    pub reason: Cow<'static, str>,
    /// Details for a person; may be empty.
    pub debug: String,
}

/// What the next block has to say about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// A regtest chain in memory. See [the module above](super) for what it checks and what it does
/// not.
#[derive(Debug)]
pub struct Chain {
    state: Mutex<State>,
    changed: Condvar,
    started: Instant,
}

/// How a wait for another tip ended.
pub(super) enum Waited {
    Changed,
    TimedOut,
    Ended,
}

#[derive(Debug)]
struct State {
    /// By height; never empty.
    blocks: Vec<Entry>,
    heights: HashMap<BlockHash, u32>,
    /// Where a transaction is: height, and index in the block.
    txids: HashMap<Txid, (u32, usize)>,
    wtxids: HashMap<Wtxid, (u32, usize)>,
    coins: HashMap<OutPoint, Coin>,
    /// Counts `interrupt()`: a wait ends when this differs from what it was at its start.
    interrupts: u64,
    /// Counts `wake_waiters()`: a wait asks its `cancelled` again when this changes.
    wakes: u64,
    waiters: usize,
    shut_down: bool,
}

#[derive(Debug)]
struct Entry {
    block: Arc<Block>,
    hash: BlockHash,
    /// Of this block and all before it.
    work: Work,
}

#[derive(Clone, Copy, Debug)]
struct Coin {
    value: Amount,
    height: u32,
    coinbase: bool,
}

impl Chain {
    /// A chain that holds the regtest genesis block only.
    pub fn regtest() -> Arc<Chain> {
        let mut state = State {
            blocks: Vec::new(),
            heights: HashMap::new(),
            txids: HashMap::new(),
            wtxids: HashMap::new(),
            coins: HashMap::new(),
            interrupts: 0,
            wakes: 0,
            waiters: 0,
            shut_down: false,
        };
        state.push(genesis_block(Network::Regtest));
        // Core never puts the genesis coinbase in its coins: nobody can spend it.
        state.coins.clear();
        Arc::new(Chain {
            state: Mutex::new(state),
            changed: Condvar::new(),
            started: Instant::now(),
        })
    }

    /// The newest block.
    pub fn tip(&self) -> Tip {
        self.lock().tip()
    }

    /// What the next block has to build on.
    pub fn next_block(&self) -> NextBlock {
        let state = self.lock();
        let tip = state.tip();
        NextBlock {
            previous: tip.hash,
            height: tip.height + 1,
            bits: CompactTarget::from_consensus(REGTEST_BITS),
            min_time: state.median_time_past(tip.height) + 1,
        }
    }

    /// Waits, on the calling thread, until the tip is another block than `current`.
    ///
    /// Returns at once if it already is. After `timeout` returns the unchanged tip; `None` waits
    /// forever, and so does a timeout too long for the clock. Returns `None` when the chain is shut
    /// down (even if the tip differs), when [`interrupt`](Chain::interrupt) is called during the
    /// wait, or when `cancelled` says true.
    ///
    /// `cancelled` is asked at the start and after each [`wake_waiters`](Chain::wake_waiters), with
    /// no lock held, so it may take locks and call this chain.
    pub fn wait_tip_changed(
        &self,
        current: BlockHash,
        timeout: Option<Duration>,
        cancelled: &dyn Fn() -> bool,
    ) -> Option<Tip> {
        match self.wait(current, timeout, cancelled, true) {
            Waited::Changed | Waited::TimedOut => Some(self.tip()),
            Waited::Ended => None,
        }
    }

    /// Ends every [`wait_tip_changed`](Chain::wait_tip_changed) that is under way now; later ones
    /// and waits of templates go on. To end the waits of one client only, set what its `cancelled`
    /// reads and call [`wake_waiters`](Chain::wake_waiters).
    pub fn interrupt(&self) {
        self.lock().interrupts += 1;
        self.changed.notify_all();
    }

    /// Makes every wait ask its `cancelled` again. Call it after making one say true.
    pub fn wake_waiters(&self) {
        self.lock().wakes += 1;
        self.changed.notify_all();
    }

    /// Ends every wait, those under way and those to come. The chain can still be read and
    /// extended.
    pub fn shutdown(&self) {
        self.lock().shut_down = true;
        self.changed.notify_all();
    }

    /// Whether [`shutdown`](Chain::shutdown) was called.
    pub fn is_shut_down(&self) -> bool {
        self.lock().shut_down
    }

    /// How many threads wait for another tip now, through the chain or a template of it.
    pub fn waiters(&self) -> usize {
        self.lock().waiters
    }

    /// How long ago this chain was made.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Checks a block and makes it the tip.
    ///
    /// # Errors
    /// The reason it was refused; the chain is then as before. A block on an earlier block than the
    /// tip is `inconclusive-not-best-prevblk` whatever its work: there are no reorganizations.
    /// (Core stores such a block and answers `inconclusive`.)
    pub fn submit_block(&self, block: &Block) -> Result<(), Rejection> {
        let hash = block.block_hash();
        if self.height_of(&hash).is_some() {
            return Err(reject("duplicate", ""));
        }
        check_alone(block, true, true)?;
        let mut state = self.lock();
        // Again: another thread may have submitted it meanwhile.
        if state.heights.contains_key(&hash) {
            return Err(reject("duplicate", ""));
        }
        if !state.heights.contains_key(&block.header.prev_blockhash) {
            return Err(reject("prev-blk-not-found", ""));
        }
        state.check_on_tip(block)?;
        state.push(block.clone());
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Checks whether a block could be the next one, without accepting it; proof of work and merkle
    /// root only if asked for, so that a template can be checked before it is solved.
    ///
    /// # Errors
    /// As [`submit_block`](Chain::submit_block), save that a block that does not build on the tip
    /// is always `inconclusive-not-best-prevblk`, as in Core.
    pub fn check_block(
        &self,
        block: &Block,
        check_merkle_root: bool,
        check_pow: bool,
    ) -> Result<(), Rejection> {
        self.lock().check_parent(block)?;
        check_alone(block, check_merkle_root, check_pow)?;
        self.lock().check_on_tip(block)
    }

    /// The block with this hash.
    pub fn block_by_hash(&self, hash: &BlockHash) -> Option<Arc<Block>> {
        let state = self.lock();
        let height = *state.heights.get(hash)?;
        state.entry(height).map(|entry| entry.block.clone())
    }

    /// The block at this height.
    pub fn block_by_height(&self, height: u32) -> Option<Arc<Block>> {
        self.lock().entry(height).map(|entry| entry.block.clone())
    }

    /// The hash of the block at this height.
    pub fn hash_at(&self, height: u32) -> Option<BlockHash> {
        self.lock().entry(height).map(|entry| entry.hash)
    }

    /// The height of the block with this hash.
    pub fn height_of(&self, hash: &BlockHash) -> Option<u32> {
        self.lock().heights.get(hash).copied()
    }

    /// The work of all blocks up to this height.
    pub fn work_at(&self, height: u32) -> Option<Work> {
        self.lock().entry(height).map(|entry| entry.work)
    }

    /// The median of the times of the (up to) 11 blocks that end at this height, Unix seconds (BIP
    /// 113).
    pub fn median_time_past(&self, height: u32) -> Option<u32> {
        let state = self.lock();
        state.entry(height)?;
        Some(state.median_time_past(height))
    }

    /// A transaction of the chain by its txid.
    pub fn transaction_by_txid(&self, txid: &Txid) -> Option<Transaction> {
        let state = self.lock();
        state.transaction(*state.txids.get(txid)?)
    }

    /// A transaction of the chain by its wtxid. A coinbase has the hash of its own bytes here, not
    /// the zeros that stand for it in the witness commitment.
    pub fn transaction_by_wtxid(&self, wtxid: &Wtxid) -> Option<Transaction> {
        let state = self.lock();
        state.transaction(*state.wtxids.get(wtxid)?)
    }

    /// What every wait is made of. `stop` is asked first and with no lock held; if it says true,
    /// the wait ends, so it may take note of having said so.
    pub(super) fn wait(
        &self,
        current: BlockHash,
        timeout: Option<Duration>,
        stop: &dyn Fn() -> bool,
        heed_interrupt: bool,
    ) -> Waited {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        state.waiters += 1;
        let interrupts = state.interrupts;
        let waited = 'wait: loop {
            // Read before `stop` is asked: a wake that comes between asking and sleeping is not
            // lost.
            let wakes = state.wakes;
            drop(state);
            let stopped = stop();
            state = self.lock();
            if stopped {
                break Waited::Ended;
            }
            loop {
                if state.shut_down || (heed_interrupt && state.interrupts != interrupts) {
                    break 'wait Waited::Ended;
                }
                if state.tip().hash != current {
                    break 'wait Waited::Changed;
                }
                let left =
                    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                if left == Some(Duration::ZERO) {
                    break 'wait Waited::TimedOut;
                }
                if state.wakes != wakes {
                    break;
                }
                state = match left {
                    None => self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner),
                    Some(left) => {
                        self.changed
                            .wait_timeout(state, left)
                            .unwrap_or_else(PoisonError::into_inner)
                            .0
                    }
                };
            }
        };
        state.waiters -= 1;
        waited
    }

    /// Nothing that runs under the lock is meant to panic (`cancelled` runs without it), so a poisoned
    /// lock is taken as it is: readers of the chain need not die for a bug elsewhere.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn entry(&self, height: u32) -> Option<&Entry> {
        self.blocks.get(usize::try_from(height).ok()?)
    }

    fn tip(&self) -> Tip {
        let height = self.next_height().saturating_sub(1);
        Tip {
            hash: self
                .blocks
                .last()
                .map_or_else(BlockHash::all_zeros, |entry| entry.hash),
            height,
        }
    }

    fn next_height(&self) -> u32 {
        u32::try_from(self.blocks.len()).unwrap_or(u32::MAX)
    }

    fn median_time_past(&self, height: u32) -> u32 {
        let mut times: Vec<u32> = (height.saturating_sub(10)..=height)
            .filter_map(|height| self.entry(height).map(|entry| entry.block.header.time))
            .collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(0)
    }

    fn transaction(&self, (height, index): (u32, usize)) -> Option<Transaction> {
        self.entry(height)?.block.txdata.get(index).cloned()
    }

    fn check_parent(&self, block: &Block) -> Result<(), Rejection> {
        ensure(
            block.header.prev_blockhash == self.tip().hash,
            "inconclusive-not-best-prevblk",
            "",
        )
    }

    /// What can be said of a block only with the chain before it, in the order of Core's
    /// ContextualCheckBlockHeader, ContextualCheckBlock and ConnectBlock.
    fn check_on_tip(&self, block: &Block) -> Result<(), Rejection> {
        self.check_parent(block)?;
        let height = self.next_height();
        let median_time = self.median_time_past(self.tip().height);
        let header = &block.header;

        ensure(
            header.bits.to_consensus() == REGTEST_BITS,
            "bad-diffbits",
            "incorrect proof of work",
        )?;
        ensure(
            header.time > median_time,
            "time-too-old",
            "block's timestamp is too early",
        )?;
        ensure(
            u64::from(header.time) <= unix_time().saturating_add(MAX_FUTURE_BLOCK_TIME),
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

        ensure(
            block
                .txdata
                .iter()
                .all(|tx| is_final(tx, height, median_time)),
            "bad-txns-nonfinal",
            "non-final transaction",
        )?;
        ensure(
            coinbase_script(block).starts_with(height_script(height).as_bytes()),
            "bad-cb-height",
            "block height mismatch in coinbase",
        )?;
        check_witness(block)?;
        ensure(
            block.weight() <= Weight::MAX_BLOCK,
            "bad-blk-weight",
            "ContextualCheckBlock : weight limit failed",
        )?;

        let limit = subsidy(height)
            .to_sat()
            .saturating_add(self.fees(block, height)?);
        let actual: u64 = block.txdata.first().map_or(0, value_out);
        ensure(
            actual <= limit,
            "bad-cb-amount",
            format!("coinbase pays too much (actual={actual} vs limit={limit})"),
        )
    }

    /// What the transactions leave to the miner, in satoshis; refuses inputs that are not there,
    /// are spent, immature (100 blocks for a coinbase) or less than the outputs.
    fn fees(&self, block: &Block, height: u32) -> Result<u64, Rejection> {
        let mut created: HashMap<OutPoint, Coin> = HashMap::new();
        let mut spent: HashSet<OutPoint> = HashSet::new();
        let mut fees = 0;
        for (index, tx) in block.txdata.iter().enumerate() {
            let txid = tx.compute_txid();
            if index > 0 {
                let mut value_in: u64 = 0;
                for input in &tx.input {
                    let outpoint = &input.previous_output;
                    let coin = created.get(outpoint).or_else(|| self.coins.get(outpoint));
                    let coin = coin.filter(|_| spent.insert(*outpoint)).ok_or_else(|| {
                        let debug =
                            format!("CheckTxInputs: inputs missing/spent in transaction {txid}");
                        reject("bad-txns-inputs-missingorspent", debug)
                    })?;
                    let depth = height - coin.height;
                    ensure(
                        !coin.coinbase || depth >= COINBASE_MATURITY,
                        "bad-txns-premature-spend-of-coinbase",
                        format!("tried to spend coinbase at depth {depth} in transaction {txid}"),
                    )?;
                    value_in += coin.value.to_sat();
                }
                let out = value_out(tx);
                fees += value_in.checked_sub(out).ok_or_else(|| {
                    let debug = format!(
                        "value in ({value_in} sat) < value out ({out} sat) in transaction {txid}"
                    );
                    reject("bad-txns-in-belowout", debug)
                })?;
            }
            created.extend(coins_of(tx, txid, height, index == 0));
        }
        Ok(fees)
    }

    /// Puts a checked block on top.
    fn push(&mut self, block: Block) {
        let height = self.next_height();
        let hash = block.block_hash();
        for (index, tx) in block.txdata.iter().enumerate() {
            let txid = tx.compute_txid();
            self.txids.insert(txid, (height, index));
            self.wtxids.insert(tx.compute_wtxid(), (height, index));
            for input in &tx.input {
                self.coins.remove(&input.previous_output);
            }
            self.coins.extend(coins_of(tx, txid, height, index == 0));
        }
        let own = block.header.work();
        let work = self.blocks.last().map_or(own, |last| last.work + own);
        self.heights.insert(hash, height);
        self.blocks.push(Entry {
            block: Arc::new(block),
            hash,
            work,
        });
    }
}

impl Rejection {
    /// Whether the block was refused only because the tip is another one by now: a new template
    /// helps.
    pub fn is_stale(&self) -> bool {
        matches!(&*self.reason, "inconclusive-not-best-prevblk" | "duplicate")
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if self.debug.is_empty() {
            Ok(())
        } else {
            write!(f, ", {}", self.debug)
        }
    }
}

impl std::error::Error for Rejection {}

/// What a miner may create at this height: 50 BTC, halved every [`HALVING_INTERVAL`] blocks.
pub fn subsidy(height: u32) -> Amount {
    let halvings = height / HALVING_INTERVAL;
    Amount::from_sat(
        Amount::from_int_btc(50)
            .to_sat()
            .checked_shr(halvings)
            .unwrap_or(0),
    )
}

/// How a coinbase's script has to begin (BIP 34): the height as script numbers are pushed, which is
/// one byte for heights up to 16.
pub(super) fn height_script(height: u32) -> bitcoin::ScriptBuf {
    Builder::new().push_int(i64::from(height)).into_script()
}

/// Now, in Unix seconds.
pub(super) fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

fn reject(reason: &'static str, debug: impl Into<String>) -> Rejection {
    Rejection {
        reason: Cow::Borrowed(reason),
        debug: debug.into(),
    }
}

fn ensure(holds: bool, reason: &'static str, debug: impl Into<String>) -> Result<(), Rejection> {
    if holds {
        Ok(())
    } else {
        Err(reject(reason, debug))
    }
}

/// What can be said of a block without the chain, in the order of Core's CheckBlock.
fn check_alone(block: &Block, check_merkle_root: bool, check_pow: bool) -> Result<(), Rejection> {
    if check_pow {
        let target = block.header.target();
        let limit = Target::from_compact(CompactTarget::from_consensus(REGTEST_BITS));
        let met = target <= limit && target.is_met_by(block.block_hash());
        ensure(met, "high-hash", "proof of work failed")?;
    }
    if check_merkle_root {
        // Core takes the root of nothing to be zero; such a block is refused below.
        let root = block
            .compute_merkle_root()
            .unwrap_or_else(TxMerkleNode::all_zeros);
        ensure(
            root == block.header.merkle_root,
            "bad-txnmrklroot",
            "hashMerkleRoot mismatch",
        )?;
        // A repeated transaction can leave the root as it was (CVE-2012-2459).
        let mut seen = HashSet::new();
        let unique = block.txdata.iter().all(|tx| seen.insert(tx.compute_txid()));
        ensure(unique, "bad-txns-duplicate", "duplicate transaction")?;
    }
    // Weight is three times the size without witnesses plus the size with them (BIP 141).
    let stripped = block
        .weight()
        .to_wu()
        .saturating_sub(block.total_size() as u64)
        / 3;
    let fits = !block.txdata.is_empty() && stripped * 4 <= Weight::MAX_BLOCK.to_wu();
    ensure(fits, "bad-blk-length", "size limits failed")?;
    let mut coinbases = block.txdata.iter().map(Transaction::is_coinbase);
    ensure(
        coinbases.next() == Some(true),
        "bad-cb-missing",
        "first tx is not coinbase",
    )?;
    ensure(
        !coinbases.any(|is| is),
        "bad-cb-multiple",
        "more than one coinbase",
    )?;
    block.txdata.iter().try_for_each(check_transaction)
}

/// Core's CheckTransaction.
fn check_transaction(tx: &Transaction) -> Result<(), Rejection> {
    let ensure = |holds, reason| {
        if holds {
            return Ok(());
        }
        Err(reject(
            reason,
            format!("Transaction check failed (tx hash {}) ", tx.compute_txid()),
        ))
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
        tx.input
            .iter()
            .all(|input| seen.insert(input.previous_output)),
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
            let hash = script
                .strip_prefix(&COMMITMENT_PREFIX)?
                .first_chunk::<32>()?;
            Some((coinbase, WitnessCommitment::from_byte_array(*hash)))
        })
    });
    let Some((coinbase, commitment)) = commitment else {
        let witness = block
            .txdata
            .iter()
            .flat_map(|tx| &tx.input)
            .any(|input| !input.witness.is_empty());
        let debug = "CheckWitnessMalleation : unexpected witness data found";
        return ensure(!witness, "unexpected-witness", debug);
    };
    let witness = coinbase
        .input
        .first()
        .map(|input| &input.witness)
        .filter(|witness| witness.len() == 1);
    let reserved = witness
        .and_then(|witness| witness.nth(0))
        .filter(|reserved| reserved.len() == 32);
    let reserved = reserved.ok_or_else(|| {
        reject(
            "bad-witness-nonce-size",
            "CheckWitnessMalleation : invalid witness reserved value size",
        )
    })?;
    let expected = block
        .witness_root()
        .map(|root| Block::compute_witness_commitment(&root, reserved));
    ensure(
        expected == Some(commitment),
        "bad-witness-merkle-match",
        "CheckWitnessMalleation : witness merkle commitment mismatch",
    )
}

/// Core's IsFinalTx, with the median time as BIP 113 has it.
fn is_final(tx: &Transaction, height: u32, median_time: u32) -> bool {
    let lock = tx.lock_time.to_consensus_u32();
    let passed = if lock < LOCKTIME_THRESHOLD {
        lock < height
    } else {
        lock < median_time
    };
    lock == 0 || passed || tx.input.iter().all(|input| input.sequence == Sequence::MAX)
}

fn coinbase_script(block: &Block) -> &[u8] {
    let input = block
        .txdata
        .first()
        .and_then(|coinbase| coinbase.input.first());
    input.map_or(&[], |input| input.script_sig.as_bytes())
}

/// In satoshis; `check_transaction` has bounded the sum.
fn value_out(tx: &Transaction) -> u64 {
    tx.output.iter().map(|output| output.value.to_sat()).sum()
}

fn coins_of(
    tx: &Transaction,
    txid: Txid,
    height: u32,
    coinbase: bool,
) -> impl Iterator<Item = (OutPoint, Coin)> {
    (0..)
        .zip(&tx.output)
        .filter(|(_, output)| !output.script_pubkey.is_op_return())
        .map(move |(vout, output)| {
            (
                OutPoint { txid, vout },
                Coin {
                    value: output.value,
                    height,
                    coinbase,
                },
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::template::{
        Template, TemplateOptions, TemplateTx, coinbase_transaction, mine_block, solve,
    };
    use bitcoin::absolute::LockTime;
    use bitcoin::{ScriptBuf, TxIn, TxOut, Witness, transaction};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    fn op_true() -> ScriptBuf {
        ScriptBuf::from_bytes(vec![0x51])
    }

    fn mine(chain: &Chain, blocks: u32) {
        for _ in 0..blocks {
            mine_block(chain, op_true()).unwrap();
        }
    }

    /// The next block, unsolved, changed by `change`, then with a fitting merkle root and nonce.
    fn block_with(chain: &Arc<Chain>, change: impl FnOnce(&mut Block)) -> Block {
        let mut block = Template::new(chain, TemplateOptions::default())
            .unwrap()
            .block()
            .clone();
        change(&mut block);
        let root = block.compute_merkle_root();
        block.header.merkle_root = root.unwrap_or_else(TxMerkleNode::all_zeros);
        solve(&mut block.header);
        block
    }

    fn spend(outpoint: OutPoint, value: Amount) -> Transaction {
        Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn {
                previous_output: outpoint,
                ..TxIn::default()
            }],
            output: vec![TxOut {
                value,
                script_pubkey: op_true(),
            }],
        }
    }

    fn coinbase_outpoint(chain: &Chain, height: u32) -> OutPoint {
        let block = chain.block_by_height(height).unwrap();
        OutPoint {
            txid: block.txdata[0].compute_txid(),
            vout: 0,
        }
    }

    #[track_caller]
    fn assert_refused(chain: &Arc<Chain>, reason: &str, change: impl FnOnce(&mut Block)) {
        let block = block_with(chain, change);
        let before = chain.tip();
        assert_eq!(
            chain.check_block(&block, true, true).unwrap_err().reason,
            reason
        );
        assert_eq!(chain.submit_block(&block).unwrap_err().reason, reason);
        assert_eq!(chain.tip(), before);
    }

    fn until(condition: impl Fn() -> bool) {
        while !condition() {
            thread::yield_now();
        }
    }

    #[test]
    fn starts_at_genesis_and_finds_what_it_holds() {
        let chain = Chain::regtest();
        let genesis = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";
        assert_eq!(
            chain.tip(),
            Tip {
                hash: genesis.parse().unwrap(),
                height: 0
            }
        );
        let hash = mine_block(&chain, op_true()).unwrap();
        assert_eq!(chain.tip(), Tip { hash, height: 1 });
        let block = chain.block_by_hash(&hash).unwrap();
        assert_eq!(chain.block_by_height(1), Some(block.clone()));
        assert_eq!(chain.height_of(&hash), Some(1));
        assert_eq!(chain.hash_at(1), Some(hash));
        let coinbase = &block.txdata[0];
        assert_eq!(
            chain.transaction_by_txid(&coinbase.compute_txid()).as_ref(),
            Some(coinbase)
        );
        assert_eq!(
            chain
                .transaction_by_wtxid(&coinbase.compute_wtxid())
                .as_ref(),
            Some(coinbase)
        );
        assert_ne!(
            coinbase.compute_txid().to_raw_hash(),
            coinbase.compute_wtxid().to_raw_hash()
        );
        assert!(chain.block_by_height(2).is_none());
        assert!(chain.transaction_by_txid(&Txid::all_zeros()).is_none());
    }

    #[test]
    fn refuses_bad_headers() {
        let chain = Chain::regtest();
        mine(&chain, 3);
        let mut block = block_with(&chain, |_| ());
        while block.header.target().is_met_by(block.block_hash()) {
            block.header.nonce += 1;
        }
        assert_eq!(chain.submit_block(&block).unwrap_err().reason, "high-hash");
        assert_eq!(
            chain.check_block(&block, true, true).unwrap_err().reason,
            "high-hash"
        );
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
    fn refuses_bad_parents() {
        let chain = Chain::regtest();
        let late = block_with(&chain, |b| b.header.time += 1);
        mine(&chain, 2);
        assert_refused(&chain, "inconclusive-not-best-prevblk", |b| {
            b.header.prev_blockhash = late.header.prev_blockhash
        });
        assert!(chain.submit_block(&late).unwrap_err().is_stale());

        let orphan = block_with(&chain, |b| b.header.prev_blockhash = BlockHash::all_zeros());
        assert_eq!(
            chain.submit_block(&orphan).unwrap_err().reason,
            "prev-blk-not-found"
        );
        assert_eq!(
            chain.check_block(&orphan, true, true).unwrap_err().reason,
            "inconclusive-not-best-prevblk"
        );

        let tip = chain.block_by_height(2).unwrap();
        assert_eq!(chain.submit_block(&tip).unwrap_err().reason, "duplicate");
    }

    #[test]
    fn refuses_bad_coinbases() {
        let chain = Chain::regtest();
        mine(&chain, 20);
        assert_refused(&chain, "bad-blk-length", |b| b.txdata.clear());
        assert_refused(&chain, "bad-cb-missing", |b| {
            b.txdata[0].input[0].previous_output.vout = 0
        });
        assert_refused(&chain, "bad-cb-multiple", |b| {
            let mut second = b.txdata[0].clone();
            second.output.pop();
            b.txdata.push(second);
        });
        assert_refused(&chain, "bad-cb-length", |b| {
            b.txdata[0].input[0].script_sig = op_true()
        });
        assert_refused(&chain, "bad-cb-length", |b| {
            b.txdata[0].input[0].script_sig = vec![0; 101].into()
        });
        assert_refused(&chain, "bad-cb-height", |b| {
            b.txdata[0].input[0].script_sig = height_script(22)
        });
        assert_refused(&chain, "bad-txns-nonfinal", |b| {
            b.txdata[0].lock_time = LockTime::from_height(21).unwrap()
        });
        assert_refused(&chain, "bad-txns-vout-empty", |b| {
            b.txdata[0].output.clear()
        });
        assert_refused(&chain, "bad-txns-vout-toolarge", |b| {
            b.txdata[0].output[0].value = Amount::MAX
        });
        assert_refused(&chain, "bad-txns-txouttotal-toolarge", |b| {
            b.txdata[0]
                .output
                .iter_mut()
                .for_each(|output| output.value = Amount::MAX_MONEY);
        });
        assert_refused(&chain, "bad-cb-amount", |b| {
            b.txdata[0].output[0].value += Amount::ONE_SAT
        });

        let mut block = block_with(&chain, |_| ());
        block.header.merkle_root = Hash::all_zeros();
        assert_eq!(chain.check_block(&block, false, false), Ok(()));
        solve(&mut block.header);
        assert_eq!(
            chain.check_block(&block, true, true).unwrap_err().reason,
            "bad-txnmrklroot"
        );
        assert_eq!(
            chain.submit_block(&block).unwrap_err().reason,
            "bad-txnmrklroot"
        );
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
        let tx = TemplateTx {
            transaction: heavy,
            fee: Amount::ZERO,
            sigops: 0,
        };
        let template =
            Template::with_transactions(&chain, TemplateOptions::default(), vec![tx]).unwrap();
        assert_eq!(
            chain
                .check_block(template.block(), true, false)
                .unwrap_err()
                .reason,
            "bad-blk-weight"
        );
    }

    #[test]
    fn follows_the_money() {
        let chain = Chain::regtest();
        mine(&chain, 101);
        let fee = Amount::from_sat(1000);
        let first = spend(coinbase_outpoint(&chain, 1), subsidy(1) - fee);
        let second = spend(
            OutPoint {
                txid: first.compute_txid(),
                vout: 0,
            },
            first.output[0].value - fee,
        );
        let txs = |txs: &[&Transaction]| -> Vec<TemplateTx> {
            txs.iter()
                .map(|&tx| TemplateTx {
                    transaction: tx.clone(),
                    fee,
                    sigops: 0,
                })
                .collect()
        };
        let block_of = |list: &[&Transaction]| {
            let template =
                Template::with_transactions(&chain, TemplateOptions::default(), txs(list)).unwrap();
            let mut block = template.block().clone();
            solve(&mut block.header);
            block
        };
        let reason =
            |list: &[&Transaction]| chain.submit_block(&block_of(list)).unwrap_err().reason;

        assert_eq!(reason(&[&second, &first]), "bad-txns-inputs-missingorspent");
        let rival = spend(coinbase_outpoint(&chain, 1), Amount::ONE_SAT);
        assert_eq!(reason(&[&first, &rival]), "bad-txns-inputs-missingorspent");
        assert_eq!(reason(&[&first, &first]), "bad-txns-duplicate");
        let young = spend(coinbase_outpoint(&chain, 3), Amount::ONE_SAT);
        assert_eq!(reason(&[&young]), "bad-txns-premature-spend-of-coinbase");
        let greedy = spend(coinbase_outpoint(&chain, 1), subsidy(1) + fee);
        assert_eq!(reason(&[&greedy]), "bad-txns-in-belowout");
        let genesis = spend(coinbase_outpoint(&chain, 0), Amount::ONE_SAT);
        assert_eq!(reason(&[&genesis]), "bad-txns-inputs-missingorspent");
        let mut twice = first.clone();
        twice.input.push(twice.input[0].clone());
        assert_eq!(reason(&[&twice]), "bad-txns-inputs-duplicate");
        let mut nothing = first.clone();
        nothing.input.push(TxIn::default());
        assert_eq!(reason(&[&nothing]), "bad-txns-prevout-null");
        let mut empty = first.clone();
        empty.input.clear();
        assert_eq!(reason(&[&empty]), "bad-txns-vin-empty");
        let free = spend(coinbase_outpoint(&chain, 1), subsidy(1));
        assert_eq!(reason(&[&free]), "bad-cb-amount");

        let block = block_of(&[&first, &second]);
        assert_eq!(block.txdata[0].output[0].value, subsidy(102) + fee * 2);
        assert_eq!(chain.submit_block(&block), Ok(()));
        assert_eq!(
            chain.transaction_by_txid(&second.compute_txid()),
            Some(second.clone())
        );
        assert_eq!(reason(&[&first]), "bad-txns-inputs-missingorspent");
    }

    #[test]
    fn halves_the_subsidy() {
        assert_eq!(subsidy(149), Amount::from_int_btc(50));
        assert_eq!(subsidy(150), Amount::from_int_btc(25));
        assert_eq!(subsidy(300), Amount::from_sat(1_250_000_000));
        assert_eq!(subsidy(64 * HALVING_INTERVAL), Amount::ZERO);
        assert_eq!(subsidy(u32::MAX), Amount::ZERO);
        let chain = Chain::regtest();
        mine(&chain, 149);
        assert_refused(&chain, "bad-cb-amount", |b| {
            b.txdata[0].output[0].value = subsidy(149)
        });
        mine(&chain, 2);
        assert_eq!(
            chain.block_by_height(149).unwrap().txdata[0].output[0].value,
            subsidy(149)
        );
        assert_eq!(
            chain.block_by_height(150).unwrap().txdata[0].output[0].value,
            subsidy(150)
        );
    }

    #[test]
    fn a_wait_ends_with_the_next_block() {
        let chain = Chain::regtest();
        let genesis = chain.tip();
        thread::scope(|scope| {
            let waits: Vec<_> = [None, Some(Duration::MAX), Some(Duration::from_secs(3600))]
                .map(|timeout| {
                    scope.spawn({
                        let chain = &chain;
                        move || chain.wait_tip_changed(genesis.hash, timeout, &|| false)
                    })
                })
                .into();
            until(|| chain.waiters() == 3);
            mine(&chain, 1);
            for wait in waits {
                assert_eq!(wait.join().unwrap(), Some(chain.tip()));
            }
        });
        assert_eq!(chain.waiters(), 0);
        assert_eq!(
            chain.wait_tip_changed(genesis.hash, None, &|| false),
            Some(chain.tip())
        );
    }

    #[test]
    fn a_wait_times_out_with_the_unchanged_tip() {
        let chain = Chain::regtest();
        for timeout in [Duration::ZERO, Duration::from_millis(5)] {
            let started = Instant::now();
            assert_eq!(
                chain.wait_tip_changed(chain.tip().hash, Some(timeout), &|| false),
                Some(chain.tip())
            );
            assert!(started.elapsed() >= timeout);
        }
    }

    #[test]
    fn interrupt_ends_present_waits_only() {
        let chain = Chain::regtest();
        let tip = chain.tip();
        chain.interrupt();
        assert_eq!(
            chain.wait_tip_changed(tip.hash, Some(Duration::ZERO), &|| false),
            Some(tip)
        );
        thread::scope(|scope| {
            let waits =
                [(); 2].map(|()| scope.spawn(|| chain.wait_tip_changed(tip.hash, None, &|| false)));
            until(|| chain.waiters() == 2);
            chain.interrupt();
            for wait in waits {
                assert_eq!(wait.join().unwrap(), None);
            }
        });
    }

    #[test]
    fn cancelled_is_asked_again_when_woken() {
        let chain = Chain::regtest();
        let tip = chain.tip();
        assert_eq!(chain.wait_tip_changed(tip.hash, None, &|| true), None);
        let flag = AtomicBool::new(false);
        // It may call the chain: no lock is held.
        let cancelled = || chain.tip() == tip && flag.load(Ordering::Acquire);
        thread::scope(|scope| {
            let wait = scope.spawn(|| chain.wait_tip_changed(tip.hash, None, &cancelled));
            until(|| chain.waiters() == 1);
            chain.wake_waiters();
            assert!(!wait.is_finished());
            flag.store(true, Ordering::Release);
            chain.wake_waiters();
            assert_eq!(wait.join().unwrap(), None);
        });
    }

    #[test]
    fn shutdown_ends_present_and_later_waits() {
        let chain = Chain::regtest();
        let tip = chain.tip();
        thread::scope(|scope| {
            let wait = scope.spawn(|| chain.wait_tip_changed(tip.hash, None, &|| false));
            until(|| chain.waiters() == 1);
            chain.shutdown();
            assert_eq!(wait.join().unwrap(), None);
        });
        assert!(chain.is_shut_down());
        assert_eq!(chain.wait_tip_changed(tip.hash, None, &|| false), None);
        assert_eq!(
            chain.wait_tip_changed(BlockHash::all_zeros(), None, &|| false),
            None
        );
    }

    #[test]
    fn many_miners_make_one_chain() {
        let chain = Chain::regtest();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| mine(&chain, 5));
            }
        });
        assert_eq!(chain.tip().height, 20);
        let parts = Template::new(&chain, TemplateOptions::default())
            .unwrap()
            .coinbase()
            .clone();
        assert_eq!(
            coinbase_transaction(&parts, &[])
                .lock_time
                .to_consensus_u32(),
            20
        );
    }
}
