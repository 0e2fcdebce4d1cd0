//! The node that a command talks to: a running one, or a child.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use multiprocess::process::{self, Child, Grace};
use multiprocess::{Call, Connection, Error};

use super::args::{Args, Command};
use super::waiting::Waiting;
use super::{Failure, output};
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Address, Chain, Ipc, IpcOptions, default_base_datadir, network_datadir};
use bitcoin_ipc::mining::MiningClient;

/// How long a node that is not this program may take to exit after the disconnect, and again after SIGTERM:
/// it may have a database to write.
const NODE_GRACE: Duration = Duration::from_secs(10);

pub(super) struct Peer {
    pub(super) init: InitClient,
    /// The node, if this program started it.
    pub(super) child: Option<Arc<Child>>,
    connection: Option<Connection>,
    /// How long each wait for the node lasts.
    pub(super) patience: Duration,
}

impl Peer {
    /// Finds the node that the arguments ask for, or starts one.
    pub(super) fn find(args: &Args) -> Result<Peer, Failure> {
        let datadir = datadir(args)?;
        let patience = args.patience();
        let options = IpcOptions::client("bitcoin-ipc").datadir(&datadir);
        let ipc = Ipc::new(options.connect_timeout(patience).spawn_timeout(patience));
        if args.node.is_none() {
            let address = args.connect.as_deref().unwrap_or("auto");
            let waiting = Waiting::new("the node to answer", args.is_json());
            let connected = ipc.connect_address(address);
            drop(waiting);
            let connected = connected.map_err(|error| match error {
                Error::Address { problem, .. } if problem.starts_with("Unrecognized") => {
                    Failure(format!("{problem}; give unix, unix:PATH or auto"))
                }
                other => other.into(),
            })?;
            if let Some(init) = connected {
                if args.connect.is_none() {
                    let path = datadir.join("node.sock");
                    output::note(format_args!("using the node at {}", path.display()));
                }
                return Ok(Peer { init, child: None, connection: None, patience });
            }
            // "0" and an empty address ask for no connection, so a child is started.
            if let Address::None = Address::parse(address, &datadir, "bitcoin-node")? {
                return Err(Failure(
                    "--connect: this address asks for no connection; leave it out to start a node"
                        .to_owned(),
                ));
            }
        }
        let socket = datadir.join("node.sock");
        if args.node.is_none() && !may_start(args, &socket) {
            return Err(Failure(format!(
                "no node at {}: start it with -ipcbind=unix, or see --help for --datadir and --connect (auto starts \
                 one for development)",
                socket.display()
            )));
        }
        Peer::start(args, &ipc)
    }

    /// Starts a node as a child.
    pub(super) fn start(args: &Args, ipc: &Ipc) -> Result<Peer, Failure> {
        let (command, program) = match &args.node {
            Some(program) => {
                let grace = Grace { exit: NODE_GRACE, terminate: NODE_GRACE };
                // One that is stopped goes on when this process has ended, sees that, and ends.
                (process::Command::new(program).grace(grace).continue_orphan(true), program.clone())
            }
            None => {
                let own = std::env::current_exe().map_err(|error| {
                    Failure(format!("cannot find this program's own file: {error}"))
                })?;
                // It has nothing to lose.
                let command =
                    process::Command::new(&own).arg0("bitcoin-node").parent_death_signal(true);
                (command, PathBuf::from("bitcoin-node"))
            }
        };
        let spawned = ipc.spawn_command(command, &program)?;
        output::note(format_args!(
            "started {} as process {}",
            program.display(),
            spawned.child.id()
        ));
        Ok(Peer {
            init: spawned.init,
            child: Some(spawned.child),
            connection: Some(spawned.connection),
            patience: args.patience(),
        })
    }

    /// Makes a call, and waits for its answer as long as --timeout allows.
    pub(super) fn ask<T: Send + 'static>(&self, call: Call<T>) -> Result<T, Error> {
        call.timeout(self.patience).wait()
    }

    /// The node's Mining.
    pub(super) fn mining(&self) -> Result<MiningClient, Failure> {
        let mining = self.ask(self.init.make_mining())?;
        mining.ok_or_else(|| Failure("the node does not offer Mining".to_owned()))
    }

    /// Disconnects from the node. If it is a child, waits until it has ended and returns its exit status,
    /// if that can be known.
    pub(super) fn close(self) -> Option<std::process::ExitStatus> {
        let Peer { init, child, connection, .. } = self;
        drop(init);
        if let Some(connection) = connection {
            connection.disconnect();
        }
        // The child has ended in either case.
        child?.end().inspect_err(|error| output::note(format_args!("{error}"))).ok()
    }
}

/// Whether a node for development may take the place of one that is not there. Not where the user asks for a certain
/// node, or that one has only stopped: an empty chain would be taken for its own.
fn may_start(args: &Args, socket: &Path) -> bool {
    if args.chain.is_some_and(|chain| chain != Chain::Regtest) {
        return false;
    }
    match args.command {
        None | Some(Command::Demo { .. }) => true,
        Some(Command::WaitTip { .. }) => false,
        _ if args.connect.is_some() => true, // It is auto.
        _ => args.datadir.is_none() && args.chain.is_none() && !socket.exists(),
    }
}

/// The socket of a server that must be there.
pub(super) fn socket_path(args: &Args) -> Result<PathBuf, Failure> {
    let address = args.connect.as_deref().unwrap_or("unix");
    match Address::parse(address, &datadir(args)?, "bitcoin-node")? {
        Address::Unix(path) | Address::Auto(path) => Ok(path),
        _ => Err(Failure("--connect: give unix or unix:PATH".to_owned())),
    }
}

pub(super) fn datadir(args: &Args) -> Result<PathBuf, Failure> {
    let base = match &args.datadir {
        Some(base) => base.clone(),
        None => default_base_datadir()?,
    };
    Ok(network_datadir(&base, args.chain.unwrap_or_default()))
}

/// Whether a nonce for a block of this chain can be found within a moment.
pub(super) fn is_easy(bits: bitcoin::CompactTarget) -> bool {
    bits == bitcoin::CompactTarget::from_consensus(0x207f_ffff)
}
