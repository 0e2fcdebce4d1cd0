//! Who reads a socket next: the state behind [`reading`](super::reading), without the socket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::parker::Parker;
use super::reading::Pending;

/// How soon a socket must be led again for that to count as soon. Sooner than it was led before that
/// counts as well: it is led more often than not.
const SOON: Duration = Duration::from_micros(250);
/// How often in a row, before a leader leaves a socket to nobody.
const OFTEN: u8 = 3;
/// And how often in a row the same thread must have led. Where several take turns, what is left to nobody
/// waits for one of them: they all may, until the driver looks.
const ALONE: u8 = 64;
/// A leader that waited this long is not soon followed.
const RARE: Duration = Duration::from_millis(1);

/// A thread that waits; the model in the tests has others than inboxes.
pub(super) trait Waiter: Clone {
    fn id(&self) -> u64;
}

impl Waiter for Arc<Parker> {
    fn id(&self) -> u64 {
        Parker::id(self)
    }
}

/// Who reads now.
#[derive(Clone)]
enum Reader<W> {
    Driver,
    /// Nobody: the one who left is expected back, or another was woken to lead.
    Nobody {
        woken: Option<u64>,
    },
    Leader(Leader<W>),
}

#[derive(Clone)]
struct Leader<W> {
    number: u64,
    /// Its thread's inbox.
    inbox: u64,
    /// An idle worker, to be told when the lead is taken from it.
    idle: Option<W>,
}

/// The callers that wait, and who reads for them.
#[derive(Clone)]
pub(super) struct ReaderRole<W = Arc<Parker>> {
    reader: Reader<W>,
    /// The next leader's number.
    next: u64,
    /// Callers that may be handed the lead.
    waiting: Vec<(W, Arc<dyn Pending>)>,
    /// When a leader last left, which thread that was, and how often in a row one came soon after.
    left: Option<(Instant, Option<u64>)>,
    soon: u8,
    /// How often in a row the same thread led, soon or not.
    alone: u8,
    /// When the leader began.
    took: Option<Instant>,
    /// How often a leader left; and how often when the driver last looked, where it does.
    leaves: u64,
    seen: Option<u64>,
}

/// Who wants to lead.
pub(super) enum Wants<'a, W = Arc<Parker>> {
    Caller(&'a W, &'a Arc<dyn Pending>),
    Idle(&'a W),
}

/// Who stops.
#[derive(Clone, Copy)]
pub(super) enum Stops {
    /// The leader with this number.
    Leader(u64),
    /// A caller that waited to be handed the lead, and may just have been woken for that.
    Caller(u64),
}

/// What came of the wish to lead.
pub(super) enum Taken<W = Arc<Parker>> {
    /// The number of the leader, and the idle worker that led before.
    Lead(u64, Option<W>),
    /// The caller will be woken when it is its turn.
    Wait,
    No,
}

/// To whom a leader that stops has handed the socket.
pub(super) enum Handed<W = Arc<Parker>> {
    To(W),
    /// `watch`: the driver is to look after it from now on.
    Nobody {
        watch: bool,
    },
    /// To the driver; or whoever stopped did not lead.
    Nothing,
}

impl<W> Default for ReaderRole<W> {
    fn default() -> ReaderRole<W> {
        ReaderRole {
            reader: Reader::Driver,
            next: 0,
            waiting: Vec::new(),
            left: None,
            soon: 0,
            alone: 0,
            took: None,
            leaves: 0,
            seen: None,
        }
    }
}

impl<W: Waiter> ReaderRole<W> {
    /// Whether the driver is to watch the socket for what arrives.
    pub(super) fn driver_reads(&self) -> bool {
        matches!(self.reader, Reader::Driver)
    }

    pub(super) fn is_led(&self) -> bool {
        matches!(self.reader, Reader::Leader(_))
    }

    pub(super) fn leads(&self, number: u64) -> bool {
        matches!(&self.reader, Reader::Leader(leader) if leader.number == number)
    }

    /// A caller wants to lead, or an idle worker.
    pub(super) fn take(&mut self, who: Wants<'_, W>, now: Instant) -> Taken<W> {
        let led_by_caller = matches!(&self.reader, Reader::Leader(leader) if leader.idle.is_none());
        let (inbox, idle) = match who {
            Wants::Caller(inbox, waits) => {
                self.forget(inbox.id());
                if led_by_caller {
                    self.waiting.push((inbox.clone(), Arc::clone(waits)));
                    return Taken::Wait;
                }
                (inbox.id(), None)
            }
            Wants::Idle(_) if self.is_led() => return Taken::No,
            Wants::Idle(inbox) => (inbox.id(), Some(inbox.clone())),
        };
        if let (Some((left, by)), Some(took)) = (self.left.take(), self.took) {
            let led = left.saturating_duration_since(took);
            let soon = now.saturating_duration_since(left) < SOON.max(led);
            self.soon = if soon { self.soon.saturating_add(1) } else { 0 };
            self.alone = if by == Some(inbox) { self.alone.saturating_add(1) } else { 0 };
        }
        self.took = Some(now);
        self.next += 1;
        let leader = Leader { number: self.next, inbox, idle };
        match std::mem::replace(&mut self.reader, Reader::Leader(leader)) {
            Reader::Leader(before) => Taken::Lead(self.next, before.idle),
            Reader::Driver | Reader::Nobody { .. } => Taken::Lead(self.next, None),
        }
    }

    fn forget(&mut self, inbox: u64) {
        if let Some(place) = self.waiting.iter().position(|(known, _)| known.id() == inbox) {
            self.waiting.swap_remove(place);
        }
    }

    /// Whoever leads stops, or whoever was woken to lead.
    pub(super) fn leave(&mut self, who: Stops, now: Instant) -> Handed<W> {
        let led = match who {
            Stops::Leader(number) => self.leads(number),
            Stops::Caller(caller) => {
                self.forget(caller);
                matches!(&self.reader, Reader::Nobody { woken } if *woken == Some(caller))
            }
        };
        if !led {
            return Handed::Nothing;
        }
        self.leaves += 1;
        let by = match &self.reader {
            Reader::Leader(leader) => Some(leader.inbox),
            Reader::Driver | Reader::Nobody { .. } => None,
        };
        self.left = Some((now, by));
        // Where calls are rare the driver would look at the socket in vain.
        if self.took.is_some_and(|took| now.saturating_duration_since(took) > RARE) {
            self.soon = 0;
        }
        // Whoever has its answer is awake, or will be, and does not wait for the socket.
        self.waiting.retain(|(_, waits)| waits.is_pending());
        if let Some((inbox, _)) = self.waiting.pop() {
            self.reader = Reader::Nobody { woken: Some(inbox.id()) };
            return Handed::To(inbox);
        }
        if self.soon < OFTEN || self.alone < ALONE {
            self.reader = Reader::Driver;
            return Handed::Nothing;
        }
        self.reader = Reader::Nobody { woken: None };
        Handed::Nobody { watch: self.look_after() }
    }

    /// The driver is to look at the socket until nothing happens there. Whether it does not yet.
    pub(super) fn look_after(&mut self) -> bool {
        let watch = self.seen.is_none();
        // It looks twice at least: the first time may be at once.
        self.seen.get_or_insert(self.leaves.wrapping_sub(1));
        watch
    }

    /// The driver looks. Whether it is to look again; if not, it may have taken the socket over.
    pub(super) fn look(&mut self) -> bool {
        let moved = self.seen.replace(self.leaves) != Some(self.leaves);
        if moved {
            return true;
        }
        self.seen = None;
        if let Reader::Nobody { woken: None } = self.reader {
            self.reader = Reader::Driver;
            self.soon = 0;
        }
        false
    }
}

#[cfg(test)]
#[path = "reader_model.rs"]
mod model;
