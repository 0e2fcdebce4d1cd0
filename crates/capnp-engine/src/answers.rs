//! The peer's calls (answers): their state until the peer has finished them, and their results.

use capnp_rpc::rpc_capnp::{message, return_};

use crate::cap::{Cap, Path, Promise, Target, null};
use crate::cap_index::cap_hook;
use crate::draft::Draft;
use crate::effect::Effect;
use crate::engine::{Engine, Work};
use crate::error::{Exception, Failure, Fatal};
use crate::exports::ExportIds;
use crate::idmap::IdMap;
use crate::memory::Message;
use crate::payload::Payload;
use crate::pending_call::{Asker, Serving};
use crate::questions::CallId;
use crate::shared_message::SharedMessage;

#[derive(Default)]
pub(crate) struct Answers {
    map: IdMap<Answer>,
    pending: usize,
    /// The sum of all `bytes`.
    held: usize,
    /// The sum of all `descriptors`.
    held_descriptors: usize,
}

enum Answer {
    Pending(Pending),
    Done(Done),
}

/// A question that is not answered yet.
#[derive(Default)]
struct Pending {
    /// The size of the call.
    bytes: usize,
    /// How many file descriptors came with the call.
    descriptors: usize,
    /// It is served here: the tag that the user gave with [`Engine::begin`].
    serving: Option<u64>,
    /// The question of this side as which the call was forwarded to the peer.
    forwarded: Option<CallId>,
    /// The peer has sent Finish.
    finished: bool,
    /// The results stay here (`sendResultsTo.yourself`): the peer returns them to a question of
    /// this side.
    elsewhere: bool,
    taker: Option<CallId>,
    /// The question of this side that was to take the results was cancelled.
    refused: bool,
    /// The promise at which the call waits or waited to be forwarded or served.
    waits: Option<Cap>,
    /// Promises for capabilities of the results that were called or passed on already, with a
    /// reference on each.
    promises: Vec<(Path, Cap)>,
}

/// A question that is answered and not finished. Its capabilities can be called.
struct Done {
    results: Result<Payload, Failure>,
    /// Their size.
    bytes: usize,
    /// The exports that were sent with the results.
    exports: ExportIds,
}

impl Answers {
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    fn pending(&mut self, id: u32) -> Option<&mut Pending> {
        match self.map.get_mut(id)? {
            Answer::Pending(pending) => Some(pending),
            Answer::Done(_) => None,
        }
    }

    fn take_pending(&mut self, id: u32) -> Option<Pending> {
        self.pending(id)?;
        match self.map.remove(id) {
            Some(Answer::Pending(pending)) => {
                self.pending -= 1;
                self.held -= pending.bytes;
                self.held_descriptors -= pending.descriptors;
                Some(pending)
            }
            _ => None,
        }
    }

    /// How many bytes calls and kept results hold.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// How many file descriptors came with calls that are not answered.
    pub(crate) fn held_descriptors(&self) -> usize {
        self.held_descriptors
    }

    /// Counts the size of a call and its file descriptors, from now on until it is answered.
    pub(crate) fn hold(&mut self, id: u32, bytes: usize, descriptors: usize) {
        if let Some(pending) = self.pending(id) {
            (pending.bytes, pending.descriptors) = (bytes, descriptors);
            self.held += bytes;
            self.held_descriptors += descriptors;
        }
    }

    /// Counts so many file descriptors with a call at least, if it is not answered.
    pub(crate) fn hold_descriptors(&mut self, id: u32, count: usize) {
        if let Some(pending) = self.pending(id) {
            let more = count.saturating_sub(pending.descriptors);
            pending.descriptors += more;
            self.held_descriptors += more;
        }
    }

    fn keep(&mut self, id: u32, done: Done) {
        self.held += done.bytes;
        self.map.insert(id, Answer::Done(done));
    }

    fn remove_done(&mut self, id: u32) -> Option<Done> {
        match self.map.remove(id)? {
            Answer::Done(done) => {
                self.held -= done.bytes;
                Some(done)
            }
            pending @ Answer::Pending(_) => {
                self.map.insert(id, pending);
                None
            }
        }
    }

    pub(crate) fn set_forwarded(&mut self, id: u32, call: CallId) {
        if let Some(pending) = self.pending(id) {
            pending.forwarded = Some(call);
        }
    }

    fn set_serving(&mut self, id: u32, tag: u64) {
        if let Some(pending) = self.pending(id) {
            pending.serving = Some(tag);
        }
    }

    pub(crate) fn set_waits(&mut self, id: u32, promise: Cap) {
        if let Some(pending) = self.pending(id) {
            pending.waits = Some(promise);
        }
    }

    pub(crate) fn is_pending(&mut self, id: u32) -> bool {
        self.pending(id).is_some()
    }

    /// The tags of the calls that are served.
    pub(crate) fn take_all(&mut self) -> Vec<u64> {
        let mut serving = Vec::new();
        std::mem::take(self).map.for_each(|answer| match answer {
            Answer::Pending(pending) => serving.extend(pending.serving),
            Answer::Done(_) => {}
        });
        serving
    }
}

impl Engine {
    /// Notes a question of the peer.
    pub(crate) fn begin_answer(&mut self, id: u32, elsewhere: bool) -> Result<(), Fatal> {
        if self.answers.map.get(id).is_some() {
            return Err(Fatal::misbehaved(format!("asked question {id} twice")));
        }
        let (unanswered, unfinished) = (self.answers.pending + 1, self.answers.map.len() + 1);
        let limits = [
            (unanswered, self.limits.unanswered, "answered"),
            (unfinished, self.limits.unfinished, "finished"),
        ];
        for (count, limit, what) in limits {
            if count > limit {
                let problem = format!("{count} of its calls are not {what}; {limit} is the limit");
                return Err(Fatal::Misbehaved(problem));
            }
        }
        self.answers.map.insert(id, Answer::Pending(Pending { elsewhere, ..Pending::default() }));
        self.answers.pending += 1;
        Ok(())
    }

    /// Sets the tag that [`Effect::Cancelled`] names if a call is cancelled that was just
    /// [delivered](Effect::Deliver).
    pub fn begin(&mut self, call: Serving, tag: u64) {
        match call.0 {
            Asker::Peer(id) => self.answers.set_serving(id, tag),
            Asker::Own(call) => self.set_own_serving(call, tag),
        }
    }

    /// Answers a call that is served here.
    pub fn answer(&mut self, call: Serving, outcome: Result<Draft, Exception>) {
        self.answer_call(call, outcome.map_err(Failure::from));
        self.settle();
    }

    pub(crate) fn answer_call(&mut self, call: Serving, outcome: Result<Draft, Failure>) {
        match call.0 {
            Asker::Peer(id) => self.answer_peer(id, outcome),
            Asker::Own(call) => {
                if self.questions.get(call).is_none() {
                    return self.discard_outcome(outcome);
                }
                let answer = outcome.map(|draft| self.keep_draft(draft));
                self.answered(call, answer, None, false);
            }
        }
    }

    fn discard_outcome(&mut self, outcome: Result<Draft, Failure>) {
        if let Ok(draft) = outcome {
            self.discard(draft);
        }
    }

    fn answer_peer(&mut self, id: u32, outcome: Result<Draft, Failure>) {
        let Some(pending) = self.answers.take_pending(id) else {
            return self.discard_outcome(outcome);
        };
        if pending.finished && !self.is_used(&pending) {
            self.discard_outcome(outcome);
            return self.answer_canceled(id, pending);
        }
        let mut exports = ExportIds::new();
        let bytes;
        let outcome = outcome.and_then(|draft| match self.check_draft(&draft) {
            Ok(()) => Ok(draft),
            Err(failure) => {
                self.discard(draft);
                Err(failure)
            }
        });
        let results = match outcome.and_then(|draft| self.keepable(draft, &pending)) {
            Ok((message, mut caps)) => {
                if !pending.elsewhere {
                    caps.iter_mut().flatten().for_each(|cap| *cap = self.as_told(*cap));
                }
                caps.iter().flatten().for_each(|cap| self.give_back(*cap));
                let keep = is_kept(&caps, &pending);
                let kept = keep.then(|| SharedMessage::of(&message));
                bytes = kept.as_ref().map_or(0, |kept| kept.view().len());
                if !self.send_no_results(id, &pending) {
                    exports = self.send_results(message, &caps);
                }
                Ok(Payload { message: kept, caps })
            }
            Err(failure) => {
                if !self.send_no_results(id, &pending) {
                    self.send_return(id, 64, |to| failure.write(to.init_exception()));
                }
                // Sent as it is, and kept for calls on the results.
                let kept = self.check_kept(failure.size()).map_or_else(|full| full, |()| failure);
                bytes = kept.size();
                Err(kept)
            }
        };
        for (path, promise) in pending.promises {
            let cap = match &results {
                Ok(payload) => self.cap_of(payload, None, &path),
                Err(failure) => self.broken(failure.clone()),
            };
            self.resolve(promise, cap);
            self.release(promise);
        }
        let results = match results {
            // There are no capabilities to call, so the Return also ends the question.
            Ok(payload) if !pending.elsewhere && payload.caps.is_empty() => return,
            results => results,
        };
        if let Some(taker) = pending.taker {
            let copy = self.copy_results(&results);
            self.work.push_back(Work::Taken(taker, copy));
        }
        if pending.finished {
            self.discard_results(results);
        } else {
            self.answers.keep(id, Done { results, bytes, exports });
        }
    }

    /// The results of a call, in the order of the message's capability table.
    ///
    /// # Errors
    /// They would be kept, and are beyond the limit.
    fn keepable(
        &mut self,
        draft: Draft,
        pending: &Pending,
    ) -> Result<(Message, Vec<Option<Cap>>), Failure> {
        let (message, caps) = self.in_order(draft);
        let checked = match is_kept(&caps, pending) {
            true => self.check_kept(8 * message.size_in_words()),
            false => Ok(()),
        };
        match checked {
            Ok(()) => Ok((message, caps)),
            Err(failure) => {
                self.release_all(caps);
                Err(failure)
            }
        }
    }

    fn copy_results(&mut self, results: &Result<Payload, Failure>) -> Result<Payload, Failure> {
        match results {
            Ok(payload) => Ok(self.copy(payload)),
            Err(failure) => Err(failure.clone()),
        }
    }

    fn discard_results(&mut self, results: Result<Payload, Failure>) {
        if let Ok(payload) = results {
            self.release_all(payload.caps);
        }
    }

    /// Sends a Return without results if the peer does not want them in it. Returns false if it
    /// wants them.
    fn send_no_results(&mut self, id: u32, pending: &Pending) -> bool {
        if pending.elsewhere {
            self.send_return(id, 16, |mut to| to.set_results_sent_elsewhere(()));
        } else if pending.finished {
            self.send_return(id, 16, |mut to| to.set_canceled(()));
        }
        pending.elsewhere || pending.finished
    }

    /// Sends a Return whose results are written. Returns the exports that were sent with it.
    fn send_results(&mut self, mut message: Message, caps: &[Option<Cap>]) -> ExportIds {
        let mut exports = ExportIds::new();
        if !caps.is_empty()
            && let Ok(root) = message.get_root::<message::Builder<'_>>()
            && let Ok(message::Return(Ok(answer))) = root.which()
            && let Ok(return_::Results(Ok(payload))) = answer.which()
        {
            exports = self.describe_all(payload, caps);
        }
        self.write(message);
        exports
    }

    /// Answers the peer's Bootstrap.
    pub(crate) fn answer_bootstrap(&mut self, id: u32) -> Result<(), Fatal> {
        self.begin_answer(id, false)?;
        let serving = Serving(Asker::Peer(id));
        let outcome = match self.bootstrap {
            Some(cap) => {
                self.caps.retain(cap);
                Draft::results(self.pool, serving, |mut to| {
                    to.set_as_capability(cap_hook(0));
                    Ok::<_, Failure>(vec![Some(cap)])
                })
            }
            None => Err(Failure::failed("this side offers no first object (bootstrap)")),
        };
        self.answer_call(serving, outcome);
        Ok(())
    }

    /// The capability at a path of the results, with a reference.
    pub(crate) fn cap_of_answer(&mut self, id: u32, path: Path) -> Result<Cap, Fatal> {
        /// The results of every method have fewer capability fields than this.
        const MOST: usize = 256;
        let known = match self.answers.map.get(id) {
            Some(Answer::Pending(pending)) => {
                let known = pending.promises.iter().find(|(known, _)| *known == path);
                if known.is_none() && pending.promises.len() >= MOST {
                    return Err(Fatal::misbehaved(format!(
                        "named more than {MOST} capabilities of one answer before it had it"
                    )));
                }
                known.map(|(_, promise)| *promise)
            }
            Some(Answer::Done(done)) => {
                let results = match &done.results {
                    Ok(Payload { message, caps }) => {
                        Ok(Payload { message: message.clone(), caps: caps.clone() })
                    }
                    Err(failure) => Err(failure.clone()),
                };
                return Ok(match results {
                    Ok(payload) => self.cap_of(&payload, None, &path),
                    Err(failure) => self.broken(failure),
                });
            }
            // The question returned without capabilities, or was never asked.
            None => return Ok(self.broken(null())),
        };
        let promise = match known {
            Some(promise) => promise,
            None => {
                if let Err(failure) = self.check_promises() {
                    return Ok(self.broken(failure));
                }
                let mut promise = Promise::new(Target::Here);
                promise.answer = Some(id);
                let promise = self.caps.add_of_peer(promise);
                if let Some(pending) = self.answers.pending(id) {
                    pending.promises.push((path, promise));
                }
                promise
            }
        };
        self.caps.retain(promise);
        Ok(promise)
    }

    /// The results that were kept here for a question of this side. None if they are not known yet:
    /// then the question gets them later.
    pub(crate) fn take_elsewhere(
        &mut self,
        id: u32,
        taker: CallId,
    ) -> Result<Option<Result<Payload, Failure>>, Fatal> {
        let results = match self.answers.map.get_mut(id) {
            Some(Answer::Pending(pending)) if pending.elsewhere => {
                if pending.taker.replace(taker).is_some() {
                    let problem = format!("gave the results of question {id} twice");
                    return Err(Fatal::Misbehaved(problem));
                }
                return Ok(None);
            }
            Some(Answer::Done(Done { results: Ok(Payload { message, caps }), .. })) => {
                Ok(Payload { message: message.clone(), caps: caps.clone() })
            }
            Some(Answer::Done(Done { results: Err(failure), .. })) => Err(failure.clone()),
            _ => Err(Failure::failed("the results were sent elsewhere and are gone")),
        };
        if let Ok(payload) = &results {
            payload.caps.iter().flatten().for_each(|cap| self.caps.retain(*cap));
        }
        Ok(Some(results))
    }

    /// The question of this side that was to take the results is cancelled.
    pub(crate) fn take_back(&mut self, id: u32, taker: CallId) {
        if let Some(pending) = self.answers.pending(id)
            && pending.taker == Some(taker)
        {
            pending.taker = None;
            self.take_nothing(id);
        }
    }

    /// The same for a question that was cancelled before the peer said whose results it takes.
    pub(crate) fn take_nothing(&mut self, id: u32) {
        if let Some(pending) = self.answers.pending(id) {
            pending.refused |= pending.elsewhere && pending.taker.is_none();
            self.give_up(id);
        }
    }

    /// The peer has sent Finish.
    pub(crate) fn receive_finish(&mut self, id: u32, release: bool) -> Result<(), Fatal> {
        if let Some(pending) = self.answers.pending(id) {
            pending.finished = true;
            self.give_up(id);
            return Ok(());
        }
        // A question that is not in the table ended with its Return.
        if let Some(done) = self.answers.remove_done(id) {
            self.discard_results(done.results);
            if release {
                for export in done.exports {
                    self.release_export(export, 1)?;
                }
            }
        }
        Ok(())
    }

    /// Whether something still needs the results, whether the question is finished or not.
    fn is_used(&self, pending: &Pending) -> bool {
        let used = |promise: &Cap| self.caps.refs(*promise) > 1;
        pending.taker.is_some() || pending.promises.iter().any(|(_, promise)| used(promise))
    }

    /// Cancels a call if nobody wants its answer and nothing else needs its results, such as a
    /// pending call on them. Then also cancels the calls whose results only this call needed.
    pub(crate) fn give_up(&mut self, id: u32) {
        let mut next = Some(id);
        while let Some(id) = next.take() {
            let Some(Answer::Pending(pending)) = self.answers.map.get(id) else { return };
            if !(pending.finished || pending.refused) || self.is_used(pending) {
                return;
            }
            let Some(pending) = self.answers.pending(id) else { return };
            let (serving, forwarded) = (pending.serving.take(), pending.forwarded.take());
            let (waits, finished) = (pending.waits.take(), pending.finished);
            if let Some(tag) = serving {
                self.effect(Effect::Cancelled { tag });
            }
            if let Some(call) = forwarded {
                self.cancel_call(call);
            } else if let Some(answer) =
                waits.and_then(|promise| self.unqueue(promise, Serving(Asker::Peer(id))))
            {
                next = answer;
            } else {
                // It is being served: the answer comes when the user gives it.
                return;
            }
            // Nothing else answers it.
            if !finished {
                self.answer_peer(id, Err(Failure::Cancelled));
            } else if let Some(pending) = self.answers.take_pending(id) {
                self.answer_canceled(id, pending);
            }
        }
    }

    /// Answers a question that was finished before it was answered.
    fn answer_canceled(&mut self, id: u32, pending: Pending) {
        self.send_return(id, 16, |mut to| to.set_canceled(()));
        for (_, promise) in pending.promises {
            let broken = self.broken(Failure::Cancelled);
            self.resolve(promise, broken);
            self.release(promise);
        }
    }
}

/// Whether the results of a call stay here after its answer, because calls can be made on them.
fn is_kept(caps: &[Option<Cap>], pending: &Pending) -> bool {
    !caps.is_empty() || !pending.promises.is_empty() || pending.elsewhere
}
