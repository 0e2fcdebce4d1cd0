//! Answers to calls of this side.

use capnp_rpc::rpc_capnp::return_;

use crate::draft::Draft;
use crate::effect::Effect;
use crate::engine::{Engine, Work};
use crate::error::{Exception, ExceptionKind, Failure, Fatal};
use crate::incoming::Incoming;
use crate::payload::Payload;
use crate::pending_call::Serving;
use crate::questions::{CallId, Ended, Question, Wanted};

impl Engine {
    /// The question with this id, if the peer has to answer it.
    fn asked(&mut self, id: u32) -> Result<(CallId, &mut Question), Fatal> {
        let question = self.questions.at(id);
        question.filter(|(_, question)| question.sent && question.taken().is_none()).ok_or_else(
            || Fatal::misbehaved(format!("answered question {id}, which was not asked")),
        )
    }

    /// The peer does not implement the message that asked a question.
    pub(crate) fn receive_refused(&mut self, id: u32) -> Result<(), Fatal> {
        let (call, question) = self.asked(id)?;
        for export in std::mem::take(&mut question.exports) {
            self.release_export(export, 1)?;
        }
        // No Finish: the peer has no such question.
        let reason = "the other side does not take such calls";
        let error = Exception::new(ExceptionKind::Unimplemented, reason);
        self.answered(call, Err(error.into()), None, false);
        Ok(())
    }

    pub(crate) fn receive_return<'a>(
        &mut self,
        answer: return_::Reader<'a>,
        message: &Incoming<'a>,
    ) -> Result<(), Fatal> {
        let id = answer.get_answer_id();
        let (call, question) = self.asked(id)?;
        let finished = question.finished;
        if answer.get_release_param_caps() {
            for export in std::mem::take(&mut question.exports) {
                self.release_export(export, 1)?;
            }
        }
        let outcome = answer.which()?;
        // The id can be reused once the peer has the Finish.
        let finish = !answer.get_no_finish_needed();
        if finished {
            // The Finish released the capabilities of the results. If this side was to take the
            // results from a call of the peer, nobody wants them now.
            if let return_::TakeFromOtherQuestion(other) = outcome {
                self.take_nothing(other);
            }
            self.cancelled_returned(call);
            return Ok(());
        }
        match outcome {
            return_::Results(results) => {
                let caps = {
                    let results = results?;
                    message.set_content(results.get_content());
                    self.receive_caps(results, message.view().len())?
                };
                self.answered(call, Ok(Payload { message: None, caps }), Some(message), finish);
            }
            return_::Exception(error) => {
                self.answered(call, Err(Exception::read(error?).into()), None, finish);
            }
            return_::Canceled(()) => {
                self.answered(call, Err(Failure::Cancelled), None, finish);
            }
            return_::TakeFromOtherQuestion(other) => {
                let results = self.take_elsewhere(other, call)?;
                if let Some(question) = self.questions.get(call) {
                    question.set_taken(other);
                }
                // If they are not known, the question gets them when that call is answered.
                if let Some(results) = results {
                    self.work.push_back(Work::Taken(call, results));
                }
                // Until then the question is not finished, and calls on its results use its id.
                return Ok(());
            }
            return_::ResultsSentElsewhere(()) => {
                return Err(Fatal::misbehaved("sent results elsewhere that were asked for"));
            }
            return_::AcceptFromThirdParty(_) => {
                return Err(Fatal::misbehaved("answered through a third party"));
            }
        }
        Ok(())
    }

    /// The results that a question takes from a call of the peer are known.
    pub(crate) fn answered_elsewhere(
        &mut self,
        call: CallId,
        mut results: Result<Payload, Failure>,
    ) {
        for cap in results.iter_mut().flat_map(|payload| payload.caps.iter_mut().flatten()) {
            *cap = self.reflected(*cap);
        }
        self.answered(call, results, None, true);
    }

    /// A call that was cancelled has returned.
    pub(crate) fn cancelled_returned(&mut self, call: CallId) {
        if let Some(ended) = self.remove_question(call) {
            self.over(&ended);
        }
    }

    fn over(&mut self, ended: &Ended) {
        if ended.own {
            self.effect(Effect::Over { tag: ended.tag });
        }
    }

    /// Answers a call of this side. `current`: the message that contains the answer. `finish`:
    /// Finish has to be sent.
    pub(crate) fn answered(
        &mut self,
        call: CallId,
        answer: Result<Payload, Failure>,
        current: Option<&Incoming<'_>>,
        finish: bool,
    ) {
        let promises = match self.questions.get(call) {
            Some(question) => question.take_promises(),
            None => {
                if let Ok(payload) = answer {
                    self.release_all(payload.caps);
                }
                return;
            }
        };
        // The id is not free yet: calls that waited may be forwarded now, and they need other ids
        // until the peer has the Finish, which comes after a Disembargo.
        for (path, promise) in &promises {
            // Without other references on the promise there is no order to keep.
            if self.caps.refs(*promise) > 1 {
                let cap = match &answer {
                    Ok(payload) => self.cap_of(payload, current, path),
                    Err(failure) => self.broken(failure.clone()),
                };
                self.resolve_in_order(*promise, cap);
            }
        }
        for (_, promise) in &promises {
            self.release(*promise);
        }
        if finish {
            self.send_finish(call.place, false);
        }
        let Some(ended) = self.remove_question(call) else { return };
        match ended.wanted {
            Wanted::Here => self.effect(Effect::Answered { tag: ended.tag, call, answer }),
            Wanted::For(serving) => self.pass_back(serving, answer, current),
            Wanted::No => {
                if let Ok(payload) = answer {
                    self.release_all(payload.caps);
                }
                self.over(&ended);
            }
        }
    }

    /// The answer of a forwarded call is that of the original call.
    fn pass_back(
        &mut self,
        serving: Serving,
        answer: Result<Payload, Failure>,
        current: Option<&Incoming<'_>>,
    ) {
        let outcome = answer.and_then(|payload| {
            let pool = self.pool;
            let draft = payload.with(current, |content| {
                let content = content?;
                Draft::results(pool, serving, |to| self.copy_content(&content, to))
            });
            self.release_all(payload.caps);
            draft.map_err(|error| Failure::malformed(&error))
        });
        self.answer_call(serving, outcome);
    }
}
