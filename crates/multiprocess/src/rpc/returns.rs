//! What the peer answers to calls of this side's.

use std::sync::Arc;

use capnp::traits::Imbue;
use capnp_rpc::rpc_capnp::return_;

use super::answers::Outcome;
use super::body::{Content, Whole};
use super::cap::Cap;
use super::held::Held;
use super::parts::from_exception;
use super::promises::Work;
use super::questions::{CallId, Question, Waiter};
use super::{hook, malformed, misbehaved};
use crate::connection::{ArcConn, Core};
use crate::{Error, Result};

impl Core {
    /// A question that the peer has to answer.
    fn asked(&mut self, id: u32) -> Result<&mut Question> {
        let question = self.rpc.questions.at(id);
        question
            .filter(|question| question.sent && question.taken.is_none())
            .ok_or_else(|| misbehaved(format!("answered question {id}, which was not asked")))
    }

    /// The peer does not know the kind of message that a question was asked with.
    pub(super) fn receive_refused(&mut self, conn: &ArcConn, id: u32) -> Result<()> {
        let question = self.asked(id)?;
        let call = (id, question.serial);
        for export in std::mem::take(&mut question.exports) {
            self.release_export(export, 1)?;
        }
        // There is nothing to finish there.
        let error = Error::unimplemented("the other side does not take such calls");
        self.failed(conn, call, error)
    }

    /// The peer has answered with an error. That may be the end of the connection, which is returned:
    /// before anybody is told of the error, as it will be explained.
    fn failed(&mut self, conn: &ArcConn, call: CallId, error: Error) -> Result<()> {
        let question = self.rpc.questions.get(call);
        if question.is_some_and(|question| matches!(question.waiter, Waiter::Handshake { .. })) {
            conn.refused(&error)?;
        }
        self.answered(conn, call, Err(error));
        Ok(())
    }

    pub(super) fn receive_return(
        &mut self,
        conn: &ArcConn,
        answer: return_::Reader<'_>,
        whole: Whole<'_>,
    ) -> Result<()> {
        let id = answer.get_answer_id();
        let question = self.asked(id)?;
        let call = (id, question.serial);
        let cancelled = question.cancelled;
        if answer.get_release_param_caps() {
            let exports = std::mem::take(&mut question.exports);
            for export in exports {
                self.release_export(export, 1)?;
            }
        }
        let outcome = answer.which().map_err(|error| malformed(error.into()))?;
        if cancelled {
            // Its capabilities are none of ours: the Finish said so.
            self.rpc.questions.remove(call);
            return Ok(());
        }
        match outcome {
            return_::Results(results) => {
                let results = results.map_err(malformed)?;
                let caps = self.receive_caps(results, whole.len())?;
                let table = hook::table(&caps);
                let mut reader = results.get_content();
                reader.imbue(&table);
                self.answered(conn, call, Ok(Content { reader, caps: &caps, whole }));
            }
            return_::Exception(error) => {
                self.failed(conn, call, from_exception(error.map_err(malformed)?))?;
            }
            return_::Canceled(()) => self.failed(conn, call, Error::Cancelled)?,
            return_::TakeFromOtherQuestion(other) => {
                let results = self.rpc.answers.take_elsewhere(other, call)?;
                if let Some(question) = self.rpc.questions.get(call) {
                    question.taken = Some(other);
                }
                // Otherwise when that call has been answered.
                if let Some(results) = results {
                    self.rpc.work.push_back(Work::Taken(call, results));
                }
                // Until then it is called by its number, and not finished.
                return Ok(());
            }
            return_::ResultsSentElsewhere(()) => {
                return Err(misbehaved("sent results elsewhere that were asked for"));
            }
            return_::AcceptFromThirdParty(_) => {
                return Err(misbehaved("answered through a third party"));
            }
        }
        // The number is free once the peer knows that it is.
        if !answer.get_no_finish_needed() {
            self.send_finish(id, false);
        }
        Ok(())
    }

    pub(super) fn answered_by(&mut self, conn: &ArcConn, call: CallId, held: &Held) {
        held.with(|content| {
            let content = content.map_err(crate::codec::malformed);
            self.answered(conn, call, content);
        });
    }

    /// The results that a call's were said to be are there.
    pub(super) fn answered_elsewhere(
        &mut self,
        conn: &ArcConn,
        call: CallId,
        results: std::result::Result<Held, Arc<Error>>,
    ) {
        if !self.is_open(call) {
            return;
        }
        match results {
            Ok(held) => self.answered_by(conn, call, &held),
            Err(error) => self.answered(conn, call, Err((*error).clone())),
        }
        self.send_finish(call.0, false);
    }

    /// The call has its answer.
    pub(super) fn answered(&mut self, conn: &ArcConn, call: CallId, answer: Result<Content<'_>>) {
        let Some(question) = self.rpc.questions.remove(call) else { return };
        for (path, promise) in question.promises {
            let Some(promise) = promise.upgrade() else { continue };
            let cap = match &answer {
                Ok(content) => content.cap(&path),
                Err(error) => Cap::broken(error.clone()),
            };
            self.resolve_in_order(&promise, cap);
        }
        match question.waiter {
            Waiter::Complete(complete) => {
                let after = complete(self, conn, answer);
                self.after.extend(after);
            }
            Waiter::Forward(destination) => {
                let outcome = match &answer {
                    Ok(content) => Outcome::Copy(content),
                    Err(error) => Outcome::Error(error.clone()),
                };
                self.answer(conn, destination, outcome);
            }
            Waiter::Handshake { last: true } if answer.is_ok() => {
                self.after.extend(conn.shaken());
            }
            Waiter::Handshake { .. } | Waiter::Nobody => {}
        }
    }
}
