//! Cap'n Proto's RPC protocol, level 1: questions, answers, and the capabilities that travel with
//! them.
//!
//! Plain tables under the connection's lock, without futures and without a task of its own: a message
//! comes in through [`Core::receive`], a call of this side's through [`Core::call`], an answer of a
//! served object's through [`Core::answer`]; each does all that follows from it at once and leaves
//! what is to be sent in the [`Batch`](crate::connection::Batch). The messages are those of the
//! protocol's own schema, rpc.capnp, whose comments say what each means.
//!
//! - `questions`: calls of this side's; `returns`: what their answers mean;
//! - `answers`: calls of the peer's, and what becomes of their results;
//! - `exports`: which objects either side has given the other;
//! - `promises`: what resolves, what waits for it, and the order of calls (embargoes);
//! - `receive`: one message at a time;
//! - `parts`: what is written and read in messages of several kinds;
//! - `cap`, `body`, `held`, `hook`, `idmap`, `memory`: what the others are made of.

mod answers;
mod body;
mod cap;
mod exports;
mod held;
mod hook;
mod idmap;
#[allow(unsafe_code, reason = "says why the memory given to capnp is sound")]
mod memory;
mod parts;
mod promises;
mod questions;
mod receive;
mod returns;

use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;

pub(crate) use answers::Outcome;
pub(crate) use body::{Body, Content, Whole, first_word, options};
pub(crate) use cap::{Cap, Garbage, Waste};
pub(crate) use held::{Destination, HeldCall};
pub(crate) use hook::{find, hook};
#[cfg(test)]
pub(crate) use memory::new_message;
pub(crate) use memory::{Message, overwriting, take_bytes};
pub(crate) use questions::{CallId, Outline, Waiter};

use crate::Error;
use crate::connection::Batch;

/// The protocol's tables of one connection.
#[derive(Default)]
pub(crate) struct Rpc {
    /// What the peer's bootstrap returns.
    bootstrap: Option<Cap>,
    questions: questions::Questions,
    answers: answers::Answers,
    exports: Slab<exports::Export>,
    imports: idmap::IdMap<exports::Imported>,
    embargoes: Slab<promises::Embargo>,
    /// What waited and can go on now.
    work: VecDeque<promises::Work>,
    garbage: Arc<Garbage>,
    /// What is to be sent.
    out: Batch,
}

impl Rpc {
    pub(crate) fn set_bootstrap(&mut self, cap: Cap) {
        self.bootstrap = Some(cap);
    }

    pub(crate) fn garbage(&self) -> &Arc<Garbage> {
        &self.garbage
    }

    pub(crate) fn out(&mut self) -> &mut Batch {
        &mut self.out
    }

    /// How much is in each table: questions, answers, exports, imports, embargoes.
    pub(crate) fn sizes(&self) -> [usize; 5] {
        let (_, answers) = self.answers.open();
        let (exports, imports) = (self.exports.len(), self.imports.len());
        [self.questions.len(), answers, exports, imports, self.embargoes.len()]
    }

    /// How many calls of this side's are under way.
    pub(crate) fn open_questions(&self) -> usize {
        self.questions.open()
    }

    /// How many of the peer's questions are not answered, and how many are not finished.
    pub(crate) fn open_answers(&self) -> (usize, usize) {
        self.answers.open()
    }
}

/// The peer broke the protocol: that ends the connection.
fn misbehaved(problem: impl Into<String>) -> Error {
    Error::PeerMisbehaved { problem: problem.into() }
}

/// A message that is not what the protocol's schema says.
fn malformed(error: capnp::Error) -> Error {
    misbehaved(error.to_string())
}
