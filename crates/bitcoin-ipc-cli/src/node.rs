//! The program `bitcoin-node`.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use bitcoin_split::{SplitNode, WalletEvent, WalletOptions, WalletProcess};
use multiprocess::Connection;
use multiprocess::process::{self, ignore_sigint, inherited_socket};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::systemd::{self, Sockets};
use super::{Failure, Outcome, output, signals};
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{
    Address, Chain as ChainName, Ipc, IpcOptions, StartSpawnedProcess, default_base_datadir,
    network_datadir,
};
use bitcoin_ipc_draft::init::InitClient as SplitInitClient;
use bitcoin_regtest::{Chain, NodeInit};

const HELP: &str = "\
A regtest node for development, NOT a validating node: a chain without peers and checks of scripts. It
holds nobody's money. Without -wallet and -keepchain the chain is in memory, and starts at the genesis
block each time.

Usage: bitcoin-node -ipcbind=ADDRESS [-datadir=DIR] [-wallet]
       bitcoin-node -ipcfd N      (how another process starts it)

  -ipcbind=ADDRESS  Serve on a unix socket: unix (DIR/regtest/node.sock) or unix:PATH (relative
                    paths are below DIR/regtest). fd:NAME (or fd:0, the first): a socket that systemd has
                    made and passed. May be given several times.
  -wallet[=NAME]    Start the wallet process, and again whenever it ends; load the wallet NAME. May be
                    given several times. Wallets that were made or loaded are loaded again by themselves.
  -walletprogram=PROGRAM
                    The wallet process [default: this program itself, as bitcoin-wallet].
  -walletbind[=ADDRESS]
                    Start no wallet process, but let one connect: unix (DIR/regtest/wallet.sock, the
                    default) or unix:PATH; bitcoin-wallet -ipcconnect does. -wallet=NAME names its wallets.
  -keepchain        Keep the chain in DIR/regtest/chain.dat, which -wallet and
                    -walletbind do, too.
  -ipcfd N          Serve the parent process on its inherited socket N until it closes.
  -datadir=DIR      Data directory [default: ~/.bitcoin].
  -chain=regtest    The only chain there is; -regtest says the same.
  -help             This text.
  -version          The version.

SIGINT and SIGTERM end it, a second SIGINT at once. SIGUSR1 has it print its connections, calls and
threads on stderr. BITCOIN_IPC_LOG=debug logs each call there, trace its parameters too [default: warn].
";

/// The file that the chain is kept in.
const CHAIN_FILE: &str = "chain.dat";

/// The wallet process's program, by whose name its socket is called, too.
const WALLET: &str = "bitcoin-wallet";

/// The options of the command line.
#[derive(Default)]
struct Options {
    bind: Vec<String>,
    datadir: Option<PathBuf>,
    keep_chain: bool,
    /// The wallets to load; none unless a wallet process is to be started.
    wallets: Option<Vec<String>>,
    wallet_program: Option<PathBuf>,
    /// Where a wallet process may connect, in place of one that is started.
    wallet_bind: Option<String>,
    /// The number of the socket to the parent.
    parent: Option<String>,
}

impl Options {
    /// Whether there is to be a wallet process.
    fn has_wallets(&self) -> bool {
        self.wallets.is_some() || self.wallet_bind.is_some()
    }
}

pub(super) fn run(args: Vec<OsString>) -> Outcome {
    signals::dump_on_usr1()?;
    // As other programs start a node that needs no directory.
    if args.get(1).is_some_and(|arg| arg == "-ipcfd") {
        let init = InitClient::new(NodeInit::new(Chain::regtest()));
        Ipc::new(IpcOptions::new("bitcoin-node", init)).start_spawned_process(&args)?;
        return Ok(());
    }
    let Some(options) = parse(&args)? else { return Ok(()) };
    serve(&options)
}

fn serve(options: &Options) -> Outcome {
    let mut sockets = Sockets::passed()?;
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
    let (chain, kept) = if options.keep_chain || options.has_wallets() {
        let file = datadir.join(CHAIN_FILE);
        (Chain::open(&file)?, format!("a regtest chain, kept in {}", file.display()))
    } else {
        (Chain::regtest(), "a regtest chain in memory".to_owned())
    };
    let node = SplitNode::new(Arc::clone(&chain), datadir.clone())?;
    node.on_shutdown(|| {
        let _ = signal_hook::low_level::raise(SIGTERM);
    });
    let init = bitcoin_split::init(&node);
    let options_of_ipc = IpcOptions::with_bootstrap("bitcoin-node", init.clone());
    let ipc = Ipc::new(options_of_ipc.datadir(datadir).monitor(true));
    // Before there are clients, who can then ask for it.
    let wallet = options.has_wallets().then(|| start_wallet(&node, options)).transpose()?;
    for address in &options.bind {
        let path = match address.strip_prefix("fd:") {
            Some(which) => {
                let listener = sockets.take(which)?;
                let path = listener.path().to_owned();
                ipc.listen_on(listener)?;
                path
            }
            None => ipc.listen_address(address)?,
        };
        output::note(format_args!("serving {kept}, at {}", path.display()));
    }
    sockets.all_are_used()?;
    let parent = options.parent.as_deref().map(|number| serve_parent(number, init)).transpose()?;
    systemd::ready();
    // Runs until a signal arrives, or the parent is gone; dropping the Ipc then ends the connections and
    // removes the sockets.
    signals.forever().next();
    systemd::stopping();
    // Its last calls are still answered.
    if let Some(exit) = wallet.and_then(WalletProcess::stop) {
        tracing::info!("the wallet process ended: {exit}");
    }
    // Answers the calls that wait before the connections end.
    chain.shutdown();
    ipc.disconnect_incoming();
    drop(parent);
    Ok(())
}

/// Serves the process that has started this one, whose end is this one's.
fn serve_parent(number: &str, init: SplitInitClient) -> Result<Connection, Failure> {
    let socket = inherited_socket(number)?;
    // Ctrl-C is for the parent.
    ignore_sigint()?;
    let parent = Connection::builder().serve(init).start(socket)?;
    parent.on_disconnect(|_reason| {
        let _ = signal_hook::low_level::raise(SIGTERM);
    });
    Ok(parent)
}

/// Starts the wallet process, or lets one connect.
fn start_wallet(node: &SplitNode, options: &Options) -> Result<WalletProcess, Failure> {
    if let Some(wallets) = options.wallets.as_ref().filter(|wallets| !wallets.is_empty()) {
        let names = wallets.iter().map(|name| json!(name)).collect();
        node.settings().set_command_line("wallet", names);
    }
    if let Some(address) = &options.wallet_bind {
        let path = Address::parse_listen(address, node.datadir(), WALLET)?;
        let process = WalletProcess::accept(node.clone(), &path, |event| tell(WALLET, event))?;
        output::note(format_args!("waiting for a wallet process, at {}", path.display()));
        return Ok(process);
    }
    let (command, name) = wallet_command(options)?;
    let name = name.display().to_string();
    let options = WalletOptions::of(command);
    Ok(WalletProcess::start(node.clone(), options, move |event| tell(&name, event))?)
}

/// Tells the user what is wrong with the wallet process; the rest is in the log.
fn tell(name: &str, event: &WalletEvent) {
    if matches!(event, WalletEvent::Failed(_) | WalletEvent::Exited(_) | WalletEvent::Gone(_)) {
        output::note(format_args!("{name}: {event}"));
    }
}

/// The wallet's program: as asked for, or this one by another name, so that both are of one version.
fn wallet_command(options: &Options) -> Result<(process::Command, PathBuf), Failure> {
    if let Some(program) = &options.wallet_program {
        return Ok((process::Command::new(program), program.clone()));
    }
    let own = std::env::current_exe()
        .map_err(|error| Failure(format!("cannot find this program's own file: {error}")))?;
    Ok((process::Command::new(own).arg0(WALLET), PathBuf::from(WALLET)))
}

/// The parts of an option of Bitcoin's programs, which take one dash or two: `-name=value`, `--name`.
pub(super) fn name_and_value(text: &str) -> (&str, &str) {
    let option = text.strip_prefix("--").or_else(|| text.strip_prefix('-')).unwrap_or_default();
    option.split_once('=').unwrap_or((option, ""))
}

/// None if the arguments asked for help or the version, which has been printed.
fn parse(args: &[OsString]) -> Result<Option<Options>, Failure> {
    let mut options = Options::default();
    let mut args = args.iter().skip(1);
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        match name_and_value(&text) {
            ("help" | "h" | "?", _) => {
                anstream::print!("{HELP}");
                return Ok(None);
            }
            ("version", _) => {
                anstream::println!("bitcoin-node (regtest) {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            ("ipcbind", "") => options.bind.push("unix".to_owned()),
            ("ipcbind", address) => options.bind.push(address.to_owned()),
            ("keepchain", "") => options.keep_chain = true,
            ("wallet", "") => drop(options.wallets.get_or_insert_default()),
            ("wallet", wallet) => options.wallets.get_or_insert_default().push(wallet.to_owned()),
            ("walletprogram", program) if !program.is_empty() => {
                options.wallet_program = Some(PathBuf::from(program));
            }
            ("walletbind", "") => options.wallet_bind = Some("unix".to_owned()),
            ("walletbind", address) => options.wallet_bind = Some(address.to_owned()),
            ("ipcfd", "") => match args.next() {
                Some(number) => options.parent = Some(number.to_string_lossy().into_owned()),
                None => return Err(Failure("-ipcfd takes the number of a socket".to_owned())),
            },
            ("datadir", dir) if !dir.is_empty() => options.datadir = Some(PathBuf::from(dir)),
            ("regtest", "" | "1") | ("chain", "regtest") => {}
            ("chain" | "testnet" | "testnet4" | "signet", _) => {
                return Err(Failure(format!("{text}: there is only the regtest chain here")));
            }
            _ => return Err(Failure(format!("{text} is not an option; -help lists them"))),
        }
    }
    if options.wallet_bind.is_some() && options.wallet_program.is_some() {
        return Err(Failure(
            "-walletbind lets a wallet process connect, -walletprogram starts one: give one of them".to_owned(),
        ));
    }
    if options.bind.is_empty() && options.parent.is_none() {
        return Err(Failure(
            "nothing to do: -ipcbind=unix serves on a socket, -help tells more".to_owned(),
        ));
    }
    Ok(Some(options))
}
