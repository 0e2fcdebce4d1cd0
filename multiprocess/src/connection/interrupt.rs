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

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use capnp::private::capability::ClientHook;

use super::conn::{ArcConn, Conn};
use super::tables::{CapId, Tables};
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
    cap: CapId,
    object: Box<dyn ClientHook>,
    /// The interface and the ordinal of the method that ends the call. It has no parameters.
    method: (u64, u16),
    /// Set once the object's destroy was sent: on a C++ node a call after it is a crash.
    closed: Arc<AtomicBool>,
    returned: Rc<Cell<bool>>,
    /// As long as somebody waits for the call.
    live: Option<Live>,
    /// When it was last sent.
    sent: Cell<Option<Instant>>,
}

/// Where a call's interrupt is put when the call is sent.
pub(crate) type InterruptCell = Rc<Cell<Option<Interrupt>>>;

impl Interrupt {
    pub(super) fn new(
        tables: &Tables,
        (cap, object): (CapId, Box<dyn ClientHook>),
        method: (u64, u16),
        closed: Arc<AtomicBool>,
        returned: Rc<Cell<bool>>,
    ) -> Interrupt {
        let live = Some(tables.interrupts.live(cap));
        Interrupt { cap, object, method, closed, returned, live, sent: Cell::new(None) }
    }

    fn is_over(&self) -> bool {
        self.returned.get() || self.closed.load(Ordering::Acquire)
    }

    fn send(&self, tables: &Tables) {
        if self.sent.get().is_some_and(|sent| sent.elapsed() < AGAIN) {
            return;
        }
        self.sent.set(Some(Instant::now()));
        let (interface, ordinal) = self.method;
        let mut request = self.object.new_call(interface, ordinal, None);
        Builder::content(request.get(), Size(0, 0));
        let sent = request.hook.send();
        // Whether it worked is nobody's concern any more.
        tables.add_call(sent.promise, Box::new(|_answer| None), None);
    }
}

/// The interrupts of calls that were cancelled and have not returned.
#[derive(Default)]
pub(super) struct Interrupts {
    ending: RefCell<Vec<(u64, Interrupt)>>,
    next: Cell<u64>,
    /// The objects of interruptible calls that somebody waits for, each as often as there are calls.
    live: Rc<RefCell<Vec<CapId>>>,
    /// Calls that are held back.
    held: RefCell<Vec<Waker>>,
}

/// Counts a call that somebody waits for.
struct Live(Weak<RefCell<Vec<CapId>>>, CapId);

impl Drop for Live {
    fn drop(&mut self) {
        let Some(live) = self.0.upgrade() else { return };
        let mut live = live.borrow_mut();
        if let Some(place) = live.iter().position(|cap| *cap == self.1) {
            live.swap_remove(place);
        }
    }
}

impl Interrupts {
    fn live(&self, cap: CapId) -> Live {
        self.live.borrow_mut().push(cap);
        Live(Rc::downgrade(&self.live), cap)
    }

    fn is_live(&self, cap: CapId) -> bool {
        self.live.borrow().contains(&cap)
    }

    /// Whether a call of this object is yet to end that an interrupt is to end, so that another
    /// could be ended in its place.
    pub(super) fn holds(&self, cap: CapId) -> bool {
        let ending =
            |(_, interrupt): &(u64, Interrupt)| interrupt.cap == cap && !interrupt.is_over();
        // Beside a call that somebody waits for no interrupt is sent.
        !self.is_live(cap) && self.ending.borrow().iter().any(ending)
    }

    fn add(&self, interrupt: Interrupt) -> u64 {
        let id = self.next.get();
        self.next.set(id + 1);
        self.ending.borrow_mut().push((id, interrupt));
        id
    }

    /// Lets go of the objects of calls that are over, and lets calls go that were held back for
    /// them. Whether there were any.
    pub(super) fn release_over(&self) -> bool {
        if self.ending.borrow().is_empty() {
            return false;
        }
        let (over, ending): (Vec<_>, Vec<_>) =
            self.ending.take().into_iter().partition(|(_, interrupt)| interrupt.is_over());
        *self.ending.borrow_mut() = ending;
        let some = !over.is_empty();
        // A capability that goes may send its release.
        drop(over);
        some && self.wake_held()
    }

    fn wake_held(&self) -> bool {
        let held = self.held.take();
        let some = !held.is_empty();
        held.into_iter().for_each(Waker::wake);
        some
    }

    pub(super) fn clear(&self) {
        let ending = self.ending.take();
        drop(ending);
        self.wake_held();
    }
}

/// Ends when a call of this object need not be held back any more.
pub(super) fn released(tables: &Rc<Tables>, cap: CapId) -> impl Future<Output = ()> + 'static {
    let tables = Rc::downgrade(tables);
    poll_fn(move |context| match tables.upgrade() {
        Some(tables) if tables.interrupts.holds(cap) => {
            tables.interrupts.held.borrow_mut().push(context.waker().clone());
            Poll::Pending
        }
        _ => Poll::Ready(()),
    })
}

impl Conn {
    /// Interrupts a call that was just cancelled, unless it returns within the grace.
    pub(super) fn interrupt_later(self: &ArcConn, tables: &Tables, mut interrupt: Interrupt) {
        interrupt.live = None;
        if interrupt.is_over() {
            return;
        }
        let id = tables.interrupts.add(interrupt);
        self.interrupt_in_time(id, Instant::now() + PATIENCE);
    }

    /// Interrupts when the grace has passed, again and again until the call has returned.
    fn interrupt_in_time(self: &ArcConn, id: u64, end: Instant) {
        let weak = ArcConn::downgrade(self);
        let timer = move || {
            let Some(conn) = weak.upgrade() else { return };
            let again = conn.enter(|core| interrupt(&core.tables, id, end));
            if again {
                conn.interrupt_in_time(id, end);
            }
        };
        // It is not taken back where the call ends first, and then finds nothing to do.
        self.driver().add_timer(Instant::now() + GRACE, Box::new(timer));
    }
}

/// Whether to try again.
fn interrupt(tables: &Tables, id: u64, end: Instant) -> bool {
    let interrupts = &tables.interrupts;
    let ending = interrupts.ending.take();
    let found = ending.iter().find(|(other, interrupt)| *other == id && !interrupt.is_over());
    // Of several calls of one object the oldest sends: one interrupt ends one call.
    let first = |cap| ending.iter().find(|(_, other)| other.cap == cap && !other.is_over());
    let mut again = false;
    if let Some((_, interrupt)) = found {
        again = Instant::now() < end;
        let oldest = first(interrupt.cap).is_some_and(|(oldest, _)| *oldest == id);
        if oldest && !interrupts.is_live(interrupt.cap) {
            interrupt.send(tables);
        }
    }
    let left = ending.into_iter().filter(|(other, _)| again || *other != id).collect();
    let given_up = std::mem::replace(&mut *interrupts.ending.borrow_mut(), left);
    drop(given_up);
    if !again {
        interrupts.wake_held();
    }
    again
}
