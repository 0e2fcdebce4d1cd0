//! The bytes between the two sides, in memory: nothing moves unless the test moves it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::io::{AsyncRead, AsyncWrite};

/// One direction of a connection. A clone is the same pipe.
#[derive(Clone, Default)]
pub(crate) struct Pipe(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    closed: bool,
    reader: Option<Waker>,
}

impl Pipe {
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        state.bytes.extend(bytes);
        wake(&mut state);
    }

    pub(crate) fn close(&self) {
        let mut state = self.0.borrow_mut();
        state.closed = true;
        wake(&mut state);
    }

    /// The next whole message, in words as the engine needs it.
    pub(crate) fn take_message(&self) -> Option<Vec<capnp::Word>> {
        let mut state = self.0.borrow_mut();
        let word = |at: usize| {
            let byte = |place: usize| state.bytes.get(4 * at + place).copied();
            Some(u32::from_le_bytes([byte(0)?, byte(1)?, byte(2)?, byte(3)?]) as usize)
        };
        let segments = word(0)? + 1;
        let table = (segments + 2) / 2;
        let mut words = table;
        for segment in 0..segments {
            words += word(1 + segment)?;
        }
        if state.bytes.len() < 8 * words {
            return None;
        }
        let mut message = capnp::Word::allocate_zeroed_vec(words);
        let bytes = capnp::Word::words_to_bytes_mut(&mut message);
        for (to, from) in bytes.iter_mut().zip(state.bytes.drain(..8 * words)) {
            *to = from;
        }
        Some(message)
    }
}

/// What the test needs to know of a message.
pub(crate) enum Kind {
    /// A question with this id: which call of a program it is, and its target.
    Question(u32, Option<(u32, Target)>),
    /// A Return for the question with this id, and whether it ends the question.
    Return(u32, bool),
    Finish(u32),
    /// A promise has resolved to a capability of the receiver.
    Reflect,
    Other,
}

/// The id of an object, or of a question whose results contain one.
pub(crate) type Target = Result<u32, u32>;

pub(crate) fn kind_of(mut bytes: &[u8]) -> capnp::Result<Kind> {
    use capnp_rpc::rpc_capnp::{accept, cap_descriptor, message, message_target, resolve};

    let options = capnp::message::ReaderOptions::new();
    let message = capnp::serialize::read_message(&mut bytes, options)?;
    let root: message::Reader<'_> = message.get_root()?;
    Ok(match root.which()? {
        message::Bootstrap(bootstrap) => Kind::Question(bootstrap?.get_question_id(), None),
        message::Call(call) => {
            let call = call?;
            let params: accept::Reader<'_> = call.get_params()?.get_content().get_as()?;
            let target = match call.get_target()?.which()? {
                message_target::ImportedCap(id) => Ok(id),
                message_target::PromisedAnswer(answer) => Err(answer?.get_question_id()),
            };
            Kind::Question(call.get_question_id(), Some((params.get_question_id(), target)))
        }
        message::Return(answer) => {
            let answer = answer?;
            Kind::Return(answer.get_answer_id(), answer.get_no_finish_needed())
        }
        message::Finish(finish) => Kind::Finish(finish?.get_question_id()),
        message::Resolve(resolve) => match resolve?.which()? {
            resolve::Cap(cap) => match cap?.which()? {
                cap_descriptor::ReceiverHosted(_) | cap_descriptor::ReceiverAnswer(_) => {
                    Kind::Reflect
                }
                _ => Kind::Other,
            },
            resolve::Exception(_) => Kind::Other,
        },
        _ => Kind::Other,
    })
}

/// A message in a few words.
pub(crate) fn describe(bytes: &[u8]) -> String {
    use capnp_rpc::rpc_capnp::{accept, disembargo, message, return_};

    let said = || {
        let mut bytes = bytes;
        let message =
            capnp::serialize::read_message(&mut bytes, capnp::message::ReaderOptions::new())?;
        let root: message::Reader<'_> = message.get_root()?;
        Ok::<_, capnp::Error>(match root.which()? {
            message::Call(call) => {
                let call = call?;
                let (target, params) = (call.get_target()?, call.get_params()?);
                let caps = params.get_cap_table()?;
                let number: accept::Reader<'_> = params.get_content().get_as()?;
                let (id, number) = (call.get_question_id(), number.get_question_id());
                format!("Call {id}, of call {number}: {target:?} with {caps:?}")
            }
            message::Return(answer) => {
                let answer = answer?;
                let id = answer.get_answer_id();
                match answer.which()? {
                    return_::Results(payload) => {
                        let caps = payload?.get_cap_table()?;
                        format!("Return {id} {caps:?} {}", answer.get_no_finish_needed())
                    }
                    _ => format!("Return {answer:?}"),
                }
            }
            message::Disembargo(disembargo) => {
                let disembargo = disembargo?;
                let target = disembargo.get_target()?;
                match disembargo.get_context().which()? {
                    disembargo::context::SenderLoopback(id) => {
                        format!("Disembargo {id} {target:?}")
                    }
                    _ => format!("Disembargo back {target:?}"),
                }
            }
            _ => format!("{root:?}"),
        })
    };
    said().unwrap_or_else(|error| error.to_string())
}

fn wake(state: &mut State) {
    if let Some(reader) = state.reader.take() {
        reader.wake();
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        if state.bytes.is_empty() && !state.closed {
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = to.len().min(state.bytes.len());
        for (to, from) in to.iter_mut().zip(state.bytes.drain(..count)) {
            *to = from;
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.push(from);
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        Poll::Ready(Ok(()))
    }
}
