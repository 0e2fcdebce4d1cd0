//! Starts a call of this side: encodes it, chooses its threads, and arranges for its answer.

use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use capnp::any_pointer;
use capnp::capability::{Promise, Request, Response};
use capnp::private::capability::ClientHook;

use super::after::After;
use super::conn::ArcConn;
use super::interrupt::{Interrupt, InterruptCell, released};
use super::tables::{CallId, CapId, RunningId, Tables};
use super::threads::BusyGuard;
use crate::guard::catch_panic;
use crate::handle::RemoteObject;
use crate::part::Part;
use crate::rt::{AnyBuilder, Decoder, Encoder, MethodId};
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
}

/// Where an answer arrives.
pub(crate) struct Slot<T>(Mutex<SlotState<T>>);

struct SlotState<T> {
    answer: Option<Result<T>>,
    waiter: Waiter,
}

enum Waiter {
    Nobody,
    Thread(Arc<Inbox>),
    Future(Waker),
}

impl<T> Slot<T> {
    fn new(waiter: Waiter) -> Slot<T> {
        Slot(Mutex::new(SlotState { answer: None, waiter }))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, SlotState<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut state = self.state();
        state.answer = Some(answer);
        match std::mem::replace(&mut state.waiter, Waiter::Nobody) {
            Waiter::Nobody => None,
            Waiter::Thread(inbox) => Some(After::Unpark(inbox)),
            Waiter::Future(waker) => Some(After::Wake(waker)),
        }
    }

    /// Whether the answer is there.
    pub(crate) fn is_filled(&self) -> bool {
        self.state().answer.is_some()
    }

    /// The answer, once.
    pub(crate) fn take(&self) -> Option<Result<T>> {
        self.state().answer.take()
    }

    /// The answer, or the promise to wake `waker` when it comes.
    pub(crate) fn take_or_wake(&self, waker: &Waker) -> Option<Result<T>> {
        let mut state = self.state();
        let answer = state.answer.take();
        if answer.is_none() {
            state.waiter = Waiter::Future(waker.clone());
        }
        answer
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

/// A call that is under way. Dropped, it is cancelled. It keeps its connection: the handle that it
/// was made with may be gone.
pub(crate) struct SentCall<T> {
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
    let slot = Arc::new(Slot::new(match (&caller, waker) {
        (Caller::Thread(inbox, _), _) => Waiter::Thread(Arc::clone(inbox)),
        (Caller::Future { .. }, Some(waker)) => Waiter::Future(waker.clone()),
        (Caller::Future { .. }, None) => Waiter::Nobody,
    }));
    let id = conn.enter(|core| {
        let tables = Rc::clone(&core.tables);
        if let Some(error) = conn.ended() {
            return Err(error.clone());
        }
        let Some(hook) = tables.cap(cap) else {
            return Err(tables.end_reason());
        };
        let mut request = hook.new_call(method.interface, method.ordinal, None);
        let mut cx = Encoder::new(conn, &tables, &caller).of_version(method.version);
        catch_panic(|| encode(&mut cx, request.get()))?;
        let busy = cx.take_busy();
        let interrupt = method.interrupt.map(|_| InterruptCell::default());
        let unsent = Unsent {
            request,
            object: (cap, hook),
            method,
            closed: object.closed_flag(),
            busy,
            interrupt: interrupt.clone(),
        };
        let promise = if method.interrupt.is_some() && tables.interrupts.holds(cap) {
            let (tables, released) = (Rc::downgrade(&tables), released(&tables, cap));
            Promise::from_future(async move {
                released.await;
                match tables.upgrade() {
                    Some(tables) => unsent.send(&tables).await,
                    None => Err(capnp::Error::disconnected("the connection has ended".to_owned())),
                }
            })
        } else {
            unsent.send(&tables)
        };
        let slot = Arc::clone(&slot);
        let weak_tables = Rc::downgrade(&tables);
        let weak_conn = ArcConn::downgrade(conn);
        let complete = Box::new(move |answer: super::tables::Answer| {
            let tables = weak_tables.upgrade()?;
            let result = match (answer, weak_conn.upgrade()) {
                (Ok(response), Some(conn)) => {
                    response.hook.get().map_err(crate::rt::malformed).and_then(|content| {
                        let again = || drop(response.hook.get());
                        let mut cx = Decoder::new(&conn, &tables).of_content(&again);
                        cx.set_version(method.version);
                        let content = Reader::content(content)?;
                        catch_panic(|| results.read(&mut cx, content))
                    })
                }
                (Ok(_), None) => Err(Error::disconnected("this side let the connection go")),
                (Err(error), _) => Err(without_threads(&tables, tables.call_error(&error))),
            };
            slot.fill(result.map_err(|error| in_method(error, method)))
        });
        Ok(tables.add_call(promise, complete, interrupt))
    })?;
    let thread = match &caller {
        Caller::Thread(inbox, None) => Some(inbox.id()),
        Caller::Thread(_, Some(_)) | Caller::Future { .. } => None,
    };
    Ok(SentCall { slot, conn: ArcConn::clone(conn), id, thread, over: false })
}

/// A call that is written and not sent.
struct Unsent {
    request: Request<any_pointer::Owned, any_pointer::Owned>,
    object: (CapId, Box<dyn ClientHook>),
    method: MethodId,
    closed: Arc<AtomicBool>,
    busy: Option<BusyGuard>,
    interrupt: Option<InterruptCell>,
}

impl Unsent {
    fn send(self, tables: &Rc<Tables>) -> Promise<Response<any_pointer::Owned>, capnp::Error> {
        let Unsent { request, object, method, closed, busy, interrupt } = self;
        let (sent, question) = tables.net.sent_by(|| request.hook.send());
        let Some(question) = question else { return sent.promise };
        if let Some(busy) = busy {
            tables.net.keep_until_return(question, busy);
        }
        if let (Some(cell), Some(ordinal)) = (interrupt, method.interrupt) {
            let (returned, ends) = (tables.net.watch_return(question), (method.interface, ordinal));
            cell.set(Some(Interrupt::new(tables, object, ends, closed, returned)));
        }
        sent.promise
    }
}

/// Says what is missing where the peer could not tell which thread is meant.
fn without_threads(tables: &Tables, error: Error) -> Error {
    match error {
        Error::Remote { message }
            if message.contains("no thread specified") && tables.threads.peer_map().is_none() =>
        {
            let why =
                "the interface that was bootstrapped has no construct method, which gives threads";
            Error::Remote { message: format!("{message} ({why})") }
        }
        other => other,
    }
}

/// Says which method's answer it was that did not decode, or that the peer does not have.
fn in_method(error: Error, method: MethodId) -> Error {
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
        let tables = Rc::clone(&core.tables);
        if let Some(error) = conn.ended() {
            return Err(error.clone());
        }
        let Some(hook) = tables.cap(cap) else {
            return Err(tables.end_reason());
        };
        let mut request = hook.new_call(method.interface, method.ordinal, None);
        let caller = Caller::Future { running: None, long: method.long };
        let mut cx = Encoder::new(conn, &tables, &caller).of_version(method.version);
        catch_panic(|| encode(&mut cx, request.get()))?;
        let busy = cx.take_busy();
        let (sent, question) = tables.net.sent_by(|| request.hook.send());
        if let (Some(question), Some(busy)) = (question, busy) {
            tables.net.keep_until_return(question, busy);
        }
        let promised = sent.pipeline.get_pointer_field(method.pipeline).as_cap();
        // Kept, as dropping it would cancel the call.
        tables.add_call(sent.promise, Box::new(|_answer| None), None);
        Ok(tables.keep_cap(promised))
    })
}
