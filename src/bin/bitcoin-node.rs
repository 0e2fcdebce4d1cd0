//! A regtest node for development.

use std::process::ExitCode;

fn main() -> ExitCode {
    bitcoin_ipc::cli::node_main()
}
