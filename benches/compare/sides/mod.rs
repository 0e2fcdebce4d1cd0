//! The sides that are compared: the columns. Servers are processes of their own, started when they
//! are first needed.

mod capnp_rpc;
mod ours;
mod raw;
mod tarpc;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use multiprocess::process::Child;
use multiprocess_bench::{Failure, Peer};
use tempfile::TempDir;

use crate::cpu::Watch;
use crate::measure::{Amount, Sample};
use crate::work::Work;

/// How long a server may take to end when its socket has closed.
const GRACE: Duration = Duration::from_secs(5);

/// One way for two processes to communicate.
pub(crate) trait Side {
    /// Does some of the work. None if the side does not support it.
    ///
    /// # Errors
    /// A call failed, or a server cannot be started.
    fn measure(&mut self, work: Work, amount: Amount) -> Result<Option<Sample>, Failure>;

    /// Makes and keeps this many of [`Work::Connection`] or [`Work::Handle`], beside those kept
    /// already. Returns the server's process id; None if the side does not support it.
    ///
    /// # Errors
    /// A call failed, or a server cannot be started.
    fn hold(&mut self, work: Work, count: usize) -> Result<Option<u32>, Failure>;
}

/// The side of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Ours,
    Raw,
    CapnpRpc,
    Tarpc,
    /// Our client, and the server that `--peer` names.
    Peer,
}

impl Column {
    pub(crate) const ALL: [Column; 5] =
        [Column::Ours, Column::Raw, Column::CapnpRpc, Column::Tarpc, Column::Peer];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Column::Ours => "ours",
            Column::Raw => "raw",
            Column::CapnpRpc => "capnp-rpc",
            Column::Tarpc => "tarpc",
            Column::Peer => "peer",
        }
    }

    /// The name in JSON.
    pub(crate) fn key(self) -> String {
        self.title().replace('-', "_")
    }

    /// Makes the side. `program` is the peer's program.
    pub(crate) fn side(self, program: Option<&Path>) -> Box<dyn Side> {
        match self {
            Column::Ours => Box::new(ours::Ours::new(None)),
            Column::Raw => Box::new(raw::Raw::default()),
            Column::CapnpRpc => Box::new(capnp_rpc::CapnpRpc::default()),
            Column::Tarpc => Box::new(tarpc::Tarpc::default()),
            Column::Peer => Box::new(ours::Ours::new(program.map(Path::to_owned))),
        }
    }
}

/// A server that listens at a path. It ends when this is dropped, as its socket closes.
struct Listening {
    path: PathBuf,
    watch: Watch,
    _socket: UnixStream,
    _child: Child,
    _dir: TempDir,
}

impl Listening {
    fn start(peer: Peer) -> Result<Listening, Failure> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("socket");
        let (child, socket) = peer.listen(&path)?;
        let watch = Watch::of(child.id());
        Ok(Listening { path, watch, _socket: socket, _child: child, _dir: dir })
    }

    /// The server in `place`, started if there is none.
    fn of(place: &mut Option<Listening>, peer: Peer) -> Result<&Listening, Failure> {
        Ok(get_or_start(place, || Listening::start(peer))?)
    }

    fn connect(&self) -> Result<UnixStream, Failure> {
        Ok(UnixStream::connect(&self.path)?)
    }
}

/// The value in `place`, made if there is none.
fn get_or_start<T>(
    place: &mut Option<T>,
    start: impl FnOnce() -> Result<T, Failure>,
) -> Result<&mut T, Failure> {
    match place {
        Some(there) => Ok(there),
        None => Ok(place.insert(start()?)),
    }
}
