//! The program `bitcoin-node`.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Failure, Outcome, output, signals};
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{
    Chain as ChainName, Ipc, IpcOptions, StartSpawnedProcess, default_base_datadir, network_datadir,
};
use bitcoin_regtest::{Chain, NodeInit};

const HELP: &str = "\
A regtest node for development, NOT a validating node: a chain in memory that starts at the genesis
block each time, without peers, wallet, and checks of scripts. It holds nobody's money.

Usage: bitcoin-node -ipcbind=ADDRESS [-datadir=DIR]
       bitcoin-node -ipcfd N      (how another process starts it)

  -ipcbind=ADDRESS  Serve on a unix socket: unix (DIR/regtest/node.sock) or unix:PATH (relative
                    paths are below DIR/regtest). May be given several times.
  -ipcfd N          Serve the parent process on its inherited socket N until it closes.
  -datadir=DIR      Data directory [default: ~/.bitcoin]; only the socket is put there.
  -chain=regtest    The only chain there is; -regtest says the same.
  -help             This text.
  -version          The version.

SIGINT and SIGTERM end it, a second SIGINT at once. SIGUSR1 has it print its connections, calls and
threads on stderr. BITCOIN_IPC_LOG=debug logs each call there, trace its parameters too [default: warn].
";

/// The options of the command line.
#[derive(Default)]
struct Options {
    bind: Vec<String>,
    datadir: Option<PathBuf>,
}

pub(super) fn run(args: Vec<OsString>) -> Outcome {
    signals::dump_on_usr1()?;
    let chain = Chain::regtest();
    let init = InitClient::new(NodeInit::new(Arc::clone(&chain)));
    let spawned = Ipc::new(IpcOptions::new("bitcoin-node", init.clone()));
    if spawned.start_spawned_process(&args)?.is_some() {
        return Ok(());
    }
    let Some(options) = parse(&args)? else { return Ok(()) };
    serve(&chain, init, &options)
}

fn serve(chain: &Chain, init: InitClient, options: &Options) -> Outcome {
    let base = match &options.datadir {
        Some(datadir) => datadir.clone(),
        None => default_base_datadir()?,
    };
    let datadir = network_datadir(&base, ChainName::Regtest);
    // For this user only, whatever the umask is: a socket is not made where others can write.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&datadir);
    made.map_err(|error| {
        Failure(format!("cannot make the data directory {}: {error}", datadir.display()))
    })?;
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    signals::end_on_second_interrupt()?;
    let ipc = Ipc::new(IpcOptions::new("bitcoin-node", init).datadir(datadir).monitor(true));
    for address in &options.bind {
        let path = ipc.listen_address(address)?;
        output::note(format_args!("serving a regtest chain in memory at {}", path.display()));
    }
    // Runs until a signal arrives; dropping the Ipc then ends the connections and removes the
    // sockets.
    signals.forever().next();
    // Answers the calls that wait before the connections end.
    chain.shutdown();
    ipc.disconnect_incoming();
    Ok(())
}

/// None if the arguments asked for help or the version, which has been printed.
fn parse(args: &[OsString]) -> Result<Option<Options>, Failure> {
    let mut options = Options::default();
    for arg in args.iter().skip(1) {
        let text = arg.to_string_lossy();
        // Bitcoin's programs take one dash or two.
        let option = text.strip_prefix("--").or_else(|| text.strip_prefix('-')).unwrap_or_default();
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match (name, value) {
            ("help" | "h" | "?", _) => {
                anstream::print!("{HELP}");
                return Ok(None);
            }
            ("version", _) => {
                anstream::println!(
                    "bitcoin-node (regtest in memory) {}",
                    env!("CARGO_PKG_VERSION")
                );
                return Ok(None);
            }
            ("ipcbind", "") => options.bind.push("unix".to_owned()),
            ("ipcbind", address) => options.bind.push(address.to_owned()),
            ("datadir", dir) if !dir.is_empty() => options.datadir = Some(PathBuf::from(dir)),
            ("regtest", "" | "1") | ("chain", "regtest") => {}
            ("chain" | "testnet" | "testnet4" | "signet", _) => {
                return Err(Failure(format!("{text}: there is only the regtest chain here")));
            }
            _ => return Err(Failure(format!("{text} is not an option; -help lists them"))),
        }
    }
    if options.bind.is_empty() {
        return Err(Failure(
            "nothing to do: -ipcbind=unix serves on a socket, -help tells more".to_owned(),
        ));
    }
    Ok(Some(options))
}
