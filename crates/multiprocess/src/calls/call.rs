//! A method call: waited for by a thread or a future, bounded, cancelled, pipelined.

mod begin;
mod pipelined;
mod poll;

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use begin::given;

use super::local_calls::start_local;
use super::local_tasks::GiveUp;
use super::method::MethodId;
use super::remote::RemoteObject;
use super::slot::Slot;
use super::start::{RoomToSend, SentCall, Started, start_call, wait_for};
use super::streaming::{Room, start_stream};
use super::waiting::{Deadline, wait_for_slot};
use crate::carried::Carried;
use crate::may_block::{check_may_wait, check_may_wait_for};
use crate::notes;
use crate::panics::catch_panic;
use crate::session::{Caller, EncodeFn, Ends};
use crate::threads::{check_thread, enter_scope, innermost, innermost_future, this_inbox};
use crate::trace_context::TraceContext;
use crate::wire::{AnyBuilder, Encoder, PayloadCodec};
use crate::{Error, Result};

/// A method call that has been described and not yet made.
///
/// [`wait`](Call::wait) makes it from a thread, `.await` from a future on any executor; nothing is
/// sent before. Dropping a call that is under way cancels it.
///
/// Which of the peer's threads runs the call follows from who waits: each thread of this process
/// has one of the peer's for itself, on which its calls run in order. Up to 64 calls of futures at
/// once have one each; further ones wait behind them. Calls of futures that may wait long
/// (`$Rust.longWait` in the schema) have threads of their own: up to 128 at once have one each, and
/// only others of their kind wait behind them.
///
/// A peer need not stop a method whose call was cancelled. A peer that uses this crate informs the
/// method, and drops it if it is a future. Bitcoin Core 30 to 32 let it run on. If the schema names a
/// method that ends such a wait (`$Rust.interruptedBy`), it is called when the peer has not ended a
/// cancelled call within 20 ms; it may end other waits of the same object as well. A later call of the
/// object that is interrupted in the same way waits until the cancelled one has ended, for two seconds
/// at most; other calls do not wait for it.
///
/// An object that was closed takes no calls: they are [`Error::ApiMisuse`], and nothing is sent. The
/// `close` itself waits for those that are under way.
///
/// # Streaming
///
/// A call of a peer's method that the schema declares `-> stream` is over when it has been sent, not
/// when it has been answered, so that many are under way at once:
///
/// ```text
/// for chunk in file {
///     upload.write(chunk).wait()?; // or .await
/// }
/// upload.done().wait()?; // any method that does not stream
/// ```
///
/// - **Flow control**: of one object, at most 64 streaming calls and 256 KiB of parameters (and one
///   call more, however large) are under way; the call that reaches this limit is sent, and then
///   waits until some of them are answered.
/// - **Speed**: streaming saves the wait for each answer. Calls of up to about 64 KiB gain most; with
///   parameters of 1 MiB and more there is no gain.
/// - **Order**: streaming calls of one object run in the order in which they were sent, on one of the
///   peer's threads, whichever threads and futures of this process send them. Other calls of the
///   object, [`start`](Call::start)ed ones as well, are sent when the streaming calls before them are
///   answered.
/// - **Errors**: when one fails, later ones and all other calls of the object fail with that error, and
///   nothing more is sent. So a call that does not stream reports whether all calls before it
///   succeeded. The generated `close` does so, too, and if the interface has `destroy` it ends the
///   object in any case. It begins when the streaming calls before it are answered.
/// - **Dropping** a streaming call that was sent does not cancel it, nor does a
///   [`timeout`](Call::timeout), which bounds how long it waits for room: after an
///   [`Error::Timeout`] it has been sent and will run. Do not drop the last handle on a connection
///   before having waited for the end of the stream: calls that are not written by then are lost.
///
/// "The object" is the one that a handle and its clones refer to. Because an error ends all use of it,
/// use one object for each stream. On the serving side, too, no other call of the object from the same
/// peer runs while a streaming one does, nor after one that failed; so a method that streams must not
/// wait for other calls of its object. For an object of this process streaming calls are ordinary
/// calls.
#[must_use = "a call is made by waiting for it: use .wait() or .await"]
pub struct Call<T: 'static> {
    method: &'static str,
    state: State<T>,
    timeout: Option<Duration>,
    /// When the timeout began.
    started: Option<Instant>,
    retry: Option<Retry<T>>,
    /// It has a retry, which will hardly be needed.
    likely: bool,
    adjust: Option<Adjust<T>>,
    then: Option<Box<dyn FnOnce() + Send>>,
    /// What travels with it: until it has begun, the trace that it was given. Mostly none.
    carried: Option<Box<Carried>>,
    /// It has begun: it has what it inherits, and the interceptors know of it.
    begun: bool,
    /// What the interceptors run when it has ended.
    ends: Option<Box<Ends>>,
}

type Adjust<T> = Box<dyn FnOnce(&mut T) + Send>;

/// Gets the result of a call, and returns the call to make instead, if any.
pub(crate) type Retry<T> = Box<dyn FnMut(&Result<T>) -> Option<RemoteCall<T>> + Send>;

/// Gives the method to its executor, with what is in force within it. The outcome comes to the slot.
type StartTask<T> = Box<dyn FnOnce(&Arc<Slot<T>>, Carried) -> GiveUp + Send>;

enum State<T: 'static> {
    Ready(Result<T>),
    Local(Box<dyn FnOnce() -> Result<T> + Send>),
    /// A method of an object of this process that is a future.
    LocalTask(StartTask<T>),
    Remote(RemoteCall<T>),
    /// It waits for room to be sent.
    Full(RemoteCall<T>, RoomToSend, Deadline),
    /// On its way to a peer, since then.
    Sent(SentCall<T>, Deadline),
    /// A streaming call that was sent, and its result, which is returned once there is room for the
    /// next.
    Streamed(Room, fn() -> T, Deadline),
    /// A local object's method on a pool thread, for a future; or as a task, which ends where the call does.
    Pooled(Arc<Slot<T>>, Deadline, Option<GiveUp>),
    Done,
}

/// A call that is described and not made.
pub(crate) struct RemoteCall<T: 'static> {
    method: MethodId,
    object: RemoteObject,
    encode: EncodeFn,
    results: PayloadCodec<T>,
    /// It has waited for room, and there is some.
    told: bool,
    /// Its parameters, where the log shows them.
    shown: Option<Arc<str>>,
}

impl<T: Send + 'static> Call<T> {
    /// Makes the call, if it is not under way, and blocks until its answer arrives.
    ///
    /// While it waits, callbacks that the peer makes for this call run on this thread. A call of an
    /// object of this process runs on this thread directly; a panic in it is an error.
    ///
    /// # Errors
    /// The method's own error, or that of the connection; see [`Error`]. [`Error::ApiMisuse`] in the
    /// destructor of a thread-local value, once the runtime's own are gone, and on a thread that polls a future
    /// for which this is refused (the crates `multiprocess-tokio` and `multiprocess-capnp-rpc` say which).
    pub fn wait(mut self) -> Result<T> {
        if !matches!(self.state, State::Ready(_) | State::Local(_)) {
            check_thread()?;
            check_may_wait()?;
        }
        if matches!(self.state, State::LocalTask(_)) {
            self.begin(Waker::noop(), false);
        }
        let result = match std::mem::replace(&mut self.state, State::Done) {
            State::Ready(result) => result,
            // It has begun.
            State::LocalTask(_) => Err(Error::Cancelled),
            State::Local(run) => {
                let _scope = self.carried.take().map(|carried| enter_scope(given(&carried)));
                catch_panic(run)
            }
            State::Remote(call) => self.wait_remote(call, None),
            State::Full(mut call, room, deadline) => match room.wait(&deadline) {
                Ok(()) => {
                    call.told = true;
                    self.wait_remote(call, Some(room))
                }
                Err(error) => Err(error),
            },
            State::Sent(sent, deadline) => {
                let result = wait_for(sent, deadline, false);
                match self.again(&result) {
                    Some(call) => self.wait_remote(call, None),
                    None => result,
                }
            }
            State::Pooled(slot, deadline, _give_up) => {
                slot.wake_thread(&this_inbox());
                wait_for_slot(&slot, None, &deadline)
            }
            State::Streamed(room, done, deadline) => room.wait(&deadline).map(|()| done()),
            State::Done => Err(Error::misuse("this call was polled after it had ended")),
        };
        self.finish(result)
    }

    /// Bounds the call: [`Error::Timeout`] if there is no answer within `timeout` of its start, or
    /// from now if it is under way. The call is then cancelled. A call that is under way is not prolonged by it, nor
    /// one that is made within another beyond the time of that one.
    ///
    /// What runs on the waiting thread is not interrupted: a method of an object of this process that
    /// `wait` runs directly, and a callback of the peer that is called, or of one that is waited for around
    /// this call. Once the time has passed no further callback begins. Callbacks of other peers never run in
    /// this wait.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let now = Instant::now();
        (self.timeout, self.started) = (Some(timeout), Some(now));
        // What the call has told the peer, and inherits, holds as well.
        let from_now = Deadline::new(timeout, now).within(self.carries().deadline, now);
        match &mut self.state {
            State::Sent(sent, deadline) => *deadline = from_now.watched(&sent.slot),
            State::Pooled(slot, deadline, _) => *deadline = from_now.watched(slot),
            State::Streamed(room, _, deadline) => *deadline = from_now.watched(room.slot()),
            State::Full(_, room, deadline) => *deadline = from_now.watched(&room.slot),
            // It begins with the call.
            _ => self.started = None,
        }
        self
    }

    /// How long the call may take, which begins now unless it has begun.
    fn deadline(&mut self) -> Deadline {
        match self.timeout {
            Some(timeout) => {
                let started = *self.started.get_or_insert_with(Instant::now);
                Deadline::new(timeout, started).within(self.carries().deadline, started)
            }
            None => Deadline::never(),
        }
    }

    /// Sends the call now, to be waited for later. Like the call of a future it has a thread of the
    /// peer for itself, so started calls have no order among each other. A call of an object of this
    /// process runs on a thread of the runtime; 64 of those run at once, and the others wait for their turn.
    /// A call of more than 1,024 bytes for which there is no room ([`Limits::call_bytes`](crate::Limits)) is
    /// sent when it is waited for.
    pub fn start(mut self) -> Self {
        self.begin(Waker::noop(), false);
        self
    }

    /// Ends the call: if it is under way the peer is told that nobody waits for it. The same as
    /// dropping it. A `close` that is under way goes on nevertheless.
    pub fn cancel(self) {}

    /// Changes the results before they are returned. For generated code.
    #[doc(hidden)]
    pub fn adjust(mut self, adjust: impl FnOnce(&mut T) + Send + 'static) -> Call<T> {
        let first = self.adjust.take();
        self.adjust = Some(Box::new(move |results| {
            if let Some(first) = first {
                first(results);
            }
            adjust(results);
        }));
        self
    }

    /// The result that an ended call returns.
    fn finish(&mut self, mut result: Result<T>) -> Result<T> {
        if let (Some(adjust), Ok(results)) = (self.adjust.take(), &mut result) {
            adjust(results);
        }
        if let Some(then) = self.then.take() {
            then();
        }
        if let Err(error) = &mut result {
            error.name_method(self.method);
        }
        if let Some(ends) = self.ends.take() {
            ends.end(result.as_ref().err());
        }
        result
    }

    /// Makes the call from this thread, in older forms as well if that is needed.
    /// `room`: what is reserved for the call.
    fn wait_remote(&mut self, mut call: RemoteCall<T>, mut room: Option<RoomToSend>) -> Result<T> {
        // Before it is sent. Where there is no connection, sending it fails with that.
        if let Ok((conn, _)) = call.object.place() {
            check_may_wait_for(conn.number())?;
        }
        self.prepare(&call)?;
        loop {
            let deadline = self.deadline();
            if let Some(done) = self.streams(&call) {
                return match call.stream(self.carries())? {
                    Some(room) => room.wait(&deadline).map(|()| done()),
                    None => Ok(done()),
                };
            }
            let closed = call.results.closed;
            let started = call.send_from_thread(self.carries());
            drop(room.take());
            let result = match started {
                Ok(Started::Sent(sent)) => wait_for(sent, deadline, true),
                Ok(Started::Full(full)) => match full.wait(&deadline) {
                    Ok(()) => {
                        call.told = true;
                        room = Some(full);
                        continue;
                    }
                    Err(error) => Err(error),
                },
                Err(error) => unless_closed(error, closed),
            };
            match self.again(&result) {
                Some(other) => call = other,
                None => return result,
            }
        }
    }

    /// The call to make instead, where the peer may have the method in another form.
    fn again(&mut self, result: &Result<T>) -> Option<RemoteCall<T>> {
        self.retry.as_mut().and_then(|retry| retry(result))
    }

    /// The result that the call returns once it was sent, if it streams. A call that may have to be
    /// made in another form has to wait for its answer.
    fn streams(&self, call: &RemoteCall<T>) -> Option<fn() -> T> {
        call.results.streamed.filter(|_| self.retry.is_none())
    }

    /// Sends the call for a future, which is being polled if `polled`.
    fn begin(&mut self, waker: &Waker, polled: bool) {
        let mut state = std::mem::replace(&mut self.state, State::Done);
        if let State::Remote(call) = &state
            && let Err(error) = self.prepare(call)
        {
            state = State::Ready(Err(error));
        }
        self.state = match state {
            State::Remote(mut call) => match self.streams(&call) {
                Some(done) => match call.stream(self.carries()) {
                    Ok(Some(room)) => {
                        let deadline = self.deadline().watched(room.slot());
                        State::Streamed(room, done, deadline)
                    }
                    Ok(None) => State::Ready(Ok(done())),
                    Err(error) => State::Ready(Err(error)),
                },
                None => {
                    let closed = call.results.closed;
                    match call.send_from_future(self.carries(), waker, polled) {
                        Ok(Started::Sent(sent)) => {
                            let deadline = self.deadline().watched(&sent.slot);
                            State::Sent(sent, deadline)
                        }
                        // Nobody waits yet who would send it when there is room.
                        Ok(Started::Full(_)) if !polled => State::Remote(call),
                        Ok(Started::Full(room)) => {
                            let deadline = self.deadline().watched(&room.slot);
                            State::Full(call, room, deadline)
                        }
                        Err(error) => State::Ready(unless_closed(error, closed)),
                    }
                }
            },
            State::Local(run) => {
                let slot = Arc::new(Slot::for_future(waker));
                let run = self.within(run);
                let deadline = self.deadline().watched(&slot);
                start_local(&slot, run);
                State::Pooled(slot, deadline, None)
            }
            State::LocalTask(start) => {
                let slot = Arc::new(Slot::for_future(waker));
                let carried = self.in_force();
                let deadline = self.deadline().watched(&slot);
                let give_up = start(&slot, carried);
                State::Pooled(slot, deadline, Some(give_up))
            }
            other => other,
        };
    }
}

impl<T> Call<T> {
    fn new(method: &'static str, state: State<T>) -> Call<T> {
        Call {
            method,
            state,
            timeout: None,
            started: None,
            retry: None,
            likely: false,
            adjust: None,
            then: None,
            carried: None,
            begun: false,
            ends: None,
        }
    }

    /// An answer that is under way already.
    pub(crate) fn answer(slot: Arc<Slot<T>>, timeout: Duration) -> Call<T> {
        let deadline = Deadline::new(timeout, Instant::now());
        Call::new("", State::Pooled(slot, deadline, None))
    }

    pub(crate) fn ready(result: Result<T>) -> Call<T> {
        Call::new("", State::Ready(result))
    }

    /// Waits for streaming calls that were sent before.
    pub(super) fn room(room: Room, done: fn() -> T) -> Call<T> {
        Call::new("", State::Streamed(room, done, Deadline::never()))
    }

    /// Runs `then` on the waiting side when the call has ended, with or without an error.
    pub(crate) fn then(mut self, then: impl FnOnce() + Send + 'static) -> Call<T> {
        self.then = Some(Box::new(then));
        self
    }

    /// A call of an object of this process. For generated code.
    #[doc(hidden)]
    pub fn local(method: MethodId, run: impl FnOnce() -> Result<T> + Send + 'static) -> Call<T> {
        Call::new(method.name, State::Local(Box::new(run)))
    }

    /// The same of an object whose methods are futures.
    pub(super) fn local_task(
        method: MethodId,
        start: impl FnOnce(&Arc<Slot<T>>, Carried) -> GiveUp + Send + 'static,
    ) -> Call<T> {
        Call::new(method.name, State::LocalTask(Box::new(start)))
    }

    /// A call of a peer's object. For generated code.
    #[doc(hidden)]
    pub fn remote(
        method: MethodId,
        object: RemoteObject,
        encode: impl FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()> + Send + 'static,
        results: PayloadCodec<T>,
    ) -> Call<T> {
        Call::attempt(RemoteCall::new(method, object, encode, results), None, false)
    }

    /// The same with its parameters, as the log is to show them.
    pub(super) fn showing(mut self, shown: Option<String>) -> Call<T> {
        if let State::Remote(call) = &mut self.state {
            call.shown = shown.map(Arc::from);
        }
        self
    }

    /// A call of a peer's object that may have to be made in another form.
    pub(crate) fn attempt(call: RemoteCall<T>, retry: Option<Retry<T>>, likely: bool) -> Call<T> {
        Call { retry, likely, ..Call::new(call.method.name, State::Remote(call)) }
    }
}

impl<T: 'static> RemoteCall<T> {
    pub(crate) fn new(
        method: MethodId,
        object: RemoteObject,
        encode: impl FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()> + Send + 'static,
        results: PayloadCodec<T>,
    ) -> RemoteCall<T> {
        let shown = None;
        RemoteCall { method, object, encode: Box::new(encode), results, told: false, shown }
    }

    /// The same with its parameters, as the log is to show them.
    pub(super) fn showing(self, shown: Option<Arc<str>>) -> RemoteCall<T> {
        RemoteCall { shown, ..self }
    }
}

impl<T: Send + 'static> RemoteCall<T> {
    fn send_from_thread(&mut self, carried: &Carried) -> Result<Started<T>> {
        let RemoteCall { method, object, encode, results, told, shown } = self;
        let (conn, _) = object.place()?;
        let caller = (Caller::Thread(this_inbox(), innermost(conn)), carried);
        let started = start_call(object, *method, caller, None, encode, *results, *told);
        noted(started, method, carried.trace, shown)
    }

    fn send_from_future(
        &mut self,
        carried: &Carried,
        waker: &Waker,
        polled: bool,
    ) -> Result<Started<T>> {
        let RemoteCall { method, object, encode, results, told, shown } = self;
        let (conn, _) = object.place()?;
        // Only for a call that is awaited. A started call may outlive the call that is being
        // served, and then no thread of the peer would wait to run its callbacks.
        let running = if polled { innermost_future(conn) } else { None };
        let caller = (Caller::Future { running, long: method.long }, carried);
        // A started call wakes nobody before it is waited for.
        let waker = polled.then_some(waker);
        let started = start_call(object, *method, caller, waker, encode, *results, *told);
        noted(started, method, carried.trace, shown)
    }

    /// Whether the object's streaming calls are to be answered first.
    fn is_behind_stream(&self) -> bool {
        self.object.streamed().is_some_and(|streaming| streaming.is_busy() || streaming.is_failed())
    }

    fn stream(self, carried: &Carried) -> Result<Option<Room>> {
        let RemoteCall { method, object, encode, .. } = self;
        // It has no deadline: once it was sent it runs.
        let carried = Carried { deadline: None, ..*carried };
        start_stream(object.place()?, object.streaming(), method, &carried, encode)
    }
}

/// Says in the log that a call was sent, and has its end noted, where that is done.
fn noted<T: Send + 'static>(
    mut started: Result<Started<T>>,
    method: &MethodId,
    trace: Option<TraceContext>,
    shown: &Option<Arc<str>>,
) -> Result<Started<T>> {
    if notes::are_on()
        && let Ok(Started::Sent(sent)) = &mut started
    {
        sent.note(method.name, trace, shown.as_deref());
    }
    started
}

/// The result of a call that could not be made: ending an object that is already closed is no error.
fn unless_closed<T>(error: Error, closed: Option<fn() -> T>) -> Result<T> {
    match (error, closed) {
        (Error::ApiMisuse { .. }, Some(closed)) => Ok(closed()),
        (error, _) => Err(error),
    }
}

// A call holds its value only once it is there, and never in place.
impl<T> Unpin for Call<T> {}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.method)
    }
}
