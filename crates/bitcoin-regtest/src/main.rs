//! A regtest node, for tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    bitcoin_regtest::program::run(&args)
}
