//! The programs: `bitcoin-ipc` (a command line over the library `bitcoin-ipc`), and `bitcoin-node`
//! and `bitcoin-wallet` (processes that others start or connect to).
//!
//! One executable can be all three, depending on the name under which it is started. So
//! `bitcoin-ipc` can start a node if it alone was built. That is usual, because the other two have
//! the names of Bitcoin Core's programs, and are built only with the feature `core-names`.

mod args;
mod commands;
mod demo;
mod demo_wallet;
mod follow;
mod log;
mod mine;
mod node;
mod output;
mod peer;
mod relay;
mod signals;
mod systemd;
mod tables;
mod terminal;
mod top;
mod view;
mod waiting;
mod wallet;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use args::Args;

/// The end of a program: success, or an error message.
type Outcome = Result<(), Failure>;

/// Why a program ends with a status that is not 0.
#[derive(Debug)]
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(with_advice(error.to_string()))
    }
}

/// Of a node that does not answer, says what to try. It may be a call, the first answer of a node, or that of a
/// child that was started, whose errors have this text in common.
fn with_advice(error: String) -> String {
    match error.contains("no answer within ") {
        true => format!(
            "{error}; it may be busy or stuck: allow more with --timeout SECONDS, or see its log"
        ),
        false => error,
    }
}

/// The program `bitcoin-ipc`, unless it was started under the name of another.
pub fn ipc_main() -> ExitCode {
    main(IPC)
}

/// The program `bitcoin-node`, unless it was started under the name of another.
pub fn node_main() -> ExitCode {
    main(NODE)
}

/// The program `bitcoin-wallet`, unless it was started under the name of another.
pub fn wallet_main() -> ExitCode {
    main(WALLET)
}

const IPC: &str = "bitcoin-ipc";
const NODE: &str = "bitcoin-node";
const WALLET: &str = "bitcoin-wallet";

/// Runs the program whose name it was started under; `usual` for other names.
fn main(usual: &'static str) -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let name = args.first().map(Path::new).and_then(Path::file_stem).and_then(OsStr::to_str);
    match name.filter(|name| [IPC, NODE, WALLET].contains(name)).unwrap_or(usual) {
        NODE => report(NODE, || node::run(args)),
        WALLET => report(WALLET, || wallet::run(args)),
        _ => report(IPC, || commands::run(&Args::parse())),
    }
}

/// Runs a program, with its log, and says on stderr why it failed.
fn report(program: &str, run: impl FnOnce() -> Outcome) -> ExitCode {
    match log::start().and_then(|()| run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(message)) => {
            output::error(program, &message);
            ExitCode::FAILURE
        }
    }
}
