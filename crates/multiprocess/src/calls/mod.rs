//! The public API: connections, handles on objects, and calls.
//!
//! - `connection`, `server`: what a process does with a socket; `start_connection`: for layers that make
//!   it; `acceptor` accepts for a server;
//!   `bootstrap` asks for the first object, `ready` waits for it, `child` that of a child process;
//! - `handle` is an object here or far away, `remote` one far away, `object` how it travels, `served` how
//!   it is served, and without its type; `beside`: with further interfaces; `capability` is one whose interface the
//!   schema leaves open, `unknown` what a third process gets of it, `any_pointer` a value of any type, `rest` what a newer peer's struct has;
//! - `interface` and `method` are what generated code describes, `proxy` what its handles do, `call` one
//!   call: `start` sends it, `streaming` one that streams, `slot` is where its answer arrives, `waiting`
//!   waits there, `errors` says more of why it failed; `versions`: forms of a method for older peers,
//!   `family`: schemas in several versions, `peer_version`: which a peer has;
//! - `incoming` is a call of a peer's before it runs;
//! - `local_calls`: calls of this process's own objects that were started;
//! - `raw`: calls and objects of which nothing is known but the messages;
//! - `executor`: objects whose methods are futures; `current`: what a served method can ask;
//! - `traced`: the trace that is in force on a thread.

mod acceptor;
pub(crate) mod any_pointer;
mod beside;
mod bootstrap;
pub(crate) mod call;
pub(crate) mod capability;
mod child;
pub(crate) mod connection;
pub(crate) mod current;
mod errors;
pub(crate) mod executor;
pub(crate) mod family;
pub(crate) mod handle;
pub(crate) mod incoming;
pub(crate) mod interface;
mod local_calls;
mod local_tasks;
pub(crate) mod method;
pub(crate) mod object;
pub(crate) mod peer_version;
pub(crate) mod proxy;
pub(crate) mod raw;
mod ready;
pub(crate) mod remote;
pub(crate) mod rest;
mod served;
pub(crate) mod server;
mod slot;
mod start;
pub(crate) mod start_connection;
mod streaming;
mod traced;
mod unknown;
pub(crate) mod versions;
mod waiting;
