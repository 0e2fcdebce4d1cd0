//! One attempt to connect, on a thread for it: the connection, the peer's answer, and what the user makes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connector::Link;
use super::current::Current;
use super::shared::{Functions, Phase, Shared};
use crate::calls::connection::Connection;
use crate::cleanup::Cleanup;
use crate::driver::{Driver, TimerId};
use crate::panics::panic_text;
use crate::{Error, Result};

impl<T: Send + Sync + 'static> Shared<T> {
    /// Begins an attempt, on a thread of the runtime as soon as there is one.
    pub(super) fn begin(self: &Arc<Self>) {
        let this = Arc::clone(self);
        Cleanup::new().run("an attempt to connect", move || this.attempt());
    }

    fn attempt(self: Arc<Self>) {
        let mut state = self.state();
        state.next_try = None;
        // None if this is over.
        let Some(mut functions) = state.functions.take() else { return };
        state.attempt = state.attempt.saturating_add(1);
        state.thread = Some(std::thread::current().id());
        drop(state);

        let made = self.make(&mut functions);

        let mut state = self.state();
        state.thread = None;
        state.connecting = None;
        if state.is_over() {
            drop(state);
            if let Ok((link, _)) = &made {
                link.connection.disconnect();
            }
            return drop((functions, made));
        }
        state.functions = Some(functions);
        match made {
            Err(error) => {
                let old = state.last_error.replace(error.clone());
                drop(state);
                drop(old);
                tracing::debug!("{}", self.settings.failed("no connection", "to", &error));
                self.retry(error, None);
            }
            Ok((Link { connection, child }, value)) => {
                state.generation += 1;
                state.attempt = 0;
                let old = state.last_error.take();
                let generation = state.generation;
                let (value, to) = (Arc::new(value), connection.clone());
                let current = Current { value, generation, connection, child };
                state.phase = Phase::Connected(current, Instant::now());
                drop(state);
                drop(old);
                tracing::info!(generation, "connected to {}", self.settings.name);
                self.tell();
                let weak = Arc::downgrade(&self);
                to.at_end(move || {
                    if let Some(this) = weak.upgrade() {
                        this.lost(generation);
                    }
                });
            }
        }
    }

    fn make(&self, functions: &mut Functions<T>) -> Result<(Link, T)> {
        let Functions { connector, open, make } = functions;
        let deadline = self.settings.deadline;
        let link = caught("connects", || connector.connect(open, deadline))?;
        if let Some(name) = &self.settings.peer_name {
            link.connection.name_peer(name);
        }
        let mut state = self.state();
        if state.is_over() {
            drop(state);
            link.connection.disconnect();
            return Err(Error::disconnected("it was closed meanwhile"));
        }
        // So that whoever ends this ends the attempt.
        state.connecting = Some(link.connection.clone());
        drop(state);
        let made = caught("makes the objects of a connection", || make(&link, deadline));
        match made {
            Ok(value) => Ok((link, value)),
            Err(error) => {
                // What else was made of it is of no use.
                let reason = format!("this side gave it up: {}", error.reason());
                link.connection.end(Error::disconnected(reason));
                Err(error)
            }
        }
    }
}

/// Ends a connection at a time, so that the calls that the user's function waits for fail; not if it is
/// dropped before.
pub(super) struct Late(&'static Driver, Option<TimerId>);

impl Late {
    /// `since` the socket was there.
    pub(super) fn watch(
        driver: &'static Driver,
        connection: &Connection,
        since: Instant,
        deadline: Duration,
    ) -> Late {
        let connection = connection.clone();
        let late = move || {
            connection.end(Error::disconnected(format!(
                "this side gave it up: it was not made within {deadline:?} (Reconnect::deadline)"
            )));
        };
        // A time that is too far away for the clock means never.
        let at = since.checked_add(deadline);
        Late(driver, at.map(|at| driver.add_timer(at, Box::new(late))))
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        if let Some(timer) = self.1 {
            self.0.remove_timer(timer);
        }
    }
}

/// Runs a function of the user's; a panic is a failed attempt.
fn caught<R>(what: &str, run: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic_text(&*panic);
        Err(Error::disconnected(format!("the function that {what} panicked: {text}")))
    })
}
