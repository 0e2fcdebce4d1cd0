//! Information for a served method about its caller.

use std::time::Duration;

use super::connection::Connection;
use crate::threads::{CancelToken, cascade, current};
use crate::trace_context::TraceContext;

/// The call that the current thread is serving, for the method that runs in it.
#[derive(Debug)]
pub struct CurrentCall {
    connection: Connection,
    token: CancelToken,
}

impl CurrentCall {
    /// Whether nobody waits for this call's answer any more.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// A token that fires when the call is cancelled; for a method that waits for something.
    pub fn cancel_token(&self) -> CancelToken {
        self.token.clone()
    }

    /// From now on the method's waits for other calls end with [`Error::Cancelled`](crate::Error::Cancelled)
    /// once its own call is cancelled, and those calls are cancelled with it. For a method that forwards its
    /// call, on the thread that runs it. Futures need none of that: they are dropped.
    ///
    /// ```
    /// # mod hello { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/hello.rs")); }
    /// use hello::{Hello, HelloClient}; // as generated from a schema
    /// use multiprocess::{Result, current_call};
    ///
    /// /// Greets as another one does, in capitals.
    /// struct Loud(HelloClient);
    ///
    /// impl Hello for Loud {
    ///     fn greet(&self, name: String) -> Result<String> {
    ///         if let Some(call) = current_call() {
    ///             call.cascade();
    ///         }
    ///         Ok(self.0.greet(name).wait()?.to_uppercase())
    ///     }
    /// }
    /// # struct Greeter;
    /// # impl Hello for Greeter {
    /// #     fn greet(&self, name: String) -> Result<String> { Ok(format!("Hello, {name}!")) }
    /// # }
    /// # fn main() -> Result<()> {
    /// let loud = HelloClient::new(Loud(HelloClient::new(Greeter)));
    /// assert_eq!(loud.greet("World").wait()?, "HELLO, WORLD!");
    /// # Ok(())
    /// # }
    /// ```
    pub fn cascade(&self) {
        cascade();
    }

    /// The time that is left until the caller gives up; zero when it has passed. None where the call has no deadline or
    /// it is not known: peers of other implementations do not tell, and no method without a `Context` gets it. It counts
    /// from the call's arrival, so the time that the message was on its way is not in it.
    ///
    /// A call that this method makes takes no longer than this, whatever its own [`timeout`](crate::Call::timeout):
    /// calls made on the thread that runs the method, and for a method that is a future those that it awaits. The
    /// deadline cancels nothing here by itself: the caller does so when it passes ([`is_cancelled`](Self::is_cancelled)),
    /// and [`cascade`](Self::cascade) ends the waits then, as for any cancel. A call whose deadline passes before its
    /// method begins is answered as one that was cancelled.
    ///
    /// ```
    /// # mod hello { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/hello.rs")); }
    /// use std::time::Duration;
    /// use hello::HelloClient; // as generated from a schema
    /// use multiprocess::{Connection, Result, current_call};
    ///
    /// # fn main() -> Result<()> {
    /// # let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
    /// let tells = HelloClient::from_fn(|_name| {
    ///     let remaining = current_call().and_then(|call| call.remaining());
    ///     Ok(remaining.map_or("none".to_owned(), |time| (time.as_secs() / 60).to_string()))
    /// });
    /// let serving = Connection::builder().serve(tells).start(theirs)?;
    /// let hello: HelloClient = Connection::new(ours)?.bootstrap()?;
    /// assert_eq!(hello.greet("World").timeout(Duration::from_secs(630)).wait()?, "10");
    /// assert_eq!(hello.greet("World").wait()?, "none");
    /// # drop(serving);
    /// # Ok(())
    /// # }
    /// ```
    pub fn remaining(&self) -> Option<Duration> {
        self.token.carried().remaining()
    }

    /// The trace that the call is part of, and the span that made it, as the caller has told. The calls that the method
    /// makes are part of it as well, unless they are given another.
    pub fn trace(&self) -> Option<TraceContext> {
        self.token.carried().trace
    }

    /// The connection that the call came over.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// The call that this thread is serving now; none on a thread that serves none, and in a direct
/// call of a local object. In a method that is a future, the call that it serves, wherever it is
/// polled; none in other tasks that it spawns.
pub fn current_call() -> Option<CurrentCall> {
    let (conn, token) = current()?;
    Some(CurrentCall { connection: Connection::from_conn(conn), token })
}
