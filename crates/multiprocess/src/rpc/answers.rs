//! Calls of the peer's: what is known of them until it has finished them, and their results.

use std::sync::{Arc, Weak};

use capnp::private::layout::CapTable;
use capnp::traits::ImbueMut;
use capnp_rpc::rpc_capnp::{message, return_};

use super::body::{Body, Content};
use super::cap::{Cap, Path, Promise};
use super::held::{Destination, Held};
use super::idmap::IdMap;
use super::memory::{Message, new_message};
use super::misbehaved;
use super::parts::{init_return, write_exception};
use super::promises::Work;
use super::questions::{CallId, in_order};
use crate::codec::{EncodeFn, Encoder};
use crate::connection::{ArcConn, Core};
use crate::guard::catch_panic;
use crate::server::Token;
use crate::{Error, Result};

/// What a call ended with.
pub(crate) enum Outcome<'a> {
    /// The results, to be written by this.
    Encode(&'a mut EncodeFn),
    /// The results of another call, whose message is still there.
    Copy(&'a Content<'a>),
    Error(Error),
}

#[derive(Default)]
pub(super) struct Answers {
    map: IdMap<Answer>,
    pending: usize,
}

enum Answer {
    Pending(Pending),
    Done(Done),
}

/// A question that is not answered.
#[derive(Default)]
struct Pending {
    /// What its cancelling fires.
    token: Option<Arc<Token>>,
    /// The call of this side's that it was passed on as.
    forwarded: Option<CallId>,
    /// The peer does not want the answer any more.
    finished: bool,
    /// The results stay here: the peer returns them to a call of this side's.
    elsewhere: bool,
    taker: Option<CallId>,
    /// Where the call waits, or did, to be passed on or served.
    waits: Weak<Promise>,
    /// Capabilities of the results that were called or passed on already.
    promises: Vec<(Path, Arc<Promise>)>,
}

impl Pending {
    /// Whether something needs the results, be the question finished or not.
    fn is_used(&self) -> bool {
        let used = |promise: &Arc<Promise>| {
            Arc::strong_count(promise) > 1 || !promise.state().waiting.is_empty()
        };
        self.taker.is_some() || self.promises.iter().any(|(_, promise)| used(promise))
    }
}

/// A question that is answered and not finished: its capabilities can be called.
struct Done {
    results: std::result::Result<Held, Arc<Error>>,
    /// What was exported with the results.
    exports: Vec<u32>,
}

impl Answers {
    /// How many are not answered, and how many are not finished.
    pub(super) fn open(&self) -> (usize, usize) {
        (self.pending, self.map.len())
    }

    /// Notes a question. False if there is one with this number.
    pub(super) fn begin(&mut self, id: u32, elsewhere: bool) -> bool {
        let before = self.map.get(id).is_some();
        if !before {
            self.map.insert(id, Answer::Pending(Pending { elsewhere, ..Pending::default() }));
            self.pending += 1;
        }
        !before
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
                Some(pending)
            }
            _ => None,
        }
    }

    pub(super) fn set_forwarded(&mut self, id: u32, call: CallId) {
        if let Some(pending) = self.pending(id) {
            pending.forwarded = Some(call);
        }
    }

    pub(super) fn set_token(&mut self, id: u32, token: &Arc<Token>) {
        if let Some(pending) = self.pending(id) {
            pending.token = Some(Arc::clone(token));
        }
    }

    pub(super) fn set_waits(&mut self, id: u32, promise: &Arc<Promise>) {
        if let Some(pending) = self.pending(id) {
            pending.waits = Arc::downgrade(promise);
        }
    }

    pub(super) fn is_pending(&mut self, id: u32) -> bool {
        self.pending(id).is_some()
    }

    /// The results that were kept here for a call of this side's; none if they are not there yet,
    /// and will be given to it then.
    #[allow(clippy::type_complexity, reason = "that of an answer, if it is there")]
    pub(super) fn take_elsewhere(
        &mut self,
        id: u32,
        taker: CallId,
    ) -> Result<Option<std::result::Result<Held, Arc<Error>>>> {
        Ok(match self.map.get_mut(id) {
            Some(Answer::Pending(pending)) if pending.elsewhere => {
                if pending.taker.replace(taker).is_some() {
                    return Err(misbehaved(format!("gave the results of question {id} twice")));
                }
                None
            }
            Some(Answer::Done(done)) => Some(done.results.clone()),
            _ => Some(Err(Arc::new(Error::failed("the results were sent elsewhere and are gone")))),
        })
    }

    /// The call of this side's does not want them any more.
    pub(super) fn take_back(&mut self, id: u32, taker: CallId) {
        if let Some(pending) = self.pending(id)
            && pending.taker == Some(taker)
        {
            pending.taker = None;
        }
    }

    /// What a path of the results leads to.
    pub(super) fn cap_at(&mut self, id: u32, path: Path) -> Result<Cap> {
        /// More capabilities than the results of any method have fields for, with room to spare.
        const MOST: usize = 256;
        Ok(match self.map.get_mut(id) {
            Some(Answer::Pending(pending)) => {
                let known = pending.promises.iter().find(|(known, _)| *known == path);
                let promise = match known {
                    Some((_, promise)) => Arc::clone(promise),
                    None if pending.promises.len() >= MOST => {
                        return Err(misbehaved(format!(
                            "named more than {MOST} capabilities of one answer before it had it"
                        )));
                    }
                    None => {
                        let promise = Promise::of_answer(id);
                        pending.promises.push((path, Arc::clone(&promise)));
                        promise
                    }
                };
                Cap::Promise(promise)
            }
            Some(Answer::Done(done)) => match &done.results {
                Ok(held) => held.cap(&path),
                Err(error) => Cap::Broken(Arc::clone(error)),
            },
            // It returned without capabilities, or was never asked.
            None => Cap::null(),
        })
    }

    /// The tokens of the calls that are served. What waited for results goes to `caps`.
    pub(super) fn take_all(&mut self, caps: &mut Vec<Cap>) -> Vec<Arc<Token>> {
        let answers = std::mem::take(self);
        let mut tokens = Vec::new();
        answers.map.for_each(|answer| {
            let Answer::Pending(pending) = answer else { return };
            tokens.extend(pending.token);
            for (_, promise) in pending.promises {
                promise.state().take_apart(caps);
                caps.push(Cap::Promise(promise));
            }
        });
        tokens
    }
}

impl Core {
    /// Ties a call that is served to the token that its cancelling fires.
    pub(crate) fn set_token(&mut self, destination: Destination, token: &Arc<Token>) {
        match destination {
            Destination::Peer(id) => self.rpc.answers.set_token(id, token),
            Destination::Own(id, serial) => self.set_own_token((id, serial), token),
        }
    }

    /// Answers a call.
    pub(crate) fn answer(
        &mut self,
        conn: &ArcConn,
        destination: Destination,
        outcome: Outcome<'_>,
    ) {
        match destination {
            Destination::Peer(id) => self.answer_peer(conn, id, outcome),
            Destination::Own(id, serial) => self.answer_own(conn, (id, serial), outcome),
        }
    }

    fn answer_peer(&mut self, conn: &ArcConn, id: u32, outcome: Outcome<'_>) {
        let Some(pending) = self.rpc.answers.take_pending(id) else { return };
        if pending.finished && !pending.is_used() {
            return self.answer_canceled(id, pending);
        }
        let mut exports = Vec::new();
        let results = match self.write_results(conn, id, outcome) {
            Ok((message, mut caps)) => {
                if !pending.elsewhere {
                    let told = |cap: &mut Option<Cap>| *cap = cap.as_ref().map(Cap::as_told);
                    caps.iter_mut().for_each(told);
                }
                let keep = !caps.is_empty() || !pending.promises.is_empty() || pending.elsewhere;
                let held = keep.then(|| Held { body: Body::of(&message), caps: caps.clone() });
                if !self.send_no_results(id, &pending) {
                    exports = self.send_results(message, &caps);
                }
                Ok(held)
            }
            Err(error) => {
                if !self.send_no_results(id, &pending) {
                    self.send_return(id, 64, |to| write_exception(to.init_exception(), &error));
                }
                Err(Arc::new(error))
            }
        };
        for (path, promise) in pending.promises {
            let cap = match &results {
                Ok(Some(held)) => held.cap(&path),
                Ok(None) => Cap::null(),
                Err(error) => Cap::Broken(Arc::clone(error)),
            };
            self.resolve(&promise, cap);
        }
        let results = match results {
            Ok(Some(held)) if pending.elsewhere || !held.caps.is_empty() => Ok(held),
            // The question is over with its answer.
            Ok(_) => return,
            Err(error) => Err(error),
        };
        if let Some(taker) = pending.taker {
            self.rpc.work.push_back(Work::Taken(taker, results.clone()));
        }
        if !pending.finished {
            self.rpc.answers.map.insert(id, Answer::Done(Done { results, exports }));
        }
    }

    /// Answers a question whose results the peer does not want with the answer. False if it does.
    fn send_no_results(&mut self, id: u32, pending: &Pending) -> bool {
        if pending.elsewhere {
            self.send_return(id, 16, |mut to| to.set_results_sent_elsewhere(()));
        } else if pending.finished {
            self.send_return(id, 16, |mut to| to.set_canceled(()));
        }
        pending.elsewhere || pending.finished
    }

    /// Sends a Return that is written. Returns what was exported with it.
    fn send_results(&mut self, mut message: Message, caps: &[Option<Cap>]) -> Vec<u32> {
        let mut exports = Vec::new();
        let root: capnp::Result<message::Builder<'_>> = message.get_root();
        if let Ok(Ok(message::Return(Ok(mut answer)))) = root.map(message::Builder::which) {
            if caps.is_empty() {
                // Nothing of it can be called: the question is over with this.
                answer.set_no_finish_needed(true);
            } else if let Ok(return_::Results(Ok(payload))) = answer.which() {
                exports = self.describe_all(payload, caps);
            }
        }
        self.rpc.out.push(message);
        exports
    }

    /// Writes a Return with results. Its capabilities are not described yet.
    fn write_results(
        &mut self,
        conn: &ArcConn,
        id: u32,
        outcome: Outcome<'_>,
    ) -> Result<(Message, Vec<Option<Cap>>)> {
        let mut message = new_message(64);
        let mut table = CapTable::new();
        let mut to = init_return(&mut message, id).init_results().get_content();
        to.imbue_mut(&mut table);
        let given = match outcome {
            Outcome::Encode(encode) => {
                let mut cx = Encoder::new(conn, self, None);
                catch_panic(|| encode(&mut cx, to))?;
                cx.finish().0
            }
            Outcome::Copy(content) => {
                to.set_as::<capnp::any_pointer::Owned>(content.reader)
                    .map_err(crate::codec::malformed)?;
                content.caps.to_vec()
            }
            Outcome::Error(error) => return Err(error),
        };
        let caps = in_order(&table, given);
        Ok((message, caps))
    }

    fn answer_own(&mut self, conn: &ArcConn, call: CallId, outcome: Outcome<'_>) {
        if !self.is_open(call) {
            return;
        }
        match self.write_results(conn, call.0, outcome) {
            Ok((message, caps)) => {
                let held = Held { body: Body::of(&message), caps };
                self.answered_by(conn, call, &held);
            }
            Err(error) => self.answered(conn, call, Err(error)),
        }
    }

    /// Answers the peer's question for this side's first object.
    pub(super) fn answer_bootstrap(&mut self, conn: &ArcConn, id: u32) -> Result<()> {
        if !self.rpc.answers.begin(id, false) {
            return Err(misbehaved(format!("asked question {id} twice")));
        }
        match self.rpc.bootstrap.clone() {
            Some(cap) => {
                let mut encode: EncodeFn = Box::new(move |cx, mut to| {
                    to.set_as_capability(cx.give(cap.clone()));
                    Ok(())
                });
                self.answer(conn, Destination::Peer(id), Outcome::Encode(&mut encode));
            }
            None => {
                let error = Error::failed("this side offers no first object (bootstrap)");
                self.answer(conn, Destination::Peer(id), Outcome::Error(error));
            }
        }
        Ok(())
    }

    /// The peer does not need the answer any more, or what is left of it.
    pub(super) fn receive_finish(&mut self, id: u32, release: bool) -> Result<()> {
        if let Some(pending) = self.rpc.answers.pending(id) {
            pending.finished = true;
            self.give_up(id);
            return Ok(());
        }
        // One that is not there was over with its answer.
        if let Some(Answer::Done(done)) = self.rpc.answers.map.remove(id)
            && release
        {
            for export in done.exports {
                self.release_export(export, 1)?;
            }
        }
        Ok(())
    }

    /// Cancels the call behind a question that the peer has finished, unless something else needs its
    /// results: a call on them that is under way, above all. With it, the calls that only it needed.
    pub(super) fn give_up(&mut self, id: u32) {
        let mut next = Some(id);
        while let Some(id) = next.take() {
            let unused = |pending: &&mut Pending| pending.finished && !pending.is_used();
            let Some(pending) = self.rpc.answers.pending(id).filter(unused) else { return };
            let (token, forwarded) = (pending.token.take(), pending.forwarded.take());
            let waits = std::mem::take(&mut pending.waits).upgrade();
            self.cancelled.extend(token);
            if let Some(call) = forwarded {
                self.cancel_call(call);
            } else if let Some((_held, answer)) =
                waits.and_then(|promise| promise.unqueue(Destination::Peer(id)))
            {
                next = answer;
            } else {
                // It is being served, and answered when it ends.
                return;
            }
            // It will not be answered any other way.
            if let Some(pending) = self.rpc.answers.take_pending(id) {
                self.answer_canceled(id, pending);
            }
        }
    }

    /// Answers a question that was finished before.
    fn answer_canceled(&mut self, id: u32, pending: Pending) {
        self.send_return(id, 16, |mut to| to.set_canceled(()));
        for (_, promise) in pending.promises {
            self.resolve(&promise, Cap::broken(Error::Cancelled));
        }
    }
}
