//! The same for the crate `metrics`, call by call: whatever recorder the program has installed gets it.

use std::time::Duration;

use metrics::{counter, histogram};

use super::call::{CallOutcome, Side};

/// A call has ended. The recorder is the user's code: not under a lock.
pub(super) fn record(
    method: &'static str,
    side: Side,
    end: CallOutcome,
    took: Duration,
    (parameters, results): (usize, usize),
) {
    let side = match side {
        Side::Called => "called",
        Side::Served => "served",
    };
    let ended = [("method", method), ("side", side), ("outcome", end.as_str())];
    counter!("multiprocess_calls_total", &ended).increment(1);
    histogram!("multiprocess_call_duration_seconds", &ended).record(took.as_secs_f64());
    let of_method = [("method", method), ("side", side)];
    counter!("multiprocess_parameter_bytes_total", &of_method).increment(parameters as u64);
    counter!("multiprocess_result_bytes_total", &of_method).increment(results as u64);
}
