//! Streaming calls of this side: how many are under way, and who waits for them.
//!
//! Such a call is sent at once, so that calls stay in order; its caller goes on while there is room
//! for more. All streaming calls of one object name the same thread of the peer. Their callbacks run
//! on the pool, because no calling thread waits that could run them.
//!
//! Other calls of the object are encoded and then held back until the streaming calls before them
//! are answered: they may run on another thread of the peer, and must not run at all if a streaming
//! call fails. Not every peer ensures that itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capnp_engine::{CallKind, Cap, Draft};

use super::errors::{in_method, without_threads};
use super::method::MethodId;
use super::slot::Slot;
use super::waiting::{Deadline, wait_for_slot};
use crate::carried::Carried;
use crate::connection::{ArcConn, Core};
use crate::session::{Caller, Complete, How, Level, QueuePlace, WaiterId, WhoQueues, Written};
use crate::threads::{RunningId, this_inbox};
use crate::wire::helpers::malformed;
use crate::wire::{AnyBuilder, Encoder};
use crate::{Error, Result};

/// How many bytes of parameters may be under way; one more call is sent beyond it.
const WINDOW: usize = 256 << 10;
/// How many calls may be under way.
const CALLS: usize = 64;
const WORD: usize = 8;

/// The streaming calls of one object. It changes under the lock of the object's connection only.
#[derive(Default)]
pub(super) struct Streaming(Mutex<State>);

#[derive(Default)]
struct State {
    /// The number of the next call.
    next: u64,
    /// The bytes of the calls that are not answered, by their numbers.
    under_way: BTreeMap<u64, usize>,
    bytes: usize,
    /// The size of the largest call. The window is larger by this, so that besides a call that is
    /// larger than the window another one can be under way.
    largest: usize,
    /// The first error: nothing is sent after it.
    failed: Option<Error>,
    /// How many of them are not sent, because the connection has no room.
    unsent: usize,
    /// Which room these wait for: that of the first, so that they stay in order.
    waits_in: Level,
    /// The callers that wait for room.
    waiting: Vec<Arc<Slot<()>>>,
    /// The callers that wait for the end of all calls under way.
    ends: Vec<Arc<Slot<()>>>,
    behind: Vec<Behind>,
}

/// A call that waits until the streaming calls before it are answered. It takes no room of the connection
/// meanwhile: those that it waits for may need it.
pub(super) struct Behind {
    /// The number of the first streaming call that it does not wait for.
    before: u64,
    id: WaiterId,
    draft: Draft,
    /// The object, with a reference that counts as a handle, so that it is not ended before this is
    /// sent.
    target: Cap,
    method: MethodId,
    /// For one that ends its object: the call of the peer's within which it is made.
    within: Option<RunningId>,
    /// Which room it takes.
    level: Level,
}

impl State {
    fn has_room(&self) -> bool {
        self.under_way.len() < CALLS && self.bytes < WINDOW.saturating_add(self.largest)
    }

    fn add(&mut self, call: u64, bytes: usize) {
        self.under_way.insert(call, bytes);
        self.bytes += bytes;
        self.largest = self.largest.max(bytes);
    }

    fn remove(&mut self, call: u64) {
        self.bytes -= self.under_way.remove(&call).unwrap_or(0);
    }

    /// The callers that can go on.
    fn take_waiting(&mut self) -> Vec<Arc<Slot<()>>> {
        let mut ready = Vec::new();
        if self.failed.is_some() || self.has_room() {
            ready.append(&mut self.waiting);
        }
        if self.failed.is_some() || self.under_way.is_empty() {
            ready.append(&mut self.ends);
        }
        ready
    }

    /// The calls that can be sent now.
    fn take_behind(&mut self) -> Vec<Behind> {
        let first = match &self.failed {
            Some(_) => None,
            None => self.under_way.keys().next(),
        };
        let ready = match first {
            Some(first) => self.behind.partition_point(|behind| behind.before <= *first),
            None => self.behind.len(),
        };
        self.behind.drain(..ready).collect()
    }
}

impl Streaming {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether some calls are not answered.
    pub(super) fn is_busy(&self) -> bool {
        !self.state().under_way.is_empty()
    }

    pub(super) fn is_failed(&self) -> bool {
        self.state().failed.is_some()
    }

    /// The first error.
    pub(super) fn failed(&self) -> Option<Error> {
        self.state().failed.clone()
    }

    /// Holds a call back until the streaming calls before it are answered.
    pub(super) fn hold(&self, core: &mut Core, behind: Behind) {
        core.engine.retain(behind.target);
        core.engine.add_handle(behind.target);
        let mut state = self.state();
        let before = state.next;
        state.behind.push(Behind { before, ..behind });
    }

    /// Where to wait until these calls are answered, if some are not.
    pub(super) fn end(&self, conn: &ArcConn) -> Result<Option<Room>> {
        conn.enter(|_core| {
            let mut state = self.state();
            match &state.failed {
                Some(error) => Err(error.clone()),
                None if state.under_way.is_empty() => Ok(None),
                None => {
                    let slot = Arc::new(Slot::unwatched());
                    state.ends.push(Arc::clone(&slot));
                    Ok(Some(Room { slot, conn: ArcConn::clone(conn) }))
                }
            }
        })
    }

    fn send(
        self: &Arc<Self>,
        core: &mut Core,
        call: u64,
        (cap, method): (Cap, MethodId),
        written: Written,
    ) -> Result<()> {
        let own = Arc::clone(self);
        let answered = Complete::once(method.name, move |core, conn, answer| {
            let error = answer.err().map(|error| in_method(without_threads(core, error), method));
            own.answered(core, conn, call, error);
            None
        });
        core.call(cap, written, How::default(), answered).map(|_| ())
    }

    /// Sends a call when the connection has room for it. It counts as under way meanwhile, and so do those
    /// that wait behind it, so that calls stay in order.
    fn send_later(
        self: &Arc<Self>,
        core: &mut Core,
        call: u64,
        (cap, method): (Cap, MethodId),
        written: Written,
    ) {
        core.engine.retain(cap);
        core.engine.add_handle(cap);
        let own = Arc::clone(self);
        let bytes = written.draft.bytes();
        let level = {
            let mut state = self.state();
            if state.unsent == 0 {
                state.waits_in = written.level;
            }
            state.unsent += 1;
            state.waits_in
        };
        let send = move |core: &mut Core, conn: &ArcConn, place: &QueuePlace| {
            core.leave_queue(place, bytes);
            let failed = {
                let mut state = own.state();
                state.unsent -= 1;
                state.failed.clone().or_else(|| conn.ended().cloned())
            };
            let sent = match failed {
                Some(error) => {
                    core.engine.discard(written.draft);
                    Err(error)
                }
                None => own.send(core, call, (cap, method), written),
            };
            core.engine.drop_handle(cap);
            if let Err(error) = sent {
                own.answered(core, conn, call, Some(error));
            }
            None
        };
        core.queue_call(level, bytes, WhoQueues::Any, Box::new(send));
    }

    /// What tells it from others while one of its calls is under way.
    fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self) as usize
    }

    fn answered(
        self: &Arc<Self>,
        core: &mut Core,
        conn: &ArcConn,
        call: u64,
        error: Option<Error>,
    ) {
        let (failed, waiting, behind, over) = {
            let mut state = self.state();
            state.remove(call);
            if state.failed.is_none() {
                state.failed = error;
            }
            let (waiting, behind) = (state.take_waiting(), state.take_behind());
            (state.failed.clone(), waiting, behind, state.under_way.is_empty())
        };
        if over {
            core.release_stream(self.address());
        }
        for slot in waiting {
            let followup = slot.fill(failed.clone().map_or(Ok(()), Err));
            core.followups.extend(followup);
        }
        for behind in behind {
            behind.go_on(core, conn, failed.as_ref());
        }
    }
}

impl Behind {
    pub(super) fn new(
        id: WaiterId,
        draft: Draft,
        target: Cap,
        method: MethodId,
        within: Option<RunningId>,
        level: Level,
    ) -> Behind {
        Behind { before: 0, id, draft, target, method, within, level }
    }

    /// The streaming calls before it are answered: sends it, when there is room.
    fn go_on(self, core: &mut Core, conn: &ArcConn, failed: Option<&Error>) {
        let (level, bytes) = (self.level, self.draft.bytes());
        let goes = failed.is_some() || core.has_room(conn, level, bytes, false);
        if goes || !core.is_waited_for(self.id) {
            return self.send(core, conn, failed);
        }
        let send = move |core: &mut Core, conn: &ArcConn, place: &QueuePlace| {
            core.leave_queue(place, bytes);
            let failed = conn.ended().cloned();
            self.send(core, conn, failed.as_ref());
            None
        };
        core.queue_call(level, bytes, WhoQueues::Any, Box::new(send));
    }

    fn send(self, core: &mut Core, conn: &ArcConn, failed: Option<&Error>) {
        let Behind { id, draft, target, method, within, level, .. } = self;
        let failed = failed.filter(|_| method.kind != CallKind::Destroy);
        if failed.is_some() || !core.is_waited_for(id) {
            core.engine.discard(draft);
            core.engine.drop_handle(target);
            if let Some(error) = failed {
                core.fail_unsent(conn, id, error.clone());
            }
            return;
        }
        core.take_room(id, level, draft.bytes());
        let sent = match method.interrupt {
            Some(ordinal) => {
                core.send_interruptible(id, target, draft, (method.interface, ordinal))
            }
            None => {
                let how = How { kind: method.kind, pipeline: None, within };
                core.send(id, target, draft, how).map(|_| ())
            }
        };
        match sent {
            Ok(()) if method.kind == CallKind::Destroy => core.interrupt_all(conn, target),
            Ok(()) => {}
            Err(error) => core.fail_unsent(conn, id, error),
        }
        core.engine.drop_handle(target);
    }
}

/// Waits, after a streaming call was sent, for room for the next one; for a `close`, for the end of
/// the calls that were sent.
pub(super) struct Room {
    slot: Arc<Slot<()>>,
    conn: ArcConn,
}

impl Room {
    pub(super) fn slot(&self) -> &Arc<Slot<()>> {
        &self.slot
    }

    pub(super) fn conn(&self) -> &ArcConn {
        &self.conn
    }

    /// Blocks until there is room, or the end.
    pub(super) fn wait(self, deadline: &Deadline) -> Result<()> {
        self.slot.wake_thread(&this_inbox());
        wait_for_slot(&self.slot, Some(&self.conn), deadline)
    }
}

/// Sends a streaming call of the object that `cap` is, unless an earlier one failed. `streaming`: the
/// object's streaming calls. Returns what to wait at before the next.
pub(super) fn start_stream(
    (conn, cap): (&ArcConn, Cap),
    streaming: &Arc<Streaming>,
    method: MethodId,
    carried: &Carried,
    // Called under the lock, dropped here outside it: it owns what the user passed.
    mut encode: impl FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()>,
) -> Result<Option<Room>> {
    conn.enter(|core| {
        if let Some(error) = conn.ended() {
            return Err(error.clone());
        }
        core.admit(cap, method.kind)?;
        let call = {
            let mut state = streaming.state();
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            state.next += 1;
            state.next - 1
        };
        // Counted before it is sent, because it may be answered at once.
        let mut fill = |cx: &mut Encoder<'_>, mut to: AnyBuilder<'_>| {
            encode(cx, to.reborrow())?;
            let size = to.target_size().map_err(malformed)?;
            let bytes = usize::try_from(size.word_count).unwrap_or(usize::MAX / WORD) * WORD;
            streaming.state().add(call, bytes);
            Ok(())
        };
        let caller = Caller::Stream { object: streaming.address(), long: method.long };
        let target = (method.interface, method.ordinal);
        let written =
            core.write_call(conn, target, method.form(), (Some(&caller), carried), &mut fill);
        let sent = written.and_then(|written| {
            let written = core.check_size(conn, written)?;
            let (level, bytes) = (written.level, written.draft.bytes());
            let waits = !core.has_room(conn, level, bytes, false);
            if waits || streaming.state().unsent > 0 {
                streaming.send_later(core, call, (cap, method), written);
                return Ok(());
            }
            streaming.send(core, call, (cap, method), written)
        });
        let mut state = streaming.state();
        if let Err(error) = sent {
            state.remove(call);
            if state.under_way.is_empty() {
                drop(state);
                core.release_stream(streaming.address());
            }
            return Err(error);
        }
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        Ok((!state.has_room()).then(|| {
            let slot = Arc::new(Slot::unwatched());
            state.waiting.push(Arc::clone(&slot));
            Room { slot, conn: ArcConn::clone(conn) }
        }))
    })
}
