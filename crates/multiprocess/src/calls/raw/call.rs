//! A call of this side's, as messages.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use capnp_engine::{CallKind, Cap, Content};

use super::RawPayload;
use crate::calls::capability::Capability;
use crate::calls::connection::Connection;
use crate::calls::remote::RemoteObject;
use crate::calls::served::Untyped;
use crate::carried::Carried;
use crate::connection::{ArcConn, Core, Flush, Followup};
use crate::forked::check_forked;
use crate::panics::catch_panic;
use crate::session::{CapReader, Complete, HeldCap, How, TakeAnswer, WaiterId, WhoWaits};
use crate::wire::{AnyBuilder, Decoder, Encoder};
use crate::{Error, Result};

/// The name in the dump of calls that are under way.
const NAME: &str = "a call without types";

/// With this many calls under way, calls are batched instead of written separately.
const MANY: usize = 4;

/// A call that was sent. Dropped before it has its answer, it is cancelled.
pub struct RawCall {
    slot: Arc<RawSlot>,
    conn: ArcConn,
    id: WaiterId,
}

opaque!(RawCall, impl std::fmt::Debug for RawCall);

impl Capability {
    /// Sends a call of a method (its interface and ordinal), after all calls of the object before it. It does not
    /// wait for room, however many bytes are under way: the peer takes the call or refuses it.
    ///
    /// # Errors
    /// The connection has ended, or the message is too large; nothing was sent. [`Error::ApiMisuse`] for an
    /// object of this process: bring it [`Inside`](super::Inside) first.
    #[doc(hidden)]
    pub fn call_raw(&self, method: (u64, u16), params: &RawPayload) -> Result<RawCall> {
        let Untyped::There(object) = self.untyped() else {
            return Err(Error::misuse(
                "an object of this process is called as messages only when it was brought inside",
            ));
        };
        let (conn, cap) = object.place()?;
        let slot = Arc::new(RawSlot::default());
        let mut flush = Flush::Now;
        let (id, round) = conn.within(|core| {
            check_connected(conn)?;
            if core.state().waiters.len() >= MANY || conn.writes_many() {
                flush = Flush::Soon;
            }
            core.admit(cap, CallKind::Ordinary)?;
            let mut write = |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| params.write(cx, to);
            let written =
                core.write_call(conn, method, (0, 0), (None, &Carried::NONE), &mut write)?;
            let written = core.check_size(conn, written)?;
            let complete = Complete::Shared(Arc::clone(&slot) as Arc<dyn TakeAnswer>);
            core.call(cap, written, How::default(), complete).map(|(id, _)| id)
        });
        conn.leave_and(round, flush);
        Ok(RawCall { slot, conn: ArcConn::clone(conn), id: id? })
    }
}

impl RawCall {
    /// The answer, once. Wakes the task when it is there.
    ///
    /// # Errors
    /// Those of the call.
    pub fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<Result<RawPayload>> {
        let mut state = self.slot.state();
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(answer);
        }
        let before = state.waker.replace(cx.waker().clone());
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// The answer. It is there once: a second wait for it does not end.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn answer(&self) -> Result<RawPayload> {
        poll_fn(|cx| self.poll_answer(cx)).await
    }

    /// The object at a path of pointers in the results, before they are there. None once they are, or the
    /// call has failed.
    pub fn promise(&self, path: &[u16]) -> Option<Capability> {
        let held = self.conn.enter(|core| {
            let promise = core.promise_in(self.id, path.to_vec())?;
            Some(HeldCap::new(core, &self.conn, promise))
        });
        held.map(of_peer)
    }
}

impl Drop for RawCall {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.slot.state();
            if state.over {
                return;
            }
            state.waker.take()
        };
        drop(waker);
        let id = self.id;
        self.conn.defer(move |core, conn| core.cancel(conn, id));
    }
}

/// The place for the answer.
#[derive(Default)]
struct RawSlot(Mutex<SlotState>);

#[derive(Default)]
struct SlotState {
    answer: Option<Result<RawPayload>>,
    over: bool,
    waker: Option<Waker>,
}

impl RawSlot {
    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakeAnswer for RawSlot {
    fn method(&self) -> &'static str {
        NAME
    }

    fn who_waits(&self) -> WhoWaits {
        WhoWaits::Future
    }

    fn take_answer(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        answer: Result<Content<'_>>,
    ) -> Option<Followup> {
        let answer = answer.and_then(|content| {
            let mut caps = CapReader::new(core, conn, content.caps);
            let mut cx = Decoder::new(Some(&mut caps), content.message.len(), 0);
            catch_panic(|| RawPayload::read(&mut cx, content.reader))
        });
        let mut state = self.state();
        (state.answer, state.over) = (Some(answer), true);
        state.waker.take().map(Followup::Wake)
    }
}

fn check_connected(conn: &ArcConn) -> Result<()> {
    conn.ended().cloned().map_or(Ok(()), Err)
}

/// A handle without its type on a peer's object.
pub(super) fn of_peer(held: HeldCap) -> Capability {
    Capability::of_untyped(Untyped::There(RemoteObject::new(held, None)))
}

/// A handle without its type on a capability of a connection. Takes over the reference.
pub(super) fn held(core: &mut Core, conn: &ArcConn, cap: Cap) -> Capability {
    of_peer(HeldCap::new(core, conn, cap))
}

/// The peer's bootstrap object, without waiting for it. Nothing is exchanged with it: no ThreadMaps.
///
/// # Errors
/// The connection has ended.
pub fn bootstrap_raw(connection: &Connection) -> Result<Capability> {
    check_forked()?;
    let conn = connection.conn();
    conn.enter(|core| {
        check_connected(conn)?;
        let first = core.ask_bootstrap(Complete::ignore("the bootstrap"))?;
        Ok(held(core, conn, first))
    })
}
