//! A connection to one peer: the protocol's tables behind one lock, and the socket beside it.
//!
//! ```text
//! Call::wait -> caller -> Conn::enter -> core, rpc -> batch -> outbox -> socket
//!  socket -> driver -> Conn::read -> frame -> rpc -> server::Local -> Task -> thread
//! ```
//!
//! - `core` is what the lock guards; the protocol itself is in [`rpc`](crate::rpc);
//! - `frame`, `batch`, `outbox` carry messages; `crowd`: calls of many futures are written together;
//! - `conn` ties them together, `stream` reads and writes, `serving` answers; `public` is the type
//!   that users hold;
//! - `handshake` is the time until the peer has answered first;
//! - `caller` starts calls of this side, `streaming` those that stream; `interrupt` ends those that a
//!   peer does not end itself;
//! - `lead` lets who waits read the socket, `turns` says who that is.

mod after;
mod batch;
mod caller;
mod conn;
mod core;
mod crowd;
mod frame;
mod handshake;
mod interrupt;
mod lead;
mod limits;
mod listener;
mod outbox;
mod public;
mod serving;
mod stream;
mod streaming;
mod threads;
mod turns;

pub(crate) use after::After;
pub(crate) use batch::Batch;
pub(crate) use caller::{Caller, SentCall, Slot, start_call, start_pipelined};
pub(crate) use conn::{ArcConn, WeakConn};
pub(crate) use core::{CapId, Core, RunningCall, RunningId, panic_text};
pub(crate) use interrupt::Interrupt;
pub(crate) use lead::{IdleLead, Pending, Turn};
pub use limits::Limits;
pub use listener::Server;
pub use public::{Connection, ConnectionBuilder};
pub(crate) use streaming::{Room, Streaming, end_of_stream, start_stream};
pub(crate) use threads::{ASYNC_THREADS, BusyGuard, PeerPool, ThreadCount, ThreadPair, Threads};
