//! One connection: the lock around its core, and what happens around each entry.

use std::any::Any;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};

use capnp_engine::Engine;
use rustix::net::{Shutdown, shutdown};

use super::batching::Batching;
use super::core::{Core, Session};
use super::followup::{Followup, Followups};
use super::frame::Frames;
use super::handshake::Handshake;
use super::limits::Limits;
use super::outbox::Outbox;
use super::stream::Watch;
use crate::driver::{Driver, TimerId, driver};
use crate::memory::MEMORY;
use crate::panics::{panic_text, run_hook};
use crate::poller::SourceId;
use crate::pool;
use crate::{Error, Result};

pub(crate) type ArcConn = Arc<Conn>;
pub(crate) type WeakConn = Weak<Conn>;

/// Work that was requested while another thread held the lock, or may have held it.
type Deferred = Box<dyn FnOnce(&mut Core, &ArcConn) + Send>;
type Hook = Box<dyn FnOnce() + Send>;

pub(crate) struct Conn {
    core: Mutex<Core>,
    deferred: Mutex<Vec<Deferred>>,
    pub(super) outbox: Outbox,
    pub(super) frames: Mutex<Frames>,
    /// Shared with idle workers that wait for it: see `reading`.
    pub(super) socket: Arc<OwnedFd>,
    pub(super) watch: Mutex<Watch>,
    /// The socket is full, as far as is known without the watch's lock.
    pub(super) full: AtomicBool,
    pub(super) batching: Batching,
    /// The driver was asked to write.
    pub(super) flush_wanted: AtomicBool,
    pub(super) driver: &'static Driver,
    pub(super) source: SourceId,
    limits: Limits,
    /// The session's state outside the lock.
    shared: Box<dyn Any + Send + Sync>,
    ended: OnceLock<Error>,
    /// The connection ends, and nobody may wait for the socket any more.
    closing: AtomicBool,
    pub(super) handshake: Handshake,
    in_order: Mutex<InOrder>,
    on_disconnect: Mutex<Vec<Hook>>,
    pub(super) partial_timer: Mutex<Option<TimerId>>,
}

/// Followups that are run in the order in which they arose, by one thread at a time.
#[derive(Default)]
struct InOrder {
    work: VecDeque<Box<dyn FnOnce() + Send>>,
    busy: bool,
}

/// The session of a connection, and its state under the lock and outside.
pub(crate) struct SessionParts {
    pub(crate) session: &'static dyn Session,
    pub(crate) state: Box<dyn Any + Send>,
    pub(crate) shared: Box<dyn Any + Send + Sync>,
}

impl Conn {
    /// Takes over a connected stream socket. `begin` is the first to enter, before anything is read.
    pub(crate) fn start(
        socket: OwnedFd,
        limits: Limits,
        parts: SessionParts,
        begin: impl FnOnce(&mut Core),
    ) -> Result<ArcConn> {
        rustix::io::ioctl_fionbio(&socket, true)
            .map_err(|error| Error::io("use the socket", error.into()))?;
        let driver = driver()?;
        let source = driver.new_id();
        let SessionParts { session, state, shared } = parts;
        let engine = Engine::new(&MEMORY, limits.of_engine());
        let mut core = Core::new(engine, session, state);
        begin(&mut core);
        let conn = Arc::new(Conn {
            core: Mutex::new(core),
            deferred: Mutex::default(),
            outbox: Outbox::default(),
            frames: Mutex::new(Frames::new(limits.message)),
            socket: Arc::new(socket),
            watch: Mutex::default(),
            full: AtomicBool::new(false),
            flush_wanted: AtomicBool::new(false),
            batching: Batching::default(),
            driver,
            source,
            limits,
            shared,
            ended: OnceLock::new(),
            closing: AtomicBool::new(false),
            handshake: Handshake::default(),
            in_order: Mutex::default(),
            on_disconnect: Mutex::default(),
            partial_timer: Mutex::default(),
        });
        let weak: WeakConn = Arc::downgrade(&conn);
        driver.add(source, conn.socket.as_fd(), weak)?;
        Ok(conn)
    }

    /// The session's state outside the lock.
    ///
    /// # Panics
    /// It is of another type: the connection was started for another session.
    pub(crate) fn shared<S: Any>(&self) -> &S {
        let shared = self.shared.downcast_ref();
        shared.unwrap_or_else(|| unreachable!("a connection has one kind of session"))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn socket(&self) -> &Arc<OwnedFd> {
        &self.socket
    }

    /// Why the connection ended, once it has.
    pub(crate) fn ended(&self) -> Option<&Error> {
        self.ended.get()
    }

    /// Whether the calls of many futures are about to be written at once.
    pub(crate) fn writes_many(&self) -> bool {
        self.batching.is_active()
    }

    // ---- entering the core

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` with the core and sends its messages, and then runs the followups outside the lock.
    pub(crate) fn enter<R>(self: &Arc<Self>, f: impl FnOnce(&mut Core) -> R) -> R {
        let (result, round) = self.within(f);
        self.leave(round);
        result
    }

    /// The same up to the end of the lock.
    pub(crate) fn within<R>(self: &Arc<Self>, f: impl FnOnce(&mut Core) -> R) -> (R, Round) {
        self.round(&mut self.lock(), f)
    }

    fn round<R>(self: &Arc<Self>, core: &mut Core, f: impl FnOnce(&mut Core) -> R) -> (R, Round) {
        self.take_deferred(core);
        let result = f(core);
        core.settle(self, None);
        (result, self.end_round(core))
    }

    /// Takes in messages with `f`. A panic there ends this connection.
    pub(super) fn take_in(self: &Arc<Self>, f: impl FnOnce(&mut Core) -> Result<()>) -> Round {
        let mut core = self.lock();
        self.take_deferred(&mut core);
        core.settle(self, None);
        if core.failed || self.ended().is_some() {
            // The tables are empty, or will be, so the entries that the messages name would be
            // missing.
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
        let mut failed = core.take_fatal();
        let mut waiting = 0;
        if !core.out.is_empty() {
            waiting = self.outbox.add(&mut core.out);
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
        let in_order = !core.in_order.is_empty();
        if in_order {
            let mut queue = self.in_order.lock().unwrap_or_else(PoisonError::into_inner);
            queue.work.extend(core.in_order.drain(..));
        }
        let followups = std::mem::take(&mut core.followups);
        Round { followups, failed, waiting, in_order }
    }

    /// Runs the followups that have an order, unless another thread does.
    fn run_in_order(&self) {
        let lock = || self.in_order.lock().unwrap_or_else(PoisonError::into_inner);
        let mut queue = lock();
        if std::mem::replace(&mut queue.busy, true) {
            return;
        }
        while let Some(work) = queue.work.pop_front() {
            drop(queue);
            run_hook("an executor", work);
            queue = lock();
        }
        queue.busy = false;
    }

    /// After the lock: writes, wakes, and user code.
    pub(crate) fn leave(self: &Arc<Self>, round: Round) {
        self.leave_and(round, Flush::Now);
    }

    pub(crate) fn leave_and(self: &Arc<Self>, round: Round, flush: Flush) {
        self.settle(round, flush);
        self.poke();
    }

    fn settle(self: &Arc<Self>, round: Round, flush: Flush) {
        match flush {
            Flush::Now => self.flush(),
            Flush::Soon => self.flush_soon(round.waiting),
            Flush::Later => self.flush_later(),
        }
        if round.in_order {
            self.run_in_order();
        }
        round.followups.run();
        if let Some(error) = round.failed {
            self.end(error);
        }
    }

    /// Runs deferred work, unless another thread has the lock and so will do it.
    fn poke(self: &Arc<Self>) {
        while !self.deferred.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            let mut core = match self.core.try_lock() {
                Ok(core) => core,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // The thread that holds the lock checks for deferred work when it is done.
                Err(TryLockError::WouldBlock) => return,
            };
            let ((), round) = self.round(&mut core, |_| ());
            drop(core);
            self.settle(round, Flush::Now);
        }
    }

    /// Has `work` run under the lock soon, by the thread that holds the lock or takes it next. May
    /// be called anywhere. The work may not have run yet when this returns.
    pub(crate) fn defer(self: &Arc<Self>, work: impl FnOnce(&mut Core, &ArcConn) + Send + 'static) {
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(work));
        self.poke();
    }

    fn take_deferred(self: &Arc<Self>, core: &mut Core) {
        let deferred =
            std::mem::take(&mut *self.deferred.lock().unwrap_or_else(PoisonError::into_inner));
        for work in deferred {
            work(core, self);
        }
    }

    // ---- the end

    /// Ends the connection: every call that waits and every later one fails with `error`, or with
    /// its explanation if the peer has not answered yet.
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
    pub(crate) fn end_now(self: &Arc<Self>, error: Error) {
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
        let (round, first) = {
            let mut core = self.lock();
            self.take_deferred(&mut core);
            // Under the lock: a method that learnt of the end before the calls did could still
            // answer its caller with it, as if the error were its own.
            let first = self.ended.set(error.clone()).is_ok();
            if first {
                // A panic in the core may have torn it: then the pieces are leaked.
                let _ = catch_unwind(AssertUnwindSafe(|| core.end(Some(self), &error)));
            } else {
                core.settle(self, None);
            }
            (self.end_round(&mut core), first)
        };
        if !first {
            return self.leave(Round { failed: None, ..round });
        }
        // What was said before the end is sent if the socket takes it at once.
        let _ = self.outbox.flush(&self.socket);
        self.outbox.close();
        let _ = shutdown(&*self.socket, Shutdown::Both);
        if round.in_order {
            self.run_in_order();
        }
        round.followups.run();
        let hooks =
            std::mem::take(&mut *self.on_disconnect.lock().unwrap_or_else(PoisonError::into_inner));
        for hook in hooks {
            pool::clean_up(hook);
        }
        self.watch_partial(false);
        self.poke();
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
pub(crate) enum Flush {
    Now,
    /// By the driver, with what else comes until it does.
    Soon,
    /// By this thread, which is about to add more.
    Later,
}

/// What one round in the core leaves to do.
pub(crate) struct Round {
    followups: Followups,
    failed: Option<Error>,
    /// How many bytes wait to be written, where the round has added some.
    waiting: usize,
    /// There are followups that have an order.
    in_order: bool,
}

impl Round {
    /// How many futures are to be woken.
    pub(super) fn futures(&self) -> usize {
        self.followups.iter().filter(|work| matches!(work, Followup::Wake(_))).count()
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
            std::mem::take(&mut core.followups).run();
            let hooks = std::mem::take(
                self.on_disconnect.get_mut().unwrap_or_else(PoisonError::into_inner),
            );
            for hook in hooks {
                pool::clean_up(hook);
            }
        }
    }
}
