//! Sends messages, and writes the parts that several kinds of messages have.

use capnp_rpc::rpc_capnp::{message, message_target, promised_answer, return_};

use crate::cap::{Cap, Kind, Target};
use crate::draft::init_return;
use crate::effect::Effect;
use crate::engine::Engine;
use crate::error::Exception;
use crate::memory::new_message;

impl Engine {
    /// Sends a message whose first segment has `words` words.
    pub(crate) fn send(&mut self, words: u32, write: impl FnOnce(message::Builder<'_>)) {
        let mut message = new_message(self.pool, words);
        write(message.init_root());
        self.effect(Effect::Write(message));
    }

    /// Sends Abort: tells the peer why this side ends the connection. To be called before
    /// [`end`](Engine::end).
    pub fn abort(&mut self, reason: &Exception) {
        self.send(64, |root| reason.write(root.init_abort()));
    }

    /// Sends a Return.
    pub(crate) fn send_return(
        &mut self,
        id: u32,
        words: u32,
        write: impl FnOnce(return_::Builder<'_>),
    ) {
        let mut message = new_message(self.pool, words);
        write(init_return(&mut message, id));
        self.effect(Effect::Write(message));
    }

    /// Writes the target of a call that goes to the peer.
    pub(crate) fn write_target(&mut self, mut to: message_target::Builder<'_>, target: Cap) {
        match self.caps.get_mut(target).map(|entry| &mut entry.kind) {
            Some(Kind::Import { id }) => {
                let id = *id;
                to.set_imported_cap(id);
                // If the peer gave the id as a promise, this call goes the way of the promise's: see
                // `Engine::as_told`.
                if let Some(promise) = self.imported_promise(id)
                    && let Some(promise) = self.caps.promise(promise)
                    && let Target::Import { called, .. } = &mut promise.target
                {
                    *called = true;
                }
            }
            Some(Kind::Promise(promise)) => match &mut promise.target {
                Target::Import { id, called, .. } => {
                    *called = true;
                    to.set_imported_cap(*id);
                }
                Target::Answer { question, path, called } => {
                    *called = true;
                    write_promised_answer(to.init_promised_answer(), *question, path);
                }
                Target::Here | Target::Resolved(_) => {}
            },
            Some(Kind::Local { .. } | Kind::Broken(_)) | None => {}
        }
    }
}

pub(crate) fn write_promised_answer(
    mut to: promised_answer::Builder<'_>,
    question: u32,
    path: &[u16],
) {
    to.set_question_id(question);
    let mut ops = to.init_transform(path.len() as u32);
    for (index, field) in path.iter().enumerate() {
        ops.reborrow().get(index as u32).set_get_pointer_field(*field);
    }
}
