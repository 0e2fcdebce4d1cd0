//! The program `bitcoin-wallet`.

use std::ffi::OsString;

use multiprocess::Result;

use super::{Failure, Outcome, signals};
use bitcoin_ipc::echo::{EchoClient, EchoServer};
use bitcoin_ipc::init::{Init, InitClient};
use bitcoin_ipc::ipc::{Ipc, IpcOptions, StartSpawnedProcess};

const HELP: &str = "\
The wallet process of a split node, for development: it serves Echo to the process that starts it.
Bitcoin Core's wallet interfaces are not merged upstream, so it has no wallet yet.

Usage: bitcoin-wallet -ipcfd N      (how another process starts it)

  -ipcfd N          Serve the parent process on its inherited socket N until it closes.
  -help             This text.
  -version          The version.

BITCOIN_IPC_LOG=debug logs each call on stderr, trace its parameters too [default: warn].
";

/// The bootstrap object of the process.
struct WalletInit;

impl Init for WalletInit {
    fn make_echo(&self) -> Result<Option<EchoClient>> {
        Ok(Some(EchoClient::new(EchoServer)))
    }
}

pub(super) fn run(args: Vec<OsString>) -> Outcome {
    signals::dump_on_usr1()?;
    let ipc = Ipc::new(IpcOptions::new("bitcoin-wallet", InitClient::new(WalletInit)));
    if ipc.start_spawned_process(&args)?.is_some() {
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
                "this program is started by others, with -ipcfd; -help tells more".to_owned(),
            ));
        }
    }
    Ok(())
}
