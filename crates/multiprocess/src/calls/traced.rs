//! The trace that is in force on a thread, and the calls that have it.

use std::future::{Future, poll_fn};
use std::pin::pin;

use super::connection::Connection;
use crate::carried::Carried;
use crate::connection::ArcConn;
use crate::session::{IncomingCall, OutgoingCall};
use crate::threads::{enter_scope, inherited};
use crate::trace_context::TraceContext;

impl TraceContext {
    /// The trace that a call which this thread makes now becomes part of: that of the innermost
    /// [scope](Self::in_scope), or else that of the call that the thread serves.
    pub fn current() -> Option<TraceContext> {
        inherited().trace
    }

    /// Runs `run`; the calls that it makes on this thread are part of this trace. So are those that it
    /// [starts](crate::Call::start), and futures that it polls, but not what it spawns elsewhere.
    ///
    /// ```
    /// # mod hello { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/hello.rs")); }
    /// use hello::HelloClient; // as generated from a schema
    /// use multiprocess::{Connection, Result, TraceContext, current_call};
    ///
    /// # fn main() -> Result<()> {
    /// # let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
    /// let tells = HelloClient::from_fn(|_name| {
    ///     let trace = current_call().and_then(|call| call.trace());
    ///     Ok(trace.map_or("none".to_owned(), |trace| trace.to_string()))
    /// });
    /// let serving = Connection::builder().serve(tells).start(theirs)?;
    /// let hello: HelloClient = Connection::new(ours)?.bootstrap()?;
    ///
    /// let trace = TraceContext::root(true);
    /// assert_eq!(trace.in_scope(|| hello.greet("World").wait())?, trace.to_string());
    /// assert_eq!(hello.greet("World").trace(trace).wait()?, trace.to_string());
    /// assert_eq!(hello.greet("World").wait()?, "none");
    /// # drop(serving);
    /// # Ok(())
    /// # }
    /// ```
    pub fn in_scope<R>(self, run: impl FnOnce() -> R) -> R {
        let _scope = self.enter();
        run()
    }

    /// The same for a future: the calls that it makes while it is polled are part of this trace.
    pub async fn instrument<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _scope = self.enter();
            future.as_mut().poll(context)
        })
        .await
    }

    fn enter(self) -> impl Drop {
        enter_scope(Carried { trace: Some(self), ..inherited() })
    }
}

impl OutgoingCall<'_> {
    /// The connection that it is to be sent over.
    pub fn connection(&self) -> Connection {
        Connection::from_conn(ArcConn::clone(self.conn))
    }
}

impl IncomingCall<'_> {
    /// The connection that it came over: with the peer's [process and user](Connection::peer_credentials), or who it
    /// is otherwise ([`Connection::peer_identity`]).
    pub fn connection(&self) -> Connection {
        Connection::from_conn(ArcConn::clone(self.conn))
    }
}
