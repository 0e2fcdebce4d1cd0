//! Calls of the peer's that are being served: their answers, and waiting for their end.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use capnp_engine::{Cap, Draft, Serving};
use slab::Slab;

use super::errors::to_exception;
use super::writer::Writer;
use crate::connection::{ArcConn, Conn, Core, Flush, Followup};
use crate::memory::MEMORY;
use crate::notes;
use crate::panics::catch_panic;
use crate::threads::{About, Place, RunningId, Token, batch_continues};
use crate::wire::{AnyBuilder, Encoder};
use crate::{Error, Result};

/// Writes the results of one call.
///
/// It runs under the connection's lock and owns what the user returned, so it is called by reference
/// and dropped elsewhere: a user's value must not be dropped under the lock.
pub(crate) type EncodeFn = Box<dyn FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()> + Send>;

/// The calls of the peer's whose answers are not sent yet.
#[derive(Default)]
pub(crate) struct RunningCalls(Slab<RunningCall>);

struct RunningCall {
    serving: Serving,
    token: Arc<Token>,
    /// The thread of this side that runs the call, and the thread of the peer that waits for it, with a
    /// reference on each.
    thread: Option<Cap>,
    callback: Option<Cap>,
    /// How many calls it is made to serve, as far as the peer has told.
    level: u16,
}

/// A call of the peer's that is not answered yet.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) about: About,
    pub(crate) place: Place,
    /// The name of the thread that it waits for, or runs on, if it names one.
    pub(crate) names: Option<String>,
    pub(crate) cancelled: bool,
}

/// The error without values of the user. A value that the schema does not declare arrives as its text.
fn to_peer(error: Error) -> Error {
    match error {
        // A text as it is: Debug would put it into quotes.
        Error::Raised(raised) => {
            Error::failed(match (raised.get::<String>(), raised.get::<&str>()) {
                (Some(text), _) => text.clone(),
                (_, Some(text)) => (*text).to_owned(),
                _ => raised.to_string(),
            })
        }
        other => other,
    }
}

impl Core {
    /// How many calls of the peer's are being served.
    pub(crate) fn running_calls(&mut self) -> usize {
        self.state().running.0.len()
    }

    /// Adds a call that will be [answered](Conn::finish) later. Takes over the references on the
    /// threads that it names.
    pub(crate) fn begin_running(
        &mut self,
        conn: &Conn,
        serving: Serving,
        token: &Arc<Token>,
        (thread, callback, level): (Option<Cap>, Option<Cap>, u16),
    ) -> RunningId {
        let call = RunningCall { serving, token: Arc::clone(token), thread, callback, level };
        let id = self.state().running.0.insert(call);
        self.engine.begin(serving, id as u64);
        conn.session().idle.begin();
        id
    }

    /// The level of a call that is being served, as far as the peer has told.
    pub(super) fn running_level(&mut self, id: RunningId) -> u16 {
        self.state().running.0.get(id).map_or(0, |call| call.level)
    }

    /// The thread of this side that runs a call. No reference comes with it.
    pub(super) fn running_thread(&mut self, id: RunningId) -> Option<Cap> {
        self.state().running.0.get(id)?.thread
    }

    /// The threads of a call that is being served: this side's, and the peer's that waits for it. No
    /// references come with them.
    pub(crate) fn running_threads(&mut self, id: RunningId) -> Option<(Cap, Cap)> {
        let call = self.state().running.0.get(id)?;
        Some((call.thread?, call.callback?))
    }

    /// The token of a call that is not answered, and the thread that it names.
    pub(super) fn running_token(&mut self, tag: u64) -> Option<(Arc<Token>, Option<Cap>)> {
        let call = self.state().running.0.get(tag as usize)?;
        Some((Arc::clone(&call.token), call.thread))
    }

    /// The calls of the peer's that are not answered yet.
    pub(super) fn served_now(&mut self) -> Vec<Served> {
        let calls = self.state().running.0.iter();
        let calls: Vec<_> = calls.map(|(_, call)| (Arc::clone(&call.token), call.thread)).collect();
        let served = |(token, thread): (Arc<Token>, Option<Cap>)| {
            let object = thread.and_then(|thread| self.object_of(thread));
            let names = object.as_ref().and_then(|object| object.thread());
            let names = names.map(|thread| thread.name().to_owned());
            let (about, place, cancelled) = (token.about, token.place(), token.is_fired());
            Served { about, place, names, cancelled }
        };
        calls.into_iter().map(served).collect()
    }

    fn answer_running(&mut self, id: RunningId, outcome: Result<Draft>) {
        let Some(call) = self.state().running.0.try_remove(id) else {
            return self.discard(outcome);
        };
        self.engine.answer(call.serving, outcome.map_err(to_exception));
        self.engine.release_all([call.thread, call.callback]);
    }

    fn discard(&mut self, outcome: Result<Draft>) {
        if let Ok(draft) = outcome {
            self.engine.discard(draft);
        }
    }

    /// Answers a call at once, under the lock.
    pub(crate) fn answer_now(
        &mut self,
        conn: &ArcConn,
        serving: Serving,
        outcome: Result<&mut EncodeFn>,
    ) {
        let outcome = self.write_results(conn, serving, outcome);
        self.engine.answer(serving, outcome.map_err(to_exception));
    }

    fn write_results(
        &mut self,
        conn: &ArcConn,
        serving: Serving,
        outcome: Result<&mut EncodeFn>,
    ) -> Result<Draft> {
        let encode = outcome?;
        let draft = Draft::results(&MEMORY, serving, |to| {
            let mut writer = Writer::new(self, conn, None);
            let written = catch_panic(|| encode(&mut Encoder::new(&mut writer, 0, 0), to));
            writer.finish(written)
        })?;
        // They may be kept.
        self.allow(draft.bytes());
        Ok(draft)
    }

    /// The engine has ended: calls that still run end later, and their answers are dropped.
    pub(super) fn end_running(&mut self) {
        let running = std::mem::take(&mut self.state().running);
        for (_, call) in running.0 {
            let cleanup = Arc::clone(&self.cleanup);
            self.followups.push(Followup::Run(Box::new(move || call.token.fire(&cleanup))));
        }
    }
}

/// What the log is told of an answer: its size, or why it could not be written. None where the log is off, or
/// the connection has ended. In a box, so that it costs nothing where it is off.
pub(crate) type Told = Option<Box<Result<usize>>>;

/// Wakes the threads in `drain` when no call is being served any more.
#[derive(Default)]
pub(crate) struct Idle {
    state: Mutex<IdleState>,
    changed: Condvar,
}

#[derive(Default)]
struct IdleState {
    running: usize,
    draining: usize,
}

impl Idle {
    fn state(&self) -> MutexGuard<'_, IdleState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call.
    fn begin(&self) {
        self.state().running += 1;
    }

    /// Stops counting a call whose answer is being sent.
    fn end(&self) {
        let mut state = self.state();
        state.running = state.running.saturating_sub(1);
        if state.running == 0 && state.draining > 0 {
            self.changed.notify_all();
        }
    }
}

impl Conn {
    /// A served call has ended; its answer goes out. Not under the lock. Returns for the log and the statistics, where one is on,
    /// the size of its results, or why there are none; none if the connection has ended. Gives the outcome
    /// back where too much waits for a peer that does not read, unless it is to be sent `anyway`.
    pub(crate) fn finish(
        self: &ArcConn,
        id: RunningId,
        outcome: Result<EncodeFn>,
        anyway: bool,
    ) -> std::result::Result<Told, Result<EncodeFn>> {
        // Converted outside the lock, because a raised error is a value of the user.
        let mut outcome = outcome.map_err(to_peer);
        let (written, round) = self.within(|core| {
            let Some(call) = core.state().running.0.get(id) else { return Ok(None) };
            // Bytes are added under the lock only, so that not more than one answer goes beyond the limit.
            if self.is_full() && !anyway {
                return Err(());
            }
            let serving = call.serving;
            let written =
                core.write_results(self, serving, outcome.as_mut().map_err(|e| e.clone()));
            let told = notes::are_on()
                .then(|| Box::new(written.as_ref().map(Draft::bytes).map_err(Error::clone)));
            core.answer_running(id, written);
            Ok(told)
        });
        let Ok(told) = written else {
            self.leave(round);
            return Err(outcome);
        };
        // The method's result is dropped before the answer is sent, so that a caller that destroys
        // the object it got has the last reference. It is this call's that has it where the result could
        // not be given.
        self.cleanup().drop_values("a destructor", outcome);
        // The answers of calls that were read at once are batched.
        let flush = if batch_continues(self) { Flush::Later } else { Flush::Now };
        self.leave_and(round, flush);
        self.session().idle.end();
        Ok(told)
    }

    /// Answers a call that will not be run. May be called with or without the lock.
    pub(crate) fn abandon(self: &ArcConn, id: RunningId, error: Error) {
        self.defer(move |core, _conn| core.answer_running(id, Err(error)));
        self.session().idle.end();
    }

    /// Waits until no call is being served, for `timeout` at most. Returns whether that is so.
    pub(crate) fn drain(self: &ArcConn, timeout: Duration) -> bool {
        let session = self.session();
        let mut idle = session.idle.state();
        idle.draining += 1;
        let (mut idle, waited) = session
            .idle
            .changed
            .wait_timeout_while(idle, timeout, |idle| idle.running > 0)
            .unwrap_or_else(PoisonError::into_inner);
        idle.draining -= 1;
        drop(idle);
        // Answers may be waiting to be written with the next one.
        self.flush();
        !waited.timed_out()
    }
}
