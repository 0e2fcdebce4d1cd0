//! Objects of this process as if they were a peer's, and connections that serve an object without its type.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::call::held;
use super::given::Passed;
use crate::calls::capability::Capability;
use crate::calls::connection::Connection;
use crate::calls::served::Untyped;
use crate::connection::Limits;
use crate::forked::check_forked;
use crate::may_block::{ServesHere, serve_here};
use crate::{Error, Result, session};

/// A connection to nobody. An object of this process that is brought there can be called as one of a peer: as
/// messages, and through any interface's handle. Nothing of its calls is written to the socket.
pub struct Inside(Connection);

opaque!(Inside, impl std::fmt::Debug for Inside);

impl Inside {
    /// A new one. It lives as long as it is held, or an object that was brought there.
    ///
    /// # Errors
    /// There can be no socket, or no driver thread.
    pub fn new() -> Result<Inside> {
        let (ours, other) =
            UnixStream::pair().map_err(|error| Error::io("make a socket", error))?;
        let connection = Connection::builder().limits(limits()).start(ours)?;
        connection.name_peer("this process");
        // The other end is open as long as the connection.
        connection.at_end(move || drop(other));
        Ok(Inside(connection))
    }

    /// The same object, as if it were a peer's.
    ///
    /// # Errors
    /// This is a fork of the process.
    pub fn bring(&self, object: &Capability) -> Result<Capability> {
        check_forked()?;
        let conn = self.0.conn();
        conn.enter(|core| {
            let cap = core.capability_of(conn, &Passed(object));
            let cap = cap.ok_or_else(|| Error::failed("the object cannot be served"))?;
            Ok(held(core, conn, cap))
        })
    }

    /// Until the result is dropped, waits on this thread for calls of the objects that were brought here are
    /// [`Error::ApiMisuse`]: this thread is the one that runs them.
    pub fn serve_here(&self) -> ServesHere {
        serve_here(self.0.number())
    }

    /// The object that was brought here as this one, if it was.
    pub fn taken_out(&self, object: &Capability) -> Option<Capability> {
        let Untyped::There(remote) = object.untyped() else { return None };
        let held = remote.held().filter(|held| Arc::ptr_eq(held.conn(), self.0.conn()))?;
        let mut found = None;
        self.0.conn().enter(|core| {
            let object = core.object_of(held.cap())?;
            object.is_home(&mut |served| {
                found = served.downcast_ref::<Untyped>().cloned();
                found.is_some()
            });
            Some(())
        });
        found.map(Capability::of_untyped)
    }
}

/// Without bounds that one process has for another.
fn limits() -> Limits {
    Limits { calls: 1 << 24, objects: 1 << 24, ..Limits::default() }
}

/// Takes over a connected stream socket, and serves an object without its type as the bootstrap object.
///
/// # Errors
/// The socket or the driver thread cannot be used.
pub fn start_raw(
    socket: impl Into<OwnedFd>,
    limits: Limits,
    object: &Capability,
) -> Result<Connection> {
    let served = Passed(object).new_object().map(|new| new.object);
    session::start(
        socket.into(),
        session::Settings { limits, ..session::Settings::default() },
        served,
    )
    .map(Connection::from_conn)
}
