//! Cap'n Proto's RPC protocol, level 1, as a state machine.
//!
//! An [`Engine`] is one side of one connection, as plain data: no thread, no lock, no socket, no clock,
//! no user code, and no knowledge of what parameters and results mean. Like quinn-proto for QUIC, it
//! implements only the protocol: its user adds the stream of bytes and the objects that are served.
//!
//! ```text
//!                     in                    the engine                       out
//!   a message came    receive ──────────▶  questions  calls of this side    ─▶ Effect::Write
//!   a call            call, cancel ─────▶  answers    calls of the peer     ─▶ Effect::Deliver
//!   an answer         answer ───────────▶  exports    given to the peer     ─▶ Effect::Answered
//!   a dropped cap     release ──────────▶  imports    given by the peer     ─▶ Effect::Released
//!   the end           end ──────────────▶  embargoes  the order of calls    ─▶ Effect::Cancelled ..
//! ```
//!
//! # How it is used
//!
//! Each method that changes the engine updates the tables at once and queues [`Effect`]s for its user,
//! who must carry them out in this order. The user takes them with
//! [`next_effect`](Engine::next_effect) until there are none, before the next message is received.
//! Parameters and results are messages with their capabilities: a [`Draft`] is sent, a [`Payload`] is
//! received.
//!
//! Capabilities are numbers ([`Cap`]) with reference counts that are kept by hand: see
//! [`Engine::retain`] and [`Engine::release`]. [`Engine::sizes`] counts the entries of all tables, which
//! are empty when every call has ended and every capability was released.
//!
//! # Guarantees
//!
//! - Calls of one capability are delivered in the order in which they were made, also while a promise
//!   resolves (E-order).
//! - Each call of this side ends once: with [`Effect::Answered`], or after a cancel with
//!   [`Effect::Over`].
//! - No call of an object of the peer is sent after the call that ends the object
//!   ([`CallKind::Destroy`]), which waits for the others to return. See [`Stage`].
//! - No message of the peer causes a panic. A wrong message ends only this engine:
//!   [`Engine::receive`] returns an error. The peer can fill the tables only as far as it sends
//!   messages, and within [`Limits`].
//! - After [`Engine::end`] every table is empty.
//!
//! Cycles of calls are not detected, in which each call waits for the results of the next through
//! promises that were returned: such calls wait until the connection is over, cancelled or not.
//! So does a call of a promise of the peer that leads through this side back to the peer, if it is made
//! and waited for in a callback of an earlier call of the same promise: it goes out when that one has returned.
//!
//! # Where to look
//!
//! `engine` has the tables, the effects and the end; `receive` handles one message; `questions` and
//! `returns` handle calls of this side, `answers` calls of the peer; `exports` has the exports and
//! imports; `promises` routes calls, in order; `life` handles the end of objects; `cap` has the
//! capabilities and their reference counts, `descriptors` the file descriptors that are attached to them; `limits` what the peer can make this side hold. The others
//! use `cap_index`, `draft`, `idmap`, `incoming`, `memory`, `outgoing`, `payload`, `pending_call`,
//! `segments` and `shared_message`.
//!
//! # A call and its answer, in memory
//!
//! Beside this crate it needs `capnp`, in the release that this crate is pinned to (`capnp = "=0.27.3"`).
//!
//! ```
//! use capnp_engine::{CallOptions, Draft, Effect, Engine, Heap, Incoming, Limits, MessageView};
//!
//! type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//!
//! /// Carries out a side's effects and returns the messages to send. `message`: the one received last.
//! fn run(side: &mut Engine, message: Option<&Incoming<'_>>) -> Result<Vec<Vec<u8>>> {
//!     let mut written = Vec::new();
//!     while let Some(effect) = side.next_effect() {
//!         match effect {
//!             Effect::Write(message) => {
//!                 written.push(capnp::serialize::write_message_to_words(&message));
//!             }
//!             // Served at once: returns its parameters, which lie in the message, as its results.
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
//! /// Gives a side the other's messages and returns the messages that it sends then.
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
//!     // Both are sent together: the call does not wait for its object.
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
//!     // The other side keeps its bootstrap capability until the end.
//!     assert_eq!(there.sizes().capabilities, 1);
//!     Ok(())
//! }
//! ```

#![warn(missing_debug_implementations)]
#![deny(unsafe_code)]

#[macro_use]
mod opaque;

mod answers;
mod cap;
mod cap_index;
mod descriptors;
mod draft;
mod effect;
mod engine;
mod error;
mod exports;
mod idmap;
mod incoming;
mod life;
mod limits;
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
mod told;

pub use cap::{Cap, Path, Stage, State};
pub use cap_index::{cap_hook, find_cap};
pub use descriptors::{Close, Descriptor};
pub use draft::Draft;
pub use effect::{Carrying, Delivery, Effect, Exceeded};
pub use engine::{Engine, Sizes};
pub use error::{Exception, ExceptionKind, Failure, Fatal};
pub use incoming::Incoming;
pub use limits::Limits;
pub use memory::{Heap, Message, NoMemory, Pool, Segments, new_message, overwriting, zeroed};
pub use payload::{Content, Payload};
pub use pending_call::{CallKind, Serving};
pub use questions::{CallId, CallOptions, Called};
pub use segments::{Segments as MessageSegments, SliceSegments};
pub use shared_message::{
    MessageView, NESTING, SharedMessage, first_word, nesting_limit, reader_options,
    set_nesting_limit,
};
pub use told::PeerLimits;
