//! How Bitcoin's processes find each other: a process spawns another and calls it over a socket
//! pair, or meets it on a unix socket.
//!
//! The three steps of a spawned process:
//!
//! 1. The parent calls [`SpawnProcess::spawn_process`]: the program is started with `-ipcfd N`, and
//!    a handle on its Init comes back at once. Calls go out before the program has begun to run; if
//!    it does not serve, their errors contain its exit status.
//! 2. The child calls [`StartSpawnedProcess::start_spawned_process`] first thing in `main`: it
//!    serves its own Init on descriptor N until the parent disconnects.
//! 3. The parent makes further objects through the Init. When it has dropped the last handle, the
//!    socket closes and the child exits.
//!
//! ```no_run
//! use bitcoin_ipc::ipc::{Ipc, IpcOptions, SpawnProcess};
//!
//! # fn main() -> multiprocess::Result<()> {
//! let ipc = Ipc::new(IpcOptions::client("my-program"));
//! let init = ipc.spawn_process("bitcoin-node")?;
//! let answer = init.make_echo().pipelined().echo("hello").wait()?;
//! assert_eq!(answer, "hello");
//! drop(init); // the child exits
//! # Ok(())
//! # }
//! ```

mod address;
mod bootstrap;
mod interface;
mod options;

pub use address::{Address, Chain, default_base_datadir, network_datadir};
pub use interface::{
    AddCleanup, Context, Ipc, IpcInterface, SpawnProcess, Spawned, StartSpawnedProcess,
};
pub use options::{IpcContext, IpcOptions};
