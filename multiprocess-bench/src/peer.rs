//! The server processes.

use std::os::unix::net::UnixStream;

use multiprocess::process::{Child, Command, FdArgs, ignore_sigint, inherited_socket};

use crate::{ours, plain, raw};

/// Any error: a bench has no use for it but to end with it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const ARGUMENT: &str = "--bench-peer";

/// What a server process speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// See [`ours`].
    Ours,
    /// See [`raw`].
    Raw,
    /// See [`plain`].
    Plain,
}

impl Peer {
    const ALL: [Peer; 3] = [Peer::Ours, Peer::Raw, Peer::Plain];

    fn name(self) -> &'static str {
        match self {
            Peer::Ours => "ours",
            Peer::Raw => "raw",
            Peer::Plain => "plain",
        }
    }

    /// Starts this executable as a server, and returns it with the socket to it.
    ///
    /// # Errors
    /// The executable cannot be found or started.
    pub fn start(self) -> Result<(Child, UnixStream), Failure> {
        let command = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .arg(self.name())
            .fd_args(FdArgs::Flag("-ipcfd"));
        Ok(command.spawn()?)
    }

    fn serve(self, fd: &str) -> Result<(), Failure> {
        let socket = inherited_socket(fd)?;
        ignore_sigint()?;
        match self {
            Peer::Ours => ours::serve(socket),
            Peer::Raw => raw::serve(socket),
            Peer::Plain => plain::serve(socket),
        }
    }
}

/// Serves until the parent closes the socket, and returns true, if this process was started by
/// [`Peer::start`]. To be called first thing in `main`, which then returns.
pub fn serve_if_peer() -> bool {
    let args: Vec<String> =
        std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let [_, argument, name, _, fd] = &args[..] else { return false };
    let Some(peer) = Peer::ALL.into_iter().find(|peer| argument == ARGUMENT && peer.name() == name)
    else {
        return false;
    };
    if let Err(error) = peer.serve(fd) {
        eprintln!("bench server {name}: {error}");
    }
    true
}
