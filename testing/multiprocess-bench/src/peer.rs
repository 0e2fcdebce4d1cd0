//! The server processes.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use multiprocess::process::{Child, Command, FdArgs, ignore_sigint, inherited_socket};

use crate::layers::Layer;
use crate::{layers, ours, over_tarpc, plain, raw};

/// Any error; a bench just ends with it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const ARGUMENT: &str = "--bench-peer";
const FD: &str = "-ipcfd";

/// The system that a server process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// See [`ours`].
    Ours,
    /// See [`raw`].
    Raw,
    /// See [`plain`].
    Plain,
    /// See [`over_tarpc`].
    Tarpc,
    /// See [`layers`].
    Layer(Layer),
}

impl Peer {
    const ALL: [Peer; 7] = [
        Peer::Ours,
        Peer::Raw,
        Peer::Plain,
        Peer::Tarpc,
        Peer::Layer(Layer::Poll),
        Peer::Layer(Layer::Messages),
        Peer::Layer(Layer::Handover),
    ];

    fn name(self) -> &'static str {
        match self {
            Peer::Ours => "ours",
            Peer::Raw => "raw",
            Peer::Plain => "plain",
            Peer::Tarpc => "tarpc",
            Peer::Layer(Layer::Poll) => "poll",
            Peer::Layer(Layer::Messages) => "messages",
            Peer::Layer(Layer::Handover) => "handover",
        }
    }

    /// Starts this executable as a server, and returns it with the socket to it.
    ///
    /// # Errors
    /// The executable cannot be found or started.
    pub fn start(self) -> Result<(Child, UnixStream), Failure> {
        Ok(self.command()?.spawn()?)
    }

    /// Starts this executable as a server that listens at a path, which must be free. It ends when
    /// the returned socket closes; the socket has no other use.
    ///
    /// # Errors
    /// The executable cannot be started, or cannot listen there.
    pub fn listen(self, path: &Path) -> Result<(Child, UnixStream), Failure> {
        let (child, mut socket) = self.command()?.arg(path).spawn()?;
        // It sends a byte when it listens.
        socket.read_exact(&mut [0])?;
        Ok((child, socket))
    }

    fn command(self) -> Result<Command, Failure> {
        let command = Command::new(std::env::current_exe()?).arg(ARGUMENT).arg(self.name());
        Ok(command.fd_args(FdArgs::Flag(FD)))
    }

    fn serve(self, socket: UnixStream) -> Result<(), Failure> {
        match self {
            Peer::Ours => ours::serve(socket),
            Peer::Raw => raw::serve(socket),
            Peer::Plain => plain::serve(socket),
            Peer::Tarpc => over_tarpc::serve(socket),
            Peer::Layer(layer) => layers::serve(layer, socket),
        }
    }

    fn serve_at(self, path: &Path, mut socket: UnixStream) -> Result<(), Failure> {
        let _server = match self {
            Peer::Ours => Some(ours::listen(path)?),
            Peer::Raw => listen_on_thread(path, raw::listen)?,
            Peer::Plain => listen_on_thread(path, plain::listen)?,
            Peer::Tarpc => listen_on_thread(path, over_tarpc::listen)?,
            Peer::Layer(_) => return Err("a layer does not listen".into()),
        };
        socket.write_all(&[1])?;
        // Until the parent closes it.
        let _ = socket.read(&mut [0])?;
        Ok(())
    }
}

fn listen_on_thread<T>(
    path: &Path,
    serve: fn(UnixListener) -> Result<(), Failure>,
) -> Result<Option<T>, Failure> {
    let listener = UnixListener::bind(path)?;
    std::thread::spawn(move || {
        if let Err(error) = serve(listener) {
            eprintln!("bench server: {error}");
        }
    });
    Ok(None)
}

/// Starts another program that serves `schema/bench.capnp`, as `PROGRAM -ipcfd N`, and returns it
/// with the socket to it. The executables of the benches are such programs, too.
///
/// # Errors
/// It cannot be started.
pub fn start_program(program: impl Into<PathBuf>) -> Result<(Child, UnixStream), Failure> {
    Ok(Command::new(program).fd_args(FdArgs::Flag(FD)).spawn()?)
}

/// Serves until the parent closes the socket, and returns true, if this process was started by
/// [`Peer::start`], [`Peer::listen`], or [`start_program`]. Call it first in `main`, and return if
/// it returns true.
pub fn serve_if_peer() -> bool {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let named = |name: &str| Peer::ALL.into_iter().find(|peer| peer.name() == name);
    let (peer, fd, path) = match args[..] {
        [FD, fd] => (Some(Peer::Ours), fd, None),
        [ARGUMENT, name, FD, fd] => (named(name), fd, None),
        [ARGUMENT, name, FD, fd, path] => (named(name), fd, Some(path)),
        _ => return false,
    };
    let Some(peer) = peer else { return false };
    let serve = || {
        let socket = inherited_socket(fd)?;
        ignore_sigint()?;
        match path {
            Some(path) => peer.serve_at(Path::new(path), socket),
            None => peer.serve(socket),
        }
    };
    if let Err(error) = serve() {
        eprintln!("bench server {}: {error}", peer.name());
    }
    true
}
