//! The wallet process, for development.

use std::process::ExitCode;

fn main() -> ExitCode {
    bitcoin_ipc_cli::wallet_main()
}
