//! A connection to one peer: the protocol engine behind one lock, and the socket beside it.
//!
//! ```text
//! Call::wait -> caller -> Conn::enter -> core (engine, tables) -> network -> outbox -> socket
//!  socket -> driver -> Conn::read -> frame -> network -> core -> server::Local -> Task -> thread
//! ```
//!
//! - `core` is what the lock guards, and the one place that says why that is sound;
//! - `tables` is what handles and calls point into;
//! - `network`, `frame`, `outbox` carry messages;
//! - `conn` ties them together; `public` is the type that users hold;
//! - `caller` starts calls of this side, `interrupt` ends those that a peer does not end itself;
//! - `lead` lets who waits read the socket.

mod after;
mod caller;
mod conn;
#[allow(unsafe_code, reason = "says why the core may be handed between threads")]
mod core;
mod frame;
mod interrupt;
mod lead;
mod listener;
mod network;
mod outbox;
mod public;
mod tables;
mod threads;

pub(crate) use after::After;
pub(crate) use caller::{Caller, SentCall, Slot, start_call, start_pipelined};
pub use conn::Limits;
pub(crate) use conn::{ArcConn, WeakConn};
pub(crate) use core::panic_text;
pub(crate) use lead::{IdleLead, Lead};
pub use listener::Server;
pub(crate) use network::Segments;
pub use public::{Connection, ConnectionBuilder};
pub(crate) use tables::{Answer, CapId, RunningCall, RunningId, Tables, to_engine};
pub(crate) use threads::{BusyGuard, ThreadCount, ThreadPair, Threads};
