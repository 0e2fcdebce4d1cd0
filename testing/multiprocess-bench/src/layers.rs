//! The steps between a raw socket pair and a call, one after another, to measure the cost of each.
//!
//! All layers send [`raw`]'s frames. Each adds one step to the layer before:
//!
//! - [`Layer::Poll`]: each side waits in poll(2) before it reads, as is needed to wait for more than
//!   one thing;
//! - [`Layer::Messages`]: a frame is the Cap'n Proto messages of a call, with the Finish of the one
//!   before, and its answer the Return; each is built on one side and read on the other;
//! - [`Layer::Handover`]: on each side the thread that reads is not the one that works: it hands
//!   over what it has read.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

use capnp::message::{self, HeapAllocator, ReaderOptions};
use capnp::serialize;
use capnp_rpc::rpc_capnp::{message as rpc, return_};

use crate::generated::bench_capnp::bench::{echo_inline_params, echo_inline_results};
use crate::raw::{self, Link};
use crate::{Failure, TEXT};

/// The steps on top of a raw socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Reads after a poll.
    Poll,
    /// Also sends Cap'n Proto messages.
    Messages,
    /// Also hands messages that were read to another thread.
    Handover,
}

/// The client of [`Layer::Messages`] and [`Layer::Handover`].
pub struct Caller {
    socket: UnixStream,
    answers: Answers,
}

enum Answers {
    Read(Link),
    HandedOver(mpsc::Receiver<Vec<u8>>),
}

impl Caller {
    /// Talks to a server of this layer.
    ///
    /// # Errors
    /// The socket cannot be shared with a thread.
    pub fn new(layer: Layer, socket: UnixStream) -> Result<Caller, Failure> {
        let mut link = Link::new(socket.try_clone()?).polled();
        if layer != Layer::Handover {
            return Ok(Caller { socket, answers: Answers::Read(link) });
        }
        let (give, answers) = mpsc::channel();
        std::thread::spawn(move || {
            while let Ok(answer) = link.receive() {
                if give.send(answer).is_err() {
                    return;
                }
            }
        });
        Ok(Caller { socket, answers: Answers::HandedOver(answers) })
    }

    /// The text, which went to the server and back.
    ///
    /// # Errors
    /// The server is gone, or answers nonsense.
    pub fn echo(&mut self, text: &str) -> Result<String, Failure> {
        self.socket.write_all(&raw::frame(&call(text)?))?;
        let answer = match &mut self.answers {
            Answers::Read(link) => link.receive()?,
            Answers::HandedOver(answers) => answers.recv()?,
        };
        returned(&answer)
    }
}

/// Builds and reads, on one thread, the messages of one call of [`TEXT`].
///
/// # Errors
/// None.
pub fn messages() -> Result<String, Failure> {
    returned(&answer(&call(TEXT)?)?)
}

pub(crate) fn serve(layer: Layer, mut socket: UnixStream) -> Result<(), Failure> {
    let mut link = Link::new(socket.try_clone()?).polled();
    match layer {
        Layer::Poll => raw::serve_link(link),
        Layer::Messages => {
            while let Ok(call) = link.receive() {
                socket.write_all(&raw::frame(&answer(&call)?))?;
            }
            Ok(())
        }
        Layer::Handover => {
            let (give, calls) = mpsc::channel::<Vec<u8>>();
            std::thread::spawn(move || -> Result<(), Failure> {
                for call in calls {
                    socket.write_all(&raw::frame(&answer(&call)?))?;
                }
                Ok(())
            });
            while let Ok(call) = link.receive() {
                give.send(call)?;
            }
            Ok(())
        }
    }
}

/// The Call, and the Finish of the call before.
fn call(text: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut message = message::Builder::new_default();
    let mut finish = message.init_root::<rpc::Builder<'_>>().init_finish();
    finish.set_question_id(1);
    finish.set_release_result_caps(false);
    serialize::write_message(&mut bytes, &message)?;

    let mut message = message::Builder::new(HeapAllocator::new());
    let mut call = message.init_root::<rpc::Builder<'_>>().init_call();
    call.set_question_id(1);
    call.set_interface_id(1);
    call.set_method_id(2);
    call.reborrow().init_target().set_imported_cap(1);
    let content = call.get_params()?.get_content();
    content.init_as::<echo_inline_params::Builder<'_>>().set_text(text);
    serialize::write_message(&mut bytes, &message)?;
    Ok(bytes)
}

/// The server's answer to that: the Return.
fn answer(mut call: &[u8]) -> Result<Vec<u8>, Failure> {
    let message = serialize::read_message(&mut call, ReaderOptions::new())?;
    let rpc::Which::Finish(finish) = message.get_root::<rpc::Reader<'_>>()?.which()? else {
        return Err("no Finish".into());
    };
    let _question = finish?.get_question_id();
    let message = serialize::read_message(&mut call, ReaderOptions::new())?;
    let rpc::Which::Call(call) = message.get_root::<rpc::Reader<'_>>()?.which()? else {
        return Err("no Call".into());
    };
    let call = call?;
    let params = call.get_params()?.get_content();
    let text = params.get_as::<echo_inline_params::Reader<'_>>()?.get_text()?.to_string()?;

    let mut message = message::Builder::new_default();
    let mut answer = message.init_root::<rpc::Builder<'_>>().init_return();
    answer.set_answer_id(call.get_question_id());
    let content = answer.init_results().get_content();
    content.init_as::<echo_inline_results::Builder<'_>>().set_result(&text);
    let mut bytes = Vec::new();
    serialize::write_message(&mut bytes, &message)?;
    Ok(bytes)
}

/// The text in the Return, as the client reads it.
fn returned(mut answer: &[u8]) -> Result<String, Failure> {
    let message = serialize::read_message(&mut answer, ReaderOptions::new())?;
    let rpc::Which::Return(answer) = message.get_root::<rpc::Reader<'_>>()?.which()? else {
        return Err("no Return".into());
    };
    let return_::Which::Results(results) = answer?.which()? else {
        return Err("no results".into());
    };
    let results = results?.get_content().get_as::<echo_inline_results::Reader<'_>>()?;
    Ok(results.get_result()?.to_string()?)
}
