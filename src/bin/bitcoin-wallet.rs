//! The wallet process, for development.

use std::process::ExitCode;

fn main() -> ExitCode {
    bitcoin_ipc::cli::wallet_main()
}
