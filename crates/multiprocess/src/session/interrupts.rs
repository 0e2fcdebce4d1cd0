//! Ends calls of this side's that were cancelled and that the peer does not end by itself.
//!
//! A cancelled call's Finish goes out at once, and a peer that supports cancelling answers at once.
//! Bitcoin Core 30 to 32 ignore it: the method goes on, on a thread that nobody waits for. If the
//! schema names a method that interrupts the call, it is called when the peer has not answered within
//! the grace. The same is done for the calls of an object that is being closed, cancelled or not,
//! because the object can only be ended when they have returned.
//!
//! An interrupt ends any one wait of the object, and if none is under way Core keeps it for the next.
//! So no interrupt is sent while it could end a call that somebody waits for, unless the object is
//! being closed. And a new such call is not sent while a cancelled one has not ended: it is held back
//! until that one has returned, for [`PATIENCE`] at most.
//!
//! Everything here is under the connection's lock. The timer runs on the driver thread and holds
//! neither the connection nor the object.

use std::time::{Duration, Instant};

use capnp_engine::{CallKind, Cap, Draft, Stage};

use super::calls::{Complete, How, WaiterId, Written};
use crate::connection::{ArcConn, Core};
use crate::driver::driver;
use crate::memory::MEMORY;
use crate::wire::{Builder, Size};
use crate::{Error, Result};

/// How long a peer has to end a cancelled call by itself.
const GRACE: Duration = Duration::from_millis(20);
/// After what time an interrupt is repeated if the call has not ended, because another cancelled
/// call may have taken it. Not sooner, because an interrupt that arrives when the call has just
/// ended would be kept for the next one.
const AGAIN: Duration = Duration::from_millis(400);
/// How long a call is expected to end at all.
const PATIENCE: Duration = Duration::from_secs(2);

/// The method that ends a call: the interface and ordinal of a method of the same object, without
/// parameters.
pub(crate) type Interrupt = (u64, u16);

/// Calls that an interrupt could end, until they have returned.
#[derive(Default)]
pub(crate) struct Interrupts {
    calls: Vec<Interruptible>,
    /// Calls that are held back.
    held: Vec<HeldBack>,
    /// Whether the timer runs.
    timed: bool,
}

struct Interruptible {
    tag: u64,
    /// The object, with a reference.
    target: Cap,
    interrupt: Interrupt,
    /// Since when it should end. None while somebody waits for it.
    ending: Option<Instant>,
    /// When it was last interrupted.
    sent: Option<Instant>,
}

/// A call that is written and not sent.
struct HeldBack {
    id: WaiterId,
    /// The object, with a reference that counts as a handle, so that it is not ended before this is
    /// sent.
    target: Cap,
    draft: Draft,
    interrupt: Interrupt,
}

impl Interrupts {
    /// What is to be dropped outside the lock.
    pub(super) fn into_rest(self) -> Vec<Draft> {
        self.held.into_iter().map(|held| held.draft).collect()
    }
}

impl Core {
    /// Makes a call that an interrupt can end. It is held back while a cancelled call has not ended,
    /// because the interrupt for that one could end it instead.
    pub(crate) fn send_interruptible(
        &mut self,
        id: WaiterId,
        target: Cap,
        draft: Draft,
        interrupt: Interrupt,
    ) -> Result<()> {
        if self.holds(target, Instant::now()) {
            self.engine.retain(target);
            self.engine.add_handle(target);
            let held = HeldBack { id, target, draft, interrupt };
            self.state().interrupts.held.push(held);
            return Ok(());
        }
        self.send_interruptible_now(id, target, draft, interrupt)
    }

    fn send_interruptible_now(
        &mut self,
        id: WaiterId,
        target: Cap,
        draft: Draft,
        interrupt: Interrupt,
    ) -> Result<()> {
        self.send(id, target, draft, How::default())?;
        self.engine.retain(target);
        let (tag, ending, sent) = (id.tag(), None, None);
        let call = Interruptible { tag, target, interrupt, ending, sent };
        self.state().interrupts.calls.push(call);
        Ok(())
    }

    /// The calls of an object, by what it has become.
    fn calls_of(&mut self, target: Cap) -> Vec<usize> {
        let (state, engine) = self.state_and_engine();
        let object = engine.resolved(target);
        let calls = state.interrupts.calls.iter().enumerate();
        let own = calls.filter(|(_, call)| engine.resolved(call.target) == object);
        own.map(|(place, _)| place).collect()
    }

    /// Whether somebody waits for a call of this object that an interrupt could end.
    fn is_live(&mut self, target: Cap) -> bool {
        let own = self.calls_of(target);
        let calls = &self.state().interrupts.calls;
        own.iter().any(|place| calls[*place].ending.is_none())
    }

    fn holds(&mut self, target: Cap, now: Instant) -> bool {
        if self.state().interrupts.calls.is_empty() {
            return false;
        }
        let own = self.calls_of(target);
        let calls = &self.state().interrupts.calls;
        let ends = |place: &usize| {
            let ending = calls[*place].ending;
            ending.is_some_and(|since| now.saturating_duration_since(since) < PATIENCE)
        };
        // No interrupt is sent while somebody waits for another call of the object.
        own.iter().any(ends) && own.iter().all(|place| calls[*place].ending.is_some())
    }

    /// A call has returned.
    pub(super) fn interrupt_over(&mut self, tag: u64) {
        let calls = &mut self.state().interrupts.calls;
        if let Some(place) = calls.iter().position(|call| call.tag == tag) {
            let call = calls.remove(place);
            self.engine.release(call.target);
        }
    }

    /// Forgets a call that was held back and cancelled.
    pub(super) fn forget_held(&mut self, id: WaiterId) {
        let held = &mut self.state().interrupts.held;
        if let Some(place) = held.iter().position(|held| held.id == id) {
            let HeldBack { target, draft, .. } = held.remove(place);
            self.engine.discard(draft);
            self.engine.drop_handle(target);
        }
    }

    /// Whether calls are held back.
    pub(super) fn holds_calls(&mut self) -> bool {
        !self.state().interrupts.held.is_empty()
    }

    /// Sends calls that were held back because of calls that have ended, or whose object is closed.
    pub(super) fn send_held(&mut self, conn: &ArcConn) {
        let now = Instant::now();
        let mut place = 0;
        while let Some(target) = self.state().interrupts.held.get(place).map(|held| held.target) {
            if self.engine.stage(target) == Stage::Open && self.holds(target, now) {
                place += 1;
                continue;
            }
            let HeldBack { id, target, draft, interrupt } =
                self.state().interrupts.held.remove(place);
            let sent = self.send_interruptible_now(id, target, draft, interrupt);
            if let Err(error) = sent {
                self.fail_unsent(conn, id, error);
            }
            self.engine.drop_handle(target);
        }
    }

    /// Interrupts a call that was just cancelled, unless it returns within the grace.
    pub(super) fn interrupt_later(&mut self, conn: &ArcConn, tag: u64) {
        let now = Instant::now();
        let mut calls = self.state().interrupts.calls.iter_mut();
        if let Some(call) = calls.find(|call| call.tag == tag) {
            call.ending.get_or_insert(now);
            self.interrupt_in_time(conn);
        }
    }

    /// The same for all calls of an object that is to be closed.
    pub(crate) fn interrupt_all(&mut self, conn: &ArcConn, target: Cap) {
        let (own, now) = (self.calls_of(target), Instant::now());
        for place in &own {
            self.state().interrupts.calls[*place].ending.get_or_insert(now);
        }
        if !own.is_empty() {
            self.interrupt_in_time(conn);
        }
    }

    /// Sets the timer, to check again when the grace has passed.
    fn interrupt_in_time(&mut self, conn: &ArcConn) {
        if std::mem::replace(&mut self.state().interrupts.timed, true) {
            return;
        }
        let weak = ArcConn::downgrade(conn);
        let timer = move || {
            if let Some(conn) = weak.upgrade() {
                conn.enter(|core| core.interrupt_now(&conn));
            }
        };
        if let Ok(driver) = driver() {
            driver.add_timer(Instant::now() + GRACE, Box::new(timer));
        }
    }

    /// Interrupts the calls that have not ended in time.
    fn interrupt_now(&mut self, conn: &ArcConn) {
        self.state().interrupts.timed = false;
        let now = Instant::now();
        let mut done: Vec<Cap> = Vec::new();
        let mut again = false;
        let mut place = 0;
        while let Some(call) = self.state().interrupts.calls.get(place) {
            let (target, ending, sent) = (call.target, call.ending, call.sent);
            let interrupt = call.interrupt;
            place += 1;
            let Some(since) = ending else { continue };
            let waited = now.saturating_duration_since(since);
            let object = self.engine.resolved(target);
            let closing = self.engine.stage(object) == Stage::Closing;
            if waited >= PATIENCE && !closing {
                continue;
            }
            again = true;
            // Of several calls of one object the oldest sends: one interrupt ends one call.
            if done.contains(&object) {
                continue;
            }
            done.push(object);
            let sent_lately = sent.is_some_and(|at| now.saturating_duration_since(at) < AGAIN);
            if waited < GRACE || sent_lately || (!closing && self.is_live(target)) {
                continue;
            }
            self.state().interrupts.calls[place - 1].sent = Some(now);
            self.send_interrupt(target, interrupt);
        }
        if again {
            self.interrupt_in_time(conn);
        }
    }

    fn send_interrupt(&mut self, target: Cap, method: Interrupt) {
        let draft = Draft::call(&MEMORY, method, |to| {
            Builder::content(to, Size(0, 0));
            Ok::<_, Error>(Vec::new())
        });
        let Ok(draft) = draft else { return };
        let how = How { kind: CallKind::Interrupt, ..How::default() };
        // Its outcome is ignored.
        let _ = self.call(target, Written::plain(draft), how, Complete::ignore());
    }
}
