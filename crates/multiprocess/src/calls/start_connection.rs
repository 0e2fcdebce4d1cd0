//! Starts a connection whatever it serves, for layers that make its socket.

use std::os::fd::OwnedFd;

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

    /// The same where the socket only stands for a stream, to which something copies its bytes: file descriptors
    /// cannot go that way, so neither side is to rely on them.
    ///
    /// # Errors
    /// The socket or the driver thread cannot be used.
    fn start_carried(self, socket: OwnedFd) -> Result<Connection>;
}

impl<I: Interface> StartConnection for ConnectionBuilder<I> {
    fn start_connection(self, socket: OwnedFd) -> Result<Connection> {
        self.start(socket)
    }

    fn start_carried(self, socket: OwnedFd) -> Result<Connection> {
        self.carried().start(socket)
    }
}

impl StartConnection for ConnectionBuilder<NoObject> {
    fn start_connection(self, socket: OwnedFd) -> Result<Connection> {
        self.start(socket)
    }

    fn start_carried(self, socket: OwnedFd) -> Result<Connection> {
        self.carried().start(socket)
    }
}
