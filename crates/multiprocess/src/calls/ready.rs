//! Asks for the peer's bootstrap object and waits until it has answered, for a connection that is made
//! again and again: in time, and with an error that says why not.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::bootstrap::{bootstrap, explained};
use super::child::not_serving;
use super::connection::Connection;
use super::interface::Interface;
use crate::connection::ArcConn;
use crate::process::Child;
use crate::{Error, Result};

impl Connection {
    /// Waits until the peer has answered, for `timeout` at most. Where it does not, the connection ends, and
    /// the error is that of its end. The state of `child`, if it is one, follows the connection. This
    /// thread does not read: the driver does.
    pub(crate) fn bootstrap_in_time<I: Interface>(
        &self,
        child: Option<&Arc<Child>>,
        timeout: Duration,
    ) -> Result<I> {
        let unready = child.cloned();
        let explain = move |error| match &unready {
            Some(child) => not_serving(child, &error),
            None => error,
        };
        let (tell, told) = mpsc::channel();
        let serves = child.map(|child| Arc::clone(child.serves()));
        if let Some(child) = child {
            self.follow(child);
        }
        let conn = self.conn();
        conn.start_handshake(timeout, Box::new(explain));
        let answered = tell.clone();
        let answer = explained(move |answer| {
            if let (Ok(()), Some(serves)) = (&answer, serves) {
                serves.set_serving();
            }
            // Where the connection ends instead, that is told with what explains it.
            let _ = answered.send(answer);
        });
        let handle = bootstrap::<I>(conn, answer).map_err(|error| {
            conn.stop_explaining();
            child.map_or(error.clone(), |child| not_serving(child, &error))
        })?;
        let weak = ArcConn::downgrade(conn);
        self.at_end(move || {
            let end = weak.upgrade().and_then(|conn| conn.ended().cloned());
            let end = end.unwrap_or_else(|| Error::disconnected("it has ended"));
            let _ = tell.send(Err(end));
        });
        match told.recv() {
            Ok(Ok(())) => Ok(handle),
            // An error that is no end was the peer's answer, after which nobody needs the connection.
            Ok(Err(error)) => Err(error),
            Err(mpsc::RecvError) => Err(Error::disconnected("it has ended")),
        }
    }
}
