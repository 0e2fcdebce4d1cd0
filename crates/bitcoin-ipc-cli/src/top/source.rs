//! The server that is looked at.

use std::path::PathBuf;
use std::time::Duration;

use multiprocess::monitor::{MonitorClient, Snapshot};
use multiprocess::process::connect_timeout;
use multiprocess::{Connection, Error};

use crate::Failure;
use crate::args::Args;
use crate::peer::socket_path;

/// The server, connected or not.
pub(super) struct Source {
    path: PathBuf,
    patience: Duration,
    /// None: it is lost, and the next look connects again.
    monitor: Option<MonitorClient>,
}

impl Source {
    pub(super) fn find(args: &Args) -> Result<Source, Failure> {
        Ok(Source { path: socket_path(args)?, patience: args.patience(), monitor: None })
    }

    /// The first look. A server that cannot be looked at now will hardly be later.
    pub(super) fn first(&mut self) -> Result<Snapshot, Failure> {
        self.look().map_err(|error| match error {
            Error::Unimplemented { .. } => Failure(self.has_none()),
            other => other.into(),
        })
    }

    /// Asks the server what it is doing.
    pub(super) fn look(&mut self) -> Result<Snapshot, Error> {
        let seen =
            self.monitor().and_then(|monitor| monitor.snapshot().timeout(self.patience).wait());
        if seen.is_err() {
            self.monitor = None;
        }
        seen
    }

    fn monitor(&mut self) -> Result<MonitorClient, Error> {
        if let Some(monitor) = &self.monitor {
            return Ok(monitor.clone());
        }
        let socket = connect_timeout(&self.path, self.patience)?;
        let monitor: MonitorClient = Connection::new(socket)?.bootstrap()?;
        self.monitor = Some(monitor.clone());
        Ok(monitor)
    }

    fn has_none(&self) -> String {
        let path = self.path.display();
        format!(
            "the server at {path} does not tell what it is doing: Bitcoin Core has no Monitor, and a relay's socket with \
             rules only with the rule monitor. Have a relay in front of it: bitcoin-ipc relay --connect unix:{path} \
             --listen unix:/PATH, and let its clients and top connect there"
        )
    }
}
