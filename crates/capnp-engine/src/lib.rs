//! Cap'n Proto's RPC protocol, level 1, as a state machine and nothing else.
//!
//! An [`Engine`] is one side of one connection, as plain data: no thread, no lock, no socket, no clock,
//! no user code, and no knowledge of what parameters and results mean. It is to Cap'n Proto's protocol
//! what quinn-proto is to QUIC's: whoever has a stream of bytes and objects to serve puts them around
//! it.
//!
//! ```text
//!                     in                    the engine                       out
//!   a message came    receive ──────────▶  questions  calls of this side's  ─▶ Effect::Write
//!   this side calls   call, cancel ─────▶  answers    calls of the peer's   ─▶ Effect::Deliver
//!   it has served     answer ───────────▶  exports    what the peer holds   ─▶ Effect::Answered
//!   it lets go        release ──────────▶  imports    what is held of it    ─▶ Effect::Released
//!   it is over        end ──────────────▶  embargoes  the order of calls    ─▶ Effect::Cancelled ..
//! ```
//!
//! # How it is used
//!
//! Each entry does at once all that follows from it and leaves what is to be done as [`Effect`]s, in
//! the one order in which they may be seen. Whoever has entered takes them out with
//! [`next_effect`](Engine::next_effect) until there are none, before the next message is received.
//! Results and parameters pass through as messages with their capabilities: [`Draft`] on the way out,
//! [`Payload`] on the way in.
//!
//! Capabilities are numbers ([`Cap`]) that are counted by hand: see [`Engine::retain`] and
//! [`Engine::release`]. [`Engine::sizes`] says what is held; when all is over, nothing is.
//!
//! # Guarantees
//!
//! - Calls of one capability are delivered in the order in which they were made, also while a promise
//!   resolves (E-order).
//! - Each call of this side's has one end: [`Effect::Answered`], or after a cancel [`Effect::Over`].
//! - No call of an object of the peer's is sent after the one that ends it ([`CallKind::Destroy`]),
//!   which itself waits for the others to return. See [`Stage`].
//! - What the peer sends never panics, and ends nothing but this engine: [`Engine::receive`] returns an
//!   error then. What the tables hold follows from what it sent, within [`Limits`].
//! - After [`Engine::end`] every table is empty.
//!
//! Not detected are circles of calls each of which waits for the results of the next, by way of promises
//! that were returned: they wait until the connection is over, cancelled or not.
//!
//! # Where to look
//!
//! `engine` has the tables, the effects and the end; `receive` takes in one message; `questions` and
//! `returns` are calls of this side's, `answers` those of the peer's; `exports` says what either side
//! has given the other; `promises` brings calls to where they belong, in order; `life` is an object's
//! end; `cap` counts. `draft`, `held`, `incoming`, `body`, `memory`, `hook`, `idmap`, `parts` are what
//! the others are made of.
//!
//! # A call and its answer, in memory
//!
//! ```
//! use capnp_engine::{CallOptions, Draft, Effect, Engine, Heap, Incoming, Limits, MessageView};
//!
//! type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//!
//! /// Does what one side wants done, and returns what it wrote. `message`: what it received last.
//! fn run(side: &mut Engine, message: Option<&Incoming<'_>>) -> Result<Vec<Vec<u8>>> {
//!     let mut written = Vec::new();
//!     while let Some(effect) = side.next_effect() {
//!         match effect {
//!             Effect::Write(message) => {
//!                 written.push(capnp::serialize::write_message_to_words(&message));
//!             }
//!             // Served at once: its parameters, which lie in the message, come back as its results.
//!             Effect::Deliver(call) => {
//!                 let answer = Draft::results(&Heap, call.call, |mut to| {
//!                     call.params.with(message, |params| {
//!                         to.set_as::<capnp::any_pointer::Owned>(params?.reader)
//!                     })?;
//!                     Ok::<_, capnp::Error>(Vec::new())
//!                 })?;
//!                 side.release_all(call.params.caps);
//!                 side.answer(call.call, Ok(answer));
//!             }
//!             Effect::Answered { tag, answer, .. } => {
//!                 println!("call {tag} has its results");
//!                 side.release_all(answer?.caps);
//!             }
//!             _ => {}
//!         }
//!     }
//!     Ok(written)
//! }
//!
//! /// Has a side take in what the other wrote, and returns what it wrote then.
//! fn receive(side: &mut Engine, written: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
//!     let mut answers = Vec::new();
//!     for bytes in written {
//!         let view = MessageView::new(&bytes);
//!         let segments = view.segments()?;
//!         let message = Incoming::new(view, &segments);
//!         side.receive(&message)?;
//!         answers.extend(run(side, Some(&message))?);
//!     }
//!     Ok(answers)
//! }
//!
//! fn main() -> Result<()> {
//!     let mut here = Engine::new(&Heap, Limits::default());
//!     let mut there = Engine::new(&Heap, Limits::default());
//!     let object = there.object(7);
//!     there.set_bootstrap(object);
//!
//!     // Both go out together: the call does not wait for the object that it is made on.
//!     let (_, first) = here.ask_bootstrap(1)?;
//!     let question = Draft::call(&Heap, (0x1234, 0), |mut params| {
//!         params.set_as::<capnp::text::Owned>("hello")?;
//!         Ok::<_, capnp::Error>(Vec::new())
//!     })?;
//!     here.call(first, question, CallOptions { tag: 2, ..Default::default() })?;
//!     here.release(first);
//!
//!     let mut written = run(&mut here, None)?;
//!     while !written.is_empty() {
//!         let answers = receive(&mut there, written)?;
//!         written = receive(&mut here, answers)?;
//!     }
//!     assert!(here.sizes().is_empty());
//!     Ok(())
//! }
//! ```

#![deny(unsafe_code)]

mod answers;
mod cap;
mod cap_index;
mod draft;
mod effect;
mod engine;
mod error;
mod exports;
mod idmap;
mod incoming;
mod life;
#[allow(unsafe_code, reason = "says why the memory given to capnp is sound")]
mod memory;
mod outgoing;
mod payload;
mod pending_call;
mod promises;
mod questions;
mod receive;
mod returns;
mod segments;
mod shared_message;

pub use cap::{Cap, Path, Stage, State};
pub use cap_index::{cap_hook, find_cap};
pub use draft::Draft;
pub use effect::{Delivery, Effect};
pub use engine::{Engine, Limits, Sizes};
pub use error::{Exception, ExceptionKind, Failure, Fatal};
pub use incoming::Incoming;
pub use memory::{Heap, Message, Pool, Segments, new_message, overwriting};
pub use payload::{Content, Payload};
pub use pending_call::{CallKind, Serving};
pub use questions::{CallId, CallOptions, Called};
pub use segments::{Segments as MessageSegments, SliceSegments};
pub use shared_message::{MessageView, SharedMessage, first_word, reader_options};
