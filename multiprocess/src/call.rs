//! A method call: waited for by a thread or a future, bounded, cancelled, pipelined.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::codec::{Decoder, EncodeFn, Encoder};
use crate::connection::{ArcConn, Caller, Lead, SentCall, Slot, start_call, start_pipelined};
use crate::driver::{TimerId, driver};
use crate::guard::catch_panic;
use crate::handle::{Handle, RemoteObject};
use crate::rt::{AnyBuilder, AnyReader, Interface, Method};
use crate::server;
use crate::thread::{Inbox, pool, release_lane, this_inbox};
use crate::{Error, Result};

/// How deep calls may run within calls on one thread: a callback of a callback is two.
const MAX_DEPTH: usize = 64;

/// A method call that has been described and not yet made.
///
/// [`wait`](Call::wait) makes it from a thread, `.await` from a future on any executor; nothing is
/// sent before. Dropping a call that is under way cancels it.
///
/// Which of the peer's threads runs the call follows from who waits: each thread of this process
/// has one of the peer's for itself, on which its calls run in order. Up to 64 calls of futures at
/// once have one each; further ones wait behind them.
///
/// A peer need not stop a method whose call was cancelled. Bitcoin Core 30 to 32 do not: a wait
/// there goes on until it ends or is interrupted by a method of its own, such as `interrupt`. Later
/// calls do not wait for it.
#[must_use = "a call is made by waiting for it: use .wait() or .await"]
pub struct Call<T> {
    method: &'static str,
    state: State<T>,
    timeout: Option<Duration>,
    then: Option<Box<dyn FnOnce() + Send>>,
}

enum State<T> {
    Ready(Result<T>),
    Local(Box<dyn FnOnce() -> Result<T> + Send>),
    Remote(RemoteCall<T>),
    /// On its way to a peer, since then.
    Sent(SentCall<T>, Deadline),
    /// A local object's method on a pool thread, for a future.
    Pooled(Arc<Slot<T>>, Deadline),
    Done,
}

struct RemoteCall<T> {
    method: Method,
    object: RemoteObject,
    encode: EncodeFn,
    decode: fn(&mut Decoder<'_>, AnyReader<'_>) -> Result<T>,
}

impl<T: Send + 'static> Call<T> {
    /// Makes the call, if it is not under way, and blocks until its answer is there.
    ///
    /// While it waits, callbacks that the peer makes for this call run on this thread. A call of an
    /// object of this process runs on this thread directly.
    ///
    /// # Errors
    /// The method's own, or what became of the connection; see [`Error`].
    pub fn wait(mut self) -> Result<T> {
        let started = Instant::now();
        let result = match std::mem::replace(&mut self.state, State::Done) {
            State::Ready(result) => result,
            State::Local(run) => run(),
            State::Remote(call) => {
                let deadline = Deadline::new(self.timeout, started);
                call.send_from_thread().and_then(|sent| wait_for(sent, deadline, true))
            }
            State::Sent(sent, deadline) => wait_for(sent, deadline, false),
            State::Pooled(slot, deadline) => {
                slot.wake_thread(&this_inbox());
                wait_for_slot(&slot, None, &deadline)
            }
            State::Done => Err(Error::misuse("this call was polled after it had ended")),
        };
        self.finish();
        result
    }

    /// Bounds the call: [`Error::Timeout`] if there is no answer within `timeout` of its start, or
    /// from now if it is under way. The call is then cancelled.
    ///
    /// A method of an object of this process that `wait` runs directly is not cut short.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        let from_now = || Deadline::new(Some(timeout), Instant::now());
        match &mut self.state {
            State::Sent(sent, deadline) => *deadline = from_now().watched(&sent.slot),
            State::Pooled(slot, deadline) => *deadline = from_now().watched(slot),
            _ => {}
        }
        self
    }

    /// Sends the call now, to be waited for later.
    pub fn start(mut self) -> Self {
        self.begin(Waker::noop());
        self
    }

    /// Ends the call: if it is under way the peer is told that nobody waits for it. The same as
    /// dropping it.
    pub fn cancel(self) {}

    fn finish(&mut self) {
        if let Some(then) = self.then.take() {
            then();
        }
    }

    /// Sends the call for a future.
    fn begin(&mut self, waker: &Waker) {
        let timeout = self.timeout;
        self.state = match std::mem::replace(&mut self.state, State::Done) {
            State::Remote(call) => match call.send_from_future(waker) {
                Ok(sent) => {
                    let deadline = Deadline::new(timeout, Instant::now()).watched(&sent.slot);
                    State::Sent(sent, deadline)
                }
                Err(error) => State::Ready(Err(error)),
            },
            State::Local(run) => {
                let slot = Arc::new(Slot::for_future(waker));
                let deadline = Deadline::new(timeout, Instant::now()).watched(&slot);
                let filled = Arc::clone(&slot);
                pool::run(move || filled.fill_and_wake(catch_panic(run)));
                State::Pooled(slot, deadline)
            }
            other => other,
        };
    }
}

impl<T> Call<T> {
    /// An answer that is under way already.
    pub(crate) fn answer(slot: Arc<Slot<T>>, timeout: Duration) -> Call<T> {
        let deadline = Deadline::new(Some(timeout), Instant::now());
        Call { method: "", state: State::Pooled(slot, deadline), timeout: None, then: None }
    }

    pub(crate) fn ready(result: Result<T>) -> Call<T> {
        Call { method: "", state: State::Ready(result), timeout: None, then: None }
    }

    /// Does something on the waiting side when the call has ended, well or not.
    pub(crate) fn then(mut self, then: impl FnOnce() + Send + 'static) -> Call<T> {
        self.then = Some(Box::new(then));
        self
    }

    /// A call of an object of this process. For generated code.
    #[doc(hidden)]
    pub fn local(method: Method, run: impl FnOnce() -> Result<T> + Send + 'static) -> Call<T> {
        Call { method: method.name, state: State::Local(Box::new(run)), timeout: None, then: None }
    }

    /// A call of a peer's object. For generated code.
    #[doc(hidden)]
    pub fn remote(
        method: Method,
        object: RemoteObject,
        encode: impl FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()> + Send + 'static,
        decode: fn(&mut Decoder<'_>, AnyReader<'_>) -> Result<T>,
    ) -> Call<T> {
        let call = RemoteCall { method, object, encode: Box::new(encode), decode };
        Call { method: method.name, state: State::Remote(call), timeout: None, then: None }
    }
}

impl<T: Send + 'static> RemoteCall<T> {
    fn send_from_thread(self) -> Result<SentCall<T>> {
        let RemoteCall { method, object, encode, decode } = self;
        let (conn, cap) = object.place()?;
        let caller = Caller::Thread(this_inbox(), server::innermost(conn));
        start_call(conn, cap, method, caller, None, encode, decode)
    }

    fn send_from_future(self, waker: &Waker) -> Result<SentCall<T>> {
        let RemoteCall { method, object, encode, decode } = self;
        let (conn, cap) = object.place()?;
        start_call(conn, cap, method, Caller::Future, Some(waker), encode, decode)
    }
}

impl<T> RemoteCall<T> {
    fn pipeline(self) -> RemoteObject {
        let RemoteCall { method, object, encode, .. } = self;
        let sent = object.place().and_then(|(conn, cap)| {
            let cap = start_pipelined(conn, cap, method, encode)?;
            Ok(RemoteObject::new(conn.clone(), cap))
        });
        sent.unwrap_or_else(RemoteObject::broken)
    }
}

impl<I: Interface> Call<I> {
    /// Makes the call and returns a handle on its result without waiting for it: calls on the
    /// handle are sent behind this one and need no further round trip. If this call fails, they
    /// fail with its error.
    pub fn pipelined(self) -> I {
        match self.state {
            State::Remote(call) => I::from_handle(Handle::remote_object(call.pipeline())),
            _ => self.wait().unwrap_or_else(broken),
        }
    }
}

impl<I: Interface> Call<Option<I>> {
    /// Makes the call and returns a handle on its result without waiting for it: calls on the
    /// handle are sent behind this one and need no further round trip. If this call fails or
    /// returns none, they fail.
    pub fn pipelined(self) -> I {
        match self.state {
            State::Remote(call) => I::from_handle(Handle::remote_object(call.pipeline())),
            _ => match self.wait() {
                Ok(Some(handle)) => handle,
                Ok(None) => broken(Error::failed(format!("the call returned no {}", I::NAME))),
                Err(error) => broken(error),
            },
        }
    }
}

fn broken<I: Interface>(error: Error) -> I {
    I::from_handle(Handle::remote_object(RemoteObject::broken(error)))
}

impl<T: Send + 'static> Future for Call<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.get_mut();
        call.begin(context.waker());
        let result = match &mut call.state {
            State::Sent(sent, deadline) => match sent.slot.take_or_wake(context.waker()) {
                Some(answer) => {
                    sent.set_over();
                    answer
                }
                None if deadline.passed() => Err(deadline.error()),
                None => return Poll::Pending,
            },
            State::Pooled(slot, deadline) => match slot.take_or_wake(context.waker()) {
                Some(answer) => answer,
                None if deadline.passed() => Err(deadline.error()),
                None => return Poll::Pending,
            },
            other => match std::mem::replace(other, State::Done) {
                State::Ready(result) => result,
                _ => Err(Error::misuse("this call was polled after it had ended")),
            },
        };
        call.state = State::Done;
        call.finish();
        Poll::Ready(result)
    }
}

// A call holds its value only once it is there, and never in place.
impl<T> Unpin for Call<T> {}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.method)
    }
}

/// Blocks until the answer is there. `ours`: the call was sent by this thread, so that its answer
/// wakes it.
fn wait_for<T>(mut sent: SentCall<T>, deadline: Deadline, ours: bool) -> Result<T> {
    if !ours {
        sent.slot.wake_thread(&this_inbox());
    }
    let result = wait_for_slot(&sent.slot, Some(sent.conn()), &deadline);
    if !matches!(result, Err(Error::Timeout(_))) {
        sent.set_over();
    }
    result
}

/// Blocks until the slot is filled, running this thread's callbacks meanwhile, and reading the
/// connection where no other thread does.
fn wait_for_slot<T>(slot: &Slot<T>, conn: Option<&ArcConn>, deadline: &Deadline) -> Result<T> {
    let inbox = this_inbox();
    release_lane();
    let mut lead: Option<Lead> = None;
    loop {
        if let Some(answer) = slot.take() {
            return answer;
        }
        if let Some(task) = inbox.pop() {
            drop(lead.take());
            if server::depth() < MAX_DEPTH {
                task.run();
            } else {
                task.refuse(Error::Overloaded {
                    message: format!("more than {MAX_DEPTH} calls within calls on one thread"),
                });
            }
            continue;
        }
        if deadline.passed() {
            return Err(deadline.error());
        }
        if lead.is_none() {
            lead = conn.and_then(Lead::take);
        }
        match &lead {
            Some(lead) => lead.wait(&inbox, deadline.at, || slot.is_filled()),
            None => Inbox::park(deadline.at),
        }
    }
}

/// When a call has taken too long.
struct Deadline {
    timeout: Duration,
    /// None: never.
    at: Option<Instant>,
    timer: Option<TimerId>,
}

impl Deadline {
    fn new(timeout: Option<Duration>, started: Instant) -> Deadline {
        let at = timeout.and_then(|timeout| started.checked_add(timeout));
        Deadline { timeout: timeout.unwrap_or(Duration::MAX), at, timer: None }
    }

    /// Wakes the future that waits at `slot` when the time has come.
    fn watched<T: Send + 'static>(mut self, slot: &Arc<Slot<T>>) -> Deadline {
        if let (Some(at), Ok(driver)) = (self.at, driver()) {
            let slot = Arc::downgrade(slot);
            self.timer = Some(driver.add_timer(
                at,
                Box::new(move || {
                    if let Some(slot) = slot.upgrade() {
                        slot.wake();
                    }
                }),
            ));
        }
        self
    }

    fn passed(&self) -> bool {
        self.at.is_some_and(|at| at <= Instant::now())
    }

    fn error(&self) -> Error {
        Error::Timeout(self.timeout)
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let (Some(timer), Ok(driver)) = (self.timer.take(), driver()) {
            driver.remove_timer(timer);
        }
    }
}
