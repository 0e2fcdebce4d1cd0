//! The programs' log on stderr.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::Failure;

/// The environment variable that says how much is logged. Children inherit it.
const LEVEL: &str = "BITCOIN_IPC_LOG";

/// Sends what the runtime logs to stderr from now on: limits that were met, processes that end badly, hooks
/// that take long; from `debug` on each call, from `trace` on its parameters.
pub(super) fn start() -> Result<(), Failure> {
    let level = match std::env::var_os(LEVEL) {
        None => LevelFilter::WARN,
        Some(level) => level.to_str().and_then(|level| level.parse().ok()).ok_or_else(|| {
            Failure(format!(
                "{LEVEL}={}: it is off, error, warn (the default), info, debug or trace",
                level.display()
            ))
        })?,
    };
    let stderr = std::io::stderr;
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false)
        .finish()
        // The lines of the log have all that the spans of calls say.
        .with(filter_fn(|metadata| metadata.target() != "multiprocess::call"))
        .init();
    Ok(())
}
