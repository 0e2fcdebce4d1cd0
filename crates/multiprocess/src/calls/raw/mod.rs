//! Calls and objects of which nothing is known but the messages: no types, no threads, no versions. For a
//! bridge to another implementation of Cap'n Proto's RPC.
//!
//! - `payload`: parameters and results; `given`: the objects in them, which are forwarded to third processes;
//! - `call`: a call of this side's, its answer and its promises;
//! - `object`: an object of this process, served by a function of messages; `inline` runs its tasks;
//! - `inside`: such objects, and those of handles, as if they were a peer's;
//! - `reading`: a connection that a task reads.

mod call;
mod given;
mod inline;
mod inside;
mod object;
mod payload;
mod reading;

pub use call::{RawCall, bootstrap_raw};
pub use inside::{Inside, start_raw};
pub use object::{RawAnswer, RawObject, raw_capability, raw_object};
pub use payload::{RawMessage, RawPayload};
pub use reading::{TaskRead, TaskReader};
