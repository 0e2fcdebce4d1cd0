//! A file descriptor on its way to the peer: an object that has no methods, to which the descriptor is attached.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use capnp_engine::{Cap, Delivery, Incoming};

use super::errors::to_exception;
use super::object::Object;
use crate::connection::{ArcConn, Core};
use crate::limits_met::Limit;
use crate::wire::helpers::unknown_method;
use crate::{Error, Result};

/// What the peer gets: it releases it when it has taken the descriptor.
struct Carrier;

impl Core {
    /// Fails if a message that has `count` descriptors already can have no more, and says what to do.
    pub(super) fn check_descriptors(&self, conn: &ArcConn, count: usize) -> Result<()> {
        let most = self.engine.most_descriptors();
        if count < most {
            return Ok(());
        }
        // What was set here, and what of it the stream allows.
        let (set, usable) = (conn.limits().descriptors, self.engine.limits().descriptors);
        Err(Error::misuse(match (set, usable, most) {
            (0, ..) => {
                "a file descriptor cannot be sent: this side has to set Limits::descriptors, and so has the other"
                    .to_owned()
            }
            (_, 0, _) => "a file descriptor cannot be sent: only a unix socket carries descriptors, and this \
                          connection is over something else"
                .to_owned(),
            (_, _, 0) => "a file descriptor cannot be sent: the other side takes none until it sets \
                          Limits::descriptors"
                .to_owned(),
            _ => format!(
                "a call or its results cannot have more than {most} file descriptors: the lower one of both \
                 sides' Limits::descriptors"
            ),
        }))
    }

    /// A new capability with a copy of this descriptor.
    ///
    /// # Errors
    /// The process has no descriptor left, or the peer has as many that it has not released as it may.
    pub(super) fn export_descriptor(
        &mut self,
        conn: &ArcConn,
        descriptor: BorrowedFd<'_>,
    ) -> Result<Cap> {
        check_held(conn, self.engine.held_descriptors())?;
        let copy = descriptor.try_clone_to_owned();
        let copy = copy.map_err(|error| Error::io("copy a file descriptor to be sent", error))?;
        let cap = self.export(Arc::new(Carrier), false);
        self.engine.attach(cap, conn.closer().owned(copy));
        Ok(cap)
    }
}

/// Fails if no copy of a file descriptor may be made where so many are held.
pub(super) fn check_held(conn: &ArcConn, held: usize) -> Result<()> {
    let most = conn.limits().held_descriptors;
    if held < most {
        return Ok(());
    }
    let message = format!(
        "more than {most} file descriptors are held on one connection (Limits::held_descriptors)"
    );
    Limit::Descriptors.met(|| format!("a file descriptor was not copied: {message}"));
    Err(Error::Overloaded { message })
}

impl Object for Carrier {
    fn deliver(
        self: Arc<Self>,
        core: &mut Core,
        _conn: &ArcConn,
        call: Delivery,
        _message: Option<&Incoming<'_>>,
    ) {
        let error = unknown_method("file descriptor", call.interface, call.method);
        core.engine.release_all(call.params.caps);
        core.engine.answer(call.call, Err(to_exception(error)));
    }
}
