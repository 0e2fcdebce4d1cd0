//! This side's calls (questions): sending, and their state until they have returned.

use capnp_rpc::rpc_capnp::message;
use slab::Slab;

use crate::cap::{Cap, Kind, Path, Promise, Target};
use crate::draft::Draft;
use crate::effect::Effect;
use crate::engine::{Engine, Work};
use crate::error::Failure;
use crate::exports::ExportIds;
use crate::incoming::Incoming;
use crate::pending_call::{Asker, CallKind, PendingCall, Serving};

/// Identifies a call of this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId {
    pub(crate) place: u32,
    /// Distinguishes calls that use the same place one after the other.
    serial: u32,
}

/// How a call is made.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    /// The tag in [`Effect::Answered`] and [`Effect::Over`].
    pub tag: u64,
    /// The effect on the object's life.
    pub kind: CallKind,
    /// Requests a promise of the capability at this path of the results.
    pub pipeline: Option<Path>,
    /// For a call that ends its object: the number of calls in flight that it does not wait for,
    /// because they wait for it, as it is made within their callbacks. See [`Engine::uses`].
    pub nested: u32,
}

/// The result of [`Engine::call`].
#[derive(Debug, Clone, Copy)]
pub struct Called {
    /// The call.
    pub call: CallId,
    /// The promise that was requested, with one reference.
    pub promise: Option<Cap>,
}

#[derive(Default)]
pub(crate) struct Questions {
    slots: Slab<Question>,
    next: u32,
}

/// Who gets the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The engine's user.
    Here,
    /// The call was forwarded: its results answer this call.
    For(Serving),
    /// Nobody: the call was cancelled.
    No,
}

pub(crate) struct Question {
    serial: u32,
    tag: u64,
    kind: CallKind,
    /// The user made it: it is not a forwarded call.
    own: bool,
    pub(crate) wanted: Wanted,
    /// It was sent to the peer, which has not returned.
    pub(crate) sent: bool,
    /// Finish was sent before the Return. The peer still sends a Return.
    pub(crate) finished: bool,
    /// The exports that were sent with the parameters.
    pub(crate) exports: ExportIds,
    /// The capability that it was sent to, with a reference.
    target: Option<Cap>,
    /// Fields that most calls do not need.
    more: Option<Box<More>>,
}

/// Fields that few calls need. Boxed, so that a question is small.
#[derive(Default)]
struct More {
    /// The promises of capabilities in the results, with a reference on each.
    promises: Vec<(Path, Cap)>,
    /// Objects of the peer in the parameters, with a reference on each: they are not ended before
    /// the call has returned.
    named: Vec<Cap>,
    /// It is served here: the tag that the user gave with [`Engine::begin`].
    serving: Option<u64>,
    /// The promise at which it waits or waited to be sent or served.
    waits: Option<Cap>,
    /// The peer returned `takeFromOtherQuestion`: the results are those of this question of the
    /// peer, once they are known.
    taken: Option<u32>,
    /// The promise that does not resolve before this call has returned.
    awaited_by: Option<Cap>,
}

impl Question {
    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    pub(crate) fn take_promises(&mut self) -> Vec<(Path, Cap)> {
        self.more.as_mut().map(|more| std::mem::take(&mut more.promises)).unwrap_or_default()
    }

    /// The question of the peer from which the results are taken.
    pub(crate) fn taken(&self) -> Option<u32> {
        self.more.as_ref()?.taken
    }

    pub(crate) fn set_taken(&mut self, other: u32) {
        self.more().taken = Some(other);
    }
}

/// What is needed of a call that is over to tell the user.
pub(crate) struct Ended {
    pub(crate) tag: u64,
    pub(crate) own: bool,
    pub(crate) wanted: Wanted,
}

impl Questions {
    fn add(&mut self, tag: u64, kind: CallKind, wanted: Wanted) -> CallId {
        let serial = self.next;
        self.next = self.next.wrapping_add(1);
        let place = self.slots.insert(Question {
            serial,
            tag,
            kind,
            own: wanted == Wanted::Here,
            wanted,
            sent: false,
            finished: false,
            exports: ExportIds::new(),
            target: None,
            more: None,
        });
        // Memory does not suffice for as many.
        CallId { place: u32::try_from(place).unwrap_or(u32::MAX), serial }
    }

    /// The question that has this id now.
    pub(crate) fn at(&mut self, id: u32) -> Option<(CallId, &mut Question)> {
        let question = self.slots.get_mut(id as usize)?;
        Some((CallId { place: id, serial: question.serial }, question))
    }

    pub(crate) fn get(&mut self, call: CallId) -> Option<&mut Question> {
        self.slots.get_mut(call.place as usize).filter(|question| question.serial == call.serial)
    }

    fn remove(&mut self, call: CallId) -> Option<Question> {
        self.get(call)?;
        self.slots.try_remove(call.place as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The user's calls, and whether their answers are still wanted.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = (u64, CallId, bool)> + use<> {
        let slots = std::mem::take(&mut self.slots);
        slots.into_iter().filter(|(_, question)| question.own).map(|(place, question)| {
            let call = CallId { place: place as u32, serial: question.serial };
            (question.tag, call, question.wanted == Wanted::Here)
        })
    }
}

impl Engine {
    /// Calls a method of `target`.
    ///
    /// # Errors
    /// The object was closed, the connection is over, or the parameters are beyond a [limit](crate::Limits);
    /// nothing was sent.
    pub fn call(
        &mut self,
        target: Cap,
        draft: Draft,
        options: CallOptions,
    ) -> Result<Called, Failure> {
        let target = self.caps.resolved(target);
        let admitted = self
            .check_open()
            .and_then(|()| self.admit(target, options.kind))
            .and_then(|()| self.check_draft(&draft));
        if let Err(failure) = admitted {
            self.discard(draft);
            return Err(failure);
        }
        let CallOptions { tag, kind, pipeline, nested } = options;
        let call = self.questions.add(tag, kind, Wanted::Here);
        self.count_named(call, &draft);
        let promise = pipeline.map(|path| self.promise_of(call, path));
        let waits = kind == CallKind::Destroy && self.in_flight(target) > nested;
        if self.caps.is_remote(target) && !waits {
            self.send_call(call, target, draft);
            self.direct_promises(call);
        } else {
            let method = draft.method;
            let params = self.keep_draft(draft);
            let pending =
                PendingCall { method, params, serving: Serving(Asker::Own(call)), kind, nested };
            self.route_if_wanted(target, pending);
        }
        self.settle();
        Ok(Called { call, promise })
    }

    /// Sends Bootstrap. The promise of the peer's first object comes with one reference.
    ///
    /// # Errors
    /// The connection is over.
    pub fn ask_bootstrap(&mut self, tag: u64) -> Result<(CallId, Cap), Failure> {
        self.check_open()?;
        let call = self.questions.add(tag, CallKind::Ordinary, Wanted::Here);
        self.send_bootstrap(call.place);
        let promise = self.promise_of(call, Path::new());
        if let Some(question) = self.questions.get(call) {
            question.sent = true;
        }
        self.direct_promises(call);
        Ok((call, promise))
    }

    /// A promise of the capability at a path of a call's results, with one reference.
    pub(crate) fn promise_of(&mut self, call: CallId, path: Path) -> Cap {
        let promise = self.caps.add(Kind::Promise(Box::new(Promise::new(Target::Here))));
        if let Some(question) = self.questions.get(call) {
            question.more().promises.push((path, promise));
            self.caps.retain(promise);
        }
        promise
    }

    /// A call was sent: calls on its promises follow it to the peer.
    fn direct_promises(&mut self, call: CallId) {
        let Some(question) = self.questions.get(call) else { return };
        let Some(more) = &question.more else { return };
        let promises = more.promises.clone();
        for (path, promise) in promises {
            if let Some(promise) = self.caps.promise(promise) {
                promise.target = Target::Answer { question: call.place, path, called: false };
            }
        }
    }

    /// Addresses a written call to an object of the peer and sends it.
    fn send_call(&mut self, call: CallId, target: Cap, draft: Draft) {
        let (mut message, caps) = self.in_order(draft);
        let mut exports = ExportIds::new();
        let root: capnp::Result<message::Builder<'_>> = message.get_root();
        if let Ok(Ok(message::Call(Ok(mut to)))) = root.map(message::Builder::which) {
            to.set_question_id(call.place);
            self.write_target(to.reborrow().init_target(), target);
            if let (false, Ok(params)) = (caps.is_empty(), to.get_params()) {
                exports = self.describe_all(params, &caps);
            }
        }
        self.effect(Effect::Write(message));
        // After the message, which names them: this may release the last reference on an import.
        self.release_all(caps);
        self.caps.retain(target);
        let mut closes = false;
        if let Some(question) = self.questions.get(call) {
            question.sent = true;
            question.exports = exports;
            question.target = Some(target);
            closes = question.kind == CallKind::Destroy;
        }
        self.count_sent(target);
        if closes {
            self.closed(target);
        }
    }

    /// Forwards a call to the peer: a call of the peer, or one of this side that had waited.
    pub(crate) fn forward(
        &mut self,
        target: Cap,
        pending: PendingCall,
        current: Option<&Incoming<'_>>,
    ) {
        let PendingCall { method, params, serving, .. } = pending;
        let pool = self.pool;
        let draft = params.with(current, |content| {
            let content = content?;
            Draft::call(pool, method, |to| self.copy_content(&content, to))
        });
        self.release_all(params.caps);
        match (draft, serving.0) {
            (Ok(draft), Asker::Own(call)) => self.send_call(call, target, draft),
            (Ok(draft), Asker::Peer(answer)) => {
                let call = self.questions.add(0, CallKind::Ordinary, Wanted::For(serving));
                self.send_call(call, target, draft);
                self.answers.set_forwarded(answer, call);
            }
            (Err(error), _) => {
                self.work.push_back(Work::Fail(serving, Failure::malformed(&error)));
            }
        }
    }

    /// Removes a call that has returned or was never sent.
    pub(crate) fn remove_question(&mut self, call: CallId) -> Option<Ended> {
        let Question { tag, own, wanted, target, more, .. } = self.questions.remove(call)?;
        if let Some(target) = target {
            self.count_returned(target);
            // Before the release: the call that ends the object may wait at the promise, which only
            // the target keeps.
            if let Some(promise) = more.as_ref().and_then(|more| more.awaited_by) {
                self.awaited_returned(promise);
            }
            self.release(target);
        }
        for object in more.into_iter().flat_map(|more| more.named) {
            self.count_returned(object);
            self.release(object);
        }
        Some(Ended { tag, own, wanted })
    }

    /// Notes which objects of the peer that have handles a call names: the last handle may be
    /// dropped before the call has arrived.
    fn count_named(&mut self, call: CallId, draft: &Draft) {
        for cap in draft.caps() {
            let cap = self.caps.resolved(cap);
            if !self.caps.is_remote(cap) || !self.has_handles(cap) {
                continue;
            }
            self.caps.retain(cap);
            self.count_sent(cap);
            if let Some(question) = self.questions.get(call) {
                question.more().named.push(cap);
            }
        }
    }

    /// How often a call uses an object and so keeps it from being ended: as its target, and in its
    /// parameters.
    pub fn uses(&mut self, call: CallId, object: Cap) -> u32 {
        let Engine { questions, caps, .. } = self;
        let Some(question) = questions.get(call) else { return 0 };
        let object = caps.resolved(object);
        let named = question.more.iter().flat_map(|more| &more.named);
        let used = question.target.iter().chain(named);
        used.filter(|cap| caps.resolved(**cap) == object).count() as u32
    }

    // ---- calls in flight

    /// Marks the calls that were sent to a promise and have not returned: it waits for them. Returns
    /// how many there are.
    pub(crate) fn await_returns(&mut self, promise: Cap) -> u32 {
        let Engine { questions, caps, .. } = self;
        let mut count = 0;
        for (_, question) in &mut questions.slots {
            if question.target.is_some_and(|target| caps.resolved(target) == promise) {
                question.more().awaited_by = Some(promise);
                count += 1;
            }
        }
        count
    }

    /// Whether the call has not returned.
    pub fn is_open(&mut self, call: CallId) -> bool {
        self.questions.get(call).is_some()
    }

    /// The call is served here: `tag` is for [`Effect::Cancelled`].
    pub(crate) fn set_own_serving(&mut self, call: CallId, tag: u64) {
        if let Some(question) = self.questions.get(call) {
            question.more().serving = Some(tag);
        }
    }

    /// Notes the promise at which a call waits, so that the call can be removed.
    pub(crate) fn set_waits(&mut self, serving: Serving, promise: Cap) {
        match serving.0 {
            Asker::Peer(id) => self.answers.set_waits(id, promise),
            Asker::Own(call) => {
                if let Some(question) = self.questions.get(call) {
                    question.more().waits = Some(promise);
                }
            }
        }
    }

    /// Cancels a call: there will be no answer, and the peer is told. [`Effect::Over`] says when
    /// the call is over for the peer. A call that ends its object goes on.
    pub fn cancel(&mut self, call: CallId) {
        self.cancel_call(call);
        self.settle();
    }

    pub(crate) fn cancel_call(&mut self, call: CallId) {
        let Some(question) = self.questions.get(call) else { return };
        if question.wanted == Wanted::No {
            return;
        }
        question.wanted = Wanted::No;
        if question.kind == CallKind::Destroy {
            return;
        }
        let promises = question.take_promises();
        let more = question.more.as_mut();
        let (serving, waits) =
            more.map_or((None, None), |more| (more.serving.take(), more.waits.take()));
        let (sent, taken) = (question.sent, question.taken());
        question.finished = sent;
        if sent {
            self.send_finish(call.place, true);
        }
        if !sent || taken.is_some() {
            self.cancelled_returned(call);
        }
        if let Some(other) = taken {
            self.take_back(other, call);
        }
        let unqueued = match waits {
            Some(promise) if !sent => self.unqueue(promise, Serving(Asker::Own(call))),
            _ => None,
        };
        if let Some(Some(answer)) = unqueued {
            self.give_up(answer);
        }
        if let Some(tag) = serving {
            self.effect(Effect::Cancelled { tag });
        }
        for (_, promise) in promises {
            let broken = self.broken(Failure::Cancelled);
            self.resolve(promise, broken);
            self.release(promise);
        }
    }

    pub(crate) fn send_finish(&mut self, id: u32, release: bool) {
        self.send(16, |root| {
            let mut finish = root.init_finish();
            finish.set_question_id(id);
            finish.set_release_result_caps(release);
        });
    }
}
