//! The command line. Started under another name, the node or the wallet.

use std::process::ExitCode;

fn main() -> ExitCode {
    bitcoin_ipc_cli::ipc_main()
}
