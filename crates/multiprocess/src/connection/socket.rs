//! A connection's socket, and how it is closed: what the peer has sent and nobody has read is dropped with it, and
//! so the last descriptors of files that the peer may have attached to that.

use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use capnp_engine::Close;
use rustix::io::ioctl_fionread;
use rustix::net::{Shutdown, shutdown};

use crate::closer::Closer;
use crate::forked::is_forked;

pub(crate) struct Socket {
    /// None only while this is dropped.
    socket: Option<OwnedFd>,
    closer: Arc<Closer>,
}

impl Socket {
    pub(super) fn new(socket: OwnedFd, closer: Arc<Closer>) -> Socket {
        Socket { socket: Some(socket), closer }
    }
}

impl Deref for Socket {
    type Target = OwnedFd;

    fn deref(&self) -> &OwnedFd {
        self.socket.as_ref().unwrap_or_else(|| unreachable!("only its drop takes it out"))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        // In a fork this is not the last one.
        if !is_forked() {
            close(socket, &self.closer);
        }
    }
}

/// Closes a socket: here if nothing is left in it, or else on the closer's thread.
pub(super) fn close(socket: OwnedFd, closer: &Closer) {
    // Nothing comes any more, so that what is seen to be empty stays so.
    let _ = shutdown(&socket, Shutdown::Both);
    if ioctl_fionread(&socket) != Ok(0) {
        closer.close(socket);
    }
}
