//! Accepts the connections of a [`Server`](super::server::Server), on the driver thread.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::connection::Connection;
use crate::connection::refuse;
use crate::count::Count;
use crate::driver::{Driver, Source, driver};
use crate::limits_met::Limit;
use crate::poller::SourceId;
use crate::process::{Listener, PeerCredentials, peer_credentials};
use crate::{Error, Result};

/// How long accepting pauses when the process has no descriptor left.
const REST: Duration = Duration::from_millis(100);
/// How long a peer waits for a place before it is told that there is none.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many connections are accepted or refused before the driver goes on with other sockets.
const AT_ONCE: usize = 64;

pub(super) type Start =
    Box<dyn Fn(UnixStream, &PeerCredentials) -> Result<Connection> + Send + Sync>;

/// Who is accepted, and how many.
pub(super) struct Admission {
    pub(super) max_connections: usize,
    pub(super) max_of_user: usize,
    pub(super) first_message: Duration,
    pub(super) accept: Box<dyn Fn(&PeerCredentials) -> bool + Send + Sync>,
}

/// A connection, and whose it is.
struct Accepted {
    user: u32,
    connection: Connection,
}

pub(super) struct Acceptor {
    listener: Listener,
    start: Start,
    admission: Admission,
    connections: Mutex<HashMap<u64, Accepted>>,
    next: AtomicU64,
    /// The timer runs that refuses those who have waited long enough.
    refusing: AtomicBool,
    driver: &'static Driver,
    source: SourceId,
}

impl Acceptor {
    pub(super) fn start(
        admission: Admission,
        listener: Listener,
        start: Start,
    ) -> Result<Arc<Acceptor>> {
        listener.set_nonblocking(true)?;
        let driver = driver()?;
        let acceptor = Arc::new(Acceptor {
            listener,
            start,
            admission,
            connections: Mutex::default(),
            next: AtomicU64::new(0),
            refusing: AtomicBool::new(false),
            driver,
            source: driver.new_id(),
        });
        let weak: Weak<Acceptor> = Arc::downgrade(&acceptor);
        driver.add(acceptor.source, acceptor.listener.as_fd(), weak)?;
        Ok(acceptor)
    }

    /// Accepts no more.
    pub(super) fn stop(&self) {
        self.driver.remove(self.source, self.listener.as_fd());
    }

    pub(super) fn path(&self) -> &Path {
        self.listener.path()
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
        let present = |one: &Connection| one.is_connected();
        self.accepted().values().map(|one| one.connection.clone()).filter(present).collect()
    }

    fn accepted(&self) -> MutexGuard<'_, HashMap<u64, Accepted>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self) -> bool {
        self.accepted().len() >= self.admission.max_connections
    }

    fn has_place_for(&self, user: u32) -> bool {
        let max = self.admission.max_of_user;
        // Mostly there is no such limit below that of all.
        max >= self.admission.max_connections
            || self.accepted().values().filter(|accepted| accepted.user == user).count() < max
    }

    fn accept_one(self: &Arc<Self>) -> Result<()> {
        let stream = self.listener.accept()?;
        let peer = match peer_credentials(&stream) {
            Ok(peer) if !(self.admission.accept)(&peer) => {
                let path = self.path().display();
                Limit::Users.met(|| {
                    format!("{path}: process {:?} of user {} was refused", peer.pid, peer.uid)
                });
                refuse(stream.into(), "this server does not serve your user");
                return Ok(());
            }
            Ok(peer) if !self.has_place_for(peer.uid) => {
                let path = self.path().display();
                let max = Count(self.admission.max_of_user, "connection");
                Limit::Connections.met(|| {
                    let uid = peer.uid;
                    format!("{path}: user {uid} has {max}, the most: one was refused")
                });
                let reason = format!("your user has {max} to this server, its maximum");
                refuse(stream.into(), &reason);
                return Ok(());
            }
            Ok(peer) => peer,
            Err(error) => {
                tracing::warn!("cannot tell who connects: {error}");
                return Ok(());
            }
        };
        let connection = match (self.start)(stream, &peer) {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!("cannot serve a connection: {error}");
                return Ok(());
            }
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.accepted().insert(id, Accepted { user: peer.uid, connection: connection.clone() });
        let weak = Arc::downgrade(self);
        // The runtime's own: no hook of the user's, however slow, keeps a place taken. File descriptors that the
        // peer has sent do until they are closed: so they are no more than so many peers can have sent.
        let closer = Arc::clone(connection.conn().closer());
        let forget = move || {
            if let Some(acceptor) = weak.upgrade() {
                acceptor.forget(id);
            }
        };
        connection.at_end(move || closer.after(forget));
        connection.expect_first_message(self.admission.first_message);
        Ok(())
    }

    /// A connection has ended: there is room for another.
    fn forget(&self, id: u64) {
        let accepted = self.accepted().remove(&id);
        drop(accepted);
        self.listen(true);
    }

    fn listen(&self, on: bool) {
        if let Err(error) = self.driver.watch(self.source, self.listener.as_fd(), on, false) {
            tracing::debug!("cannot change what is watched on the listening socket: {error}");
        }
    }

    /// All places are taken: those who come wait in the socket's queue, and are refused in a while.
    fn wait_for_a_place(self: &Arc<Self>) {
        self.listen(false);
        // A connection may have ended just before, so that its `forget` came too early to start accepting
        // again.
        if !self.is_full() {
            return self.listen(true);
        }
        if self.refusing.swap(true, Ordering::AcqRel) {
            return;
        }
        let weak = Arc::downgrade(self);
        let refuse = move || {
            if let Some(acceptor) = weak.upgrade() {
                acceptor.refusing.store(false, Ordering::Release);
                acceptor.refuse_waiting();
            }
        };
        self.driver.add_timer(Instant::now() + PATIENCE, Box::new(refuse));
    }

    fn refuse_waiting(self: &Arc<Self>) {
        let max = Count(self.admission.max_connections, "connection");
        for _ in 0..AT_ONCE {
            if !self.is_full() {
                break;
            }
            let Ok(stream) = self.listener.accept() else { break };
            let path = self.path().display();
            Limit::Connections
                .met(|| format!("{path} has {max}, its maximum: a client was refused"));
            let reason = format!("this server has {max}, its maximum: try again later");
            refuse(stream.into(), &reason);
        }
        match self.is_full() {
            true => self.wait_for_a_place(),
            false => self.listen(true),
        }
    }
}

impl Source for Acceptor {
    fn readable(self: Arc<Self>) {
        // Those who are left wake the driver again.
        for _ in 0..AT_ONCE {
            if self.is_full() {
                return self.wait_for_a_place();
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
        self.stop();
    }
}
