//! Who is served: and those who are not are told why.

use std::io::{Error as IoError, ErrorKind};

use multiprocess::process::{PeerCredentials, peer_credentials};
use multiprocess::{Error, Result, rt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::runtime::Handle;

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

/// Tells a peer that it gets no connection, and why.
pub(super) fn refuse<S>(stream: S, handle: &Handle, reason: &str)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    match Socket::of(stream, handle) {
        Ok(Socket { descriptor, carry }) => {
            rt::refuse(descriptor, reason);
            if let Some(carry) = carry {
                carry(None);
            }
        }
        Err(error) => tracing::warn!("cannot tell a peer why it is refused ({reason}): {error}"),
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
