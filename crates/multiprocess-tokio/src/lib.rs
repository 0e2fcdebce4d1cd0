#![doc = include_str!("../README.md")]
//!
//! # Where to look
//!
//! - [`StartStream`]: connections over anything that is read and written asynchronously;
//! - [`serve`] and [`Serve`]: accept loops that end gracefully;
//! - `tls`, with the feature of this name: connections to other machines, with certificates of both sides;
//! - [`on`]: objects whose methods are futures, on a runtime; [`on_blocking_pool`]: those whose methods block;
//! - [`sink()`]: a streaming method as a [`Sink`](futures_sink::Sink);
//! - [`callback`] and [`channel`]: calls of a callback as a [`Stream`](futures_core::Stream);
//! - [`guard`] and [`block_in_place`]: `.wait()` where it would stop a runtime.
//!
//! # When a future is dropped
//!
//! | dropped | what happens | what is lost |
//! |---|---|---|
//! | a [`Call`](multiprocess::Call) | the call is cancelled; a served future is dropped | its result |
//! | a streaming `Call` that was polled | nothing: it was sent | nothing |
//! | `sink.send(item)` | the sink goes on | the item, if there was no room yet; after `poll_ready` nothing |
//! | [`CallSink`] | what was sent is served; errors are not told any more | nothing that `start_send` took |
//! | `stream.next()`, [`Callbacks::recv`] | nothing: the next one gets the item | nothing |
//! | [`Callbacks`] | callers that wait for room, and later ones, get an error | what it had not given out |
//! | [`serve`] | it stops accepting, its connections end, and what is served is cancelled | the answers |
//! | the runtime | the connections that it carries end, and calls of objects on it fail | the answers |
//!
//! The streams of `bitcoin-ipc` (`tips()`, `templates()`, `updates()`) are [`Stream`](futures_core::Stream)s of no
//! executor in particular, and are used on tokio as they are.

#![forbid(unsafe_code)]

mod blocking;
mod callback;
mod guard;
mod objects;
mod pump;
mod serve;
mod sink;
mod start;
#[cfg(feature = "tls")]
pub mod tls;

pub use blocking::on_blocking_pool;
pub use callback::{CallbackSender, Callbacks, Receives, callback, channel};
pub use guard::{Guarded, block_in_place, guard};
pub use objects::on;
pub use serve::{Serve, serve};
pub use sink::{CallSink, sink};
pub use start::StartStream;
