//! Ends a call of this side's that was cancelled and that the peer does not end by itself.
//!
//! A cancelled call's Finish goes out at once, and a peer that heeds it answers at once. Bitcoin Core
//! 30 to 32 do not heed it; there the method runs on, on a thread that nobody waits for. For a method
//! whose schema says what interrupts it, that is called when the peer has had its time to answer.
//! Not earlier: an interrupt may end other waits of the same object too.
//!
//! Everything here is under the connection's lock. The timer runs on the driver thread and holds
//! neither the connection nor the object; the object's capability is held here, until the call has
//! returned, was interrupted, or the connection has ended.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use capnp::private::capability::ClientHook;

use super::conn::{ArcConn, Conn};
use super::tables::Tables;
use crate::wire::{Builder, Size};

/// How long a peer has to end a cancelled call by itself.
const GRACE: Duration = Duration::from_millis(20);

/// What ends one call.
pub(crate) struct Interrupt {
    object: Box<dyn ClientHook>,
    /// The interface and the ordinal of the method that ends the call. It has no parameters.
    method: (u64, u16),
    /// Set once the object's destroy was sent: on a C++ node a call after it is a crash.
    closed: Arc<AtomicBool>,
    returned: Rc<Cell<bool>>,
}

impl Interrupt {
    pub(super) fn new(
        object: Box<dyn ClientHook>,
        method: (u64, u16),
        closed: Arc<AtomicBool>,
        returned: Rc<Cell<bool>>,
    ) -> Interrupt {
        Interrupt { object, method, closed, returned }
    }

    fn is_over(&self) -> bool {
        self.returned.get() || self.closed.load(Ordering::Acquire)
    }

    fn send(self, tables: &Tables) {
        if self.is_over() {
            return;
        }
        let (interface, ordinal) = self.method;
        let mut request = self.object.new_call(interface, ordinal, None);
        Builder::content(request.get(), Size(0, 0));
        let sent = request.hook.send();
        // Whether it worked is nobody's concern any more.
        tables.add_call(sent.promise, Box::new(|_answer| None), None);
    }
}

/// The interrupts of calls that were cancelled, while their peer may still end them by itself.
#[derive(Default)]
pub(super) struct Interrupts {
    waiting: RefCell<Vec<(u64, Interrupt)>>,
    next: Cell<u64>,
}

impl Interrupts {
    fn add(&self, interrupt: Interrupt) -> u64 {
        let id = self.next.get();
        self.next.set(id + 1);
        self.waiting.borrow_mut().push((id, interrupt));
        id
    }

    fn take(&self, id: u64) -> Option<Interrupt> {
        let mut waiting = self.waiting.borrow_mut();
        let place = waiting.iter().position(|(waits, _)| *waits == id)?;
        Some(waiting.swap_remove(place).1)
    }

    /// Lets go of the objects of calls that are over.
    pub(super) fn release_over(&self) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        let (over, waiting): (Vec<_>, Vec<_>) =
            self.waiting.take().into_iter().partition(|(_, interrupt)| interrupt.is_over());
        *self.waiting.borrow_mut() = waiting;
        // A capability that goes may send its release.
        drop(over);
    }

    pub(super) fn clear(&self) {
        let waiting = self.waiting.take();
        drop(waiting);
    }
}

impl Conn {
    /// Interrupts a call that was just cancelled, unless it returns within the grace.
    pub(super) fn interrupt_later(self: &ArcConn, tables: &Tables, interrupt: Interrupt) {
        if interrupt.is_over() {
            return;
        }
        let id = tables.interrupts.add(interrupt);
        let weak = ArcConn::downgrade(self);
        let timer = move || {
            let Some(conn) = weak.upgrade() else { return };
            conn.enter(|core| {
                if let Some(interrupt) = core.tables.interrupts.take(id) {
                    interrupt.send(&core.tables);
                }
            });
        };
        // It is not taken back where the call ends first, and then finds nothing to do.
        self.driver().add_timer(Instant::now() + GRACE, Box::new(timer));
    }
}
