//! Block templates, as the node makes them.
//!
//! A [`Template`] is the next block as the node would mine it, with a dummy coinbase. A miner
//! builds its own coinbase from [`CoinbaseTx`], folds the [merkle path](merkle_path) into a
//! root, finds a nonce and submits the four values that differ.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bitcoin::block::{self, Header};
use bitcoin::{Amount, Block, BlockHash, ScriptBuf, Transaction, TxMerkleNode, Txid, Weight};
use bitcoin_ipc::mining::CoinbaseTx;

use super::chain::Chain;
use super::draft::{Draft, set_coinbase};
use super::rejection::Rejection;
use super::solve::{merkle_path, solve};
use super::wait::Waited;

/// The least weight that may be kept for header, transaction count and coinbase, in weight units.
const MIN_BLOCK_RESERVED_WEIGHT: u64 = 2000;
/// The most signature operations a block may have, weighted as in BIP 141.
const MAX_BLOCK_SIGOPS_COST: u64 = 80_000;
/// A wait for a better template looks that often at fees and at the age of the tip, as Bitcoin Core does.
const TICK: Duration = Duration::from_secs(1);
/// After this time without a block, in seconds, a template of a test network may have the least difficulty:
/// waits then return a new one.
const OLD_TIP: u64 = 20 * 60;

/// How to make a template; the defaults are those of `mining.capnp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateOptions {
    /// Whether to include transactions of the memory pool.
    pub use_mempool: bool,
    /// Weight units kept for header, transaction count and coinbase: 2000 to 4 000 000.
    pub block_reserved_weight: u64,
    /// Signature operations kept for the coinbase's outputs, weighted: at most 80 000.
    pub coinbase_output_max_additional_sigops: u64,
}

/// A transaction of a template other than the coinbase, as a mempool would supply it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateTx {
    /// The transaction.
    pub transaction: Transaction,
    /// Its fee. Not checked here, but when the block is submitted.
    pub fee: Amount,
    /// Its signature operations, weighted (BIP 141).
    pub sigops: i64,
}

/// The next block of a chain, to be solved. It does not change with the tip. A solution that is submitted is
/// written into it, whatever becomes of it.
#[derive(Debug)]
pub struct Template {
    chain: Arc<Chain>,
    options: TemplateOptions,
    block: Mutex<Block>,
    coinbase: CoinbaseTx,
    fees: Vec<Amount>,
    sigops: Vec<i64>,
    /// Set by `interrupt_wait`, taken by the wait that it ends.
    interrupted: AtomicBool,
}

impl Default for TemplateOptions {
    fn default() -> Self {
        Self {
            use_mempool: true,
            block_reserved_weight: 8000,
            coinbase_output_max_additional_sigops: 400,
        }
    }
}

impl TemplateOptions {
    /// # Errors
    /// Core's text when a value is out of range.
    pub fn validate(&self) -> Result<(), String> {
        let weight = self.block_reserved_weight;
        if weight < MIN_BLOCK_RESERVED_WEIGHT {
            return Err(format!(
                "block_reserved_weight ({weight}) is lower than minimum safety value of ({MIN_BLOCK_RESERVED_WEIGHT})"
            ));
        }
        let most = Weight::MAX_BLOCK.to_wu();
        if weight > most {
            return Err(format!(
                "block_reserved_weight ({weight}) exceeds consensus maximum block weight ({most})"
            ));
        }
        let sigops = self.coinbase_output_max_additional_sigops;
        if sigops > MAX_BLOCK_SIGOPS_COST {
            return Err(format!(
                "coinbase_output_max_additional_sigops ({sigops}) exceeds consensus maximum block sigops cost \
                 ({MAX_BLOCK_SIGOPS_COST})"
            ));
        }
        Ok(())
    }
}

impl Template {
    /// The next block on the present tip, with transactions of the memory pool.
    ///
    /// # Errors
    /// The text of [`TemplateOptions::validate`].
    pub fn new(chain: &Arc<Chain>, options: TemplateOptions) -> Result<Template, String> {
        options.validate()?;
        Ok(Self::assemble(chain, options, None))
    }

    /// The next block on the present tip, with these transactions after the coinbase instead of those of the
    /// memory pool.
    ///
    /// # Errors
    /// As [`new`](Template::new). The transactions are not checked before the block is submitted.
    pub fn with_transactions(
        chain: &Arc<Chain>,
        options: TemplateOptions,
        transactions: Vec<TemplateTx>,
    ) -> Result<Template, String> {
        options.validate()?;
        Ok(Self::assemble(chain, options, Some(transactions)))
    }

    fn assemble(
        chain: &Arc<Chain>,
        options: TemplateOptions,
        transactions: Option<Vec<TemplateTx>>,
    ) -> Template {
        let Draft { block, coinbase, fees, sigops } = Draft::new(chain, &options, transactions);
        let (chain, interrupted) = (Arc::clone(chain), AtomicBool::new(false));
        Template { chain, options, block: Mutex::new(block), coinbase, fees, sigops, interrupted }
    }

    fn lock(&self) -> MutexGuard<'_, Block> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The header. Its merkle root is zero, as there is no final coinbase, and so is its nonce; once a
    /// solution was submitted it is that one's.
    pub fn header(&self) -> Header {
        self.lock().header
    }

    /// The whole block. Its coinbase pays everything to OP_TRUE and serves only for checks; once a solution
    /// was submitted it is that one's.
    pub fn block(&self) -> Block {
        self.lock().clone()
    }

    /// Fee of each transaction after the coinbase.
    pub fn tx_fees(&self) -> Vec<Amount> {
        self.fees.clone()
    }

    /// Weighted signature operations of each transaction after the coinbase.
    pub fn tx_sigops(&self) -> Vec<i64> {
        self.sigops.clone()
    }

    /// The parts that a miner needs for its own coinbase.
    pub fn coinbase(&self) -> &CoinbaseTx {
        &self.coinbase
    }

    /// The hashes that lead from the coinbase to the merkle root, deepest first; see
    /// [`merkle_root`](super::merkle_root).
    pub fn merkle_path(&self) -> Vec<TxMerkleNode> {
        let txids: Vec<Txid> = self.lock().txdata.iter().map(Transaction::compute_txid).collect();
        merkle_path(&txids)
    }

    /// Makes the block from the template and these four values and submits it.
    ///
    /// The coinbase has to be complete. As in Core (and unlike its `submitblock` RPC) a missing
    /// witness is not added: `bad-witness-nonce-size`.
    ///
    /// # Errors
    /// As [`Chain::submit_block`]: `inconclusive` when another block was faster, `duplicate` when this one
    /// was submitted before.
    pub fn submit_solution(
        &self,
        version: block::Version,
        timestamp: u32,
        nonce: u32,
        coinbase: Transaction,
    ) -> Result<(), Rejection> {
        let solved = {
            let mut block = self.lock();
            block.header.version = version;
            block.header.time = timestamp;
            block.header.nonce = nonce;
            set_coinbase(&mut block, coinbase);
            block.clone()
        };
        self.chain.submit_block(&solved)
    }

    /// Waits, on the calling thread, for a better template: on another tip; on the same one with
    /// `fee_threshold` more in fees; or, as on all test networks, on one that is older than 20 minutes. The
    /// last two are looked at once a second.
    ///
    /// Returns `None` after `timeout` (`None` waits forever), when the chain is shut down, when
    /// [`interrupt_wait`](Template::interrupt_wait) was called, or when `cancelled` says true,
    /// which is asked as in [`Chain::wait_tip_changed`].
    pub fn wait_next(
        &self,
        timeout: Option<Duration>,
        fee_threshold: Option<Amount>,
        cancelled: &dyn Fn() -> bool,
    ) -> Option<Template> {
        // Not `|`, so that a cancelled wait leaves the interrupt for another wait.
        let stop = || cancelled() || self.interrupted.swap(false, Ordering::AcqRel);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let previous = self.header().prev_blockhash;
        let next = || Self::assemble(&self.chain, self.options.clone(), None);
        let fees = |fees: &[Amount]| fees.iter().copied().sum::<Amount>();
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let tick = left.map_or(TICK, |left| left.min(TICK));
            match self.chain.wait(previous, Some(tick), &stop) {
                Waited::Changed => return Some(next()),
                Waited::Ended => return None,
                Waited::TimedOut => {}
            }
            if self.chain.tip_age() > OLD_TIP {
                return Some(next());
            }
            let better = |template: &Template| {
                fee_threshold.is_some_and(|more| fees(&template.fees) >= fees(&self.fees) + more)
            };
            let candidate = fee_threshold.map(|_| next()).filter(better);
            if candidate.is_some() || left.is_some_and(|left| left <= TICK) {
                return candidate;
            }
        }
    }

    /// Ends one wait of this template. If none is under way, the next one ends at once: an interrupt
    /// may overtake the wait that it is meant for, since it needs no thread of its own. Core does the
    /// same.
    pub fn interrupt_wait(&self) {
        self.interrupted.store(true, Ordering::Release);
        self.chain.wake_waiters();
    }
}

/// Mines one block whose reward goes to `script_pubkey`, and returns its hash. Begins again when
/// another block was faster.
///
/// # Errors
/// As [`Chain::submit_block`]. The only one to expect is `time-too-new`, after some ten thousand
/// blocks in a row: each has to be later than the median of the last 11, so they run ahead of the
/// clock.
pub fn mine_block(chain: &Chain, script_pubkey: ScriptBuf) -> Result<BlockHash, Rejection> {
    static MINED: AtomicU32 = AtomicU32::new(0);
    loop {
        let mut block = Draft::new(chain, &TemplateOptions::default(), None).block;
        let mut coinbase = block.txdata[0].clone();
        coinbase.output[0].script_pubkey.clone_from(&script_pubkey);
        // So that no two blocks are the same, as one that was invalidated and the next; nor those of two processes that
        // have the chain one after the other.
        let number = MINED.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        let process = std::process::id().to_le_bytes();
        let script = [coinbase.input[0].script_sig.as_bytes(), &number, &process].concat();
        coinbase.input[0].script_sig = ScriptBuf::from_bytes(script);
        set_coinbase(&mut block, coinbase);
        solve(&mut block.header);
        match chain.submit_block(&block) {
            Ok(()) => return Ok(block.block_hash()),
            Err(rejection) if rejection.is_stale() => {}
            Err(rejection) => return Err(rejection),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coins::subsidy;
    use crate::solve::merkle_root;
    use crate::solve::{anyone_can_spend, coinbase_transaction};
    use crate::testing::{coinbase_outpoint, mine, spend, until};
    use bitcoin::Witness;
    use bitcoin::hashes::Hash;
    use std::thread;

    fn template(chain: &Arc<Chain>) -> Template {
        Template::new(chain, TemplateOptions::default()).unwrap()
    }

    /// Solves and submits a template like a pool, from the values that it would get over a
    /// connection.
    fn submit(template: &Template, extra: &[u8]) -> Result<(), Rejection> {
        let coinbase = coinbase_transaction(template.coinbase(), extra, anyone_can_spend());
        let mut header = template.header();
        header.merkle_root = merkle_root(coinbase.compute_txid(), &template.merkle_path());
        assert!(solve(&mut header));
        template.submit_solution(header.version, header.time, header.nonce, coinbase)
    }

    #[test]
    fn mines_blocks_from_templates() {
        let chain = Chain::regtest();
        let mut template = template(&chain);
        for height in 1..=5 {
            assert_eq!(template.header().prev_blockhash, chain.tip().hash);
            assert_eq!(chain.check_block(&template.block(), false, false), Ok(()));
            submit(&template, b"pool").unwrap();
            assert_eq!(chain.tip().height, height);
            template = template.wait_next(None, None, &|| false).unwrap();
        }
        // These include the height at which the prefix grows from one byte to two.
        for height in 6..=20 {
            submit(&template, &[]).unwrap();
            assert_eq!(chain.tip().height, height);
            assert_eq!(
                template.coinbase().script_sig_prefix.len(),
                if height <= 16 { 1 } else { 2 }
            );
            template = template.wait_next(None, None, &|| false).unwrap();
        }
        assert_eq!(template.coinbase().lock_time.to_consensus_u32(), 20);
        assert!(
            (1..=20).all(|height| {
                chain.block_by_height(height).unwrap().check_witness_commitment()
            })
        );
    }

    #[test]
    fn has_the_parts_of_a_coinbase() {
        let chain = Chain::regtest();
        let template = template(&chain);
        let parts = template.coinbase();
        assert_eq!((parts.version.0, parts.sequence.0), (2, 0xffff_fffe));
        assert_eq!(parts.lock_time.to_consensus_u32(), 0);
        assert_eq!(parts.script_sig_prefix.as_bytes(), [0x51]);
        assert_eq!(parts.witness, Witness::from_slice(&[[0; 32]]));
        assert_eq!(parts.block_reward_remaining, Amount::from_int_btc(50));
        assert_eq!(parts.required_outputs.len(), 1);
        // The commitment of every block without transactions, as on Core's regtest.
        let empty = "6a24aa21a9ede2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf9";
        assert_eq!(parts.required_outputs[0].script_pubkey.to_hex_string(), empty);
        assert_eq!(template.block().txdata[0].input[0].script_sig.as_bytes(), [0x51, 0x00]);
        assert!(template.tx_fees().is_empty() && template.tx_sigops().is_empty());
        assert!(template.merkle_path().is_empty());
        // There is no final coinbase yet.
        assert_eq!(template.header().merkle_root, TxMerkleNode::all_zeros());
        assert_eq!(template.block().header, template.header());
        submit(&template, b"x").unwrap();
        let solved = template.block();
        assert_eq!(solved.block_hash(), chain.tip().hash);
        assert_eq!(template.header(), solved.header);
    }

    #[test]
    fn refuses_a_stale_or_incomplete_solution() {
        let chain = Chain::regtest();
        let (early, late) = (template(&chain), template(&chain));
        let mut coinbase = coinbase_transaction(early.coinbase(), b"x", anyone_can_spend());
        coinbase.input[0].witness = Witness::new();
        let mut header = early.header();
        header.merkle_root = merkle_root(coinbase.compute_txid(), &[]);
        solve(&mut header);
        let refused =
            early.submit_solution(header.version, header.time, header.nonce, coinbase).unwrap_err();
        assert_eq!(refused.reason, "bad-witness-nonce-size");
        submit(&early, b"early").unwrap();
        assert_eq!(submit(&early, b"early").unwrap_err().reason, "duplicate");
        // It is kept: another branch may build on it.
        assert_eq!(submit(&late, b"late").unwrap_err().reason, "inconclusive");
    }

    #[test]
    fn validates_options_as_core_does() {
        let with = |weight, sigops| TemplateOptions {
            block_reserved_weight: weight,
            coinbase_output_max_additional_sigops: sigops,
            ..TemplateOptions::default()
        };
        assert!(with(2000, 0).validate().is_ok() && with(4_000_000, 80_000).validate().is_ok());
        let text =
            |weight, sigops| Template::new(&Chain::regtest(), with(weight, sigops)).unwrap_err();
        assert_eq!(
            text(1999, 0),
            "block_reserved_weight (1999) is lower than minimum safety value of (2000)"
        );
        assert_eq!(
            text(4_000_001, 0),
            "block_reserved_weight (4000001) exceeds consensus maximum block weight (4000000)"
        );
        assert_eq!(
            text(8000, 80_001),
            "coinbase_output_max_additional_sigops (80001) exceeds consensus maximum block sigops cost (80000)"
        );
    }

    #[test]
    fn waits_for_a_block_the_deadline_or_an_interrupt() {
        let chain = Chain::regtest();
        mine(&chain, 1);
        let (one, other) = (template(&chain), template(&chain));
        assert!(one.wait_next(Some(Duration::from_millis(1)), None, &|| false).is_none());
        assert!(one.wait_next(None, None, &|| true).is_none());
        thread::scope(|scope| {
            let waits = [(); 2].map(|()| scope.spawn(|| one.wait_next(None, None, &|| false)));
            let others = scope.spawn(|| other.wait_next(None, None, &|| false));
            until(|| chain.waiters() == 3);
            one.interrupt_wait();
            until(|| chain.waiters() == 2);
            assert!(!others.is_finished());
            let hash = mine_block(&chain, ScriptBuf::new()).unwrap();
            let nexts = waits.map(|wait| wait.join().unwrap());
            assert_eq!(nexts.iter().flatten().count(), 1);
            assert_eq!(nexts.iter().flatten().next().unwrap().header().prev_blockhash, hash);
            assert_eq!(others.join().unwrap().unwrap().header().prev_blockhash, hash);
        });
    }

    #[test]
    fn an_interrupt_may_come_before_its_wait() {
        let chain = Chain::regtest();
        mine(&chain, 1);
        let template = template(&chain);
        template.interrupt_wait();
        assert!(template.wait_next(None, None, &|| false).is_none());
        mine_block(&chain, ScriptBuf::new()).unwrap();
        assert!(template.wait_next(None, None, &|| false).is_some());
        chain.shutdown();
        assert!(template.wait_next(None, None, &|| false).is_none());
    }

    /// On a chain without a block for 20 minutes, as a fresh one is.
    #[test]
    fn an_old_tip_is_reason_for_a_new_template() {
        let chain = Chain::regtest();
        let moment = Some(Duration::from_millis(1));
        assert!(template(&chain).wait_next(moment, None, &|| false).is_some());
        mine(&chain, 1);
        let fresh = template(&chain);
        assert!(fresh.wait_next(moment, None, &|| false).is_none());
        chain.set_time(Some(u64::from(fresh.header().time) + OLD_TIP + 1));
        assert!(fresh.wait_next(moment, None, &|| false).is_some());
    }

    #[test]
    fn more_fees_are_reason_for_a_new_template() {
        let chain = Chain::regtest();
        mine(&chain, 102);
        let fee = Amount::from_sat(1_000);
        let before = template(&chain);
        let moment = Some(Duration::from_millis(1));
        let waits = |threshold| before.wait_next(moment, threshold, &|| false);
        chain.submit_transaction(spend(coinbase_outpoint(&chain, 1), subsidy(1) - fee)).unwrap();
        assert!(waits(None).is_none(), "only another tip");
        assert!(waits(Some(fee + Amount::ONE_SAT)).is_none());
        let better = waits(Some(fee)).unwrap();
        assert_eq!(better.tx_fees(), [fee]);
        assert_eq!(better.coinbase().block_reward_remaining, subsidy(103) + fee);
        // The same options: without the memory pool there are no fees.
        let options = TemplateOptions { use_mempool: false, ..TemplateOptions::default() };
        let alone = Template::new(&chain, options).unwrap();
        assert!(alone.tx_fees().is_empty());
        assert!(alone.wait_next(moment, Some(fee), &|| false).is_none());
        let same = alone.wait_next(moment, Some(Amount::ZERO), &|| false).unwrap();
        assert!(same.tx_fees().is_empty());
    }
}
