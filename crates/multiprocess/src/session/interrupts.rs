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

use std::collections::{BTreeMap, HashMap};
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
    /// In the order in which they were made.
    calls: BTreeMap<u64, Interruptible>,
    next: u64,
    /// Their places, by their tags.
    places: HashMap<u64, u64>,
    /// How many of them should end.
    ending: usize,
    /// Calls that are held back.
    held: Vec<HeldBack>,
    /// When the timer fires, if it runs.
    timed: Option<Instant>,
}

struct Interruptible {
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
        let interrupts = &mut self.state().interrupts;
        let place = interrupts.next;
        interrupts.next += 1;
        interrupts.places.insert(id.tag(), place);
        let call = Interruptible { target, interrupt, ending: None, sent: None };
        interrupts.calls.insert(place, call);
        Ok(())
    }

    /// The calls of an object, by what it has become.
    fn calls_of(&mut self, target: Cap) -> Vec<u64> {
        let (state, engine) = self.state_and_engine();
        let object = engine.resolved(target);
        let own = state.interrupts.calls.iter();
        let own = own.filter(|(_, call)| engine.resolved(call.target) == object);
        own.map(|(place, _)| *place).collect()
    }

    fn holds(&mut self, target: Cap, now: Instant) -> bool {
        // Mostly none was cancelled.
        if self.state().interrupts.ending == 0 {
            return false;
        }
        let own = self.calls_of(target);
        let calls = &self.state().interrupts.calls;
        let ending = |place: &u64| calls.get(place).and_then(|call| call.ending);
        let ends = |place: &u64| {
            ending(place).is_some_and(|since| now.saturating_duration_since(since) < PATIENCE)
        };
        // No interrupt is sent while somebody waits for another call of the object.
        own.iter().any(ends) && own.iter().all(|place| ending(place).is_some())
    }

    /// A call should end from now on, if it should not already.
    fn set_ending(&mut self, place: u64, now: Instant) {
        let interrupts = &mut self.state().interrupts;
        if let Some(call) = interrupts.calls.get_mut(&place)
            && call.ending.is_none()
        {
            call.ending = Some(now);
            interrupts.ending += 1;
        }
    }

    /// A call has returned.
    pub(super) fn interrupt_over(&mut self, tag: u64) {
        let interrupts = &mut self.state().interrupts;
        let Some(place) = interrupts.places.remove(&tag) else { return };
        if let Some(call) = interrupts.calls.remove(&place) {
            interrupts.ending -= usize::from(call.ending.is_some());
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
        if let Some(place) = self.state().interrupts.places.get(&tag).copied() {
            self.set_ending(place, now);
            self.interrupt_at(conn, now + GRACE);
        }
    }

    /// The same for all calls of an object that is to be closed.
    pub(crate) fn interrupt_all(&mut self, conn: &ArcConn, target: Cap) {
        let (own, now) = (self.calls_of(target), Instant::now());
        for place in &own {
            self.set_ending(*place, now);
        }
        if !own.is_empty() {
            self.interrupt_at(conn, now + GRACE);
        }
    }

    /// Looks again at this time, if not before.
    fn interrupt_at(&mut self, conn: &ArcConn, at: Instant) {
        let timed = &mut self.state().interrupts.timed;
        if timed.is_some_and(|timed| timed <= at) {
            return;
        }
        *timed = Some(at);
        let weak = ArcConn::downgrade(conn);
        let timer = move || {
            if let Some(conn) = weak.upgrade() {
                conn.enter(|core| core.interrupt_now(&conn, at));
            }
        };
        if let Ok(driver) = driver() {
            driver.add_timer(at, Box::new(timer));
        }
    }

    /// Interrupts the calls that have not ended in time. Looks at each once.
    fn interrupt_now(&mut self, conn: &ArcConn, timer: Instant) {
        let (state, engine) = self.state_and_engine();
        let interrupts = &mut state.interrupts;
        if interrupts.timed != Some(timer) {
            // Another timer fires sooner.
            return;
        }
        interrupts.timed = None;
        let now = Instant::now();
        // For each object the oldest call that should end, and whether somebody waits for another.
        let mut objects: HashMap<Cap, (Option<u64>, bool)> = HashMap::new();
        for (place, call) in &interrupts.calls {
            let object = engine.resolved(call.target);
            let (oldest, live) = objects.entry(object).or_default();
            match call.ending {
                None => *live = true,
                Some(since) => {
                    let waited = now.saturating_duration_since(since);
                    if waited < PATIENCE || engine.stage(object) == Stage::Closing {
                        oldest.get_or_insert(*place);
                    }
                }
            }
        }
        let mut due: Vec<(u64, Cap, Interrupt)> = Vec::new();
        let mut again: Option<Instant> = None;
        for (object, (oldest, live)) in objects {
            // Of several calls of one object the oldest sends: one interrupt ends one call.
            let Some(place) = oldest else { continue };
            let Some(call) = interrupts.calls.get_mut(&place) else { continue };
            let since = call.ending.unwrap_or(now);
            let mut next = call.sent.map_or(since + GRACE, |sent| sent + AGAIN);
            if next <= now {
                next = now + GRACE;
                if !live || engine.stage(object) == Stage::Closing {
                    call.sent = Some(now);
                    next = now + AGAIN;
                    due.push((place, call.target, call.interrupt));
                }
            }
            again = Some(again.map_or(next, |again| again.min(next)));
        }
        due.sort_unstable_by_key(|(place, ..)| *place);
        for (_, target, interrupt) in due {
            self.send_interrupt(target, interrupt);
        }
        if let Some(at) = again {
            self.interrupt_at(conn, at);
        }
    }

    /// Interrupts every call that has not ended, as this side ends the connection: nobody waits for any then, and a
    /// peer that does not notice would let them run on.
    pub(super) fn interrupt_last(&mut self) {
        let calls = self.state().interrupts.calls.values();
        let due = calls.filter(|call| call.sent.is_none());
        let due: Vec<_> = due.map(|call| (call.target, call.interrupt)).collect();
        for (target, interrupt) in due {
            self.send_interrupt(target, interrupt);
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
        let _ = self.call(target, Written::plain(draft), how, Complete::ignore("an interrupt"));
    }
}
