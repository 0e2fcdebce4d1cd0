//! Serves one object to every peer that connects to a socket.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::interface::Interface;
use crate::connection::Limits;
use crate::driver::{Driver, Source, driver};
use crate::poller::SourceId;
use crate::process::{Listener, is_forked};
use crate::{Error, Result};

/// How long accepting pauses when the process has no descriptor left.
const REST: Duration = Duration::from_millis(100);

/// Accepts connections on a unix socket and serves each the same object. Dropped, it stops
/// listening and ends its connections.
pub struct Server(Arc<Acceptor>);

struct Acceptor {
    listener: Listener,
    start: Box<dyn Fn(std::os::unix::net::UnixStream) -> Result<Connection> + Send + Sync>,
    connections: Mutex<HashMap<u64, Connection>>,
    next: AtomicU64,
    max: usize,
    driver: &'static Driver,
    source: SourceId,
}

impl Server {
    /// How many connections a server holds at once; further ones wait in the socket's queue.
    pub const MAX_CONNECTIONS: usize = 256;

    /// Listens at `path` and serves `object` to each peer.
    ///
    /// # Errors
    /// The path cannot be listened on; the text says why.
    pub fn listen<I: Interface>(path: impl AsRef<Path>, object: I) -> Result<Server> {
        Server::start(
            Listener::bind(path.as_ref())?,
            object,
            Limits::default(),
            Self::MAX_CONNECTIONS,
        )
    }

    /// Serves `object` to each peer that connects to `listener`, `max` at once.
    ///
    /// # Errors
    /// The descriptor or the driver thread cannot be used.
    pub fn start<I: Interface>(
        listener: Listener,
        object: I,
        limits: Limits,
        max: usize,
    ) -> Result<Server> {
        listener.set_nonblocking(true)?;
        let driver = driver()?;
        let acceptor = Arc::new(Acceptor {
            listener,
            start: Box::new(move |stream| {
                Connection::builder().limits(limits.clone()).serve(object.clone()).start(stream)
            }),
            connections: Mutex::default(),
            next: AtomicU64::new(0),
            max: max.max(1),
            driver,
            source: driver.new_id(),
        });
        let weak: Weak<Acceptor> = Arc::downgrade(&acceptor);
        driver.add(acceptor.source, acceptor.listener.as_fd(), weak)?;
        Ok(Server(acceptor))
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        self.0.listener.path()
    }

    /// The present connections.
    pub fn connections(&self) -> Vec<Connection> {
        self.0.connections().values().cloned().collect()
    }

    /// Ends every connection and waits until no method is being served on them, for `timeout` at
    /// most in all. Goes on listening. Returns whether nothing is being served any more.
    pub fn disconnect_all(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let connections = self.connections();
        for connection in &connections {
            connection.disconnect();
        }
        // If one does not drain it has used up all the time.
        connections.iter().all(|connection| {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            connection.drain(left.unwrap_or(timeout))
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if is_forked() {
            return;
        }
        self.0.driver.remove(self.0.source, self.0.listener.as_fd());
        for connection in self.connections() {
            connection.disconnect();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl Acceptor {
    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept_one(self: &Arc<Self>) -> Result<()> {
        let stream = self.listener.accept()?;
        let connection = match (self.start)(stream) {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!("cannot serve a connection: {error}");
                return Ok(());
            }
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.connections().insert(id, connection.clone());
        let weak = Arc::downgrade(self);
        // The runtime's own: no hook of the user's, however slow, keeps a place taken.
        connection.at_end(move || {
            if let Some(acceptor) = weak.upgrade() {
                acceptor.forget(id);
            }
        });
        Ok(())
    }

    /// A connection has ended: there is room for another.
    fn forget(&self, id: u64) {
        let connection = self.connections().remove(&id);
        drop(connection);
        self.listen(true);
    }

    fn listen(&self, on: bool) {
        if let Err(error) = self.driver.watch(self.source, self.listener.as_fd(), on, false) {
            tracing::debug!("cannot change what is watched on the listening socket: {error}");
        }
    }
}

impl Source for Acceptor {
    fn readable(self: Arc<Self>) {
        loop {
            if self.connections().len() >= self.max {
                self.listen(false);
                // A connection may have ended just before, so that its `forget` came too early to
                // start accepting again.
                if self.connections().len() < self.max {
                    self.listen(true);
                }
                return;
            }
            match self.accept_one() {
                Ok(()) => {}
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::WouldBlock => {
                    return;
                }
                Err(Error::Io { source, .. })
                    if source.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // No descriptor or memory left: pauses, while the present connections go on.
                    tracing::warn!("cannot accept a connection: {error}; trying again in {REST:?}");
                    self.listen(false);
                    let weak = Arc::downgrade(&self);
                    self.driver.add_timer(
                        Instant::now() + REST,
                        Box::new(move || {
                            if let Some(acceptor) = weak.upgrade() {
                                acceptor.listen(true);
                            }
                        }),
                    );
                    return;
                }
            }
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.driver.remove(self.source, self.listener.as_fd());
    }
}
