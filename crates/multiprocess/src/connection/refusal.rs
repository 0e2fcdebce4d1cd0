//! Tells a peer that it gets no connection, and why.

use std::os::fd::OwnedFd;

use capnp_engine::{Effect, Engine, Exception, ExceptionKind};

use super::batch::Batch;
use super::outbox::Outbox;
use super::socket::close;
use crate::closer::Closer;
use crate::memory::MEMORY;

/// Sends the reason, as far as the socket takes it at once, and closes the socket.
pub fn refuse(socket: OwnedFd, reason: &str) {
    let mut engine = Engine::new(&MEMORY, capnp_engine::Limits::default());
    engine.abort(&Exception::new(ExceptionKind::Overloaded, reason));
    let (mut batch, outbox) = (Batch::default(), Outbox::default());
    while let Some(effect) = engine.next_effect() {
        if let Effect::Write(message) = effect {
            batch.push(message);
        }
    }
    outbox.add(&mut batch);
    let _ = outbox.flush(&socket);
    // A peer that does not read it sees that the connection is closed.
    close(socket, Closer::unconnected());
}
