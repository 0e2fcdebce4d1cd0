//! Generates typed proxies for the `multiprocess` crate from Cap'n Proto schemas, in a build
//! script.
//!
//! # Use
//!
//! The crate that has the schemas depends on `multiprocess`, and its build script on this crate:
//!
//! ```toml
//! [dependencies]
//! multiprocess = "0.1"
//!
//! [build-dependencies]
//! multiprocess-build = "0.1"
//! ```
//!
//! `build.rs` says where the schemas are:
//!
//! ```no_run
//! fn main() -> Result<(), multiprocess_build::Error> {
//!     multiprocess_build::Builder::new().schema_dir("schema").compile()
//! }
//! ```
//!
//! and the crate includes the generated code in a module called `generated`:
//!
//! ```ignore
//! // src/generated.rs
//! multiprocess::include_generated!();
//! ```
//!
//! No `capnp` program is needed: the compiler is part of this crate, as WebAssembly.
//! [`Builder::system_capnp`] uses an installed one, which is faster.
//!
//! # What is generated
//!
//! For `schema/echo.capnp`,
//!
//! ```capnp
//! interface Echo {
//!     destroy @0 (context :Proxy.Context) -> ();
//!     echo @1 (context :Proxy.Context, echo :Text) -> (result :Text);
//! }
//! ```
//!
//! the module `generated::echo` has
//!
//! * the trait `Echo`, which a program implements to serve such objects:
//!   `fn echo(&self, echo: String) -> multiprocess::Result<String>`;
//! * `EchoClient` (as the file is named after the interface, also `Client`), a handle on an object
//!   here or in another process: `fn echo(&self, echo: impl Into<String>) ->
//!   multiprocess::Call<String>`.
//!
//! [`guide`] goes on from there, to callbacks, maps, typed errors, several versions of an interface;
//! [`mapping`] lists the Rust form of everything in a schema.
//!
//! An interface that is bootstrapped and whose methods, or whose objects' methods, have a Context
//! needs `construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap)`: with it the two
//! sides give each other threads to run calls on. Without it such calls fail with `no thread
//! specified and no pool configured`. A method of another name can exchange the threads, too; the
//! program calls it then. The server has one thread for each calling thread, which runs
//! the calls of methods with a Context in order. Calls of methods without one run one after the
//! other, for each connection. An interface with `destroy @0 (context :Proxy.Context) -> ()` can be
//! closed and awaited; the objects of others end some time after their last handle has gone.
//!
//! Declarations that have no mapping are refused with an [`Error::Unsupported`] that names each
//! place and says what to write instead.
//!
//! # How it works
//!
//! ```text
//! *.capnp -> compile -> CodeGeneratorRequest -> rules -> parse -> model
//!                                                 -> emit        -> echo.rs
//!                                                                -> multiprocess.rs (all modules)
//!                                            -> capnpc           -> echo_capnp.rs (if asked for)
//! ```

#![deny(unsafe_code)]

mod builder;
mod compile;
mod emit;
mod error;
mod generate;
mod model;
mod names;
mod parse;
mod raw;
mod request;
mod rules;
mod versions;

pub use builder::Builder;
pub use error::{Error, Unsupported};
pub use rules::Mark;

#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

#[doc = include_str!("../docs/mapping.md")]
pub mod mapping {}
