//! A connection to one peer: the engine behind one lock, and the socket beside it.
//!
//! ```text
//!  a session enters -> Conn::enter -> engine -> batch -> outbox -> socket
//!  socket -> whoever reads -> Conn::read -> frame -> engine -> Session::effect
//! ```
//!
//! - `core` is what the lock guards: the engine, and what the session above keeps beside it;
//! - `frame`, `batch`, `outbox` carry messages; `descriptors`: file descriptors that come with them; `batching`: calls of many futures are written together;
//! - `conn` ties them together, `stream` reads and writes, `followup` is what is done outside the lock;
//! - `socket` is the socket, and how it is closed with what is left in it;
//! - `end` is how a connection ends, `disconnected` the same as a future; `handshake`: an end that comes before
//!   the peer's first answer is explained; `refusal`: a peer gets no connection; `registry`: the connections of
//!   this process; `partial`: long messages that have begun; `allowance`: the bytes of calls;
//! - `reading` lets who waits read the socket, `reader` says who that is, `watch` what is left to the
//!   driver; `parker` and `wake_fd` are how a thread waits.
//!
//! It knows nothing of objects, threads that serve and handles: what it has to tell the layers that do
//! goes through [`Session`].

mod allowance;
mod batch;
mod batching;
mod conn;
mod core;
mod descriptors;
mod disconnected;
mod end;
mod followup;
mod frame;
mod handshake;
mod limits;
mod outbox;
mod parker;
mod partial;
mod reader;
mod reading;
mod refusal;
mod registry;
mod socket;
mod stream;
mod task_reader;
mod wake_fd;
mod watch;

pub(crate) use conn::{ArcConn, Conn, Flush, PeerIdentity, Session, SessionParts, WeakConn};
pub(crate) use core::Core;
pub use disconnected::Disconnected;
pub(crate) use followup::Followup;
pub use limits::Limits;
pub(crate) use parker::Parker;
pub(crate) use reader::Pending;
pub(crate) use reading::{IdleReader, WaitingReader, read_once};
pub use refusal::refuse;
pub(crate) use registry::{register, try_connections};
pub use task_reader::TaskRead;
pub(crate) use task_reader::TaskReader;
