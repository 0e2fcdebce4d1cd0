//! The program `bitcoin-regtest`, which any other program can be, too.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bitcoin_ipc::init::{Init, InitClient};
use bitcoin_ipc::rpc::{Rpc, RpcClient};
use multiprocess::process::{ignore_sigint, inherited_socket};
use multiprocess::{Connection, Result};

use super::chain::Chain;
use super::node::RegtestNode;
use super::rpc;

const USAGE: &str = "\
A regtest node, for tests. It holds nobody's money.

Usage: bitcoin-regtest SOCKET [FILE]

Serves a chain at the path SOCKET until it is killed. With FILE the chain is kept there, else it is in memory. Orders come by JSON-RPC, over Rpc.executeRpc: mining, fees,
reorganisations, delays, failures; its method help lists them. With the program bitcoin-ipc:

  bitcoin-ipc --connect unix:SOCKET rpc generatetodescriptor 101 'raw(51)'
  bitcoin-ipc --connect unix:SOCKET rpc regtest.payfee 1000
";

/// Runs the program: `bitcoin-regtest SOCKET [FILE]`, or, as [`SpawnedNode`](super::SpawnedNode) starts it,
/// `bitcoin-regtest SOCKET -ipcfd N`. Returns when its parent is gone; without `-ipcfd` it does not return.
///
/// A program of your own is such a node if its `main` calls this where it was started to be one. So a test needs no
/// other program than itself:
///
/// ```no_run
/// use bitcoin_regtest::{SpawnedNode, program};
///
/// fn main() -> std::process::ExitCode {
///     let args: Vec<_> = std::env::args_os().collect();
///     if args.iter().any(|arg| arg == "-ipcfd") {
///         return program::run(&args);
///     }
///     let own = std::env::current_exe().expect("the path of this program");
///     let node = SpawnedNode::start_program(own).expect("a node");
///     // ...
/// #   drop(node);
///     std::process::ExitCode::SUCCESS
/// }
/// ```
pub fn run(args: &[OsString]) -> ExitCode {
    let served = match args {
        [_, socket] if !is_option(socket) => serve(socket.into(), None),
        [_, socket, file] if !is_option(socket) && !is_option(file) => {
            serve(socket.into(), Some(file.as_ref()))
        }
        [_, socket, flag, fd] if flag == "-ipcfd" => serve_parent(socket.into(), fd),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bitcoin-regtest: error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn is_option(arg: &OsString) -> bool {
    arg.to_string_lossy().starts_with('-')
}

fn serve(socket: PathBuf, file: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let chain = file.map_or_else(|| Ok(Chain::regtest()), Chain::open)?;
    let node = RegtestNode::with_chain(socket, chain, None);
    node.come_back()?;
    loop {
        std::thread::park();
    }
}

/// Does what the parent orders, until it is gone.
fn serve_parent(socket: PathBuf, fd: &OsString) -> Result<(), Box<dyn Error>> {
    let parent = inherited_socket(&fd.to_string_lossy())?;
    // Ctrl-C is for the parent.
    ignore_sigint()?;
    let node = Arc::new(RegtestNode::new(socket, None));
    let orders = InitClient::new(Orders(Arc::clone(&node)));
    let parent = Connection::builder().serve(orders).start(parent)?;
    parent.wait_disconnected();
    // In order: its clients' waits end, and its socket is removed.
    node.chain().shutdown();
    node.go_away();
    Ok(())
}

/// What the parent has: the JSON-RPC methods alone, without the faults that are for clients.
#[derive(Clone)]
struct Orders(Arc<RegtestNode>);

impl Init for Orders {
    fn make_rpc(&self) -> Result<Option<RpcClient>> {
        Ok(Some(RpcClient::new(self.clone())))
    }
}

impl Rpc for Orders {
    fn execute_rpc(&self, request: String, _uri: String, _user: String) -> Result<String> {
        Ok(rpc::execute_for(rpc::Target::Whole(&self.0), &request))
    }
}
