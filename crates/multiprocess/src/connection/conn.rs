//! One connection: the lock around its core, and what happens around each entry. What is built on it is
//! reached through [`Session`].

use std::any::Any;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::task::Waker;
use std::time::Duration;

use capnp_engine::{Descriptor, Effect, Engine, Fatal, Incoming};

use super::batching::Batching;
use super::core::Core;
use super::descriptors;
use super::disconnected::EndWatch;
use super::followup::{Followup, Followups};
use super::frame::Frames;
use super::handshake::Handshake;
use super::limits::Limits;
use super::outbox::Outbox;
use super::socket::Socket;
use super::watch::Watch;
use crate::cleanup::Cleanup;
use crate::closer::Closer;
use crate::driver::{Driver, TimerId, driver};
use crate::forked::is_forked;
use crate::limits_met::Limit;
use crate::memory::MEMORY;
use crate::moment::Moment;
use crate::panics::{panic_text, run_hook};
use crate::poller::SourceId;
use crate::process::{carries_descriptors, peer_credentials, refuse_descriptors};
use crate::{Error, Result};

pub(crate) type ArcConn = Arc<Conn>;
pub(crate) type WeakConn = Weak<Conn>;

/// Work that was requested while another thread held the lock, or may have held it.
pub(super) type Deferred = Box<dyn FnOnce(&mut Core, &ArcConn) + Send>;
/// What is to run when the connection has ended.
pub(super) type Hook = Box<dyn FnOnce() + Send>;
/// The same of the user's, which gets the reason.
pub(super) type UserHook = Box<dyn FnOnce(Error) + Send>;

/// What is built on a connection: the layers above, as this one sees them. All of it runs under the lock.
pub(crate) trait Session: Sync {
    /// Does what the engine wants done, but for writing. `message`: the one that the effect's content
    /// may lie in.
    fn effect(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        effect: Effect,
        message: Option<&Incoming<'_>>,
    );

    /// Something may have changed that calls wait for here: at the end of each entry.
    fn settle(&self, core: &mut Core, conn: &ArcConn);

    /// This side ends the connection: what the peer is to be told before that.
    fn last_words(&self, core: &mut Core);

    /// Drops everything: the engine has ended. Without a connection nobody is left who waits.
    fn end(&self, core: &mut Core, conn: Option<&ArcConn>);
}

/// What is built on a connection: what it does, and what it keeps under the lock and outside.
pub(crate) struct SessionParts {
    pub(crate) session: &'static dyn Session,
    pub(crate) state: Box<dyn Any + Send>,
    pub(crate) shared: Box<dyn Any + Send + Sync>,
    /// How long the peer may take to its first message, if that is bounded.
    pub(crate) first_message: Option<Duration>,
    /// What the program calls the peer, if that is known by now.
    pub(crate) peer_name: Option<String>,
    pub(crate) peer_identity: Option<PeerIdentity>,
    /// No file descriptor goes through the socket, which stands for a stream of another kind.
    pub(crate) carried: bool,
}

/// Who the peer is, as whoever has made the socket has found out.
pub(crate) type PeerIdentity = Arc<dyn Any + Send + Sync>;

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// One connection. Any thread may enter it.
pub(crate) struct Conn {
    pub(super) session: &'static dyn Session,
    pub(super) core: Mutex<Core>,
    pub(super) deferred: Mutex<Vec<Deferred>>,
    pub(super) outbox: Outbox,
    pub(super) frames: Mutex<Frames>,
    /// Shared with idle workers that wait for it: see `reading`.
    pub(super) socket: Arc<Socket>,
    /// Closes what nobody has need of any more of what the peer has sent.
    closer: Arc<Closer>,
    pub(super) watch: Mutex<Watch>,
    /// The socket is full, as far as is known without the watch's lock.
    pub(super) full: AtomicBool,
    /// The timer runs that ends the connection if the peer reads nothing.
    pub(super) stall_timer: AtomicBool,
    pub(super) batching: Batching,
    /// The driver was asked to write.
    pub(super) flush_wanted: AtomicBool,
    pub(super) driver: &'static Driver,
    pub(super) source: SourceId,
    /// Tells it from others of this process, in the log and the dump.
    number: u64,
    since: Moment,
    /// What the program calls the peer.
    peer_name: OnceLock<String>,
    /// Its process, once somebody has asked.
    peer_process: OnceLock<Option<String>>,
    peer_identity: Option<PeerIdentity>,
    limits: Limits,
    /// The session's state outside the lock.
    pub(super) shared: Box<dyn Any + Send + Sync>,
    pub(super) ended: OnceLock<Error>,
    /// Why a message that was taken in ends the connection. Set under the lock of the frames: a thread that
    /// then reads the end of the stream, or fails to write, does not know the reason better.
    pub(super) failure: OnceLock<Error>,
    /// Nobody is to wait for the socket any more: the connection ends.
    pub(super) closing: AtomicBool,
    pub(super) handshake: Handshake,
    in_order: Mutex<InOrder>,
    /// Runs the user's destructors and hooks.
    pub(super) cleanup: Arc<Cleanup>,
    /// What the runtime itself does when the connection has ended. It is quick.
    pub(super) at_end: Mutex<Vec<Hook>>,
    pub(super) on_disconnect: Mutex<Vec<(&'static str, UserHook)>>,
    /// The futures that wait for the end.
    pub(super) disconnected: Arc<EndWatch>,
    pub(super) partial_timer: Mutex<Option<TimerId>>,
    /// A long message has begun.
    pub(super) has_partial: AtomicBool,
}

/// Followups that are run in the order in which they arose, by one thread at a time.
#[derive(Default)]
struct InOrder {
    work: VecDeque<Box<dyn FnOnce() + Send>>,
    busy: bool,
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
        // Elsewhere each write says that it raises no SIGPIPE.
        #[cfg(target_vendor = "apple")]
        rustix::net::sockopt::set_socket_nosigpipe(&socket, true)
            .map_err(|error| Error::io("use the socket", error.into()))?;
        let driver = driver()?;
        let source = driver.new_id();
        let SessionParts {
            session,
            state,
            shared,
            first_message,
            peer_name,
            peer_identity,
            carried,
        } = parts;
        let (closer, carries) = (Closer::new(), carries_descriptors(&socket));
        let descriptors = descriptors::most(carries && !carried, limits.descriptors);
        if carries && descriptors == 0 {
            refuse_descriptors(socket.as_fd());
        }
        let taken = carries.then_some((descriptors, &closer));
        let mut engine = Engine::new(&MEMORY, limits.of_engine(descriptors));
        engine.tell_limits(limits.told(descriptors));
        let bytes = engine.limits().bytes;
        let mut core = Core::new(engine, state, bytes);
        begin(&mut core);
        let cleanup = Arc::clone(&core.cleanup);
        let conn = Arc::new(Conn {
            session,
            core: Mutex::new(core),
            deferred: Mutex::default(),
            outbox: Outbox::default(),
            frames: Mutex::new(Frames::new(limits.message, taken)),
            socket: Arc::new(Socket::new(socket, Arc::clone(&closer))),
            closer,
            watch: Mutex::default(),
            full: AtomicBool::new(false),
            stall_timer: AtomicBool::new(false),
            flush_wanted: AtomicBool::new(false),
            batching: Batching::default(),
            driver,
            source,
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            since: Moment::coarse(),
            peer_name: peer_name.map(OnceLock::from).unwrap_or_default(),
            peer_process: OnceLock::new(),
            peer_identity,
            limits,
            shared,
            ended: OnceLock::new(),
            failure: OnceLock::new(),
            closing: AtomicBool::new(false),
            handshake: Handshake::default(),
            in_order: Mutex::default(),
            cleanup,
            at_end: Mutex::default(),
            on_disconnect: Mutex::default(),
            disconnected: Arc::default(),
            partial_timer: Mutex::default(),
            has_partial: AtomicBool::new(false),
        });
        // Before anything can come.
        if let Some(time) = first_message {
            conn.expect_first_message(time);
        }
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

    /// Tells it from others of this process.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// When it began.
    pub(crate) fn since(&self) -> Moment {
        self.since
    }

    /// Gives the peer a name. The first one stays.
    pub(crate) fn name_peer(&self, name: String) {
        let _ = self.peer_name.set(name);
    }

    /// What the program calls the peer, or else the name of its process and its number. Of a peer that has
    /// this process's number nothing is known: it is at the other end of a pair that was made here.
    pub(crate) fn peer_name(&self) -> Option<&str> {
        if let Some(name) = self.peer_name.get() {
            return Some(name);
        }
        let find = || {
            let pid = peer_credentials(&**self.socket).ok()?.pid?;
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            (pid != std::process::id()).then(|| format!("{}[{pid}]", name.trim_end()))
        };
        self.peer_process.get_or_init(find).as_deref()
    }

    /// Who the peer is, if whoever has made the socket has told.
    pub(crate) fn peer_identity(&self) -> Option<&PeerIdentity> {
        self.peer_identity.as_ref()
    }

    /// How many bytes are not written yet.
    pub(crate) fn unsent(&self) -> usize {
        self.outbox.unsent()
    }

    /// Reads what the lock guards, without waiting. None while another thread has the lock.
    pub(crate) fn try_look<R>(self: &Arc<Self>, look: impl FnOnce(&mut Core) -> R) -> Option<R> {
        let looked = match self.core.try_lock() {
            Ok(mut core) => look(&mut core),
            Err(TryLockError::Poisoned(core)) => look(&mut core.into_inner()),
            Err(TryLockError::WouldBlock) => return None,
        };
        // What was deferred meanwhile is left to who had the lock. It may run code of the user's, so not here.
        if self.has_deferred() {
            let conn = Arc::downgrade(self);
            let poke = move || {
                if let Some(conn) = conn.upgrade() {
                    conn.poke();
                }
            };
            self.driver.add_timer(std::time::Instant::now(), Box::new(poke));
        }
        Some(looked)
    }

    fn has_deferred(&self) -> bool {
        !self.deferred.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where the user's objects of this connection are dropped.
    pub(crate) fn cleanup(&self) -> &Arc<Cleanup> {
        &self.cleanup
    }

    pub(crate) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    pub(crate) fn closer(&self) -> &Arc<Closer> {
        &self.closer
    }

    /// Whether more waits for the peer than it may.
    pub(crate) fn is_full(&self) -> bool {
        self.outbox.is_beyond(self.limits.unsent)
    }

    /// Blocks while more waits for the peer than it may. Not for a thread that reads, nor under the lock.
    pub(crate) fn wait_for_room(&self) {
        // Mostly there is room, and this takes no lock.
        if self.is_full() {
            self.outbox.wait_for_room(self.limits.unsent);
        }
    }

    /// The same for a task: whether there is room; if not, it is woken when there is.
    pub(crate) fn has_room_or_wakes(&self, task: &Waker) -> bool {
        self.outbox.has_room_or_wakes(self.limits.unsent, task)
    }

    /// Why the connection ended, once it has.
    pub(crate) fn ended(&self) -> Option<&Error> {
        self.ended.get()
    }

    /// Whether it has ended, or is about to.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether many futures' calls are about to be written together.
    pub(crate) fn writes_many(&self) -> bool {
        self.batching.is_active()
    }

    // ---- entering the core

    /// The lock, without anything around it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
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
        self.do_effects(core, None);
        (result, self.end_round(core))
    }

    /// Takes in messages with `f`. A panic there ends this connection.
    pub(super) fn take_in(self: &Arc<Self>, f: impl FnOnce(&mut Core) -> Result<()>) -> Round {
        let mut core = self.lock();
        self.take_deferred(&mut core);
        self.do_effects(&mut core, None);
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

    /// Takes in one message of the peer's and has done what follows from it.
    /// `descriptors`: those that may have come with it.
    pub(super) fn receive(
        self: &ArcConn,
        core: &mut Core,
        message: &Incoming<'_>,
        descriptors: &mut Vec<Descriptor>,
    ) -> Result<()> {
        core.allow(message.view().len());
        let received = core.engine.receive_with(message, descriptors).map_err(fatal);
        self.do_effects(core, Some(message));
        match core.take_fatal() {
            Some(error) => Err(error),
            None => received,
        }
    }

    /// Has done what the engine wants done: by the session, but for writing.
    pub(super) fn do_effects(self: &ArcConn, core: &mut Core, message: Option<&Incoming<'_>>) {
        let session = self.session;
        loop {
            while let Some(effect) = core.next_effect() {
                match effect {
                    Effect::Write(message) => core.out.push(message),
                    Effect::WriteWith(carrying) => core.out.push_with(*carrying),
                    effect => session.effect(core, self, effect, message),
                }
            }
            session.settle(core, self);
            if !core.has_effects() {
                return;
            }
        }
    }

    /// Takes out what is to be done after the lock. What is to be written goes to the outbox.
    pub(super) fn end_round(self: &Arc<Self>, core: &mut Core) -> Round {
        core.allow_less();
        let mut failed = core.take_fatal();
        let mut waiting = 0;
        if !core.out.is_empty() {
            waiting = self.outbox.add(&mut core.out);
            if waiting > self.limits.most_unsent() {
                failed.get_or_insert_with(|| {
                    let reason = format!(
                        "this side let it go: {waiting} bytes wait for the other, which does not read \
                         (Limits::unsent)"
                    );
                    Limit::Unsent.met(|| format!("a connection is ended: {reason}"));
                    Error::disconnected(reason)
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
    pub(super) fn run_in_order(&self) {
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
        round.followups.run(&self.cleanup);
        if let Some(error) = round.failed {
            self.end(error);
        }
    }

    /// Does what was deferred, if nobody else is in a position to.
    pub(super) fn poke(self: &Arc<Self>) {
        while self.has_deferred() {
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
    /// be called anywhere. The work may not have run yet when this returns. In a fork of the process it is
    /// forgotten: the connection is the parent's.
    pub(crate) fn defer(self: &Arc<Self>, work: impl FnOnce(&mut Core, &ArcConn) + Send + 'static) {
        if is_forked() {
            return std::mem::forget(work);
        }
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(work));
        self.poke();
    }

    /// Does what was deferred, under the lock.
    pub(super) fn take_deferred(self: &Arc<Self>, core: &mut Core) {
        let deferred =
            std::mem::take(&mut *self.deferred.lock().unwrap_or_else(PoisonError::into_inner));
        for work in deferred {
            work(core, self);
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
    pub(super) followups: Followups,
    pub(super) failed: Option<Error>,
    /// How many bytes wait to be written, where the round has added some.
    waiting: usize,
    /// There are followups that have an order.
    pub(super) in_order: bool,
}

impl Round {
    /// How many futures are to be woken.
    pub(super) fn futures(&self) -> usize {
        self.followups.iter().filter(|work| matches!(work, Followup::Wake(_))).count()
    }
}

fn fatal(fatal: Fatal) -> Error {
    match fatal {
        Fatal::Misbehaved(problem) => Error::PeerMisbehaved { problem },
        Fatal::Aborted(_) => Error::disconnected(fatal.to_string()),
    }
}

#[cfg(test)]
mod tests;
