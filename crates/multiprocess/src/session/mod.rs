//! The session of a connection: calls of this side, calls of the peer, objects and threads. Its state
//! is under the connection's lock, with the engine.
//!
//! - `state` is the session's state, and carries out the engine's effects;
//! - `calls`: calls of this side's that are under way, `room`: those that wait because others have too many
//!   bytes under way; `interrupts` ends those that a peer does not end
//!   itself;
//! - `running`: calls of the peer's that are being served, and their answers; `cancels`: those that the peer
//!   does not want any more; `schedule` finds the
//!   thread that runs one;
//! - `threads`: the peer's threads that run this side's calls; `thread_server`: one of this side's that
//!   the peer can name, `thread_map`: how the peer is given them;
//! - `writer`, `reader`: the capabilities of messages; `held_cap`: an object of the peer's as it is held
//!   outside the lock; `descriptor`: an object that is nothing but its file descriptor;
//! - `evidence`: what calls have told of the version of a schema that the peer has;
//! - `interceptor`: what the program does around each call;
//! - `errors`: errors as they travel; `under_way`: what there is, for the dump.
//!
//! User objects are reached through [`Object`] (`object`), whose calls are brought to threads as [`Schedule`]s.

mod calls;
mod cancels;
mod descriptor;
mod errors;
mod evidence;
mod held_cap;
mod interceptor;
mod interrupts;
mod object;
mod reader;
mod room;
mod running;
mod schedule;
mod state;
mod thread_map;
mod thread_server;
mod threads;
mod under_way;
mod writer;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::connection::{ArcConn, Conn, Limits, PeerIdentity, SessionParts, register};

pub(crate) use calls::{Asked, Complete, How, TakeAnswer, WaiterId, WhoWaits, Written};
pub(crate) use errors::closed;
pub(crate) use evidence::{Choice, Evidence, Form, MethodKey, evidence_of};
pub(crate) use held_cap::{Destroy, HeldCap};
pub use interceptor::{CallEnd, IncomingCall, Interceptor, OutgoingCall};
pub(crate) use interceptor::{Ends, before_call, before_serve};
pub(crate) use object::Object;
pub(crate) use reader::{CallThreads, CapReader, Decoded, decode};
pub(crate) use room::{Level, QueuePlace, WhoQueues};
pub(crate) use running::{EncodeFn, Served};
pub(crate) use schedule::{Schedule, ThreadAddress};
pub(crate) use under_way::UnderWay;
pub(crate) use writer::{Caller, NewObject};

/// What a connection is started with, beside its socket and the object that it serves.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    /// How long the peer may take to its first message, if that is bounded.
    pub(crate) first_message: Option<Duration>,
    /// From the outermost on.
    pub(crate) interceptors: Vec<Arc<dyn Interceptor>>,
    pub(crate) peer_name: Option<String>,
    pub(crate) peer_identity: Option<PeerIdentity>,
    /// Its socket stands for a stream, to which something copies its bytes: no file descriptor goes that way.
    pub(crate) carried: bool,
}

/// Takes over a connected stream socket. `object` is the bootstrap object for the peer.
pub(crate) fn start(
    socket: OwnedFd,
    settings: Settings,
    object: Option<Arc<dyn Object>>,
) -> Result<ArcConn> {
    let Settings { limits, first_message, interceptors, peer_name, peer_identity, carried } =
        settings;
    let parts = SessionParts {
        session: &state::Calls,
        state: Box::new(state::State::default()),
        shared: Box::new(state::Shared::new(limits.threads, interceptors)),
        first_message,
        peer_name,
        peer_identity,
        carried,
    };
    let conn = Conn::start(socket, limits, parts, |core| {
        if let Some(object) = object {
            let cap = core.export(object, true);
            core.engine.set_bootstrap(cap);
        }
    })?;
    register(&conn);
    Ok(conn)
}
