//! Calls of this side's that are under way: who waits for them, and how they are cancelled.

use std::sync::Arc;

use capnp_engine::{
    CallId, CallKind, CallOptions, Cap, Content, Draft, Failure, Incoming, Path, Payload, Stage,
};
use slab::Slab;

use super::errors::{closed, from_failure};
use super::room::{Level, Rooms, Taken};
use super::thread_server::ThreadServer;
use super::threads::BusyGuard;
use crate::connection::{ArcConn, Core, Followup};
use crate::moment::Moment;
use crate::notes;
use crate::thread_list;
use crate::threads::RunningId;
use crate::wire::helpers::malformed;
use crate::{Error, Result};

/// Takes in the answer of a call. Under the lock; what is to happen outside is returned.
pub(crate) enum Complete {
    /// A call whose answer is taken in by a function; its name.
    Once(&'static str, Box<Once>),
    /// A user's call: the place where its answer is waited for, which takes no other memory.
    Shared(Arc<dyn TakeAnswer>),
}

type Once = dyn FnOnce(&mut Core, &ArcConn, Result<Content<'_>>) -> Option<Followup> + Send;

/// A place where an answer is waited for.
pub(crate) trait TakeAnswer: Send + Sync {
    /// The method that was called.
    fn method(&self) -> &'static str;

    /// Who waits here, without waiting for that.
    fn who_waits(&self) -> WhoWaits;

    /// Takes it in, as [`Complete`] says. Called once.
    fn take_answer(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        answer: Result<Content<'_>>,
    ) -> Option<Followup>;
}

/// Who waits for a call of this side's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhoWaits {
    Thread,
    Future,
    /// It was started, and is to be waited for later; or it streams, or is the runtime's own.
    Nobody,
    /// Nobody any more; the peer has not ended it.
    Cancelled,
    /// It cannot be told at this moment.
    Unknown,
}

/// A call of this side's that is under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) since: Moment,
    /// The number of the thread that made it.
    pub(crate) thread: u64,
    pub(crate) waits: WhoWaits,
    /// It was sent, and does not wait for other calls of its object.
    pub(crate) sent: bool,
}

impl Complete {
    pub(crate) fn once(
        name: &'static str,
        complete: impl FnOnce(&mut Core, &ArcConn, Result<Content<'_>>) -> Option<Followup>
        + Send
        + 'static,
    ) -> Complete {
        Complete::Once(name, Box::new(complete))
    }

    /// For a call whose answer nobody waits for.
    pub(crate) fn ignore(name: &'static str) -> Complete {
        Complete::once(name, |_, _, _| None)
    }

    fn method(&self) -> &'static str {
        match self {
            Complete::Once(name, _) => name,
            Complete::Shared(place) => place.method(),
        }
    }

    fn run(self, core: &mut Core, conn: &ArcConn, answer: Result<Content<'_>>) -> Option<Followup> {
        match self {
            Complete::Once(_, complete) => complete(core, conn, answer),
            Complete::Shared(place) => place.take_answer(core, conn, answer),
        }
    }
}

/// A call of this side's, by its place among those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaiterId {
    tag: usize,
    /// Tells calls apart that use the same place one after the other.
    serial: u64,
}

impl WaiterId {
    /// Tells it from other calls of the connection, before and after it.
    pub(crate) fn number(self) -> u64 {
        self.serial
    }

    pub(super) fn tag(self) -> u64 {
        self.tag as u64
    }
}

/// Those who wait for calls of this side's.
#[derive(Default)]
pub(crate) struct Waiters {
    slots: Slab<Waiter>,
    next: u64,
    /// The bytes of the calls, and those that wait until there is room for theirs.
    pub(super) rooms: Rooms,
}

struct Waiter {
    serial: u64,
    /// The size of the call.
    taken: Taken,
    /// None once the call was cancelled.
    complete: Option<Complete>,
    /// None until it was made.
    call: Option<CallId>,
    /// Its thread there is occupied until it has returned, cancelled or not.
    #[allow(dead_code, reason = "counts until it is dropped")]
    busy: Option<BusyGuard>,
    /// The thread of this side that callbacks of the call run on.
    callback: Option<Cap>,
    since: Moment,
    /// The number of the thread that made it.
    thread: u64,
    /// The method, once the call was cancelled.
    cancelled: &'static str,
}

impl Waiters {
    /// The calls that are under way.
    pub(super) fn all(&self) -> Vec<Asked> {
        let asked = |(_, waiter): (usize, &Waiter)| {
            let (method, waits) = match &waiter.complete {
                Some(Complete::Shared(place)) => (place.method(), place.who_waits()),
                Some(Complete::Once(name, _)) => (*name, WhoWaits::Nobody),
                None => (waiter.cancelled, WhoWaits::Cancelled),
            };
            let (since, thread, sent) = (waiter.since, waiter.thread, waiter.call.is_some());
            Asked { method, since, thread, waits, sent }
        };
        self.slots.iter().map(asked).collect()
    }

    /// How many calls wait for room.
    pub(super) fn queued(&self) -> usize {
        self.rooms.queued()
    }

    /// How many calls are under way.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    fn remove(&mut self, tag: usize) -> Option<Waiter> {
        let waiter = self.slots.try_remove(tag)?;
        self.rooms.leave(waiter.taken);
        Some(waiter)
    }

    fn get(&mut self, id: WaiterId) -> Option<&mut Waiter> {
        self.slots.get_mut(id.tag).filter(|waiter| waiter.serial == id.serial)
    }

    /// What is to be dropped outside the lock.
    pub(super) fn into_rest(self) -> Vec<Complete> {
        self.slots.into_iter().filter_map(|(_, waiter)| waiter.complete).collect()
    }
}

/// A call that is written: its message, and what keeps its thread busy.
pub(crate) struct Written {
    pub(crate) draft: Draft,
    pub(crate) busy: Option<BusyGuard>,
    /// The thread of this side that is to run its callbacks; no reference comes with it.
    pub(crate) callback: Option<Cap>,
    /// Which room it takes.
    pub(crate) level: Level,
}

impl Written {
    /// A call of the runtime's own.
    pub(crate) fn plain(draft: Draft) -> Written {
        Written { draft, busy: None, callback: None, level: Level::default() }
    }
}

/// How a call is made.
#[derive(Default)]
pub(crate) struct How {
    pub(crate) kind: CallKind,
    /// Asks for the promise of the capability at this path of the results.
    pub(crate) pipeline: Option<Path>,
    /// For one that ends its object: the call of the peer's within which it is made.
    pub(crate) within: Option<RunningId>,
}

impl Core {
    /// Makes a call. Also gives the promise that was asked for, with one reference.
    pub(crate) fn call(
        &mut self,
        target: Cap,
        written: Written,
        how: How,
        complete: Complete,
    ) -> Result<(WaiterId, Option<Cap>)> {
        let Written { draft, busy, callback, level } = written;
        let id = self.add(complete, (level, draft.bytes()), busy, callback);
        match self.send(id, target, draft, how) {
            Ok(promise) => Ok((id, promise)),
            Err(error) => {
                self.forget_waiter(id);
                Err(error)
            }
        }
    }

    /// Gives back a call that is no larger than a message may be.
    pub(crate) fn check_size(&mut self, conn: &ArcConn, written: Written) -> Result<Written> {
        let (bytes, limit) = (written.draft.bytes(), self.engine.most_message());
        if bytes <= limit {
            return Ok(written);
        }
        self.engine.discard(written.draft);
        let whose = if limit < conn.limits().message { " to the other side" } else { "" };
        Err(Error::misuse(format!(
            "the parameters have {bytes} bytes, and {limit} is the limit of a message{whose} \
             (Limits::message): pass them in several calls"
        )))
    }

    /// Notes who waits for a call that is to be made later, by [`send`](Self::send).
    pub(crate) fn add_waiter(&mut self, complete: Complete, call: Written) -> (WaiterId, Draft) {
        let Written { draft, busy, callback, level } = call;
        (self.add(complete, (level, draft.bytes()), busy, callback), draft)
    }

    /// The same for a call that waits before it takes room, by [`take_room`](Self::take_room).
    pub(crate) fn add_unsent(&mut self, complete: Complete, call: Written) -> (WaiterId, Draft) {
        let Written { draft, busy, callback, .. } = call;
        (self.add(complete, (Level::default(), 0), busy, callback), draft)
    }

    /// Such a call is about to be sent.
    pub(crate) fn take_room(&mut self, id: WaiterId, level: Level, bytes: usize) {
        let waiters = &mut self.state().waiters;
        let taken = waiters.rooms.take(level, bytes);
        match waiters.get(id) {
            Some(waiter) => waiter.taken = taken,
            None => waiters.rooms.leave(taken),
        }
    }

    fn add(
        &mut self,
        complete: Complete,
        (level, bytes): (Level, usize),
        busy: Option<BusyGuard>,
        callback: Option<Cap>,
    ) -> WaiterId {
        let waiters = &mut self.state().waiters;
        let taken = waiters.rooms.take(level, bytes);
        let serial = waiters.next;
        waiters.next += 1;
        let complete = Some(complete);
        let (since, thread, cancelled) = (notes::moment(), thread_list::number(), "");
        let call = None;
        let waiter =
            Waiter { serial, taken, complete, call, busy, callback, since, thread, cancelled };
        let tag = waiters.slots.insert(waiter);
        WaiterId { tag, serial }
    }

    /// A promise of the capability at a path of the results of a call that was made, with one reference. None
    /// once it has its answer.
    pub(crate) fn promise_in(&mut self, id: WaiterId, path: Path) -> Option<Cap> {
        let call = self.state().waiters.get(id)?.call?;
        self.engine.promise_in(call, path)
    }

    /// Makes a call that somebody waits for.
    pub(crate) fn send(
        &mut self,
        id: WaiterId,
        target: Cap,
        draft: Draft,
        how: How,
    ) -> Result<Option<Cap>> {
        let How { kind, pipeline, within } = how;
        let nested = within.map_or(0, |running| self.uses_around(running, target));
        let options = CallOptions { tag: id.tag(), kind, pipeline, nested };
        let called = self.engine.call(target, draft, options).map_err(from_failure)?;
        if let Some(waiter) = self.state().waiters.get(id) {
            waiter.call = Some(called.call);
        }
        Ok(called.promise)
    }

    /// How often an object is in use by the calls of this side's whose callback a call of the peer's is:
    /// they wait for it.
    fn uses_around(&mut self, running: RunningId, object: Cap) -> u32 {
        // Where it names no thread it cannot be told: it is then not waited for anything.
        let Some(thread) = self.running_thread(running) else { return u32::MAX };
        let calling = self.object_of(thread);
        let calling = calling.as_ref().and_then(|object| object.thread());
        let one_by_one = matches!(calling, Some(ThreadServer::Caller(_)));
        let (state, engine) = self.state_and_engine();
        let around = state.waiters.slots.iter().map(|(_, waiter)| waiter);
        let around = around.filter(|waiter| waiter.callback == Some(thread));
        let uses = around.filter_map(|waiter| waiter.call).map(|call| engine.uses(call, object));
        // All calls of a thread that waits wait for what runs on it. Callbacks of futures' calls share
        // a thread that is none: one of those calls is around this.
        if one_by_one { uses.sum() } else { uses.max().unwrap_or(0) }
    }

    /// Asks for the peer's first object. The promise comes with one reference.
    pub(crate) fn ask_bootstrap(&mut self, complete: Complete) -> Result<Cap> {
        let id = self.add(complete, (Level::default(), 0), None, None);
        match self.engine.ask_bootstrap(id.tag()) {
            Ok((call, promise)) => {
                if let Some(waiter) = self.state().waiters.get(id) {
                    waiter.call = Some(call);
                }
                Ok(promise)
            }
            Err(failure) => {
                self.forget_waiter(id);
                Err(from_failure(failure))
            }
        }
    }

    /// Answers a call that was not made.
    pub(crate) fn fail_unsent(&mut self, conn: &ArcConn, id: WaiterId, error: Error) {
        let complete = self.state().waiters.get(id).and_then(|waiter| waiter.complete.take());
        self.forget_waiter(id);
        if let Some(complete) = complete {
            let followup = complete.run(self, conn, Err(error));
            self.followups.extend(followup);
        }
    }

    /// Forgets who waits for a call that was not made.
    pub(crate) fn forget_waiter(&mut self, id: WaiterId) {
        if self.state().waiters.get(id).is_some() {
            let waiter = self.state().waiters.remove(id.tag);
            self.drop_waiter(waiter);
        }
    }

    fn drop_waiter(&mut self, waiter: Option<Waiter>) {
        // It may be the last to hold what is the user's.
        if let Some(complete) = waiter.and_then(|waiter| waiter.complete) {
            self.followups.push(Followup::Run(Box::new(move || drop(complete))));
        }
    }

    /// A call has its answer.
    pub(super) fn answered(
        &mut self,
        conn: &ArcConn,
        tag: u64,
        answer: Result<Payload, Failure>,
        message: Option<&Incoming<'_>>,
    ) {
        self.interrupt_over(tag);
        if self.is_ending() && conn.ended().is_none() {
            // What ends the connection is being found out: that is the error then.
            return self.engine.release_all(answer.into_iter().flat_map(|payload| payload.caps));
        }
        let waiter = self.state().waiters.remove(tag as usize);
        let complete = waiter.and_then(|waiter| waiter.complete);
        let Some(complete) = complete else {
            if let Ok(payload) = answer {
                self.engine.release_all(payload.caps);
            }
            return;
        };
        // The end of the connection is known better there.
        let answer = match conn.ended() {
            Some(error) => Err((answer.ok(), error.clone())),
            None => answer.map_err(|failure| (None, from_failure(failure))),
        };
        let followup = match answer {
            Ok(payload) => {
                let followup = payload
                    .with(message, |content| complete.run(self, conn, content.map_err(malformed)));
                self.engine.release_all(payload.caps);
                followup
            }
            Err((payload, error)) => {
                self.engine.release_all(payload.into_iter().flat_map(|payload| payload.caps));
                complete.run(self, conn, Err(error))
            }
        };
        self.followups.extend(followup);
    }

    /// A call that was cancelled is over for the peer, too.
    pub(super) fn over(&mut self, tag: u64) {
        self.interrupt_over(tag);
        let waiter = self.state().waiters.remove(tag as usize);
        self.drop_waiter(waiter);
    }

    /// Nobody waits for a call any more.
    pub(crate) fn cancel(&mut self, conn: &ArcConn, id: WaiterId) {
        let Some(waiter) = self.state().waiters.get(id) else { return };
        let (complete, call) = (waiter.complete.take(), waiter.call);
        waiter.cancelled = complete.as_ref().map_or("", Complete::method);
        match call {
            Some(call) => {
                self.interrupt_later(conn, id.tag());
                self.engine.cancel(call);
            }
            None => {
                self.forget_held(id);
                self.forget_waiter(id);
            }
        }
        if let Some(complete) = complete {
            self.followups.push(Followup::Run(Box::new(move || drop(complete))));
        }
    }

    /// Whether somebody waits still for a call that was not made yet.
    pub(crate) fn is_waited_for(&mut self, id: WaiterId) -> bool {
        self.state().waiters.get(id).is_some()
    }

    /// The engine has ended: those who wait for calls that were not made yet are told.
    pub(super) fn fail_all(&mut self, conn: &ArcConn, error: &Error) {
        let waiters = std::mem::take(&mut self.state().waiters);
        self.tell_end(conn, waiters.rooms);
        for (_, waiter) in waiters.slots {
            if let Some(complete) = waiter.complete {
                let followup = complete.run(self, conn, Err(error.clone()));
                self.followups.extend(followup);
            }
        }
    }

    /// Whether an object takes calls of this kind still. Before one is written: what it would say of
    /// objects and threads goes out with it.
    pub(crate) fn admit(&self, cap: Cap, kind: CallKind) -> Result<()> {
        match (self.engine.stage(cap), kind) {
            (Stage::Open, _) | (Stage::Closing, CallKind::Interrupt) => Ok(()),
            (Stage::Closing | Stage::Closed, _) => Err(closed()),
        }
    }
}
