//! How often each method was called, how its calls ended, and how long they took: for a person or a program that
//! looks at a process while it runs.
//!
//! Off until the program calls [`enable`], and from then on until the process ends. While it is off, a call pays a
//! load at a few places for it. While it is on, the end of a call takes a lock of the whole process for some tens of nanoseconds.
//!
//! What is under way at this moment is told by [`diagnostics`](crate::diagnostics), which needs no switch. Another
//! process gets both over a socket by [`monitor`](crate::monitor).
//!
//! ```
//! use multiprocess::{Connection, stats};
//! # mod hello { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/hello.rs")); }
//! use hello::HelloClient; // as generated from a schema
//!
//! # fn main() -> multiprocess::Result<()> {
//! stats::enable();
//! # let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
//! # let greeter = HelloClient::from_fn(|name| Ok(format!("Hello, {name}!")));
//! # let serving = Connection::builder().serve(greeter).start(theirs)?;
//! let hello: HelloClient = Connection::new(ours)?.bootstrap()?;
//! hello.greet("World").wait()?;
//!
//! let all = stats::methods();
//! let greet = all.iter().find(|it| it.method == "Hello.greet" && it.side == stats::Side::Called);
//! let greet = greet.expect("it was called");
//! assert_eq!((greet.calls(), greet.answered), (1, 1));
//! println!("half of the calls took no more than {:?}", greet.latency.quantile(0.5));
//! # drop(serving);
//! # Ok(())
//! # }
//! ```
//!
//! # Metrics
//!
//! With the feature `metrics` of this crate, what is counted also goes to the recorder of the crate
//! [`metrics`](https://docs.rs/metrics) that the program has installed (for Prometheus, StatsD and others), call by call
//! on the thread that called or served, from [`enable`] on. The gauges are set by
//! `diagnostics::snapshot().export()`.
//!
//! | metric | kind | labels | unit |
//! |---|---|---|---|
//! | `multiprocess_calls_total` | counter | `method`, `side`, `outcome` | calls that have ended |
//! | `multiprocess_call_duration_seconds` | histogram | `method`, `side`, `outcome` | seconds from sending or arrival until the answer |
//! | `multiprocess_parameter_bytes_total` | counter | `method`, `side` | bytes of the messages with the parameters |
//! | `multiprocess_result_bytes_total` | counter | `method`, `side` | bytes of the messages with the results |
//! | `multiprocess_limits_met_total` | counter, by `export` | `limit` | times that a limit was met |
//! | `multiprocess_connections` | gauge, by `export` | | connections |
//! | `multiprocess_calls_under_way` | gauge, by `export` | `side` | calls |
//! | `multiprocess_threads` | gauge, by `export` | `kind`: `runtime` or `program` | threads |
//! | `multiprocess_objects` | gauge, by `export` | | objects of this process that peers can call |
//! | `multiprocess_held_bytes` | gauge, by `export` | | bytes of peers' calls that the process holds |
//! | `multiprocess_unsent_bytes` | gauge, by `export` | | bytes that are not written, because peers do not read |
//!
//! `side` is `called` or `served`; `outcome` is `answered`, `failed`, `cancelled`, `timed_out` or `lost`.
//!
//! # What is counted
//!
//! Calls that have ended, on the side that made them and on the side that served them; of one between two parts of
//! the same process, both. As in the log of calls, these are not there: at the caller's side, calls that
//! [stream](crate::Call#streaming) or are [pipelined](crate::Call::pipelined) to and never waited for; on neither side,
//! calls of objects of this process, and the runtime's own. The time of a call that was under way when the statistics
//! were switched on is too long by 10 ms at most.

mod call;
#[cfg(feature = "metrics")]
mod exported;
mod latency;
mod table;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use call::{CallOutcome, Side};
pub use latency::Latency;
pub(crate) use latency::quantile;
pub(crate) use table::record;
pub use table::{MethodStats, methods};

use crate::moment::Moment;

static ON: AtomicBool = AtomicBool::new(false);
static SINCE: OnceLock<Moment> = OnceLock::new();

/// Switches the statistics on, for the whole process and for good. A second time does nothing.
pub fn enable() {
    SINCE.get_or_init(Moment::exact);
    ON.store(true, Ordering::Relaxed);
}

/// For how long they have been counted: what the rates of calls refer to. None: they are off.
///
/// ```
/// use multiprocess::stats;
///
/// assert_eq!(stats::enabled_for(), None);
/// stats::enable();
/// assert!(stats::enabled_for().is_some());
/// ```
pub fn enabled_for() -> Option<Duration> {
    SINCE.get().map(|since| since.elapsed())
}

/// Whether calls are counted.
#[inline]
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}
