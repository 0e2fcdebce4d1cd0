//! One connection: the lock around its core, and what happens around each entry.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use capnp::any_pointer;
use capnp::capability::{FromClientHook, Promise, Response};
use capnp::private::capability::ResponseHook;
use capnp_rpc::RpcSystem;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};

use super::after::After;
use super::caller::Slot;
use super::core::{Core, Locked};
use super::frame::Frames;
use super::lead::Leader;
use super::network::{Net, Network};
use super::outbox::{Flushed, Outbox};
use super::tables::{CallId, CapId, RunningId, Tables, to_engine};
use crate::codec::EncodeFn;
use crate::driver::{Driver, Source, driver};
use crate::guard::catch_panic;
use crate::poller::SourceId;
use crate::rt::{Encoder, Interface};
use crate::server::{Local, ServedObject, Token};
use crate::thread::{Lanes, pool};
use crate::versions::PeerVersions;
use crate::wire::Builder;
use crate::{Error, Result};

pub(crate) type ArcConn = Arc<Conn>;
pub(crate) type WeakConn = Weak<Conn>;

/// Bounds on what one peer can make this process hold.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest message, in bytes. A larger one ends the connection. 64 MiB unless set.
    pub message: usize,
    /// Calls of the peer's that are being served at once. More are refused as overloaded. As many
    /// again may wait for the answer of another call, and twice as many and 1,024 more may be
    /// answered and kept for what they returned; more end the connection. 4,096 unless set.
    pub calls: usize,
    /// Threads that the peer can have made. More are refused as overloaded. 256 unless set.
    pub threads: usize,
    /// Bytes that wait to be sent to a peer that does not read. More end the connection. 128 MiB
    /// unless set.
    pub unsent: usize,
    /// How long the rest of a message that has begun may take. 60 seconds unless set.
    pub partial_message: Duration,
    /// Whether a thread that waits reads the socket itself, which is what makes calls fast. Off, one
    /// thread of the process reads for all; for comparison and tests. On unless set.
    pub lead: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message: 64 << 20,
            calls: 4096,
            threads: 256,
            unsent: 128 << 20,
            partial_message: Duration::from_secs(60),
            lead: true,
        }
    }
}

/// What has been asked for while the lock was, or may have been, held by another.
enum Deferred {
    ReleaseCap(CapId),
    ReleaseCaller(u64),
    Cancel(CallId),
    Abandon(RunningId, Error),
}

type Hook = Box<dyn FnOnce() + Send>;

pub(crate) struct Conn {
    core: Locked,
    deferred: Mutex<Vec<Deferred>>,
    outbox: Outbox,
    frames: Mutex<Frames>,
    /// Shared with idle workers that wait for it: see `lead`.
    socket: Arc<OwnedFd>,
    watch: Mutex<Watch>,
    driver: &'static Driver,
    source: SourceId,
    limits: Limits,
    inline: Arc<Lanes>,
    ended: OnceLock<Error>,
    versions: PeerVersions,
    /// Set once the core has been emptied and the socket shut.
    closing: AtomicBool,
    idle: Idle,
    on_disconnect: Mutex<Vec<Hook>>,
    partial_timer: Mutex<Option<crate::driver::TimerId>>,
}

/// Tells those who drain that no call is being served any more.
#[derive(Default)]
struct Idle {
    state: Mutex<IdleState>,
    changed: Condvar,
}

#[derive(Default)]
struct IdleState {
    running: usize,
    draining: usize,
}

/// Who reads the socket: see `lead`.
#[derive(Default)]
pub(super) struct Watch {
    /// The thread that leads, and its number; none while the driver reads.
    pub(super) leader: Option<Leader>,
    pub(super) next: u64,
    /// The socket is full: the driver tells when it has room.
    write: bool,
}

impl Conn {
    /// Takes over a connected stream socket. `object` is what the peer can ask for first.
    pub(crate) fn start<I: Interface>(
        socket: OwnedFd,
        object: Option<&I>,
        limits: Limits,
    ) -> Result<ArcConn> {
        Conn::start_with(socket, limits, |conn, tables| {
            let served = Box::new(ServedObject(object?.clone()));
            Some(capnp::capability::Client::new(Local::new(conn, tables, served).hook()))
        })
    }

    /// The same, serving nothing.
    pub(crate) fn start_client(socket: OwnedFd, limits: Limits) -> Result<ArcConn> {
        Conn::start_with(socket, limits, |_conn, _tables| None)
    }

    fn start_with(
        socket: OwnedFd,
        limits: Limits,
        bootstrap: impl FnOnce(WeakConn, &Rc<Tables>) -> Option<capnp::capability::Client>,
    ) -> Result<ArcConn> {
        rustix::io::ioctl_fionbio(&socket, true)
            .map_err(|error| Error::io("use the socket", error.into()))?;
        let driver = driver()?;
        let source = driver.new_id();
        let conn = Arc::new_cyclic(|weak: &WeakConn| Conn {
            core: Locked::new(|| {
                let net = Rc::new(Net::default());
                let tables = Rc::new(Tables::new(Rc::clone(&net)));
                let bootstrap = bootstrap(weak.clone(), &tables);
                let system = RpcSystem::new(Box::new(Network::new(net)), bootstrap);
                Core::new(tables, system)
            }),
            deferred: Mutex::default(),
            outbox: Outbox::default(),
            frames: Mutex::new(Frames::new(limits.message)),
            socket: Arc::new(socket),
            watch: Mutex::default(),
            driver,
            source,
            limits,
            inline: Lanes::new(1),
            ended: OnceLock::new(),
            versions: PeerVersions::default(),
            closing: AtomicBool::new(false),
            idle: Idle::default(),
            on_disconnect: Mutex::default(),
            partial_timer: Mutex::default(),
        });
        let weak: WeakConn = Arc::downgrade(&conn);
        driver.add(source, conn.socket.as_fd(), weak)?;
        Ok(conn)
    }

    /// What is known of the peer's versions.
    pub(crate) fn versions(&self) -> &PeerVersions {
        &self.versions
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn driver(&self) -> &'static Driver {
        self.driver
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

    /// Runs `f` with the core, lets the engine run until it is quiet, sends what it wants sent, and
    /// then does, outside the lock, what that left to be done.
    pub(super) fn enter<R: Send>(self: &Arc<Self>, f: impl FnOnce(&mut Core) -> R) -> R {
        let (result, round) = self.core.with(|core| self.round(core, f));
        self.leave(round);
        result
    }

    fn round<R>(self: &Arc<Self>, core: &mut Core, f: impl FnOnce(&mut Core) -> R) -> (R, Round) {
        self.take_deferred(core);
        let result = f(core);
        let mut failed = core.run_until_quiet().err();
        while core.tables.interrupts.release_over() && failed.is_none() {
            failed = core.run_until_quiet().err();
        }
        if failed.is_none() && self.ended.get().is_none() {
            failed = core.tables.net.over();
        }
        if let Err(error) = self.check_open(core.tables.net.open_questions()) {
            failed.get_or_insert(error);
        }
        let messages = core.tables.net.take_outgoing();
        if !messages.is_empty() {
            let waiting = self.outbox.add(|bytes| {
                for message in &messages {
                    // Writing to a Vec does not fail.
                    let _ = capnp::serialize::write_message(&mut *bytes, &**message);
                }
            });
            if waiting > self.limits.unsent {
                failed.get_or_insert_with(|| Error::PeerMisbehaved {
                    problem: format!(
                        "{waiting} bytes wait to be read by it; {} is the limit",
                        self.limits.unsent
                    ),
                });
            }
        }
        let cancelled = core.tables.net.take_cancelled();
        (result, Round { after: core.take_after(), cancelled, failed })
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
    fn leave(self: &Arc<Self>, round: Round) {
        self.settle(round);
        self.poke();
    }

    fn settle(self: &Arc<Self>, round: Round) {
        self.flush();
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
            match self.core.try_with(|core| self.round(core, |_| ()).1) {
                // Whoever holds the lock comes by here when done.
                None => return,
                Some(round) => self.settle(round),
            }
        }
    }

    fn defer(self: &Arc<Self>, work: Deferred) {
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner).push(work);
        self.poke();
    }

    fn take_deferred(self: &Arc<Self>, core: &Core) {
        let deferred =
            std::mem::take(&mut *self.deferred.lock().unwrap_or_else(PoisonError::into_inner));
        for work in deferred {
            match work {
                Deferred::ReleaseCap(id) => core.tables.release_cap(id),
                Deferred::Cancel(id) => {
                    if let Some(interrupt) = core.tables.cancel_call(id) {
                        self.interrupt_later(&core.tables, interrupt);
                    }
                }
                Deferred::ReleaseCaller(inbox) => core.tables.threads.release_caller(inbox),
                Deferred::Abandon(id, error) => {
                    self.finish_locked(&core.tables, id, Err(to_engine(&error)));
                }
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

    /// A capability on the peer's first object, and where the peer's answer about it arrives.
    pub(crate) fn bootstrap<I: Interface>(self: &Arc<Self>) -> Result<(CapId, Arc<Slot<()>>)> {
        let slot = Arc::new(Slot::unwatched());
        let filled = Arc::clone(&slot);
        let conn = Arc::clone(self);
        let cap = self.enter(move |core| {
            if let Some(error) = conn.ended() {
                return Err(error.clone());
            }
            let tables = Rc::clone(&core.tables);
            let Some(system) = core.system() else {
                return Err(tables.end_reason());
            };
            let client: capnp::capability::Client = system.bootstrap(());
            let answer = match I::CONSTRUCT {
                Some(construct) => {
                    let (id, (size, slot)) = (construct.id, construct.params);
                    let mut request = client.hook.new_call(id.interface, id.ordinal, None);
                    let mut params = Builder::content(request.get(), size);
                    Encoder::immediate(&conn, &tables).thread_map(&mut params, slot);
                    let sent = request.send();
                    tables
                        .threads
                        .set_peer_map(sent.pipeline.get_pointer_field(id.pipeline).as_cap());
                    sent.promise
                }
                None => arrived(client.hook.when_resolved()),
            };
            let weak = Rc::downgrade(&tables);
            tables.add_call(
                answer,
                Box::new(move |answer| {
                    let tables = weak.upgrade()?;
                    filled.fill(answer.map(drop).map_err(|error| tables.call_error(&error)))
                }),
                None,
            );
            Ok(tables.keep_cap(client.into_client_hook()))
        })?;
        Ok((cap, slot))
    }

    // ---- for calls that are served

    /// A served call has begun.
    pub(crate) fn count_running(&self) {
        self.idle().running += 1;
    }

    /// A served call has ended; its answer goes out. Not under the lock.
    pub(crate) fn finish(self: &Arc<Self>, id: RunningId, outcome: Result<EncodeFn>) {
        let (mut encode, outcome) = match outcome {
            Ok(encode) => (Some(encode), Ok(())),
            // Here: an error that was raised is the user's value.
            Err(error) => (None, Err(to_engine(&error))),
        };
        let ((), round) = self.core.with(|core| {
            self.round(core, |core| {
                let outcome = outcome.map(|()| encode.as_mut());
                self.finish_locked(&core.tables, id, outcome);
            })
        });
        // What the method returned goes before the answer does: a caller that destroys the object
        // it got is the last to hold it.
        crate::guard::run_hook("a destructor", || drop(encode));
        self.leave(round);
        self.count_finished();
    }

    /// A served call will not be run. Wherever that is found.
    pub(crate) fn abandon(self: &Arc<Self>, id: RunningId, error: Error) {
        self.defer(Deferred::Abandon(id, error));
        self.count_finished();
    }

    fn count_finished(&self) {
        let mut idle = self.idle();
        idle.running = idle.running.saturating_sub(1);
        if idle.running == 0 && idle.draining > 0 {
            self.idle.changed.notify_all();
        }
    }

    fn idle(&self) -> MutexGuard<'_, IdleState> {
        self.idle.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish_locked(
        self: &Arc<Self>,
        tables: &Rc<Tables>,
        id: RunningId,
        outcome: std::result::Result<Option<&mut EncodeFn>, capnp::Error>,
    ) {
        let Some(mut call) = tables.finish_running(id) else { return };
        let outcome = outcome.and_then(|encode| {
            let results = call.results.hook.get()?;
            let Some(encode) = encode else { return Ok(()) };
            catch_panic(|| encode(&mut Encoder::immediate(self, tables), results))
                .map_err(|error| to_engine(&error))
        });
        drop(call.results);
        let _ = call.done.send(outcome);
    }

    /// Waits until no call is being served, for `timeout` at most. Whether that came about.
    pub(crate) fn drain(&self, timeout: Duration) -> bool {
        let mut idle = self.idle();
        idle.draining += 1;
        let (mut idle, waited) = self
            .idle
            .changed
            .wait_timeout_while(idle, timeout, |idle| idle.running > 0)
            .unwrap_or_else(PoisonError::into_inner);
        idle.draining -= 1;
        !waited.timed_out()
    }

    // ---- the socket

    /// Changes who reads and whether the driver waits for room, and tells the driver.
    pub(super) fn set_watch<R>(&self, change: impl FnOnce(&mut Watch) -> R) -> std::io::Result<R> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let before = (watch.leader.is_none(), watch.write);
        let result = change(&mut watch);
        let after = (watch.leader.is_none(), watch.write);
        if before != after && !self.closing.load(Ordering::Acquire) {
            // Under the lock, so that the last change is the last that the driver hears of.
            self.driver.watch(self.source, self.socket.as_fd(), after.0, after.1)?;
        }
        Ok(result)
    }

    fn flush(self: &Arc<Self>) {
        let flushed = self.outbox.flush(&self.socket);
        self.flushed(flushed);
    }

    fn flushed(self: &Arc<Self>, flushed: std::io::Result<Flushed>) {
        match flushed {
            Ok(Flushed::Done) => {}
            Ok(Flushed::Full) => {
                if let Err(error) = self.set_watch(|watch| watch.write = true) {
                    self.end(Error::disconnected(format!("cannot watch the socket: {error}")));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                self.end_after_reading("the other side closed the connection".to_owned());
            }
            Err(error) => self.end_after_reading(format!("cannot write: {error}")),
        }
    }

    /// Ends the connection, once what the peer said before it stopped reading has been taken in.
    /// On the driver thread: whoever failed to write may be in the middle of something.
    fn end_after_reading(self: &Arc<Self>, reason: String) {
        /// More than a socket's buffer holds: the peer is not followed for ever.
        const READS: usize = 64;
        let conn = Arc::clone(self);
        self.driver.add_timer(
            Instant::now(),
            Box::new(move || {
                let _ = (0..READS).find(|_| !conn.read());
                conn.end(Error::disconnected(reason));
            }),
        );
    }

    /// Reads once and hands the engine the messages that are whole now. False when there is nothing
    /// more to read now.
    pub(super) fn read(self: &Arc<Self>) -> bool {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match recv(&*self.socket, frames.room(), RecvFlags::DONTWAIT) {
            Ok((_, 0)) => {
                let partial = frames.is_partial();
                drop(frames);
                let how = if partial { "in the middle of a message" } else { "the connection" };
                self.end(Error::disconnected(format!("the other side closed {how}")));
                return false;
            }
            Ok((_, count)) => count,
            Err(rustix::io::Errno::INTR) => return true,
            Err(rustix::io::Errno::AGAIN) => return false,
            // It closed without having read all that was sent to it.
            Err(rustix::io::Errno::CONNRESET) => {
                drop(frames);
                self.end(Error::disconnected("the other side closed the connection"));
                return false;
            }
            Err(error) => {
                drop(frames);
                self.end(Error::disconnected(format!("cannot read: {error}")));
                return false;
            }
        };
        let messages = match frames.take(count) {
            Ok(messages) => messages,
            Err(error) => {
                drop(frames);
                self.end(error);
                return false;
            }
        };
        if !messages.is_empty() {
            // What is left over is the beginning of another message, with a time of its own.
            self.watch_partial(false);
        }
        self.watch_partial(frames.is_partial());
        if !messages.is_empty() {
            // Others may read, too: the bytes must reach the engine in their order.
            let ((), round) =
                self.core.with(|core| self.round(core, |core| core.tables.net.receive(messages)));
            drop(frames);
            self.leave(round);
        }
        true
    }

    /// Starts or stops the deadline for the rest of a message.
    fn watch_partial(self: &Arc<Self>, partial: bool) {
        let mut timer = self.partial_timer.lock().unwrap_or_else(PoisonError::into_inner);
        match (partial, timer.take()) {
            (true, None) => {
                let weak = Arc::downgrade(self);
                let Some(deadline) = Instant::now().checked_add(self.limits.partial_message) else {
                    return;
                };
                *timer = Some(self.driver.add_timer(
                    deadline,
                    Box::new(move || {
                        if let Some(conn) = weak.upgrade() {
                            conn.end(Error::PeerMisbehaved {
                                problem: "it began a message and did not send the rest".to_owned(),
                            });
                        }
                    }),
                ));
            }
            (true, running) => *timer = running,
            (false, Some(running)) => self.driver.remove_timer(running),
            (false, None) => {}
        }
    }

    // ---- the end

    /// Ends the connection: every call that waits and every later one fails with `error`.
    pub(crate) fn end(self: &Arc<Self>, error: Error) {
        if self.closing.swap(true, Ordering::AcqRel) {
            return;
        }
        self.driver.remove(self.source, self.socket.as_fd());
        let after = self.core.with(|core| {
            self.take_deferred(core);
            // Under the lock: a method that learnt of the end before the engine did could still
            // answer its caller with it, as if the error were its own.
            let _ = self.ended.set(error.clone());
            core.end(&error);
            let messages = core.tables.net.take_outgoing();
            self.outbox.add(|bytes| {
                for message in &messages {
                    let _ = capnp::serialize::write_message(&mut *bytes, &**message);
                }
            });
            core.take_after()
        });
        // What was said before the end is sent if the socket takes it at once.
        let _ = self.outbox.flush(&self.socket);
        self.outbox.close();
        let _ = shutdown(&*self.socket, Shutdown::Both);
        for work in after {
            work.run();
        }
        let hooks =
            std::mem::take(&mut *self.on_disconnect.lock().unwrap_or_else(PoisonError::into_inner));
        for hook in hooks {
            pool::run(hook);
        }
        self.watch_partial(false);
        self.poke();
    }

    /// Runs `hook` when the connection has ended, at once if it has.
    pub(crate) fn on_disconnect(&self, hook: Hook) {
        let mut hooks = self.on_disconnect.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ended.get().is_some() {
            drop(hooks);
            pool::run(hook);
        } else {
            hooks.push(hook);
        }
    }
}

/// The arrival of a capability as if it were the answer of a call.
fn arrived(
    resolved: Promise<(), capnp::Error>,
) -> Promise<Response<any_pointer::Owned>, capnp::Error> {
    struct Arrived;
    impl ResponseHook for Arrived {
        fn get(&self) -> capnp::Result<any_pointer::Reader<'_>> {
            Err(capnp::Error::failed("a capability's arrival has no content".to_owned()))
        }
    }
    Promise::from_future(async move {
        resolved.await?;
        Ok(Response::new(Box::new(Arrived)))
    })
}

/// What one round in the core leaves to do.
struct Round {
    after: Vec<After>,
    cancelled: Vec<Arc<Token>>,
    failed: Option<Error>,
}

impl Source for Conn {
    fn readable(self: Arc<Self>) {
        self.read();
    }

    fn writable(self: Arc<Self>) {
        // Before the outbox goes on: once it is empty another thread may fill the socket again, and
        // its wish to be told must not be undone here.
        let _ = self.set_watch(|watch| watch.write = false);
        let flushed = self.outbox.resume(&self.socket);
        self.flushed(flushed);
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.driver.remove(self.source, self.socket.as_fd());
        // A worker may still wait for the socket: it sees the end, and that there is no connection.
        let _ = shutdown(&*self.socket, Shutdown::Both);
        if let Some(timer) =
            self.partial_timer.get_mut().unwrap_or_else(PoisonError::into_inner).take()
        {
            self.driver.remove_timer(timer);
        }
        if !self.closing.load(Ordering::Acquire) {
            // The last handle has gone: the peer learns of it by the end of the stream.
            let error = Error::disconnected("this side let the connection go");
            let after = self.core.with(|core| {
                core.end(&error);
                core.take_after()
            });
            for work in after {
                work.run();
            }
            let hooks = std::mem::take(
                self.on_disconnect.get_mut().unwrap_or_else(PoisonError::into_inner),
            );
            for hook in hooks {
                pool::run(hook);
            }
        }
    }
}
