//! What is written, or read, in messages of several kinds.

use capnp_rpc::rpc_capnp::{exception, message, message_target, promised_answer, return_};

use super::cap::{Cap, Path, Target};
use super::memory::{Message, new_message};
use super::{malformed, misbehaved};
use crate::connection::Core;
use crate::{Error, Result};

impl Core {
    /// Sends a message that has room for so many words at first.
    pub(super) fn send(&mut self, words: u32, write: impl FnOnce(message::Builder<'_>)) {
        let mut message = new_message(words);
        write(message.init_root());
        self.rpc.out.push(message);
    }

    /// Tells the peer why the connection ends, where that is its doing.
    pub(crate) fn abort(&mut self, error: &Error) {
        if let Error::PeerMisbehaved { .. } = error {
            self.send(64, |root| write_exception(root.init_abort(), error));
        }
    }

    /// Answers a question of the peer's.
    pub(super) fn send_return(
        &mut self,
        id: u32,
        words: u32,
        write: impl FnOnce(return_::Builder<'_>),
    ) {
        let mut message = new_message(words);
        write(init_return(&mut message, id));
        self.rpc.out.push(message);
    }
}

pub(super) fn init_return(message: &mut Message, id: u32) -> return_::Builder<'_> {
    let root: message::Builder<'_> = message.init_root();
    let mut answer = root.init_return();
    answer.set_answer_id(id);
    // What came with the call is let go of one by one.
    answer.set_release_param_caps(false);
    answer
}

/// Says where a call goes. False if that is not to the peer.
pub(super) fn write_target(mut to: message_target::Builder<'_>, target: &Cap) -> bool {
    match target {
        Cap::Import(import) => to.set_imported_cap(import.id),
        Cap::Promise(promise) => match &mut promise.state().target {
            Target::Import { import, called } => {
                *called = true;
                to.set_imported_cap(import.id);
            }
            Target::Answer { question, path, called } => {
                *called = true;
                write_promised_answer(to.init_promised_answer(), *question, path);
            }
            Target::Here | Target::Resolved(_) => return false,
        },
        Cap::Local(_) | Cap::Broken(_) => return false,
    }
    true
}

pub(super) fn write_promised_answer(
    mut to: promised_answer::Builder<'_>,
    question: u32,
    path: &[u16],
) {
    to.set_question_id(question);
    let mut ops = to.init_transform(path.len() as u32);
    for (place, field) in path.iter().enumerate() {
        ops.reborrow().get(place as u32).set_get_pointer_field(*field);
    }
}

/// Errors as the peer tells them.
pub(super) fn from_exception(error: exception::Reader<'_>) -> Error {
    let text = error.get_reason().ok().and_then(|text| text.to_string().ok()).unwrap_or_default();
    match error.get_type() {
        Ok(exception::Type::Unimplemented) => Error::Unimplemented { method: text },
        Ok(exception::Type::Overloaded) => Error::Overloaded { message: text },
        // A peer may answer so for something that it lost itself; this connection stands.
        _ => Error::Remote { message: text },
    }
}

/// Errors as the peer is told them.
pub(super) fn write_exception(mut to: exception::Builder<'_>, error: &Error) {
    let text;
    let (kind, reason) = match error {
        Error::Unimplemented { method } => (exception::Type::Unimplemented, method.as_str()),
        Error::Overloaded { message } => (exception::Type::Overloaded, message.as_str()),
        Error::Remote { message } => (exception::Type::Failed, message.as_str()),
        other => {
            text = other.to_string();
            (exception::Type::Failed, text.as_str())
        }
    };
    to.set_type(kind);
    to.set_reason(reason);
}

/// The pointers that lead to a capability of an answer.
pub(super) fn path_of(answer: promised_answer::Reader<'_>) -> Result<Path> {
    /// Pointers within pointers are not read further than this.
    const DEEPEST: usize = 64;
    let mut path = Path::new();
    for op in answer.get_transform().map_err(malformed)? {
        match op.which().map_err(|error| malformed(error.into()))? {
            promised_answer::op::Noop(()) => {}
            promised_answer::op::GetPointerField(field) => path.push(field),
        }
        if path.len() > DEEPEST {
            return Err(misbehaved("named a capability that lies too deep in an answer"));
        }
    }
    Ok(path)
}
