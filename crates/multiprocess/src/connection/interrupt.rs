//! Ends a call of this side's that was cancelled and that the peer does not end by itself.
//!
//! A cancelled call's Finish goes out at once, and a peer that heeds it answers at once. Bitcoin Core
//! 30 to 32 do not heed it; there the method runs on, on a thread that nobody waits for. For a method
//! whose schema says what interrupts it, that is called when the peer has had its time to answer.
//!
//! An interrupt ends some wait of the object, not a certain one, and where none is under way Core
//! keeps it for the next. So none is sent while a call that somebody waits for could be what it ends,
//! and such a call is not sent while one that was cancelled is still to end: it is held back until
//! that has returned, for [`PATIENCE`] at most.
//!
//! Everything here is under the connection's lock. The timer runs on the driver thread and holds
//! neither the connection nor the object; the object's capability is held here, until the call has
//! returned, the patience is at its end, or the connection is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::conn::{ArcConn, Conn};
use super::core::{CapId, Core};
use crate::rpc::{CallId, Cap, HeldCall, Outline, Waiter};
use crate::wire::{Builder, Size};

/// How long a peer has to end a cancelled call by itself.
const GRACE: Duration = Duration::from_millis(20);
/// When an interrupt that ended nothing is sent again: another call that was cancelled took it. Not
/// soon, as one that comes when the call has just ended would wait for the next.
const AGAIN: Duration = Duration::from_millis(400);
/// How long a call is expected to end at all.
const PATIENCE: Duration = Duration::from_secs(2);

/// What ends one call.
pub(crate) struct Interrupt {
    pub(super) call: CallId,
    pub(super) cap: CapId,
    pub(super) object: Cap,
    /// The interface and the ordinal of the method that ends the call. It has no parameters.
    pub(super) method: (u64, u16),
    /// Set once the object's destroy was sent: on a C++ node a call after it is a crash.
    pub(super) closed: Arc<AtomicBool>,
}

/// A call that was cancelled and that the peer is to end.
struct Ending {
    id: u64,
    interrupt: Interrupt,
    /// When it was last sent.
    sent: Option<Instant>,
}

/// The interrupts of calls that were cancelled and have not returned.
#[derive(Default)]
pub(crate) struct Interrupts {
    ending: Vec<Ending>,
    next: u64,
    /// The calls that somebody waits for and that an interrupt could end.
    live: Vec<(CapId, CallId)>,
    /// Calls that are held back, with what will end them.
    held: Vec<(Interrupt, HeldCall)>,
}

impl Interrupts {
    pub(super) fn clear(&mut self) {
        *self = Interrupts::default();
    }
}

impl Core {
    fn is_live(&mut self, cap: CapId) -> bool {
        let mut live = std::mem::take(&mut self.interrupts.live);
        live.retain(|(_, call)| self.is_open(*call));
        self.interrupts.live = live;
        self.interrupts.live.iter().any(|(known, _)| *known == cap)
    }

    fn is_over(&mut self, interrupt: &Interrupt) -> bool {
        interrupt.closed.load(Ordering::Acquire) || !self.is_open(interrupt.call)
    }

    /// Somebody waits for this call.
    pub(super) fn add_live(&mut self, interrupt: Interrupt) {
        self.interrupts.live.push((interrupt.cap, interrupt.call));
        self.set_interrupt(interrupt.call, interrupt);
    }

    /// Whether a call of this object is yet to end that an interrupt is to end, so that another could
    /// be ended in its place.
    pub(super) fn holds(&mut self, cap: CapId) -> bool {
        self.release_over();
        // Beside a call that somebody waits for no interrupt is sent.
        self.interrupts.ending.iter().any(|ending| ending.interrupt.cap == cap)
            && !self.is_live(cap)
    }

    pub(super) fn hold(&mut self, interrupt: Interrupt, call: HeldCall) {
        self.interrupts.held.push((interrupt, call));
    }

    /// Lets go of the objects of calls that are over.
    fn release_over(&mut self) {
        if self.interrupts.ending.is_empty() {
            return;
        }
        let mut ending = std::mem::take(&mut self.interrupts.ending);
        ending.retain(|ending| !self.is_over(&ending.interrupt));
        self.interrupts.ending = ending;
    }

    /// Lets calls go that were held back for calls that are over.
    pub(super) fn go_on_with_held(&mut self, conn: &ArcConn) {
        self.release_over();
        while let Some(place) = self.next_held() {
            let (interrupt, call) = self.interrupts.held.remove(place);
            let target = interrupt.object.clone();
            self.add_live(interrupt);
            self.route_held(conn, &target, call);
        }
    }

    fn next_held(&mut self) -> Option<usize> {
        let caps: Vec<CapId> =
            self.interrupts.held.iter().map(|(interrupt, _)| interrupt.cap).collect();
        caps.into_iter().position(|cap| !self.holds(cap))
    }

    fn interrupt(&mut self, conn: &ArcConn, place: usize) {
        let ending = &mut self.interrupts.ending[place];
        if ending.sent.is_some_and(|sent| sent.elapsed() < AGAIN) {
            return;
        }
        ending.sent = Some(Instant::now());
        let ((interface, method), object) =
            (ending.interrupt.method, ending.interrupt.object.clone());
        let outline = Outline { interface, method, version: 0, caller: None };
        let mut fill = |_: &mut crate::codec::Encoder<'_>, to: crate::rt::AnyBuilder<'_>| {
            Builder::content(to, Size(0, 0));
            Ok(())
        };
        // Whether it worked is nobody's concern any more.
        let _ = self.call(conn, &object, &outline, &mut fill, Waiter::Nobody, None);
    }

    /// Whether to try again.
    fn interrupt_now(&mut self, conn: &ArcConn, id: u64, end: Instant) -> bool {
        self.release_over();
        let ending = &self.interrupts.ending;
        let Some(place) = ending.iter().position(|ending| ending.id == id) else { return false };
        let cap = ending[place].interrupt.cap;
        // Of several calls of one object the oldest sends: one interrupt ends one call.
        let oldest = ending.iter().position(|other| other.interrupt.cap == cap) == Some(place);
        if oldest && !self.is_live(cap) {
            self.interrupt(conn, place);
        }
        let again = Instant::now() < end;
        if !again {
            self.interrupts.ending.retain(|ending| ending.id != id);
        }
        again
    }
}

impl Conn {
    /// Interrupts a call that was just cancelled, unless it returns within the grace.
    pub(super) fn interrupt_later(self: &ArcConn, core: &mut Core, interrupt: Interrupt) {
        let call = interrupt.call;
        core.interrupts.live.retain(|(_, live)| *live != call);
        if core.is_over(&interrupt) {
            return;
        }
        let id = core.interrupts.next;
        core.interrupts.next += 1;
        core.interrupts.ending.push(Ending { id, interrupt, sent: None });
        self.interrupt_in_time(id, Instant::now() + PATIENCE);
    }

    /// Interrupts when the grace has passed, again and again until the call has returned.
    fn interrupt_in_time(self: &ArcConn, id: u64, end: Instant) {
        let weak = ArcConn::downgrade(self);
        let timer = move || {
            let Some(conn) = weak.upgrade() else { return };
            let again = conn.enter(|core| core.interrupt_now(&conn, id, end));
            if again {
                conn.interrupt_in_time(id, end);
            }
        };
        // It is not taken back where the call ends first, and then finds nothing to do.
        self.driver.add_timer(Instant::now() + GRACE, Box::new(timer));
    }
}
