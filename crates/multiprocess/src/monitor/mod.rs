//! What this process tells of itself to another one over a socket: what [`diagnostics`] and [`stats`] tell to the
//! process itself. `bitcoin-ipc top` shows it.
//!
//! A server answers the interface [`Monitor`] on its bootstrap object, beside the object's own interface, if it is told
//! to ([`ServerBuilder::serve_also`](crate::ServerBuilder::serve_also)). Others that connect see no difference.
//!
//! ```
//! use std::time::Duration;
//! use multiprocess::monitor::{self, MonitorClient};
//! use multiprocess::{Connection, Server, process};
//! # mod hello { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/hello.rs")); }
//! use hello::HelloClient; // as generated from a schema
//!
//! # fn main() -> multiprocess::Result<()> {
//! # let dir = tempfile::tempdir().expect("a directory");
//! # let path = dir.path().join("hello.sock");
//! let server = Server::builder()
//!     // It tells who else is connected, so not to everyone who may call.
//!     .serve_also(monitor::of_this_process(), |peer| peer.uid != 65_534)
//!     .listen(&path, HelloClient::from_fn(|name| Ok(format!("Hello, {name}!"))))?;
//!
//! // As another process would do it.
//! let connect = || process::connect_timeout(&path, Duration::from_secs(10));
//! let hello: HelloClient = Connection::new(connect()?)?.bootstrap()?;
//! hello.greet("World").wait()?;
//! let monitor: MonitorClient = Connection::new(connect()?)?.bootstrap()?;
//! let now = monitor.snapshot().wait()?;
//! assert_eq!(now.pid, std::process::id());
//! let greet = now.methods.iter().find(|it| it.method == "Hello.greet" && it.served);
//! assert_eq!(greet.expect("it was called").answered, 1);
//! # drop(server);
//! # Ok(())
//! # }
//! ```
//!
//! A process without it answers [`Error::Unimplemented`](crate::Error::Unimplemented), as Bitcoin Core does.

mod collect;
mod generated;

pub use generated::monitor::{
    CallNow, ConnectionNow, LimitMet, MethodCounts, Monitor, MonitorClient, Snapshot, ThreadNow,
};

use std::time::Duration;

use crate::{Result, diagnostics, stats};

impl MethodCounts {
    /// How many calls have ended.
    pub fn calls(&self) -> u64 {
        let all = [self.answered, self.failed, self.cancelled, self.timed_out, self.lost];
        all.into_iter().fold(0, u64::saturating_add)
    }

    /// The time within which this part of the calls ended, as [`Latency::quantile`](stats::Latency::quantile) has it.
    pub fn quantile(&self, part: f64) -> Duration {
        stats::quantile(&self.buckets, Duration::from_nanos(self.longest), part)
    }
}

struct ThisProcess;

impl Monitor for ThisProcess {
    fn snapshot(&self) -> Result<Snapshot> {
        Ok(collect::of(diagnostics::snapshot()))
    }
}

/// The object that tells of this process. It switches the [statistics](stats) on.
///
/// What it tells: the process and its program's name, its threads, its connections with the processes and users of the
/// peers, the names of the methods that are called, by whom, how often, and how long they take. Never parameters or
/// results.
pub fn of_this_process() -> MonitorClient {
    stats::enable();
    MonitorClient::new(ThisProcess)
}
