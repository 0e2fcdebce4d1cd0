//! The state of a connection that is made again. Any thread may look at it; nothing of the user's runs, and
//! nothing of the user's is dropped, under its lock.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use super::connector::{Connector, Link, Open};
use super::current::{Current, ReconnectState};
use super::settings::Settings;
use crate::calls::connection::Connection;
use crate::cleanup::Cleanup;
use crate::driver::{Driver, TimerId};
use crate::panics::run_hook;
use crate::process::Delays;
use crate::wakers::Wakers;
use crate::{Error, Result};

/// Makes the user's value over a connection, within a time.
pub(super) type Make<T> = Box<dyn FnMut(&Link, Duration) -> Result<T> + Send>;
/// Is told why a connection was lost.
pub(super) type OnLoss = Box<dyn FnMut(Error) + Send>;

/// Whether to try again after this error.
pub(super) type RetryIf = Arc<dyn Fn(&Error) -> bool + Send + Sync>;

/// The functions that an attempt uses.
pub(super) struct Functions<T> {
    pub(super) connector: Connector,
    pub(super) open: Open,
    pub(super) make: Make<T>,
}

/// What all handles and the running attempt share.
pub(super) struct Shared<T> {
    pub(super) settings: Settings,
    pub(super) driver: &'static Driver,
    state: Mutex<State<T>>,
    changed: Condvar,
}

pub(super) struct State<T> {
    pub(super) phase: Phase<T>,
    /// Of the last connection that there was.
    pub(super) generation: u64,
    pub(super) delays: Delays,
    /// Attempts since there was a connection.
    pub(super) attempt: u32,
    /// Since when there is none.
    pub(super) since: Instant,
    pub(super) last_error: Option<Error>,
    /// When the next attempt is made, and the timer for it.
    pub(super) next_try: Option<(Instant, TimerId)>,
    /// The connection of the attempt that is under way, and its thread.
    pub(super) connecting: Option<Connection>,
    pub(super) thread: Option<ThreadId>,
    /// None while they run.
    pub(super) functions: Option<Functions<T>>,
    pub(super) on_loss: Option<OnLoss>,
    /// None when this is over.
    pub(super) retry_if: Option<RetryIf>,
    pub(super) wakers: Wakers,
}

pub(super) enum Phase<T> {
    Connecting,
    /// And since when.
    Connected(Current<T>, Instant),
    Ended(Error),
}

impl<T> State<T> {
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// What there is to have now; an error if there will be nothing.
    pub(super) fn current(&self) -> Option<Result<Current<T>>> {
        match &self.phase {
            // If it has ended this is about to be told so.
            Phase::Connected(current, _) if current.connection.is_connected() => {
                Some(Ok(current.clone()))
            }
            Phase::Connected(..) | Phase::Connecting => None,
            Phase::Ended(reason) => Some(Err(reason.clone())),
        }
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    pub(super) fn new(
        settings: Settings,
        driver: &'static Driver,
        functions: Functions<T>,
        (on_loss, retry_if): (Option<OnLoss>, RetryIf),
    ) -> Shared<T> {
        let state = State {
            phase: Phase::Connecting,
            generation: 0,
            delays: Delays::new(settings.backoff),
            attempt: 0,
            since: Instant::now(),
            last_error: None,
            next_try: None,
            connecting: None,
            thread: None,
            functions: Some(functions),
            on_loss,
            retry_if: Some(retry_if),
            wakers: Wakers::default(),
        };
        Shared { settings, driver, state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn snapshot(&self) -> ReconnectState {
        let state = self.state();
        match &state.phase {
            Phase::Connected(current, _) => {
                ReconnectState::Connected { generation: current.generation }
            }
            Phase::Connecting => ReconnectState::Connecting {
                attempt: state.attempt,
                last_error: state.last_error.clone(),
                next_try: state.next_try.map(|(next, _)| next),
            },
            Phase::Ended(reason) => ReconnectState::Ended { reason: reason.clone() },
        }
    }

    /// Blocks until there is a connection, or there will be none.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<Result<Current<T>>> {
        let mut state = self.state();
        loop {
            if let Some(current) = state.current() {
                return Some(current);
            }
            if state.thread == Some(std::thread::current().id()) {
                return Some(Err(Error::misuse(
                    "this function makes the connection, so it cannot wait for it: use what it is given",
                )));
            }
            let Some(deadline) = deadline else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// After the state has changed, without its lock: tells everyone who waits.
    pub(super) fn tell(&self) {
        let wakers = self.state().wakers.take();
        self.changed.notify_all();
        for waker in wakers {
            run_hook("the waker of a future that waits for a connection", || waker.wake());
        }
    }

    /// From now on there is no connection. Does not block, and does nothing the second time. Returns the
    /// connection that there was.
    pub(super) fn end(&self, reason: Error) -> Option<Connection> {
        let mut state = self.state();
        if state.is_over() {
            return None;
        }
        let last = std::mem::replace(&mut state.phase, Phase::Ended(reason));
        let (timer, connecting) = (state.next_try.take(), state.connecting.take());
        let users = (state.functions.take(), state.on_loss.take(), state.retry_if.take());
        let last_error = state.last_error.take();
        drop(state);
        if let Some((_, timer)) = timer {
            self.driver.remove_timer(timer);
        }
        let connection = match &last {
            Phase::Connected(current, _) => Some(current.connection.clone()),
            _ => connecting,
        };
        if let Some(connection) = &connection {
            connection.disconnect();
        }
        self.tell();
        Cleanup::new().run("the end of a connection that was made again", move || {
            if let Phase::Connected(Current { child: Some(child), .. }, _) = &last {
                let _ = child.end();
            }
            drop((last, users, last_error));
        });
        connection
    }
}
