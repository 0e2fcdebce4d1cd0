//! Starts a call of this side: encodes it, chooses its threads, and arranges for its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use super::after::After;
use super::conn::{ArcConn, Flush};
use super::core::{CapId, Core, RunningId};
use super::interrupt::Interrupt;
use super::lead::Pending;
use crate::guard::catch_panic;
use crate::handle::RemoteObject;
use crate::part::Part;
use crate::rpc::{Body, CallId, Outline, Waiter as Answered};
use crate::rt::{AnyBuilder, Decoder, Encoder, MethodId};
use crate::server::look_at_results;
use crate::thread::Inbox;
use crate::wire::Reader;
use crate::{Error, Result};

/// Who waits for a call: that decides on which of the peer's threads it runs.
pub(crate) enum Caller {
    /// This thread blocks. If it serves a call of the same peer's, that call's number.
    Thread(Arc<Inbox>, Option<RunningId>),
    /// A future.
    Future {
        /// The call of the same peer's whose method is the future that awaits this one.
        running: Option<RunningId>,
        /// The method may wait long: it gets a thread that other calls do not share.
        long: bool,
    },
    /// Nobody: it is one of an object's streaming calls, which share a thread.
    Stream {
        /// The object.
        object: usize,
        /// As for a future's call.
        long: bool,
    },
}

/// Where an answer arrives.
pub(crate) struct Slot<T: 'static> {
    state: Mutex<SlotState<T>>,
    /// How the results of the call are read.
    results: Option<(Part<T>, MethodId)>,
}

struct SlotState<T> {
    answer: Option<Arrived<T>>,
    waiter: Waiter,
}

enum Arrived<T> {
    Answer(Result<T>),
    /// Long results without capabilities: whoever waits for them decodes them, outside the lock.
    Message(Body),
}

enum Waiter {
    Nobody,
    Thread(Arc<Inbox>),
    Future(Waker),
}

impl<T> Slot<T> {
    fn new(waiter: Waiter) -> Slot<T> {
        Slot { state: Mutex::new(SlotState { answer: None, waiter }), results: None }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, SlotState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where nobody waits yet.
    pub(super) fn unwatched() -> Slot<T> {
        Slot::new(Waiter::Nobody)
    }

    /// Where this thread waits.
    pub(crate) fn for_thread(inbox: Arc<Inbox>) -> Slot<T> {
        Slot::new(Waiter::Thread(inbox))
    }

    /// Where the answer of a local object's method arrives.
    pub(crate) fn for_future(waker: &Waker) -> Slot<T> {
        Slot::new(Waiter::Future(waker.clone()))
    }

    pub(crate) fn fill_and_wake(&self, answer: Result<T>) {
        if let Some(after) = self.fill(answer) {
            after.run();
        }
    }

    /// From now on a thread waits.
    pub(crate) fn wake_thread(&self, inbox: &Arc<Inbox>) {
        self.state().waiter = Waiter::Thread(Arc::clone(inbox));
    }

    pub(super) fn fill(&self, answer: Result<T>) -> Option<After> {
        self.arrived(Arrived::Answer(answer))
    }

    fn arrived(&self, answer: Arrived<T>) -> Option<After> {
        let mut state = self.state();
        state.answer = Some(answer);
        match std::mem::replace(&mut state.waiter, Waiter::Nobody) {
            Waiter::Nobody => None,
            Waiter::Thread(inbox) => Some(After::Unpark(inbox)),
            Waiter::Future(waker) => Some(After::Wake(waker)),
        }
    }

    /// The answer, once.
    pub(crate) fn take(&self) -> Option<Result<T>> {
        let arrived = self.state().answer.take()?;
        Some(self.decode(arrived))
    }

    /// The answer, or the promise to wake `waker` when it comes.
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
                    let mut cx = Decoder::outside(message.whole());
                    cx.set_version(method.version);
                    catch_panic(|| results.read(&mut cx, from))
                });
                read.map_err(|error| in_method(error, *method))
            }
            (Arrived::Message(_), None) => Err(Error::failed("an answer that nobody can read")),
        }
    }

    /// Wakes whoever waits, without an answer.
    pub(crate) fn wake(&self) {
        let waiter = std::mem::replace(&mut self.state().waiter, Waiter::Nobody);
        match waiter {
            Waiter::Nobody => {}
            Waiter::Thread(inbox) => inbox.wake(),
            Waiter::Future(waker) => waker.wake(),
        }
    }
}

impl<T: Send> Pending for Slot<T> {
    fn is_pending(&self) -> bool {
        self.state().answer.is_none()
    }
}

/// A call that is under way. Dropped, it is cancelled. It keeps its connection: the handle that it
/// was made with may be gone.
pub(crate) struct SentCall<T: 'static> {
    pub(crate) slot: Arc<Slot<T>>,
    conn: ArcConn,
    id: CallId,
    /// The inbox of the thread that made the call.
    thread: Option<u64>,
    over: bool,
}

impl<T> SentCall<T> {
    /// The connection that the answer comes over.
    pub(crate) fn conn(&self) -> &ArcConn {
        &self.conn
    }

    /// The answer has been taken: nothing is left to cancel.
    pub(crate) fn set_over(&mut self) {
        self.over = true;
    }
}

impl<T> Drop for SentCall<T> {
    fn drop(&mut self) {
        if !self.over {
            self.conn.cancel(self.id);
            if let Some(inbox) = self.thread {
                // The peer may run the call on regardless, as Bitcoin Core does: this thread's next
                // call must not wait behind it, and gets a new thread there.
                self.conn.release_caller(inbox);
            }
        }
    }
}

/// Sends a call to an object of the peer's.
pub(crate) fn start_call<T: Send + 'static>(
    object: &RemoteObject,
    method: MethodId,
    caller: Caller,
    waker: Option<&Waker>,
    // Called under the lock, dropped here outside it: it owns what the user passed.
    mut encode: impl FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()>,
    results: Part<T>,
) -> Result<SentCall<T>> {
    let (conn, cap) = object.place()?;
    let waiter = match (&caller, waker) {
        (Caller::Thread(inbox, _), _) => Waiter::Thread(Arc::clone(inbox)),
        (_, Some(waker)) => Waiter::Future(waker.clone()),
        (_, None) => Waiter::Nobody,
    };
    let slot = Arc::new(Slot { results: Some((results, method)), ..Slot::new(waiter) });
    /// From so many calls under way on, one more is not worth a write of its own.
    const MANY: usize = 4;
    let mut flush = Flush::Now;
    let (id, round) = conn.within(|core| {
        if let Some(error) = conn.ended() {
            return Err(error.clone());
        }
        let Some(target) = core.cap(cap) else {
            return Err(Error::disconnected("the connection has ended"));
        };
        let many = core.rpc.open_questions() >= MANY || conn.crowd.is_there();
        if matches!(caller, Caller::Future { .. }) && many {
            flush = Flush::Soon;
        }
        let streamed = object.streamed();
        if let Some(error) = streamed.and_then(|streamed| streamed.failed())
            && !method.closes
        {
            return Err(error);
        }
        let lost = streamed.filter(|_| method.closes).cloned();
        let filled = Arc::clone(&slot);
        let answered = Answered::Complete(Box::new(move |core, conn, answer| {
            if let (Ok(content), None) = (&answer, &lost)
                && content.caps.is_empty()
                && let Some(message) = content.whole.shared()
            {
                return filled.arrived(Arrived::Message(message));
            }
            filled.fill(match answer {
                Ok(content) => {
                    let mut cx = Decoder::new(conn, core, &content);
                    cx.set_version(method.version);
                    let read = Reader::content(content.reader)
                        .and_then(|from| catch_panic(|| results.read(&mut cx, from)));
                    match lost.and_then(|streamed| streamed.failed()) {
                        Some(error) => Err(error),
                        None => read.map_err(|error| in_method(error, method)),
                    }
                }
                Err(error) => Err(in_method(without_threads(core, error), method)),
            })
        }));
        let outline = Outline { caller: Some(&caller), ..Outline::new(method) };
        let interrupt = |call, ordinal| Interrupt {
            call,
            cap,
            object: target.clone(),
            method: (method.interface, ordinal),
            closed: object.closed_flag(),
        };
        if let Some(streaming) = streamed.filter(|streamed| streamed.is_busy()) {
            let (id, held) = core.hold_call(conn, &outline, &mut encode, answered)?;
            let interrupt = method.interrupt.map(|ordinal| interrupt(id, ordinal));
            streaming.hold(id, held, target, interrupt, method.closes);
            return Ok(id);
        }
        let Some(ordinal) = method.interrupt else {
            let (id, _) = core.call(conn, &target, &outline, &mut encode, answered, None)?;
            return Ok(id);
        };
        if core.holds(cap) {
            let (id, held) = core.hold_call(conn, &outline, &mut encode, answered)?;
            core.hold(interrupt(id, ordinal), held);
            return Ok(id);
        }
        let (id, _) = core.call(conn, &target, &outline, &mut encode, answered, None)?;
        core.add_live(interrupt(id, ordinal));
        Ok(id)
    });
    conn.leave_and(round, flush);
    let id = id?;
    let thread = match &caller {
        Caller::Thread(inbox, None) => Some(inbox.id()),
        _ => None,
    };
    Ok(SentCall { slot, conn: ArcConn::clone(conn), id, thread, over: false })
}

/// Says what is missing where the peer could not tell which thread is meant.
pub(super) fn without_threads(core: &Core, error: Error) -> Error {
    match error {
        Error::Remote { message }
            if message.contains("no thread specified") && core.threads.peer_map().is_none() =>
        {
            let why =
                "the interface that was bootstrapped has no construct method, which gives threads";
            Error::Remote { message: format!("{message} ({why})") }
        }
        other => other,
    }
}

/// Says which method's answer it was that did not decode, or that the peer does not have.
pub(super) fn in_method(error: Error, method: MethodId) -> Error {
    match error {
        Error::Decode { path, problem } => {
            Error::Decode { path: format!("{}.{path}", method.name), problem }
        }
        Error::Unimplemented { method: text } => {
            // The peer mostly says which method itself.
            let told = text.contains(method.name);
            Error::Unimplemented {
                method: if told { text } else { format!("{} ({text})", method.name) },
            }
        }
        other => other,
    }
}

/// A capability for what a call will return, before it has.
pub(crate) fn start_pipelined(
    conn: &ArcConn,
    cap: CapId,
    method: MethodId,
    // Called under the lock, dropped here outside it: it owns what the user passed.
    mut encode: impl FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()>,
) -> Result<CapId> {
    conn.enter(|core| {
        if let Some(error) = conn.ended() {
            return Err(error.clone());
        }
        let Some(target) = core.cap(cap) else {
            return Err(Error::disconnected("the connection has ended"));
        };
        let caller = Caller::Future { running: None, long: method.long };
        let outline = Outline { caller: Some(&caller), ..Outline::new(method) };
        let path = Some(vec![method.pipeline]);
        let (_, promised) =
            core.call(conn, &target, &outline, &mut encode, Answered::Nobody, path)?;
        let promised = promised.ok_or_else(|| Error::failed("the call promised nothing"))?;
        Ok(core.keep_cap(promised))
    })
}
