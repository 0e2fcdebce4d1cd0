//! The program `bitcoin-wallet`.

use std::ffi::OsString;

use bitcoin_ipc_wallet::WalletProcess;

use super::{Failure, Outcome, signals};
use bitcoin_ipc::ipc::{Ipc, IpcOptions, StartSpawnedProcess};

const HELP: &str = "\
The wallet process of a split node, for development: bitcoin-node -wallet starts it. Its wallets are in
the node's data directory, in wallets/, and its commands are the node's: bitcoin-ipc rpc getbalance.

Usage: bitcoin-wallet -ipcfd N      (how a node starts it)

  -ipcfd N          Serve the parent process on its inherited socket N until it closes.
  -help             This text.
  -version          The version.

BITCOIN_IPC_LOG=debug logs each call on stderr, trace its parameters too, but for passphrases [default: warn].
";

pub(super) fn run(args: Vec<OsString>) -> Outcome {
    signals::dump_on_usr1()?;
    let process = WalletProcess::new();
    let ipc = Ipc::new(IpcOptions::with_bootstrap("bitcoin-wallet", process.init()));
    if ipc.start_spawned_process(&args)?.is_some() {
        // The node is gone: what is not on the disk yet is written.
        process.stop();
        return Ok(());
    }
    match args.get(1).map(|arg| arg.to_string_lossy()).as_deref() {
        Some("-help" | "--help" | "-h" | "-?") => anstream::print!("{HELP}"),
        Some("-version" | "--version") => {
            anstream::println!("bitcoin-wallet {}", env!("CARGO_PKG_VERSION"))
        }
        Some(other) => return Err(Failure(format!("{other} is not an option; -help lists them"))),
        None => {
            return Err(Failure(
                "this program is started by a node, with -ipcfd; -help tells more".to_owned(),
            ));
        }
    }
    Ok(())
}
