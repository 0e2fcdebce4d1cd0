//! Delays and errors to order.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use multiprocess::{CancelToken, Error, Result, current_call};

/// The methods for which they can be ordered.
const METHODS: &[&str] = &[
    "Init.makeEcho",
    "Init.makeMining",
    "Init.makeRpc",
    "Mining.isTestChain",
    "Mining.isInitialBlockDownload",
    "Mining.getTip",
    "Mining.waitTipChanged",
    "Mining.createNewBlock",
    "Mining.checkBlock",
    "Mining.submitBlock",
    "Mining.getTransactionsByTxID",
    "Mining.getTransactionsByWitnessID",
    "BlockTemplate.getBlockHeader",
    "BlockTemplate.getBlock",
    "BlockTemplate.getTxFees",
    "BlockTemplate.getTxSigops",
    "BlockTemplate.getCoinbaseTx",
    "BlockTemplate.getCoinbaseMerklePath",
    "BlockTemplate.submitSolution",
    "BlockTemplate.waitNext",
    "Rpc.executeRpc",
];

/// Delays and errors that a node shows on order, to test what its clients make of them. Methods are named as
/// in the schema, such as `Mining.getTip`.
///
/// ```
/// use bitcoin_ipc::Error;
/// use bitcoin_regtest::RegtestNode;
///
/// # fn main() -> bitcoin_ipc::Result<()> {
/// let node = RegtestNode::start()?;
/// let mining = node.init().make_mining().wait()?.expect("the node has Mining");
/// node.faults().fail("Mining.getTip", 1, "the disk is full");
/// assert!(matches!(mining.get_tip().wait(), Err(Error::Remote { message, .. }) if message == "the disk is full"));
/// assert!(mining.get_tip().wait().is_ok(), "only once");
/// assert_eq!(node.faults().calls("Mining.getTip"), 2);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// Its methods panic where the node has no method of that name.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<HashMap<&'static str, Ordered>>>);

#[derive(Default)]
struct Ordered {
    calls: u64,
    delay: Duration,
    failures: u32,
    message: String,
}

impl Faults {
    /// Each call of the method takes so much longer from now on.
    pub fn delay(&self, method: &str, time: Duration) {
        self.lock().entry(known(method)).or_default().delay = time;
    }

    /// The next calls of the method fail with this message, and do nothing.
    pub fn fail(&self, method: &str, times: u32, message: impl Into<String>) {
        let mut ordered = self.lock();
        let ordered = ordered.entry(known(method)).or_default();
        (ordered.failures, ordered.message) = (times, message.into());
    }

    /// Takes everything back.
    pub fn clear(&self) {
        for ordered in self.lock().values_mut() {
            *ordered = Ordered { calls: ordered.calls, ..Ordered::default() };
        }
    }

    /// How often the method was called, over all connections.
    pub fn calls(&self, method: &str) -> u64 {
        self.lock().get(known(method)).map_or(0, |ordered| ordered.calls)
    }

    /// A call of the method begins: waits on this thread, or fails, as was ordered.
    pub fn meet(&self, method: &'static str) -> Result<()> {
        debug_assert!(METHODS.contains(&method), "{method}");
        let (delay, failure) = {
            let mut ordered = self.lock();
            let ordered = ordered.entry(method).or_default();
            ordered.calls += 1;
            let fails = ordered.failures > 0;
            ordered.failures = ordered.failures.saturating_sub(1);
            (ordered.delay, fails.then(|| ordered.message.clone()))
        };
        wait(delay);
        failure.map_or(Ok(()), |message| Err(Error::failed(message)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Ordered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

/// Waits on this thread, until its call is cancelled.
fn wait(time: Duration) {
    const LOOK: Duration = Duration::from_millis(5);
    if time.is_zero() {
        return;
    }
    let token = current_call().map(|call| call.cancel_token());
    let cancelled = || token.as_ref().is_some_and(CancelToken::is_cancelled);
    let start = Instant::now();
    while start.elapsed() < time && !cancelled() {
        std::thread::sleep(LOOK.min(time.saturating_sub(start.elapsed())));
    }
}

fn known(method: &str) -> &'static str {
    find(method).unwrap_or_else(|problem| panic!("{problem}"))
}

/// The method of this name, or what there is instead.
pub(super) fn find(method: &str) -> std::result::Result<&'static str, String> {
    let known = METHODS.iter().find(|known| **known == method);
    let none = || format!("the node has no method {method}; it has {}", METHODS.join(", "));
    known.copied().ok_or_else(none)
}
