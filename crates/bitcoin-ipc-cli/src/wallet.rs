//! The program `bitcoin-wallet`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bitcoin_ipc_draft::init::InitClient;
use bitcoin_ipc_wallet::WalletProcess;
use multiprocess::process::Backoff;
use multiprocess::{Reconnect, ReconnectState, Reconnecting};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::node::name_and_value;
use super::{Failure, Outcome, output, signals};
use bitcoin_ipc::ipc::{
    Address, Chain, Ipc, IpcOptions, StartSpawnedProcess, default_base_datadir, network_datadir,
};

const HELP: &str = "\
The wallet process of a split node, for development: bitcoin-node -wallet starts it. Its wallets are in
the node's data directory, in wallets/, and its commands are the node's: bitcoin-ipc rpc getbalance.

Usage: bitcoin-wallet -ipcfd N      (how a node starts it)
       bitcoin-wallet -ipcconnect   (for a node that was started with -walletbind)

  -ipcfd N          Serve the parent process on its inherited socket N until it closes.
  -ipcconnect[=ADDRESS]
                    Serve the node that waits for a wallet process there: unix (DIR/regtest/wallet.sock,
                    the default) or unix:PATH. Connects again until SIGINT or SIGTERM.
  -datadir=DIR      Data directory of the node, for the default address [default: ~/.bitcoin].
  -chain=NAME       Its chain, for the same [default: regtest].
  -help             This text.
  -version          The version.

BITCOIN_IPC_LOG=debug logs each call on stderr, trace its parameters too, but for passphrases [default: warn].
";

/// The longest pause before it connects again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After so long without a first connection it says so.
const FIRST: Duration = Duration::from_secs(2);
/// How long the end of the connection is waited for, once the wallets are closed.
const CLOSE: Duration = Duration::from_secs(2);

pub(super) fn run(args: Vec<OsString>) -> Outcome {
    signals::dump_on_usr1()?;
    let process = WalletProcess::new();
    let ipc = Ipc::new(IpcOptions::with_bootstrap("bitcoin-wallet", process.init()));
    if ipc.start_spawned_process(&args)?.is_some() {
        // The node is gone: what is not on the disk yet is written.
        process.stop();
        return Ok(());
    }
    match parse(&args)? {
        Some(socket) => serve_node_at(socket, &process),
        None => Ok(()),
    }
}

/// Serves the node that listens there, and the next, until a signal.
fn serve_node_at(socket: PathBuf, process: &WalletProcess) -> Outcome {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    signals::end_on_second_interrupt()?;
    let (init, stops) = (process.init(), process.clone());
    let node: Reconnecting<()> = Reconnect::to_path(&socket)
        .serve(init)
        .backoff(Backoff {
            longest: LONGEST_PAUSE,
            reset_after: LONGEST_PAUSE,
            ..Backoff::default()
        })
        .on_loss(move |reason| {
            output::note(format_args!("the node is gone: {reason}; connecting again"));
            // As where the node has started the process: what is not on the disk yet is written.
            stops.stop();
        })
        // The node asks for everything else. That it answers shows that it is one.
        .start(|_node: &InitClient| Ok(()))?;
    if let Err(problem) = node.get(FIRST) {
        match node.state() {
            // Such as a path that is too long.
            ReconnectState::Ended { reason, .. } => return Err(reason.into()),
            _ => output::note(format_args!("{problem}; trying again")),
        }
    }
    signals.forever().next();
    process.stop();
    node.close(CLOSE);
    Ok(())
}

/// The socket to connect to; none if the arguments asked for help or the version, which has been printed.
fn parse(args: &[OsString]) -> Result<Option<PathBuf>, Failure> {
    let (mut address, mut datadir, mut chain) = (None, None, Chain::Regtest);
    for arg in args.iter().skip(1) {
        let text = arg.to_string_lossy();
        match name_and_value(&text) {
            ("help" | "h" | "?", _) => {
                anstream::print!("{HELP}");
                return Ok(None);
            }
            ("version", _) => {
                anstream::println!("bitcoin-wallet {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            ("ipcconnect", "") => address = Some("unix".to_owned()),
            ("ipcconnect", given) => address = Some(given.to_owned()),
            ("datadir", dir) if !dir.is_empty() => datadir = Some(PathBuf::from(dir)),
            ("chain", name) => chain = name.parse()?,
            ("regtest", "" | "1") => chain = Chain::Regtest,
            _ => return Err(Failure(format!("{text} is not an option; -help lists them"))),
        }
    }
    let Some(address) = address else {
        return Err(Failure(
            "this program is started by a node, with -ipcfd, or connects to one, with -ipcconnect; -help tells more"
                .to_owned(),
        ));
    };
    let base = match datadir {
        Some(datadir) => datadir,
        None => default_base_datadir()?,
    };
    let datadir = network_datadir(&base, chain);
    // The node's wallet socket is called after this program.
    Ok(Some(Address::parse_listen(&address, &datadir, "bitcoin-wallet")?))
}
