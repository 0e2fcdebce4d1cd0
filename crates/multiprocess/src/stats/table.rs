//! What was counted of each method and side.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::call::{CallOutcome, Side};
use super::latency::Latency;
use crate::forked::is_forked;

/// A method's name is one of the program's generated code, so there are not many.
static TABLE: Mutex<BTreeMap<(&'static str, Side), MethodStats>> = Mutex::new(BTreeMap::new());

/// What was counted of one method on one side. Each call that has ended is in one of the five counters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodStats {
    /// `Interface.method`. Of a call that was refused before its method was known, the interface alone.
    pub method: &'static str,
    /// Who made the calls.
    pub side: Side,
    /// Calls that returned results.
    pub answered: u64,
    /// Calls that returned an error, or whose answer could not be read or written.
    pub failed: u64,
    /// Calls that their caller let go.
    pub cancelled: u64,
    /// Calls whose deadline passed. Only where they are made.
    pub timed_out: u64,
    /// Calls that ended because the connection did, or something else that they needed is gone.
    pub lost: u64,
    /// Bytes of the messages with the parameters. The caller's figure can be a little more than what is sent.
    pub parameter_bytes: u64,
    /// Bytes of the messages with the results.
    pub result_bytes: u64,
    /// From sending or arrival until the answer.
    pub latency: Latency,
}

impl MethodStats {
    fn new(method: &'static str, side: Side) -> MethodStats {
        MethodStats {
            method,
            side,
            answered: 0,
            failed: 0,
            cancelled: 0,
            timed_out: 0,
            lost: 0,
            parameter_bytes: 0,
            result_bytes: 0,
            latency: Latency::default(),
        }
    }

    /// How many calls have ended.
    pub fn calls(&self) -> u64 {
        self.latency.count
    }
}

/// Counts a call that has ended. `bytes`: of its parameters and its results, as far as they are known. Not under
/// a connection's lock, as a recorder of metrics is the user's code.
#[cold]
pub(crate) fn record(
    method: &'static str,
    side: Side,
    end: CallOutcome,
    took: Duration,
    (parameters, results): (usize, usize),
) {
    // There another thread may have had the lock at the moment of the fork.
    if is_forked() {
        return;
    }
    #[cfg(feature = "metrics")]
    super::exported::record(method, side, end, took, (parameters, results));
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = table.entry((method, side)).or_insert_with(|| MethodStats::new(method, side));
    let counter = match end {
        CallOutcome::Answered => &mut entry.answered,
        CallOutcome::Failed => &mut entry.failed,
        CallOutcome::Cancelled => &mut entry.cancelled,
        CallOutcome::TimedOut => &mut entry.timed_out,
        CallOutcome::Lost => &mut entry.lost,
    };
    *counter += 1;
    entry.parameter_bytes += parameters as u64;
    entry.result_bytes += results as u64;
    entry.latency.add(took);
}

/// What was counted so far, by the methods' names. Nothing where [`enable`](super::enable) was not called, and in a
/// fork of the process, where what was counted is the parent's.
pub fn methods() -> Vec<MethodStats> {
    if is_forked() {
        return Vec::new();
    }
    TABLE.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
}
