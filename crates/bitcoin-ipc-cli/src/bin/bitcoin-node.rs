//! A regtest node for development.

use std::process::ExitCode;

fn main() -> ExitCode {
    bitcoin_ipc_cli::node_main()
}
