//! Call objects in another process as if they were here.
//!
//! Interfaces are written once as Cap'n Proto schemas; `multiprocess-build` makes from each a trait
//! to implement and a handle to hold. This crate is what the handles run on: connections, threads,
//! callbacks, cancelling, cleanup, and child processes. It speaks the wire of Bitcoin Core's
//! libmultiprocess and knows nothing of Bitcoin.
//!
//! # The way of a call
//!
//! ```text
//!  this process                                    the other process
//!  echo.echo("x")      generated handle
//!  Call::wait          call.rs
//!  start_call          connection/caller.rs
//!  Conn::enter         connection/conn.rs
//!  engine, tables      connection/core.rs
//!  outbox -> socket ------------------------------> Conn::read    an idle worker, or the driver
//!  reads the socket    connection/lead.rs           frame, network, engine
//!    |                                              server::Local (dispatch) -> Task
//!    |                                              the user's object, on the caller's own thread
//!  has the answer   <------------------------------ Conn::finish -> outbox -> socket
//! ```
//!
//! # Where to look
//!
//! - [`Call`]: waiting, deadlines, cancelling, pipelining;
//! - [`Connection`] and [`Server`]: what a process does with a socket;
//! - [`process`]: children, inherited sockets, listening;
//! - [`current_call`]: what a served method can ask about its caller;
//! - [`Error`]: whose fault, and what is lost.
//!
//! # Two objects, one socket
//!
//! The generated types come from a schema; here those of the threads that every peer offers do.
//!
//! ```
//! use multiprocess::{Connection, Result};
//!
//! # fn main() -> Result<()> {
//! let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
//! let here = Connection::new(ours)?;
//! let there = Connection::new(theirs)?;
//! there.disconnect();
//! assert!(!there.is_connected());
//! # drop(here);
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]

mod call;
mod codec;
mod connection;
mod driver;
mod error;
mod guard;
mod handle;
#[cfg_attr(not(target_os = "linux"), allow(unsafe_code, reason = "registering descriptors"))]
mod poller;
#[allow(unsafe_code, reason = "process and descriptor calls")]
pub mod process;
#[doc(hidden)]
pub mod rt;
mod server;
mod thread;

/// The raw types of `mp/proxy.capnp`, which generated code refers to.
#[doc(hidden)]
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::unimplemented
)]
pub mod proxy_capnp {
    include!(concat!(env!("OUT_DIR"), "/proxy_capnp.rs"));
}

pub use call::Call;
pub use connection::{Connection, ConnectionBuilder, Limits, Server};
pub use error::{Error, Result};
pub use rt::Interface;
pub use server::{CancelToken, CurrentCall, current_call};

/// Includes what `multiprocess-build` generated. To be the content of the module that the build
/// script names, `generated` unless it says otherwise.
#[macro_export]
macro_rules! include_generated {
    () => {
        include!(concat!(env!("OUT_DIR"), "/multiprocess.rs"));
    };
}
