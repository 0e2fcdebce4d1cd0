//! Starts a connection whatever it serves, for layers that make its socket.

use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::connection::{Connection, ConnectionBuilder, NoObject};
use super::interface::Interface;
use crate::Result;

/// A builder of a connection, whatever it serves. For layers that make the socket.
pub trait StartConnection {
    /// As the builder's own `start`.
    ///
    /// # Errors
    /// The socket or the driver thread cannot be used.
    fn start_connection(self, socket: OwnedFd) -> Result<Connection>;

    /// Says who the peer is ([`ConnectionBuilder::peer_identity`]), and names it unless the program has done so.
    #[must_use]
    fn identified(self, name: String, identity: Arc<dyn Any + Send + Sync>) -> Self;

    /// The socket will only stand for a stream, to which something copies its bytes: file descriptors cannot go that
    /// way, so neither side is to rely on them.
    #[must_use]
    fn carried(self) -> Self;
}

impl<I: Interface> StartConnection for ConnectionBuilder<I> {
    fn start_connection(self, socket: OwnedFd) -> Result<Connection> {
        self.start(socket)
    }

    fn identified(self, name: String, identity: Arc<dyn Any + Send + Sync>) -> Self {
        ConnectionBuilder::identified(self, name, identity)
    }

    fn carried(self) -> Self {
        ConnectionBuilder::carried(self)
    }
}

impl StartConnection for ConnectionBuilder<NoObject> {
    fn start_connection(self, socket: OwnedFd) -> Result<Connection> {
        self.start(socket)
    }

    fn identified(self, name: String, identity: Arc<dyn Any + Send + Sync>) -> Self {
        ConnectionBuilder::identified(self, name, identity)
    }

    fn carried(self) -> Self {
        ConnectionBuilder::carried(self)
    }
}
