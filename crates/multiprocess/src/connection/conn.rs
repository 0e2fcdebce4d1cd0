//! One connection: the lock around its core, and what happens around each entry.

use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};

use rustix::net::{Shutdown, shutdown};

use super::after::After;
use super::core::{CapId, Core, RunningId, panic_text};
use super::crowd::Crowd;
use super::frame::Frames;
use super::handshake::Handshake;
use super::limits::Limits;
use super::outbox::Outbox;
use super::serving::Idle;
use super::stream::Watch;
use crate::codec::Encoder;
use crate::driver::{Driver, TimerId, driver};
use crate::poller::SourceId;
use crate::rpc::{CallId, Cap, Outcome, Outline, Waiter};
use crate::rt::Interface;
use crate::server::{Local, ServedObject, Streams, Token};
use crate::thread::{Lanes, pool};
use crate::versions::PeerVersions;
use crate::wire::Builder;
use crate::{Error, Result};

pub(crate) type ArcConn = Arc<Conn>;
pub(crate) type WeakConn = Weak<Conn>;

/// What has been asked for while the lock was, or may have been, held by another.
pub(super) enum Deferred {
    ReleaseCap(CapId),
    ReleaseCaller(u64),
    Cancel(CallId),
    Abandon(RunningId, Error),
    GoOn(Arc<Streams>),
}

type Hook = Box<dyn FnOnce() + Send>;

pub(crate) struct Conn {
    core: Mutex<Core>,
    deferred: Mutex<Vec<Deferred>>,
    pub(super) outbox: Outbox,
    pub(super) frames: Mutex<Frames>,
    /// Shared with idle workers that wait for it: see `lead`.
    pub(super) socket: Arc<OwnedFd>,
    pub(super) watch: Mutex<Watch>,
    /// The socket is full, as far as is known without the watch's lock.
    pub(super) full: AtomicBool,
    pub(super) crowd: Crowd,
    /// The driver was asked to write.
    pub(super) flush_wanted: AtomicBool,
    pub(super) driver: &'static Driver,
    pub(super) source: SourceId,
    limits: Limits,
    inline: Arc<Lanes>,
    ended: OnceLock<Error>,
    versions: PeerVersions,
    /// Nobody is to wait for the socket any more: the connection ends.
    closing: AtomicBool,
    pub(super) handshake: Handshake,
    pub(super) idle: Idle,
    on_disconnect: Mutex<Vec<Hook>>,
    pub(super) partial_timer: Mutex<Option<TimerId>>,
}

impl Conn {
    /// Takes over a connected stream socket. `object` is what the peer can ask for first.
    pub(crate) fn start<I: Interface>(
        socket: OwnedFd,
        object: Option<&I>,
        limits: Limits,
    ) -> Result<ArcConn> {
        let conn = Conn::start_client_unwatched(socket, limits)?;
        if let Some(object) = object {
            let served = Arc::new(ServedObject(object.clone()));
            let mut core = conn.lock();
            let local = Local::new(&mut core, served);
            core.rpc.set_bootstrap(Cap::Local(local));
        }
        conn.watch_socket()?;
        Ok(conn)
    }

    /// The same, serving nothing.
    pub(crate) fn start_client(socket: OwnedFd, limits: Limits) -> Result<ArcConn> {
        let conn = Conn::start_client_unwatched(socket, limits)?;
        conn.watch_socket()?;
        Ok(conn)
    }

    fn start_client_unwatched(socket: OwnedFd, limits: Limits) -> Result<ArcConn> {
        rustix::io::ioctl_fionbio(&socket, true)
            .map_err(|error| Error::io("use the socket", error.into()))?;
        let driver = driver()?;
        let source = driver.new_id();
        Ok(Arc::new(Conn {
            core: Mutex::default(),
            deferred: Mutex::default(),
            outbox: Outbox::default(),
            frames: Mutex::new(Frames::new(limits.message)),
            socket: Arc::new(socket),
            watch: Mutex::default(),
            full: AtomicBool::new(false),
            flush_wanted: AtomicBool::new(false),
            crowd: Crowd::default(),
            driver,
            source,
            limits,
            inline: Lanes::new(1),
            ended: OnceLock::new(),
            versions: PeerVersions::default(),
            closing: AtomicBool::new(false),
            handshake: Handshake::default(),
            idle: Idle::default(),
            on_disconnect: Mutex::default(),
            partial_timer: Mutex::default(),
        }))
    }

    fn watch_socket(self: &ArcConn) -> Result<()> {
        let weak: WeakConn = Arc::downgrade(self);
        self.driver.add(self.source, self.socket.as_fd(), weak)
    }

    /// What is known of the peer's versions.
    pub(crate) fn versions(&self) -> &PeerVersions {
        &self.versions
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn inline_lane(&self) -> Arc<Lanes> {
        Arc::clone(&self.inline)
    }

    pub(crate) fn socket(&self) -> &Arc<OwnedFd> {
        &self.socket
    }

    /// Why the connection ended, once it has.
    pub(crate) fn ended(&self) -> Option<&Error> {
        self.ended.get()
    }

    // ---- entering the core

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` with the core, sends what it wants sent, and then does, outside the lock, what that
    /// left to be done.
    pub(super) fn enter<R>(self: &Arc<Self>, f: impl FnOnce(&mut Core) -> R) -> R {
        let (result, round) = self.within(f);
        self.leave(round);
        result
    }

    /// The same up to the end of the lock.
    pub(super) fn within<R>(self: &Arc<Self>, f: impl FnOnce(&mut Core) -> R) -> (R, Round) {
        self.round(&mut self.lock(), f)
    }

    fn round<R>(self: &Arc<Self>, core: &mut Core, f: impl FnOnce(&mut Core) -> R) -> (R, Round) {
        self.take_deferred(core);
        let result = f(core);
        (result, self.end_round(core))
    }

    /// Takes in messages with `f`. A panic there ends this connection.
    pub(super) fn take_in(self: &Arc<Self>, f: impl FnOnce(&mut Core) -> Result<()>) -> Round {
        let mut core = self.lock();
        self.take_deferred(&mut core);
        if core.failed || self.ended().is_some() {
            // The tables are empty, or will be: what the messages name would be missing.
            return self.end_round(&mut core);
        }
        let taken = catch_unwind(AssertUnwindSafe(|| f(&mut core))).unwrap_or_else(|panic| {
            let problem =
                format!("it sent what this side could not take in: {}", panic_text(&*panic));
            Err(Error::PeerMisbehaved { problem })
        });
        core.failed = taken.is_err();
        let mut round = self.end_round(&mut core);
        round.failed = taken.err().or(round.failed);
        round
    }

    fn end_round(self: &Arc<Self>, core: &mut Core) -> Round {
        core.clear_garbage();
        core.go_on_with_held(self);
        core.settle(self);
        let mut failed = self.check_open(core.rpc.open_answers()).err();
        let out = core.rpc.out();
        let mut waiting = 0;
        if !out.is_empty() {
            waiting = self.outbox.add(out);
            if waiting > self.limits.unsent {
                failed.get_or_insert_with(|| Error::PeerMisbehaved {
                    problem: format!(
                        "it does not read, or not as fast as this side calls: {waiting} bytes wait \
                         for it; {} is the limit (Limits::unsent)",
                        self.limits.unsent
                    ),
                });
            }
        }
        let after = std::mem::take(&mut core.after);
        let cancelled = std::mem::take(&mut core.cancelled);
        Round { after, cancelled, failed, waiting }
    }

    /// Calls that are served are refused at their limit. Beside them there are those that wait for
    /// other calls' answers, and those that were answered and are kept for what they returned.
    fn check_open(&self, (unanswered, unfinished): (usize, usize)) -> Result<()> {
        let served = self.limits.calls;
        let limits = [
            (unanswered, served.saturating_mul(2), "answered"),
            (unfinished, served.saturating_mul(4).saturating_add(1024), "finished"),
        ];
        for (count, limit, what) in limits {
            if count > limit {
                let problem = format!("{count} of its calls are not {what}; {limit} is the limit");
                return Err(Error::PeerMisbehaved { problem });
            }
        }
        Ok(())
    }

    /// After the lock: writes, wakes, and user code.
    pub(super) fn leave(self: &Arc<Self>, round: Round) {
        self.leave_and(round, Flush::Now);
    }

    pub(super) fn leave_and(self: &Arc<Self>, round: Round, flush: Flush) {
        self.settle(round, flush);
        self.poke();
    }

    fn settle(self: &Arc<Self>, round: Round, flush: Flush) {
        match flush {
            Flush::Now => self.flush(),
            Flush::Soon => self.flush_soon(round.waiting),
            Flush::Later => self.flush_later(),
        }
        for work in round.after {
            work.run();
        }
        for token in round.cancelled {
            token.fire();
        }
        if let Some(error) = round.failed {
            self.end(error);
        }
    }

    /// Does what was deferred, if nobody else is in a position to.
    fn poke(self: &Arc<Self>) {
        while !self.deferred.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            let mut core = match self.core.try_lock() {
                Ok(core) => core,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // Whoever holds the lock comes by here when done.
                Err(TryLockError::WouldBlock) => return,
            };
            let ((), round) = self.round(&mut core, |_| ());
            drop(core);
            self.settle(round, Flush::Now);
        }
    }

    pub(super) fn defer(self: &Arc<Self>, work: Deferred) {
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner).push(work);
        self.poke();
    }

    fn take_deferred(self: &Arc<Self>, core: &mut Core) {
        let deferred =
            std::mem::take(&mut *self.deferred.lock().unwrap_or_else(PoisonError::into_inner));
        for work in deferred {
            match work {
                Deferred::ReleaseCap(id) => core.release_cap(id),
                Deferred::Cancel(id) => {
                    if let Some(interrupt) = core.cancel_call(id) {
                        self.interrupt_later(core, interrupt);
                    }
                }
                Deferred::ReleaseCaller(inbox) => core.threads.release_caller(inbox),
                Deferred::Abandon(id, error) => {
                    self.answer_running(core, id, Outcome::Error(error));
                }
                Deferred::GoOn(streams) => streams.go_on(core, self),
            }
        }
    }

    // ---- for handles and calls

    pub(crate) fn release_cap(self: &Arc<Self>, id: CapId) {
        self.defer(Deferred::ReleaseCap(id));
    }

    pub(crate) fn release_caller(self: &Arc<Self>, inbox: u64) {
        self.defer(Deferred::ReleaseCaller(inbox));
    }

    pub(crate) fn cancel(self: &Arc<Self>, id: CallId) {
        self.defer(Deferred::Cancel(id));
    }

    /// A capability on the peer's first object. `answered`: who is told that the peer has answered.
    pub(super) fn bootstrap<I: Interface>(self: &Arc<Self>, answered: Waiter) -> Result<CapId> {
        self.enter(|core| {
            if let Some(error) = self.ended() {
                return Err(error.clone());
            }
            let Some(construct) = I::CONSTRUCT else {
                let first = core.ask_bootstrap(answered);
                return Ok(core.keep_cap(first));
            };
            let first = core.ask_bootstrap(Waiter::Handshake { last: false });
            let (id, (size, slot)) = (construct.id, construct.params);
            let mut fill = |cx: &mut Encoder<'_>, to: crate::rt::AnyBuilder<'_>| {
                cx.thread_map(&mut Builder::content(to, size), slot);
                Ok(())
            };
            let outline = Outline::new(id);
            let path = Some(vec![id.pipeline]);
            let (_, map) = core.call(self, &first, &outline, &mut fill, answered, path)?;
            if let Some(map) = map {
                core.threads.set_peer_map(map);
            }
            Ok(core.keep_cap(first))
        })
    }

    // ---- the end

    /// Ends the connection: every call that waits and every later one fails with `error`, or with
    /// what explains it where the peer has not answered yet.
    pub(crate) fn end(self: &Arc<Self>, error: Error) {
        if !self.close() {
            return;
        }
        match self.handshake.take() {
            Some(explain) => self.explain_end(error, explain),
            None => self.complete_end(error),
        }
    }

    /// The same, by this side and at once.
    pub(super) fn end_now(self: &Arc<Self>, error: Error) {
        drop(self.handshake.take());
        self.close();
        self.complete_end(error);
    }

    /// From now on nobody waits for the socket. False if that was so before.
    fn close(self: &Arc<Self>) -> bool {
        let first = !self.closing.swap(true, Ordering::AcqRel);
        if first {
            self.driver.remove(self.source, self.socket.as_fd());
        }
        first
    }

    /// Whether it has ended, or is about to.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The last part of the end, once.
    pub(super) fn complete_end(self: &Arc<Self>, error: Error) {
        let (after, cancelled) = {
            let mut core = self.lock();
            self.take_deferred(&mut core);
            // Under the lock: a method that learnt of the end before the calls did could still
            // answer its caller with it, as if the error were its own.
            if self.ended.set(error.clone()).is_err() {
                return;
            }
            self.end_core(&mut core, &error)
        };
        // What was said before the end is sent if the socket takes it at once.
        let _ = self.outbox.flush(&self.socket);
        self.outbox.close();
        let _ = shutdown(&*self.socket, Shutdown::Both);
        for work in after {
            work.run();
        }
        cancelled.iter().for_each(|token| token.fire());
        let hooks =
            std::mem::take(&mut *self.on_disconnect.lock().unwrap_or_else(PoisonError::into_inner));
        for hook in hooks {
            pool::clean_up(hook);
        }
        self.watch_partial(false);
        self.poke();
    }

    /// Empties the core. A panic in the protocol may have torn it: then the pieces are leaked.
    fn end_core(self: &Arc<Self>, core: &mut Core, error: &Error) -> (Vec<After>, Vec<Arc<Token>>) {
        let _ = catch_unwind(AssertUnwindSafe(|| core.end(Some(self), error)));
        self.outbox.add(core.rpc.out());
        (std::mem::take(&mut core.after), std::mem::take(&mut core.cancelled))
    }

    /// Runs `hook` when the connection has ended, at once if it has.
    pub(crate) fn on_disconnect(&self, hook: Hook) {
        let mut hooks = self.on_disconnect.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ended.get().is_some() {
            drop(hooks);
            pool::clean_up(hook);
        } else {
            hooks.push(hook);
        }
    }
}

/// When what a round has added is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    Now,
    /// By the driver, with what else comes until it does.
    Soon,
    /// By this thread, which is about to add more.
    Later,
}

/// What one round in the core leaves to do.
pub(super) struct Round {
    after: Vec<After>,
    cancelled: Vec<Arc<Token>>,
    failed: Option<Error>,
    /// How many bytes wait to be written, where the round has added some.
    waiting: usize,
}

impl Round {
    /// How many futures are to be woken.
    pub(super) fn futures(&self) -> usize {
        self.after.iter().filter(|work| matches!(work, After::Wake(_))).count()
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.driver.remove(self.source, self.socket.as_fd());
        // What the driver was to write soon.
        let _ = self.outbox.flush(&self.socket);
        // A worker may still wait for the socket: it sees the end, and that there is no connection.
        let _ = shutdown(&*self.socket, Shutdown::Both);
        if let Some(timer) =
            self.partial_timer.get_mut().unwrap_or_else(PoisonError::into_inner).take()
        {
            self.driver.remove_timer(timer);
        }
        if let Some(explain) = self.handshake.take() {
            pool::clean_up(move || drop(explain));
        }
        if self.ended().is_none() {
            // The last handle has gone: the peer learns of it by the end of the stream.
            let error = Error::disconnected("this side let the connection go");
            let core = self.core.get_mut().unwrap_or_else(PoisonError::into_inner);
            let _ = catch_unwind(AssertUnwindSafe(|| core.end(None, &error)));
            for work in std::mem::take(&mut core.after) {
                work.run();
            }
            let hooks = std::mem::take(
                self.on_disconnect.get_mut().unwrap_or_else(PoisonError::into_inner),
            );
            for hook in hooks {
                pool::clean_up(hook);
            }
        }
    }
}
