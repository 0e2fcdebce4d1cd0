//! Who is served: and those who are not are told why.

use std::io::{Error as IoError, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use multiprocess::process::{PeerCredentials, peer_credentials};
use multiprocess::{Error, Result, rt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::start::Socket;

/// Whether the peer may connect.
pub(super) fn admitted(
    stream: &UnixStream,
    accept: &mut dyn FnMut(&PeerCredentials) -> bool,
) -> Result<()> {
    let peer = peer_credentials(stream)?;
    if accept(&peer) {
        return Ok(());
    }
    tracing::warn!("process {:?} of user {} was refused", peer.pid, peer.uid);
    Err(Error::failed("this server does not serve your user"))
}

/// What a peer beyond the maximum is told.
pub(super) fn no_place(max: usize) -> String {
    let s = if max == 1 { "" } else { "s" };
    format!("this server has {max} connection{s}, its maximum: try again later")
}

/// The object of a peer, or why it gets none. A panic of the user's code is the end for that peer alone.
pub(super) fn make<I>(make: impl FnOnce() -> Result<I>) -> Result<I> {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_panic| {
        // What it said is where panics are told.
        tracing::error!("a peer was refused: what makes its object, or admits it, panicked");
        Err(Error::failed("this server panicked when it made the object for you"))
    })
}

/// How many peers are told at once that they get no connection, where a task carries that. Each has descriptors, and
/// may take five seconds.
const REFUSALS: usize = 16;

/// Tells peers that they get no connection, and why.
pub(super) struct Refusals {
    handle: Handle,
    under_way: JoinSet<()>,
}

impl Refusals {
    pub(super) fn new(handle: &Handle) -> Refusals {
        Refusals { handle: handle.clone(), under_way: JoinSet::new() }
    }

    /// Beyond the maximum a peer only sees the end of the stream.
    pub(super) fn tell<S>(&mut self, stream: S, reason: &str)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        while self.under_way.try_join_next().is_some() {}
        if self.under_way.len() >= REFUSALS {
            tracing::debug!("a peer is not told why it is refused: {REFUSALS} others are");
            return;
        }
        match Socket::of(stream, &self.handle) {
            Ok(Socket { descriptor, carry }) => {
                rt::refuse(descriptor, reason);
                if let Some(carry) = carry {
                    self.under_way.spawn_on(carry(None), &self.handle);
                }
            }
            Err(error) => {
                tracing::warn!("cannot tell a peer why it is refused ({reason}): {error}");
            }
        }
    }

    /// Waits until those who are being told have been: a few seconds at most.
    pub(super) async fn end(mut self) {
        while self.under_way.join_next().await.is_some() {}
    }
}

/// Whether only the one connection is lost. Otherwise the system has no room for more, and the next attempt would
/// fail at once.
pub(super) fn is_of_the_peer(error: &IoError) -> bool {
    error.raw_os_error().is_none()
        || matches!(
            error.kind(),
            ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionReset
                | ErrorKind::BrokenPipe
                | ErrorKind::NotConnected
                | ErrorKind::TimedOut
                | ErrorKind::Interrupted
        )
}
