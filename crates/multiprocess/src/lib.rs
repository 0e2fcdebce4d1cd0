//! Call objects in another process as if they were here.
//!
//! Interfaces are written once as Cap'n Proto schemas; `multiprocess-build` makes from each a trait
//! to implement and a handle to hold. This crate is the runtime of the handles: connections,
//! threads, callbacks, cancelling, cleanup, and child processes. It is compatible with Bitcoin
//! Core's libmultiprocess, and has nothing specific to Bitcoin.
//!
//! # The path of a call
//!
//! ```text
//!  this process                                    the other process
//!  echo.echo("x")      generated handle
//!  Call::wait          calls/
//!  what is kept of it  session/
//!  the protocol        capnp-engine, under the lock of connection/
//!  outbox -> socket ------------------------------> an idle worker reads, or the driver
//!  reads the socket    connection/                  the protocol, session/
//!    |                                              serving/ (decodes) -> threads/
//!    |                                              the user's object, on the caller's own thread
//!  has the answer   <------------------------------ session/, the protocol -> outbox -> socket
//! ```
//!
//! Each of these modules knows only those below it: `connection` < `threads` < `session` < `serving` <
//! `calls`.
//!
//! # Where to look
//!
//! - [`Call`]: waiting, deadlines, cancelling, pipelining;
//! - [`Connection`] and [`Server`]: connections over sockets;
//! - [`Reconnect`]: a connection that is made again when it is lost;
//! - [`process`]: children, inherited sockets, listening;
//! - [`current_call`]: information for a served method about its caller;
//! - [`TraceContext`]: which trace a call belongs to;
//! - [`Interceptor`]: authorization, logging, metrics and traces around each call;
//! - [`stats`]: how often each method was called, how its calls ended and how long they took;
//! - [`diagnostics`]: what is under way, for a person who looks for a call that is stuck;
//! - [`monitor`]: both for another process, over a socket;
//! - [`Error`]: the errors, each with who is at fault and what is lost.
//!
//! # Log
//!
//! Through `tracing`. The target `multiprocess::calls` has each call, in the words of libmultiprocess:
//!
//! ```text
//! IPC client send #7 Echo.echo$Params (text = "hello")            a call of this side's is sent
//! IPC server recv request #2 Echo.echo$Params (text = "hello")    its method begins, on the thread that runs it
//! IPC server send response #2 Echo.echo$Results                   its answer is sent
//! IPC client recv #7 Echo.echo$Results                            the caller has the answer
//! ```
//!
//! | field | what |
//! |---|---|
//! | `connection`, `peer` | the [connection's number](Connection::number), and the peer's [name](Connection::name_peer) or process |
//! | `number` | the call's, as in the text; the two sides number calls independently |
//! | `outcome` | of a call that has ended: `answered`, `failed`, `cancelled`, `timed out`, `lost` |
//! | `bytes` | the size of the message, where there is one; the sender's figure can be a little more than what is sent |
//! | `waited`, `took` | the time from the call's arrival until it began; from sending or arrival until the answer |
//! | `thread` | the thread on which the line is written: its name and its number in this process (`main-1`). A thread that serves one of the peer's has the peer's name of it, and then its own number (`main-1-7`) |
//!
//! - **Level**: with debug the lines are there, with trace they have the parameters: up to 200 characters in all,
//!   and `<redacted>` for what the schema calls `$Rust.redacted`. Parameters that a method borrows are not shown
//!   where they are served.
//! - **Ends**: in place of `$Results` there is ` failed:` with the error; ` cancelled` where the caller let the call
//!   go, so that nobody got what it answered; ` timed out:` at the side whose deadline passed; or ` lost:` with the
//!   reason, where the connection has ended or something else that the call needed is gone.
//! - **Not there**: at the caller's side, calls that [stream](Call#streaming) or are [pipelined](Call::pipelined) to
//!   and never waited for; on neither side, calls of objects of this process, and the runtime's own (`construct`,
//!   threads).
//! - **Cost**: nearly none if the target is off, which is the default. If it is on, a line is written on the thread
//!   that calls or serves, and delays it.
//!
//! # Spans
//!
//! Through `tracing`, too: each call has a span `call` of the target `multiprocess::call` at the level debug, on either
//! side. It is entered while a served method runs on its thread, or is polled where it is a future, so that what the
//! method logs is within it, and its own calls are its children.
//!
//! | field | what |
//! |---|---|
//! | `side` | `called` or `served` |
//! | `method`, `connection`, `peer`, `number` | as in the log; the parameters are never told |
//! | `trace_id`, `parent_id` | of a call with a [`TraceContext`]: the trace, and the span that made the call |
//! | `parameter_bytes`, `result_bytes` | the sizes of the messages; the second is recorded at the end, if there are results |
//! | `outcome`, `duration_us` | as in the log, recorded at the end; microseconds from sending or arrival |
//!
//! Calls that the log does not have ("Not there", above) have no spans either. A call that is refused or cancelled before its
//! method begins has none where it is served. Where the target is off there is no cost but for the question whether it
//! is: filter by the target to have the log without spans, or spans without the log.
//!
//! Everything else (limits that were met, hooks that are slow, children that do not exit) is at the levels warn
//! and error, with the modules as targets. What a process is doing at this moment is told by [`diagnostics`].
//!
//! # Deadlines and traces
//!
//! Between peers that use this crate, two things travel with a call beside its parameters, for methods that have a
//! `Context`:
//!
//! - **Its deadline**, which its [`timeout`](Call::timeout) sets. The method can ask [`CurrentCall::remaining`]. The calls
//!   that it makes are bounded by it, on the thread that runs it or where it is polled, also those of objects of this
//!   process that it starts; after the deadline none is sent. A call whose deadline passes before its method begins is
//!   not begun. What ends a method that runs is the cancel that the caller sends at its deadline, as before:
//!   [`CurrentCall::is_cancelled`], [`CurrentCall::cascade`], or the end of its future. The time that is left is sent,
//!   because clocks differ. Calls that [stream](Call#streaming) or are [pipelined](Call::pipelined) to have none, nor has
//!   the end of an object.
//! - **Its trace**, a [`TraceContext`] as W3C has it, that [`Call::trace`], a [scope](TraceContext::in_scope) or an
//!   [`Interceptor`] sets, and that the calls of the method inherit.
//!
//! They are in data of the Context that no other implementation has. Another implementation gets them with the calls that
//! go out before it has said anything, where it ignores them, and never again; what it writes there is not read.
//!
//! # Names
//!
//! All names by which others find what is told, in one place. Fields are explained above, labels and units in [`stats`].
//!
//! | what | names |
//! |---|---|
//! | targets of `tracing` | `multiprocess::calls`, `multiprocess::call`; else those of the modules |
//! | span | `call` |
//! | its fields | `side`, `method`, `connection`, `peer`, `number`, `parameter_bytes`, `trace_id`, `parent_id`, `outcome`, `result_bytes`, `duration_us` |
//! | fields of the log of calls | `connection`, `peer`, `number`, `bytes`, `waited`, `outcome`, `took`, `thread` |
//! | fields of other lines | `pid`, `exit`, `error`, `generation`, `name`, `path`, `signal` |
//! | counters of `metrics` | `multiprocess_calls_total`, `multiprocess_parameter_bytes_total`, `multiprocess_result_bytes_total`, `multiprocess_limits_met_total` |
//! | histogram | `multiprocess_call_duration_seconds` |
//! | gauges | `multiprocess_connections`, `multiprocess_calls_under_way`, `multiprocess_threads`, `multiprocess_objects`, `multiprocess_held_bytes`, `multiprocess_unsent_bytes` |
//! | labels | `method`, `side`, `outcome`, `limit`, `kind` |
//!
//! # Two objects, one socket
//!
//! Programs use types that are generated from a schema; this example needs none.
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
#![warn(missing_debug_implementations)]

// Generated code names the runtime so, that of this crate as well.
extern crate self as multiprocess;

#[macro_use]
mod opaque;

mod call_log;
mod call_span;
mod calls;
mod carried;
mod cleanup;
mod closer;
mod connection;
mod count;
mod delay;
pub mod diagnostics;
mod driver;
mod error;
#[allow(unsafe_code, reason = "noticing forks")]
mod forked;
mod limits_met;
mod may_block;
mod memory;
mod moment;
pub mod monitor;
mod notes;
mod panics;
#[cfg_attr(not(target_os = "linux"), allow(unsafe_code, reason = "registering descriptors"))]
mod poller;
mod pool;
#[allow(unsafe_code, reason = "process and descriptor calls")]
pub mod process;
mod process_limits;
mod reconnect;
#[doc(hidden)]
pub mod rt;
mod serving;
mod session;
pub mod stats;
mod sync;
mod thread_list;
mod thread_start;
mod threads;
mod timed_out;
mod trace_context;
mod unwind;
mod wakers;
mod wire;

pub use calls::any_pointer::AnyPointer;
pub use calls::call::Call;
pub use calls::capability::Capability;
pub use calls::connection::{Connection, ConnectionBuilder, WeakConnection};
pub use calls::current::{CurrentCall, current_call};
pub use calls::peer_version::PeerVersion;
pub use calls::rest::Rest;
pub use calls::server::{Server, ServerBuilder};
pub use connection::{Disconnected, Limits};
pub use error::{Error, Raised, Result};
pub use limits_met::Limit;
pub use process_limits::ProcessLimits;
pub use reconnect::{Connected, Current, Reconnect, ReconnectState, Reconnecting};
pub use rt::{Interface, capnp};
pub use serving::Task;
pub use session::{CallEnd, IncomingCall, Interceptor, OutgoingCall};
pub use threads::CancelToken;
pub use timed_out::TimedOut;
pub use trace_context::TraceContext;
/// The types of schemas, as markers: for the items of a list's view ([`ListView`]`<'_, Text>`), and as
/// arguments for type parameters ([`Argument`](schema::Argument)).
pub mod schema {
    pub use crate::wire::{
        Argument, Borrowable, Boxed, Data, Enum, List, ListView, Nullable, Struct, Text,
    };
}

pub use wire::{Codec, CodecError, Each, ListView, TryConvert};

/// The methods of every generated handle. For generated code.
#[doc(hidden)]
#[macro_export]
macro_rules! __handle {
    ($handle:ident, $object:ident $(, $parameter:ident)*) => {
        impl<$($parameter: $crate::rt::Argument),*> $handle<$($parameter),*> {
            /// A handle on an object of this process.
            pub fn new(object: impl $object<$($parameter),*>) -> Self {
                Self::from(::std::sync::Arc::new(object))
            }

            /// Runs `hook` when the object is gone: after the last handle on it, or after
            /// [`close`](Self::close). For a peer's object: after the last clone of this handle.
            pub fn add_cleanup(&self, hook: impl FnOnce() + Send + 'static) {
                self.0.add_cleanup(hook);
            }

            /// Ends the object, and waits for that. The call returns when the object's destructor and
            /// cleanup hooks have run, and fails if a streaming call of the object failed. Once it
            /// has begun, calls of the object through any handle are `Error::ApiMisuse`. A second
            /// `close` does nothing.
            ///
            /// This side's calls of the object that are under way return first, however long they take;
            /// those for which the schema names an interrupting method are interrupted. Only calls that
            /// wait for the callback in which this is called are not waited for. A `timeout` bounds how
            /// long this waits; the object is ended nevertheless.
            ///
            /// A peer's object whose interface has no `destroy` method ends with the last handle on it.
            /// Then this waits for its streaming calls only, and the handle's cleanup hooks run. An
            /// object of this process ends with or without such a method, for all handles on it and
            /// for peers.
            ///
            /// If `close` is not called, dropping the last handle on a peer's object does the same
            /// without waiting. The table of all cases is `docs/objects.md` in this project.
            pub fn close(&self) -> $crate::Call<()> {
                $crate::rt::close(self)
            }
        }

        impl<__Object: $object<$($parameter),*> $(, $parameter: $crate::rt::Argument)*>
            From<::std::sync::Arc<__Object>> for $handle<$($parameter),*>
        {
            fn from(object: ::std::sync::Arc<__Object>) -> Self {
                Self($crate::rt::Handle::local(object))
            }
        }

        impl<$($parameter: $crate::rt::Argument),*>
            From<::std::sync::Arc<dyn $object<$($parameter),*>>> for $handle<$($parameter),*>
        {
            fn from(object: ::std::sync::Arc<dyn $object<$($parameter),*>>) -> Self {
                Self($crate::rt::Handle::local(object))
            }
        }
    };
}

/// Includes the code that `multiprocess-build` generated. It is the content of the module that the
/// build script names, by default `generated`. With a directory, such as
/// `include_generated!("other")`, it includes the code in that directory below `OUT_DIR`.
#[macro_export]
macro_rules! include_generated {
    () => {
        include!(concat!(env!("OUT_DIR"), "/multiprocess.rs"));
    };
    ($directory:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $directory, "/multiprocess.rs"));
    };
}
