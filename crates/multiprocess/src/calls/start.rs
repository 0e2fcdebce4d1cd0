//! Starts a call of this side: encodes it, chooses its threads, and arranges for its answer. What was
//! started is waited for, or cancelled.

use std::sync::Arc;
use std::task::Waker;

use capnp_engine::{CallKind, Cap};
use tracing::Span;

use super::interface::Interface;
use super::method::MethodId;
use super::remote::RemoteObject;
use super::slot::Slot;
use super::streaming::{Behind, Streaming};
use super::waiting::{Deadline, run_earlier, wait_for_slot};
use crate::call_log::{self, Called, Outcome};
use crate::call_span::{self, Begun};
use crate::carried::Carried;
use crate::connection::{ArcConn, Core, Flush};
use crate::moment::Moment;
use crate::session::{
    Caller, Complete, Destroy, EncodeFn, HeldCap, How, Level, QueuePlace, TakeAnswer, WaiterId,
    WhoQueues,
};
use crate::stats::{self, Side};
use crate::threads::{RunningId, innermost, this_inbox};
use crate::trace_context::TraceContext;
use crate::wire::{AnyBuilder, Builder, Encoder, PayloadCodec};
use crate::{Error, Result};

/// A call that is under way. Dropped, it is cancelled. It keeps its connection: the handle that it
/// was made with may be gone.
pub(super) struct SentCall<T: 'static> {
    pub(super) slot: Arc<Slot<T>>,
    conn: ArcConn,
    id: WaiterId,
    /// The inbox of the thread that made the call.
    thread: Option<u64>,
    over: bool,
    /// The size of the call.
    bytes: usize,
    /// Where its end is noted.
    noted: Option<Box<Noted>>,
}

/// What the log and the statistics say of a call when it ends.
struct Noted {
    /// None: only the statistics have it.
    called: Option<Called>,
    /// None where there are no spans.
    span: Span,
    method: &'static str,
    since: Moment,
}

impl<T> SentCall<T> {
    /// The connection that the answer comes over.
    pub(super) fn conn(&self) -> &ArcConn {
        &self.conn
    }

    /// Says in the log that it was sent, where it is on, and from now on notes how it ends.
    #[cold]
    pub(super) fn note(
        &mut self,
        method: &'static str,
        trace: Option<TraceContext>,
        parameters: Option<&str>,
    ) {
        let called = call_log::is_on().then(|| {
            let peer = self.conn.peer_name().map(str::to_owned);
            let number = self.id.number();
            Called { connection: self.conn.number(), peer, number, method }
        });
        if let Some(called) = &called {
            call_log::sent(called, Some(self.bytes), parameters);
        }
        let span = match call_span::is_on() {
            true => call_span::begin(&Begun {
                side: Side::Called,
                method,
                connection: self.conn.number(),
                peer: self.conn.peer_name(),
                number: self.id.number(),
                bytes: self.bytes,
                trace,
            }),
            false => Span::none(),
        };
        self.noted = Some(Box::new(Noted { called, span, method, since: Moment::exact() }));
    }

    /// Says how it ended, where that is noted.
    #[inline]
    pub(super) fn note_end(&mut self, error: Option<&Error>) {
        if let Some(noted) = self.noted.take() {
            self.ended(&noted, error);
        }
    }

    #[cold]
    fn ended(&self, noted: &Noted, error: Option<&Error>) {
        let outcome = Outcome::of(Some(self.slot.bytes()), error);
        let took = noted.since.elapsed();
        if stats::is_on() {
            let bytes = (self.bytes, outcome.bytes().unwrap_or(0));
            stats::record(noted.method, Side::Called, outcome.end(), took, bytes);
        }
        if let Some(called) = &noted.called {
            call_log::answered(called, took, &outcome);
        }
        call_span::end(&noted.span, &outcome, took);
    }

    /// The answer has been taken: nothing is left to cancel.
    pub(super) fn set_over(&mut self) {
        self.over = true;
    }
}

impl<T> Drop for SentCall<T> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.note_end(Some(&Error::Cancelled));
        let (id, thread) = (self.id, self.thread);
        self.conn.defer(move |core, conn| {
            core.cancel(conn, id);
            if let Some(inbox) = thread {
                // The peer may run the call on regardless, as Bitcoin Core does: this thread's next
                // call must not wait behind it, and gets a new thread there.
                core.release_caller(inbox);
            }
        });
    }
}

/// Blocks until the answer is there. `ours`: the call was sent by this thread, so that its answer
/// wakes it.
pub(super) fn wait_for<T: Send + 'static>(
    mut sent: SentCall<T>,
    deadline: Deadline,
    ours: bool,
) -> Result<T> {
    if !ours {
        sent.slot.wake_thread(&this_inbox());
    }
    let result = wait_for_slot(&sent.slot, Some(sent.conn()), &deadline);
    sent.note_end(result.as_ref().err());
    if sent.slot.is_over() {
        sent.set_over();
        // Callbacks of a call that was started run on a pool instead.
        if ours {
            run_earlier(sent.conn());
        }
    }
    result
}

/// Waits for room, because so many bytes of other calls are under way.
pub(super) struct RoomToSend {
    pub(super) slot: Arc<Slot<()>>,
    pub(super) conn: ArcConn,
    place: Arc<QueuePlace>,
    bytes: usize,
}

impl RoomToSend {
    /// Waits until there is room. Callbacks for this thread run meanwhile.
    pub(super) fn wait(&self, deadline: &Deadline) -> Result<()> {
        self.slot.wake_thread(&this_inbox());
        wait_for_slot(&self.slot, Some(&self.conn), deadline)
    }
}

/// To be dropped when the call was sent: until then the room is reserved for it.
impl Drop for RoomToSend {
    fn drop(&mut self) {
        let (place, bytes) = (Arc::clone(&self.place), self.bytes);
        // Then others are told.
        self.conn.defer(move |core, _conn| core.leave_queue(&place, bytes));
    }
}

/// What became of a call that was to be sent.
pub(super) enum Started<T: 'static> {
    Sent(SentCall<T>),
    /// It was not sent, and is to be tried again when there is room.
    Full(RoomToSend),
}

/// Sends a call to an object of the peer's.
pub(super) fn start_call<T: Send + 'static>(
    object: &RemoteObject,
    method: MethodId,
    (caller, carried): (Caller, &Carried),
    waker: Option<&Waker>,
    // Called under the lock. It owns what the user passed, so it is dropped elsewhere.
    encode: &mut EncodeFn,
    results: PayloadCodec<T>,
    // It has waited for room and was told that there is some.
    told: bool,
) -> Result<Started<T>> {
    let (conn, cap) = object.place()?;
    let slot = match (&caller, waker) {
        (Caller::Thread(inbox, _), _) => Slot::for_thread(inbox),
        (_, Some(waker)) => Slot::for_future(waker),
        (_, None) => Slot::unwatched(),
    };
    let slot = Arc::new(slot.for_results(results, method));
    /// With this many calls under way, calls are batched instead of written separately.
    const MANY: usize = 4;
    let (mut flush, mut size) = (Flush::Now, 0);
    let (id, round) = conn.within(|core| {
        check_connected(conn)?;
        let many = core.state().waiters.len() >= MANY || conn.writes_many();
        if matches!(caller, Caller::Future { .. }) && many {
            flush = Flush::Soon;
        }
        let streamed = object.streamed();
        let closes = method.kind == CallKind::Destroy;
        if let Some(error) = streamed.and_then(|streamed| streamed.failed())
            && !closes
        {
            return Err(error);
        }
        core.admit(cap, method.kind)?;
        let lost = streamed.filter(|_| closes).cloned();
        let complete = complete(&slot, lost);
        let target = (method.interface, method.ordinal);
        let written =
            core.write_call(conn, target, method.form(), (Some(&caller), carried), encode)?;
        let written = core.check_size(conn, written)?;
        let (level, bytes) = (written.level, written.draft.bytes());
        size = bytes;
        if !core.has_room(conn, level, bytes, told) {
            core.engine.discard(written.draft);
            return Ok(Err(wait_for_room(core, conn, level, bytes, WhoQueues::Any)));
        }
        // Also if the future is polled within another call, which then waits for this one as well.
        let within = if closes { innermost(conn) } else { None };
        if let Some(streaming) = streamed.filter(|streamed| streamed.is_busy()) {
            let (id, draft) = core.add_unsent(complete, written);
            streaming.hold(core, Behind::new(id, draft, cap, method, within, level));
            return Ok(Ok(id));
        }
        let Some(ordinal) = method.interrupt else {
            let how = How { kind: method.kind, pipeline: None, within };
            let (id, _) = core.call(cap, written, how, complete)?;
            if closes {
                core.interrupt_all(conn, cap);
            }
            return Ok(Ok(id));
        };
        let (id, draft) = core.add_waiter(complete, written);
        let interrupt = (method.interface, ordinal);
        match core.send_interruptible(id, cap, draft, interrupt) {
            Ok(()) => Ok(Ok(id)),
            Err(error) => {
                core.forget_waiter(id);
                Err(error)
            }
        }
    });
    conn.leave_and(round, flush);
    let id = match id? {
        Ok(id) => id,
        Err(room) => return Ok(Started::Full(room)),
    };
    let thread = match &caller {
        Caller::Thread(inbox, None) => Some(inbox.id()),
        _ => None,
    };
    let (conn, over, bytes, noted) = (ArcConn::clone(conn), false, size, None);
    Ok(Started::Sent(SentCall { slot, conn, id, thread, over, bytes, noted }))
}

/// Where a call of this size waits for room.
fn wait_for_room(
    core: &mut Core,
    conn: &ArcConn,
    level: Level,
    bytes: usize,
    who: WhoQueues,
) -> RoomToSend {
    let slot = Arc::new(Slot::unwatched());
    let waits = Arc::clone(&slot);
    let place = core.queue_call(level, bytes, who, Box::new(move |_, _, _| waits.fill(Ok(()))));
    RoomToSend { slot, conn: ArcConn::clone(conn), place, bytes }
}

/// Fills the slot with the answer. `lost`: the streaming calls whose first error this call reports.
fn complete<T: Send + 'static>(slot: &Arc<Slot<T>>, lost: Option<Arc<Streaming>>) -> Complete {
    let slot = Arc::clone(slot);
    let Some(lost) = lost else { return Complete::Shared(slot) };
    Complete::once("destroy", move |core, conn, answer| match (&answer, lost.failed()) {
        (Ok(_), Some(error)) => slot.fill(Err(error)),
        _ => slot.take_answer(core, conn, answer),
    })
}

fn check_connected(conn: &ArcConn) -> Result<()> {
    conn.ended().cloned().map_or(Ok(()), Err)
}

/// A capability for what a call will return, before it has. The error within: there is no room.
pub(super) fn start_pipelined(
    conn: &ArcConn,
    cap: Cap,
    method: MethodId,
    carried: &Carried,
    // Called under the lock. It owns what the user passed, so it is dropped elsewhere.
    encode: &mut EncodeFn,
    // It has waited for room and was told that there is some.
    told: bool,
) -> Result<std::result::Result<HeldCap, RoomToSend>> {
    conn.enter(|core| {
        check_connected(conn)?;
        let caller = Caller::Future { running: None, long: method.long };
        let target = (method.interface, method.ordinal);
        let written =
            core.write_call(conn, target, method.form(), (Some(&caller), carried), encode)?;
        let written = core.check_size(conn, written)?;
        let (level, bytes) = (written.level, written.draft.bytes());
        if !told && !core.has_room_for(conn, level, bytes, WhoQueues::Blocks) {
            core.engine.discard(written.draft);
            return Ok(Err(wait_for_room(core, conn, level, bytes, WhoQueues::Blocks)));
        }
        let how = How { pipeline: Some(vec![method.pipeline]), ..How::default() };
        let (_, promise) = core.call(cap, written, how, Complete::ignore(method.name))?;
        let promise = promise.ok_or_else(|| Error::failed("the call promised nothing"))?;
        Ok(Ok(HeldCap::new(core, conn, promise)))
    })
}

/// An object of the peer's with this interface, which is ended with the last handle on it.
pub(super) fn object_of<I: Interface>(cap: HeldCap) -> RemoteObject {
    RemoteObject::new(cap, destroy_of::<I>())
}

/// How objects of this interface are ended with the last handle, if it has a method for that.
pub(super) fn destroy_of<I: Interface>() -> Option<Destroy> {
    I::DESTROY.is_some().then_some(send_destroy::<I> as Destroy)
}

/// Ends an object on which the last handle has gone. Nobody waits for that.
fn send_destroy<I: Interface>(
    core: &mut Core,
    conn: &ArcConn,
    cap: Cap,
    running: Option<RunningId>,
) {
    let Some(destroy) = I::DESTROY else { return };
    if conn.ended().is_some() {
        return;
    }
    let caller = Caller::Released(running);
    let mut encode = |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| {
        let mut params = Builder::content(to, destroy.params);
        if let Some(slot) = destroy.context {
            cx.context(&mut params, slot);
        }
        Ok(())
    };
    let method = (destroy.id.interface, destroy.id.ordinal);
    let caller = (Some(&caller), &Carried::NONE);
    let written = core.write_call(conn, method, (0, 0), caller, &mut encode);
    let Ok(written) = written else { return };
    let how = How { kind: CallKind::Destroy, pipeline: None, within: running };
    // Errors are ignored: nothing more can be done to end the object.
    let _ = core.call(cap, written, how, Complete::ignore(destroy.id.name));
    core.interrupt_all(conn, cap);
}
