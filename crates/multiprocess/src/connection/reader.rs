//! The reader role: which thread reads a socket next. This is the state behind
//! [`reading`](super::reading), without the socket itself, so that the tests can model it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::parker::Parker;

/// The role is taken again *quickly* if that happens within this time after it was released, or within
/// the time for which it was held before.
const QUICK_RETURN: Duration = Duration::from_micros(250);
/// A reader may leave the socket without a reader only after so many quick returns in a row.
const QUICK_RETURNS_NEEDED: u8 = 3;
/// And only if the same thread has held the role so many times in a row. With several threads that take
/// the role by turns, all of them may be waiting at once, and a message that arrives while there is no
/// reader would wait for the driver's next tick.
const SAME_THREAD_NEEDED: u8 = 64;
/// A reader that held the role longer than this does not expect a quick return.
const LONG_WAIT: Duration = Duration::from_millis(1);

/// What a thread waits for.
pub(crate) trait Pending: Send + Sync {
    fn is_pending(&self) -> bool;
}

/// A thread that waits. The model in the tests has its own kind; the runtime uses [`Parker`]s.
pub(super) trait Waiter: Clone {
    fn id(&self) -> u64;
}

impl Waiter for Arc<Parker> {
    fn id(&self) -> u64 {
        Parker::id(self)
    }
}

/// Who reads the socket now.
#[derive(Clone)]
enum Reader<W> {
    Driver,
    /// No thread: the last reader is expected back soon, or the caller `woken` is about to acquire the
    /// role.
    Nobody {
        woken: Option<u64>,
    },
    Thread(ThreadReader<W>),
}

/// A thread that holds the role.
#[derive(Clone)]
struct ThreadReader<W> {
    /// Counts acquisitions of the role, so that an outdated release is recognised.
    number: u64,
    thread: u64,
    /// If it is an idle worker: whom to wake when a caller takes the role from it.
    idle: Option<W>,
}

/// The reader role of one socket: who holds it, and which callers wait for it.
#[derive(Clone)]
pub(super) struct ReaderRole<W = Arc<Parker>> {
    reader: Reader<W>,
    /// The number of the last acquisition.
    last_number: u64,
    /// Callers that wait for an answer while another caller reads; the role may be handed to any of them.
    waiting: Vec<(W, Arc<dyn Pending>)>,
    /// When the role was last released, and by which thread.
    released: Option<(Instant, Option<u64>)>,
    /// How many times in a row the role was taken again quickly.
    quick_returns: u8,
    /// How many times in a row it was taken by the thread that had held it before.
    same_thread: u8,
    /// When it was last acquired.
    acquired: Option<Instant>,
    /// How many times the role was released.
    releases: u64,
    /// The value of `releases` at the driver's last tick; none while the driver does not tick.
    releases_at_tick: Option<u64>,
}

/// A thread that asks for the role.
pub(super) enum Candidate<'a, W = Arc<Parker>> {
    Caller(&'a W, &'a Arc<dyn Pending>),
    IdleWorker(&'a W),
}

/// A thread that gives up the role, or its wait for it.
#[derive(Clone, Copy)]
pub(super) enum Release {
    /// The reader that acquired the role with this number.
    Reader(u64),
    /// The caller on this thread, which waits for the role and may just have been woken to acquire it.
    WaitingCaller(u64),
}

/// The answer to a [`Candidate`].
pub(super) enum Acquired<W = Arc<Parker>> {
    /// It reads, with this number. The idle worker that was the reader before, if any, is to be woken.
    Reader(u64, Option<W>),
    /// Another caller reads. This one is woken when the role is handed to it.
    Waits,
    /// Another thread reads, and the idle worker is not to wait for the role.
    Refused,
}

/// Who reads after a release.
pub(super) enum HandOver<W = Arc<Parker>> {
    /// This caller, which is to be woken.
    ToCaller(W),
    /// Nobody for now. If `start_ticks`, the driver has to be asked to tick for this socket.
    ToNobody { start_ticks: bool },
    /// Nothing is left to do: the driver reads, or whoever released the role did not hold it.
    Done,
}

impl<W> Default for ReaderRole<W> {
    fn default() -> ReaderRole<W> {
        ReaderRole {
            reader: Reader::Driver,
            last_number: 0,
            waiting: Vec::new(),
            released: None,
            quick_returns: 0,
            same_thread: 0,
            acquired: None,
            releases: 0,
            releases_at_tick: None,
        }
    }
}

impl<W: Waiter> ReaderRole<W> {
    /// Whether the driver is to watch the socket for input.
    pub(super) fn driver_reads(&self) -> bool {
        matches!(self.reader, Reader::Driver)
    }

    /// Whether a thread other than the driver holds the role.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.reader, Reader::Thread(_))
    }

    /// Whether the acquisition with this number is still in effect.
    pub(super) fn is_held_by(&self, number: u64) -> bool {
        matches!(&self.reader, Reader::Thread(reader) if reader.number == number)
    }

    /// Gives the role to a caller or an idle worker, if it may have it. A caller takes the role from an
    /// idle worker.
    pub(super) fn acquire(&mut self, candidate: Candidate<'_, W>, now: Instant) -> Acquired<W> {
        let caller_reads = matches!(&self.reader, Reader::Thread(reader) if reader.idle.is_none());
        let (thread, idle) = match candidate {
            Candidate::Caller(waiter, pending) => {
                self.remove_waiting(waiter.id());
                if caller_reads {
                    self.waiting.push((waiter.clone(), Arc::clone(pending)));
                    return Acquired::Waits;
                }
                (waiter.id(), None)
            }
            Candidate::IdleWorker(_) if self.is_held() => return Acquired::Refused,
            Candidate::IdleWorker(waiter) => (waiter.id(), Some(waiter.clone())),
        };
        if let (Some((released, by)), Some(acquired)) = (self.released.take(), self.acquired) {
            let held_for = released.saturating_duration_since(acquired);
            let free_for = now.saturating_duration_since(released);
            let quick = free_for < QUICK_RETURN.max(held_for);
            self.quick_returns = if quick { self.quick_returns.saturating_add(1) } else { 0 };
            let same = by == Some(thread);
            self.same_thread = if same { self.same_thread.saturating_add(1) } else { 0 };
        }
        self.acquired = Some(now);
        self.last_number += 1;
        let reader = ThreadReader { number: self.last_number, thread, idle };
        match std::mem::replace(&mut self.reader, Reader::Thread(reader)) {
            Reader::Thread(before) => Acquired::Reader(self.last_number, before.idle),
            Reader::Driver | Reader::Nobody { .. } => Acquired::Reader(self.last_number, None),
        }
    }

    fn remove_waiting(&mut self, thread: u64) {
        if let Some(place) = self.waiting.iter().position(|(known, _)| known.id() == thread) {
            self.waiting.swap_remove(place);
        }
    }

    /// Releases the role, or a caller's wait for it, and decides who reads next.
    pub(super) fn release(&mut self, release: Release, now: Instant) -> HandOver<W> {
        let held = match release {
            Release::Reader(number) => self.is_held_by(number),
            Release::WaitingCaller(caller) => {
                self.remove_waiting(caller);
                matches!(&self.reader, Reader::Nobody { woken } if *woken == Some(caller))
            }
        };
        if !held {
            return HandOver::Done;
        }
        self.releases += 1;
        let by = match &self.reader {
            Reader::Thread(reader) => Some(reader.thread),
            Reader::Driver | Reader::Nobody { .. } => None,
        };
        self.released = Some((now, by));
        // Where calls are rare the driver's ticks would find nothing: it had better watch the socket.
        let long = |acquired| now.saturating_duration_since(acquired) > LONG_WAIT;
        if self.acquired.is_some_and(long) {
            self.quick_returns = 0;
        }
        // Callers whose answer is there are awake or about to be woken, and need no reader.
        self.waiting.retain(|(_, pending)| pending.is_pending());
        if let Some((waiter, _)) = self.waiting.pop() {
            self.reader = Reader::Nobody { woken: Some(waiter.id()) };
            return HandOver::ToCaller(waiter);
        }
        if self.quick_returns < QUICK_RETURNS_NEEDED || self.same_thread < SAME_THREAD_NEEDED {
            self.reader = Reader::Driver;
            return HandOver::Done;
        }
        self.reader = Reader::Nobody { woken: None };
        HandOver::ToNobody { start_ticks: self.start_ticks() }
    }

    /// Notes that the driver is to tick until the role is no longer released and acquired. Returns
    /// whether the driver has to be asked to; otherwise it ticks already.
    pub(super) fn start_ticks(&mut self) -> bool {
        let start = self.releases_at_tick.is_none();
        // One less than there were: the first tick may come at once and must not be the last.
        self.releases_at_tick.get_or_insert(self.releases.wrapping_sub(1));
        start
    }

    /// A tick of the driver. Returns whether it is to tick again. If the role was not released since the
    /// last tick, the ticks end, and a socket without a reader becomes the driver's.
    pub(super) fn tick(&mut self) -> bool {
        let changed = self.releases_at_tick.replace(self.releases) != Some(self.releases);
        if changed {
            return true;
        }
        self.releases_at_tick = None;
        if let Reader::Nobody { woken: None } = self.reader {
            self.reader = Reader::Driver;
            self.quick_returns = 0;
        }
        false
    }
}

#[cfg(test)]
#[path = "reader_model.rs"]
mod model;

#[cfg(all(test, shuttle))]
#[path = "reader_schedules.rs"]
mod schedules;
