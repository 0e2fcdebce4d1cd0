//! The place for the answer of a call, and for who waits for it.

use std::sync::{Arc, PoisonError};
use std::task::Waker;

use capnp_engine::{Content, SharedMessage};

use super::errors::{in_method, without_threads};
use super::method::MethodId;
use crate::cleanup::Cleanup;
use crate::connection::{ArcConn, Core, Followup, Parker, Pending};
use crate::panics::catch_panic;
use crate::serving::look_at_results;
use crate::session::{TakeAnswer, WhoWaits, decode};
use crate::sync::{Mutex, MutexGuard};
use crate::threads::Inbox;
use crate::wire::{Decoder, PayloadCodec, Reader};
use crate::{Error, Result};

/// The place for an answer.
pub(crate) struct Slot<T: 'static> {
    state: Mutex<SlotState<T>>,
    /// The codec of the call's results.
    results: Option<(PayloadCodec<T>, MethodId)>,
}

struct SlotState<T> {
    answer: Option<Arrived<T>>,
    waiter: Waiter,
    /// The answer has come.
    over: bool,
    /// The size of its message.
    bytes: usize,
}

enum Arrived<T> {
    Answer(Result<T>),
    /// Long results without capabilities: the thread or future that waits decodes them, outside the
    /// lock.
    Message(SharedMessage),
}

enum Waiter {
    Nobody,
    Thread(Arc<Parker>),
    Future(Waker),
}

impl<T> Slot<T> {
    fn new(waiter: Waiter) -> Slot<T> {
        Slot {
            state: Mutex::new(SlotState { answer: None, waiter, over: false, bytes: 0 }),
            results: None,
        }
    }

    fn state(&self) -> MutexGuard<'_, SlotState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the answer of a peer's method, with the codec of its results.
    pub(super) fn for_results(self, results: PayloadCodec<T>, method: MethodId) -> Slot<T> {
        Slot { results: Some((results, method)), ..self }
    }

    /// For a call that nobody waits for yet.
    pub(crate) fn unwatched() -> Slot<T> {
        Slot::new(Waiter::Nobody)
    }

    /// For a call that this thread waits for.
    pub(crate) fn for_thread(inbox: &Inbox) -> Slot<T> {
        Slot::new(Waiter::Thread(Arc::clone(inbox.parker())))
    }

    /// For the answer of a local object's method, which a future waits for.
    pub(crate) fn for_future(waker: &Waker) -> Slot<T> {
        Slot::new(Waiter::Future(waker.clone()))
    }

    pub(crate) fn fill_and_wake(&self, answer: Result<T>) {
        if let Some(after) = self.fill(answer) {
            // It wakes somebody, and drops nothing.
            after.run(Cleanup::unconnected());
        }
    }

    /// From now on a thread waits.
    pub(crate) fn wake_thread(&self, inbox: &Inbox) {
        self.state().waiter = Waiter::Thread(Arc::clone(inbox.parker()));
    }

    pub(crate) fn fill(&self, answer: Result<T>) -> Option<Followup> {
        self.arrived(Arrived::Answer(answer), 0)
    }

    fn arrived(&self, answer: Arrived<T>, bytes: usize) -> Option<Followup> {
        let mut state = self.state();
        state.bytes = bytes;
        state.answer = Some(answer);
        state.over = true;
        match std::mem::replace(&mut state.waiter, Waiter::Nobody) {
            Waiter::Nobody => None,
            Waiter::Thread(parker) => Some(Followup::Unpark(parker)),
            Waiter::Future(waker) => Some(Followup::Wake(waker)),
        }
    }

    /// The answer, once.
    pub(crate) fn take(&self) -> Option<Result<T>> {
        let arrived = self.state().answer.take()?;
        Some(self.decode(arrived))
    }

    /// The answer. If there is none yet, `waker` is woken when it comes.
    pub(crate) fn take_or_wake(&self, waker: &Waker) -> Option<Result<T>> {
        let mut state = self.state();
        let Some(arrived) = state.answer.take() else {
            state.waiter = Waiter::Future(waker.clone());
            return None;
        };
        drop(state);
        Some(self.decode(arrived))
    }

    fn decode(&self, arrived: Arrived<T>) -> Result<T> {
        match (arrived, &self.results) {
            (Arrived::Answer(answer), _) => answer,
            (Arrived::Message(message), Some((results, method))) => {
                let read = look_at_results(&message, |from| {
                    let mut cx = Decoder::new(None, message.bytes().len(), method.version);
                    catch_panic(|| results.read(&mut cx, from))
                });
                read.map_err(|error| in_method(error, *method))
            }
            (Arrived::Message(_), None) => Err(unreadable()),
        }
    }

    /// The size of the answer's message.
    pub(super) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Whether the answer has come, even if it was taken already.
    pub(super) fn is_over(&self) -> bool {
        self.state().over
    }

    /// Wakes the thread or future that waits, without an answer.
    pub(crate) fn wake(&self) {
        let waiter = std::mem::replace(&mut self.state().waiter, Waiter::Nobody);
        match waiter {
            Waiter::Nobody => {}
            Waiter::Thread(parker) => parker.wake(),
            Waiter::Future(waker) => waker.wake(),
        }
    }
}

/// The answer of a peer's method: see [`for_results`](Slot::for_results).
impl<T: Send> TakeAnswer for Slot<T> {
    fn method(&self) -> &'static str {
        self.results.as_ref().map_or("", |(_, method)| method.name)
    }

    fn who_waits(&self) -> WhoWaits {
        match self.state.try_lock().map(|state| match state.waiter {
            Waiter::Nobody => WhoWaits::Nobody,
            Waiter::Thread(_) => WhoWaits::Thread,
            Waiter::Future(_) => WhoWaits::Future,
        }) {
            Ok(waits) => waits,
            Err(_) => WhoWaits::Unknown,
        }
    }

    fn take_answer(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        answer: Result<Content<'_>>,
    ) -> Option<Followup> {
        let Some((results, method)) = &self.results else { return self.fill(Err(unreadable())) };
        let (results, method) = (*results, *method);
        if let Ok(content) = &answer
            && content.caps.is_empty()
            && let Some(message) = content.message.shared()
        {
            return self.arrived(Arrived::Message(message), content.message.len());
        }
        let bytes = answer.as_ref().map_or(0, |content| content.message.len());
        let answer = match answer {
            Ok(content) => read_results(core, conn, &content, method, results)
                .map_err(|error| in_method(error, method)),
            Err(error) => match results.closed {
                // Another call has ended the object.
                Some(closed) if matches!(error, Error::ApiMisuse { .. }) => Ok(closed()),
                _ => Err(in_method(without_threads(core, error), method)),
            },
        };
        self.arrived(Arrived::Answer(answer), bytes)
    }
}

fn read_results<T>(
    core: &mut Core,
    conn: &ArcConn,
    content: &Content<'_>,
    method: MethodId,
    results: PayloadCodec<T>,
) -> Result<T> {
    let from = Reader::content(content.reader)?;
    let read = |cx: &mut Decoder<'_>| results.read(cx, from);
    let of = (content.message.len(), method.version);
    decode(core, conn, content.caps, of, read).map(|decoded| decoded.value)
}

fn unreadable() -> Error {
    Error::failed("an answer that nobody can read")
}

impl<T: Send> Pending for Slot<T> {
    fn is_pending(&self) -> bool {
        self.state().answer.is_none()
    }
}

#[cfg(all(test, shuttle))]
#[path = "slot_schedules.rs"]
mod schedules;
