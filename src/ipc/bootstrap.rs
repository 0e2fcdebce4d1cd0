//! What a process serves first, of whatever interface.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use multiprocess::process::Listener;
use multiprocess::{
    Connection, ConnectionBuilder, Interface, Reconnect, Result, Server, ServerBuilder,
};

use super::IpcContext;

/// The bootstrap object of a process.
#[derive(Clone)]
pub(super) struct Bootstrap(Arc<dyn Served>);

impl Bootstrap {
    pub(super) fn new(object: impl Interface) -> Bootstrap {
        Bootstrap(Arc::new(object))
    }

    /// Serves it to the peer at the other end of a socket.
    pub(super) fn connect(&self, socket: OwnedFd, context: &IpcContext) -> Result<Connection> {
        self.0.connect(socket, context)
    }

    /// The same on each connection that is made again.
    pub(super) fn reconnect(&self, reconnect: Reconnect) -> Reconnect {
        self.0.reconnect(reconnect)
    }

    /// Serves it to all who connect.
    pub(super) fn listen(&self, server: ServerBuilder, listener: Listener) -> Result<Server> {
        self.0.listen(server, listener)
    }
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

trait Served: Send + Sync {
    fn name(&self) -> &'static str;
    fn connect(&self, socket: OwnedFd, context: &IpcContext) -> Result<Connection>;
    fn reconnect(&self, reconnect: Reconnect) -> Reconnect;
    fn listen(&self, server: ServerBuilder, listener: Listener) -> Result<Server>;
}

impl<I: Interface> Served for I {
    fn name(&self) -> &'static str {
        I::NAME
    }

    fn connect(&self, socket: OwnedFd, context: &IpcContext) -> Result<Connection> {
        let IpcContext { limits, interceptors, .. } = context;
        let connection = Connection::builder().limits(limits.clone()).serve(self.clone());
        let interceptors = interceptors.iter().cloned();
        interceptors.fold(connection, ConnectionBuilder::intercept).start(socket)
    }

    fn reconnect(&self, reconnect: Reconnect) -> Reconnect {
        reconnect.serve(self.clone())
    }

    fn listen(&self, server: ServerBuilder, listener: Listener) -> Result<Server> {
        server.start(listener, self.clone())
    }
}
