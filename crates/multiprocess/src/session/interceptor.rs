//! What the program does around each call, on either side. Who calls these is in the layers above; none of it under the
//! lock.

use std::fmt;
use std::time::{Duration, Instant};

use crate::call_log::Outcome;
use crate::carried::Carried;
use crate::connection::ArcConn;
use crate::panics::run_hook;
use crate::stats::CallOutcome;
use crate::threads::About;
use crate::trace_context::TraceContext;
use crate::{Error, Result};

/// Code of the program's around each call of a connection: for authorization, logging, metrics and traces. It is set
/// with [`ConnectionBuilder::intercept`](crate::ConnectionBuilder::intercept) or
/// [`ServerBuilder::intercept`](crate::ServerBuilder::intercept). Of several, the first is the outermost: it begins
/// first, and its [`on_end`](OutgoingCall::on_end) runs last.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use multiprocess::{Connection, Error, IncomingCall, Interceptor, OutgoingCall, Result};
/// # mod hello { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/hello.rs")); }
/// use hello::HelloClient; // as generated from a schema
///
/// /// Serves only the own user, and counts how calls ended.
/// #[derive(Default)]
/// struct Guard {
///     answered: Arc<AtomicUsize>,
/// }
///
/// impl Interceptor for Guard {
///     fn before_serve(&self, call: &mut IncomingCall<'_>) -> Result<()> {
///         if !call.connection().peer_credentials()?.is_same_user() {
///             return Err(Error::failed(format!("you may not call {}", call.method())));
///         }
///         let answered = Arc::clone(&self.answered);
///         call.on_end(move |end| {
///             println!("{} after {:?}", end.outcome().as_str(), end.took());
///             answered.fetch_add(usize::from(end.error().is_none()), Ordering::Relaxed);
///         });
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<()> {
/// # let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
/// let guard = Arc::new(Guard::default());
/// let greeter = HelloClient::from_fn(|name| Ok(format!("Hello, {name}!")));
/// let serving = Connection::builder().intercept(guard.clone()).serve(greeter).start(theirs)?;
///
/// let hello: HelloClient = Connection::new(ours)?.bootstrap()?;
/// assert_eq!(hello.greet("World").wait()?, "Hello, World!");
/// assert_eq!(guard.answered.load(Ordering::Relaxed), 1);
/// # drop(serving);
/// # Ok(())
/// # }
/// ```
///
/// # Which calls
///
/// Those that the program makes and serves over the connection, of all its objects. Not those of the runtime
/// (`construct`, threads, the end of an object by `close` or with its last handle), those of objects of this process,
/// and on the serving side those that are refused or cancelled before their method would begin. Calls of the crate
/// `multiprocess-capnp-rpc` are not announced on the side that makes them; of those that it serves `method()` is the name of
/// the object only, as their interfaces are not known here: they cannot be authorized by method.
///
/// # Threads
///
/// No lock of the runtime is held, so an interceptor may block where the thread may, and make calls. Calls of its own
/// over the same connection are intercepted as well: mind the circle. A panic is the call's error, in `on_end` a line in
/// the log.
pub trait Interceptor: Send + Sync + 'static {
    /// A call is about to be sent. It runs on the thread that makes the call: the one that
    /// [waits](crate::Call::wait) or [starts](crate::Call::start) it, or that polls it as a future, which must not be
    /// blocked.
    ///
    /// # Errors
    /// The call is not sent, and ends with the error.
    fn before_call(&self, call: &mut OutgoingCall<'_>) -> Result<()> {
        let _ = call;
        Ok(())
    }

    /// A method is about to begin, with its parameters decoded. It runs on the thread that runs the method, where
    /// [`current_call`](crate::current_call) is the call; for a method that is a future where it is polled first, which
    /// must not be blocked.
    ///
    /// # Errors
    /// The method is not begun, and the call is answered with the error, as if the method had returned it. The
    /// parameters are dropped.
    fn before_serve(&self, call: &mut IncomingCall<'_>) -> Result<()> {
        let _ = call;
        Ok(())
    }
}

/// Runs when a call has ended.
type OnEnd = Box<dyn FnOnce(&CallEnd<'_>) + Send>;

/// A call that is about to be sent.
pub struct OutgoingCall<'a> {
    pub(crate) conn: &'a ArcConn,
    method: &'a str,
    carried: Carried,
    ends: &'a mut Ends,
}

impl OutgoingCall<'_> {
    /// The method, as `Interface.method`.
    pub fn method(&self) -> &str {
        self.method
    }

    /// The time until the call gives up, if it does: what is left of its [`timeout`](crate::Call::timeout), or of that of
    /// the call within which it is made.
    pub fn remaining(&self) -> Option<Duration> {
        self.carried.remaining()
    }

    /// Has the call give up after this time from now, unless it does so before.
    pub fn limit(&mut self, timeout: Duration) {
        let deadline = Instant::now().checked_add(timeout);
        self.carried.deadline = match (self.carried.deadline, deadline) {
            (Some(before), Some(deadline)) => Some(before.min(deadline)),
            (before, deadline) => before.or(deadline),
        };
    }

    /// The trace that the call is part of, if one is known.
    pub fn trace(&self) -> Option<TraceContext> {
        self.carried.trace
    }

    /// Makes the call part of another trace, or the child of another span.
    pub fn set_trace(&mut self, trace: TraceContext) {
        self.carried.trace = Some(trace);
    }

    /// Runs `hook` when the call has ended, exactly once: on the thread that gets the answer or drops the call. A call
    /// that [streams](crate::Call#streaming) or is [pipelined](crate::Call::pipelined) to ends here when it was sent.
    pub fn on_end(&mut self, hook: impl FnOnce(&CallEnd<'_>) + Send + 'static) {
        self.ends.hooks.push(Box::new(hook));
    }
}

impl fmt::Debug for OutgoingCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingCall").field("method", &self.method).finish_non_exhaustive()
    }
}

/// A call of a peer's whose method is about to begin.
pub struct IncomingCall<'a> {
    pub(crate) conn: &'a ArcConn,
    about: About,
    carried: Carried,
    ends: &'a mut Ends,
}

impl IncomingCall<'_> {
    /// The method, as `Interface.method`.
    pub fn method(&self) -> &str {
        self.about.method
    }

    /// How long the call has waited for its turn.
    pub fn waited(&self) -> Duration {
        self.about.since.elapsed()
    }

    /// The size of the message with its parameters, in bytes.
    pub fn parameter_bytes(&self) -> usize {
        self.about.bytes
    }

    /// The time until the caller gives up, if it has told: see
    /// [`CurrentCall::remaining`](crate::CurrentCall::remaining).
    pub fn remaining(&self) -> Option<Duration> {
        self.carried.remaining()
    }

    /// The trace that the call is part of, if the caller has told.
    pub fn trace(&self) -> Option<TraceContext> {
        self.carried.trace
    }

    /// Makes the calls that the method makes part of another trace, or the children of another span: of one that serves
    /// this call.
    pub fn set_trace(&mut self, trace: TraceContext) {
        self.carried.trace = Some(trace);
    }

    /// Runs `hook` when the method has returned, exactly once, before its answer is sent: on the thread that has run it,
    /// or that drops the future which it is.
    pub fn on_end(&mut self, hook: impl FnOnce(&CallEnd<'_>) + Send + 'static) {
        self.ends.hooks.push(Box::new(hook));
    }
}

impl fmt::Debug for IncomingCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingCall").field("method", &self.about.method).finish_non_exhaustive()
    }
}

/// How a call has ended, as [`on_end`](OutgoingCall::on_end) is told.
#[derive(Debug, Clone, Copy)]
pub struct CallEnd<'a> {
    outcome: CallOutcome,
    error: Option<&'a Error>,
    took: Duration,
}

impl<'a> CallEnd<'a> {
    /// How it ended.
    pub fn outcome(&self) -> CallOutcome {
        self.outcome
    }

    /// The error that the caller gets, or that the method has returned. None where the call was answered, and where the
    /// method has returned results for which nobody waits any more.
    pub fn error(&self) -> Option<&'a Error> {
        self.error
    }

    /// The time since [`before_call`](Interceptor::before_call) or [`before_serve`](Interceptor::before_serve).
    pub fn took(&self) -> Duration {
        self.took
    }
}

/// What is to run when a call has ended. Dropped before, the call was cancelled.
pub(crate) struct Ends {
    hooks: Vec<OnEnd>,
    since: Instant,
}

impl Ends {
    fn new() -> Ends {
        Ends { hooks: Vec::new(), since: Instant::now() }
    }

    /// The call has ended for this side.
    pub(crate) fn end(self, error: Option<&Error>) {
        let outcome = Outcome::of(None, error).end();
        self.end_as(outcome, error);
    }

    /// The same in this way.
    pub(crate) fn end_as(mut self, outcome: CallOutcome, error: Option<&Error>) {
        self.run(outcome, error);
    }

    fn run(&mut self, outcome: CallOutcome, error: Option<&Error>) {
        let end = CallEnd { outcome, error, took: self.since.elapsed() };
        for hook in self.hooks.drain(..).rev() {
            run_hook("an interceptor", || hook(&end));
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.run(CallOutcome::Cancelled, Some(&Error::Cancelled));
    }
}

/// Has the interceptors of a connection begin with a call of this side's. Not under the lock.
#[cold]
pub(crate) fn before_call(
    conn: &ArcConn,
    method: &str,
    carried: &mut Carried,
) -> Result<Box<Ends>> {
    let mut ends = Box::new(Ends::new());
    for interceptor in conn.session().interceptors() {
        let mut call = OutgoingCall { conn, method, carried: *carried, ends: &mut ends };
        let refused = crate::panics::catch_panic(|| interceptor.before_call(&mut call)).err();
        *carried = call.carried;
        if let Some(error) = refused {
            ends.end(Some(&error));
            return Err(error);
        }
    }
    Ok(ends)
}

/// The same with a call of the peer's.
#[cold]
pub(crate) fn before_serve(conn: &ArcConn, about: About, carried: &mut Carried) -> Result<Ends> {
    let mut ends = Ends::new();
    for interceptor in conn.session().interceptors() {
        let mut call = IncomingCall { conn, about, carried: *carried, ends: &mut ends };
        let refused = crate::panics::catch_panic(|| interceptor.before_serve(&mut call)).err();
        *carried = call.carried;
        if let Some(error) = refused {
            ends.end(Some(&error));
            return Err(error);
        }
    }
    Ok(ends)
}
