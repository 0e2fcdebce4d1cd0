//! The public API: connections, handles on objects, and calls.
//!
//! - `connection`, `server`: connections over sockets; `bootstrap` asks for the bootstrap object;
//! - `handle` is a reference on a local or remote object, `object` writes and reads it in messages,
//!   `served` serves it;
//! - `interface` and `method` are what generated code describes, `call` one call of it: `start` sends it,
//!   `streaming` one that streams, `slot` takes its answer, `waiting` waits for that; `versions`: forms
//!   of a method for older peers;
//! - `executor`: objects whose methods are futures; `current`: information for a served method.

mod bootstrap;
pub(crate) mod call;
pub(crate) mod connection;
pub(crate) mod current;
pub(crate) mod executor;
pub(crate) mod handle;
pub(crate) mod interface;
pub(crate) mod method;
pub(crate) mod object;
mod served;
pub(crate) mod server;
mod slot;
mod start;
mod streaming;
pub(crate) mod versions;
mod waiting;
