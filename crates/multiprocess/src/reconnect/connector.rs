//! Makes one connection: to a socket at a path, to a program that it starts, or as the user likes.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::calls::connection::Connection;
use crate::process::{Child, Command, ConnectFailure, connect_raw_timeout};
use crate::{Error, Result};

/// Makes a connection of a socket.
pub(super) type Open = Box<dyn FnMut(UnixStream) -> Result<Connection> + Send>;

/// Where connections come from.
pub(super) enum Connector {
    Path(PathBuf),
    /// With the process that it was started as last.
    Program(Box<Command>, Option<Arc<Child>>),
    Custom(Box<dyn FnMut() -> Result<Connection> + Send>),
}

/// A connection, and the process at the other end where it was started for it.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) child: Option<Arc<Child>>,
}

impl Connector {
    /// What it connects to, for errors and the log.
    pub(super) fn name(&self) -> String {
        match self {
            Connector::Path(path) => path.display().to_string(),
            Connector::Program(command, _) => command.name().display().to_string(),
            Connector::Custom(_) => "the other side".to_owned(),
        }
    }

    /// Blocks up to `timeout` for a path, as long as the last process takes to end for a program.
    pub(super) fn connect(&mut self, open: &mut Open, timeout: Duration) -> Result<Link> {
        match self {
            Connector::Path(path) => {
                let socket = connect_raw_timeout(path, timeout).map_err(|error| {
                    match error.failure {
                        ConnectFailure::TooLong => error.into(),
                        // Everything else may be better later, and is no error of this program's.
                        _ => Error::disconnected(error.to_string()),
                    }
                })?;
                Ok(Link { connection: open(socket)?, child: None })
            }
            Connector::Program(command, last) => {
                // Its connection has ended, so it is to end as well, before another has its place.
                if let Some(child) = last.take() {
                    let _ = child.end();
                }
                let (child, socket) = command.spawn()?;
                let child = Arc::new(child);
                *last = Some(Arc::clone(&child));
                Ok(Link { connection: open(socket)?, child: Some(child) })
            }
            Connector::Custom(connect) => Ok(Link { connection: connect()?, child: None }),
        }
    }
}
