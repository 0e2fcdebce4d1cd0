//! Information for a served method about its caller.

use super::connection::Connection;
use crate::threads::{CancelToken, cascade, current};

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
