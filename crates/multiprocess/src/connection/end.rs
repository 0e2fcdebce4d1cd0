//! The end of a connection, whoever brings it about: what ends with it, and in which order. Where the
//! peer has not answered yet, the end is explained first.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use capnp_engine::{Effect, Exception, ExceptionKind, Failure};
use rustix::net::{Shutdown, shutdown};

use super::conn::{ArcConn, Conn, Hook, Session, UserHook};
use super::core::Core;
use super::disconnected::Disconnected;
use super::followup::Followup;
use super::handshake::Explain;
use super::registry;
use crate::cleanup::Cleanup;
use crate::forked::is_forked;
use crate::panics::{catch_panic, run_hook};
use crate::{Error, TimedOut};

impl Conn {
    /// Begins the handshake: the connection ends if the peer has not answered within `timeout`.
    pub(crate) fn start_handshake(self: &ArcConn, timeout: Duration, explain: Explain) {
        let conn = ArcConn::downgrade(self);
        let late = move || {
            if let Some(conn) = conn.upgrade() {
                let late = TimedOut::waiting_for(conn.peer_name(), timeout);
                conn.end(Error::Timeout(late));
            }
        };
        let deadline = Instant::now().checked_add(timeout);
        let deadline = deadline.map(|deadline| self.driver.add_timer(deadline, Box::new(late)));
        drop(self.handshake.take());
        self.handshake.begin(explain, deadline);
    }

    /// The peer has answered the last question of the handshake.
    pub(crate) fn handshake_done(&self) -> Option<Followup> {
        let explain = self.handshake.take()?;
        Some(Followup::Run(Box::new(|| drop(explain))))
    }

    /// The peer has answered a question of the handshake with an error. If there is somebody to explain
    /// that, the connection is to end with the error that this returns.
    pub(crate) fn refused(&self, error: &Error) -> Option<Error> {
        if self.handshake.is_over() {
            return None;
        }
        let why = error.reason();
        Some(Error::disconnected(format!("it does not serve what is asked for first: {why}")))
    }

    /// No question was asked, so there will be nothing to explain.
    pub(crate) fn stop_explaining(&self) {
        drop(self.handshake.take());
    }

    /// Ends the connection: every call that waits and every later one fails with `error`, or with
    /// what explains it where the peer has not answered yet.
    pub(crate) fn end(self: &ArcConn, error: Error) {
        if !self.close() {
            return;
        }
        let error = self.failure.get().cloned().unwrap_or(error);
        match self.handshake.take() {
            Some(explain) => self.explain_end(error, explain),
            None => self.complete_end(error, false),
        }
    }

    /// The next end that the socket brings about has this reason, unless there is one already.
    pub(crate) fn explain_next_end(&self, reason: Error) {
        let _ = self.failure.set(reason);
    }

    /// The same, by this side and at once.
    pub(crate) fn end_now(self: &ArcConn, error: Error) {
        drop(self.handshake.take());
        self.close();
        self.complete_end(error, true);
    }

    /// From now on nobody waits for the socket. False if that was so before.
    fn close(self: &ArcConn) -> bool {
        let first = !self.closing.swap(true, Ordering::AcqRel);
        if first {
            self.driver.remove(self.source, self.socket.as_fd());
        }
        first
    }

    /// The connection has ended with `error` before the peer has answered. `explain` may block, so it runs
    /// on a thread for the user's code. The calls that wait fail when it has returned; the socket is shut
    /// down at once.
    fn explain_end(self: &ArcConn, error: Error, explain: Explain) {
        self.enter(|core| core.abort(&error));
        let _ = shutdown(&**self.socket, Shutdown::Both);
        let conn = ArcConn::clone(self);
        // In a queue of its own: it must not wait for destructors and hooks.
        Cleanup::new().run("the function that explains why a connection ended", move || {
            let explained = catch_panic(|| Ok(explain(error.clone()))).unwrap_or(error);
            let error = match explained {
                Error::Timeout(late) => Error::disconnected(late.to_string()),
                other => other,
            };
            conn.complete_end(error, false);
        });
    }

    /// The last part of the end, once. `by_this_side`: the peer still reads, and is told what it has to know.
    fn complete_end(self: &ArcConn, error: Error, by_this_side: bool) {
        let (mut round, first) = {
            let mut core = self.lock();
            self.take_deferred(&mut core);
            // Under the lock: a method that learnt of the end before the calls did could still
            // answer its caller with it, as if the error were its own.
            let first = self.ended.set(error.clone()).is_ok();
            if first {
                // A panic in the core may have torn it: then the pieces are leaked.
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    if by_this_side {
                        self.session.last_words(&mut core);
                    }
                    end_core(self.session, &mut core, Some(self), &error)
                }));
            } else {
                self.do_effects(&mut core, None);
            }
            (self.end_round(&mut core), first)
        };
        if !first {
            round.failed = None;
            return self.leave(round);
        }
        // What was said before the end is sent if the socket takes it at once.
        let _ = self.outbox.flush(&self.socket);
        self.outbox.close();
        let _ = shutdown(&**self.socket, Shutdown::Both);
        self.give_up_frames();
        if round.in_order {
            self.run_in_order();
        }
        self.run_end_hooks(&error);
        round.followups.run(&self.cleanup);
        self.disconnected.tell(&error);
        self.watch_partial(false);
        self.forget_partial();
        self.poke();
    }

    /// Drops what was read and not taken in: its memory, and its file descriptors.
    fn give_up_frames(self: &ArcConn) {
        /// What a thread does that has them now is soon done.
        const SOON: Duration = Duration::from_millis(1);
        match self.frames.try_lock() {
            Ok(mut frames) => return frames.give_up(),
            Err(TryLockError::Poisoned(frames)) => return frames.into_inner().give_up(),
            Err(TryLockError::WouldBlock) => {}
        }
        let conn = ArcConn::downgrade(self);
        let again = move || {
            if let Some(conn) = conn.upgrade() {
                conn.give_up_frames();
            }
        };
        self.driver.add_timer(Instant::now() + SOON, Box::new(again));
    }

    /// Runs `hook`, the user's, when the connection has ended, at once if it has. `what` says in the log
    /// what it is.
    pub(crate) fn on_disconnect(&self, what: &'static str, hook: UserHook) {
        let mut hooks = self.on_disconnect.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = self.ended.get().cloned() {
            drop(hooks);
            // The thread that ends it may still be at it: when it has the lock no more, all calls have failed.
            drop(self.lock());
            Cleanup::new().run(what, move || hook(error));
        } else {
            hooks.push((what, hook));
        }
    }

    /// The end, as a future.
    pub(crate) fn disconnected(&self) -> Disconnected {
        Disconnected::new(&self.disconnected)
    }

    /// Runs `hook`, the runtime's own, when the connection has ended: on the thread that ends it, before
    /// anything of the user's. It must be quick, and take no lock of this connection.
    pub(crate) fn at_end(&self, hook: Hook) {
        let mut hooks = self.at_end.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ended.get().is_some() {
            drop(hooks);
            hook();
        } else {
            hooks.push(hook);
        }
    }

    fn run_end_hooks(&self, error: &Error) {
        let own = std::mem::take(&mut *self.at_end.lock().unwrap_or_else(PoisonError::into_inner));
        for hook in own {
            run_hook("the runtime", hook);
        }
        let hooks =
            std::mem::take(&mut *self.on_disconnect.lock().unwrap_or_else(PoisonError::into_inner));
        // In a queue of their own: they must not wait for the destructors of the peer's objects.
        let queue = Cleanup::new();
        for (what, hook) in hooks {
            let error = error.clone();
            queue.run(what, move || hook(error));
        }
    }
}

impl Conn {
    /// In a fork: what the connection holds is not dropped. Its destructors take locks that other threads of
    /// the parent may have had at the moment of the fork, and they may be the user's.
    fn forget_all(&mut self) {
        fn taken<T: Default>(mutex: &mut Mutex<T>) -> T {
            std::mem::take(mutex.get_mut().unwrap_or_else(PoisonError::into_inner))
        }
        let core = self.core.get_mut().unwrap_or_else(PoisonError::into_inner);
        std::mem::forget((
            core.forget_all(),
            std::mem::replace(&mut self.shared, Box::new(())),
            taken(&mut self.deferred),
            taken(&mut self.at_end),
            taken(&mut self.on_disconnect),
        ));
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if is_forked() {
            // The socket and what the driver watches are the parent's, too.
            return self.forget_all();
        }
        registry::remove(self.number());
        self.driver.remove(self.source, self.socket.as_fd());
        self.forget_partial();
        if self.ended().is_none() {
            let core = self.core.get_mut().unwrap_or_else(PoisonError::into_inner);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                self.session.last_words(core);
                core.write_effects();
            }));
            self.outbox.add(&mut core.out);
        }
        // That, and what the driver was to write soon.
        let _ = self.outbox.flush(&self.socket);
        // A worker may still wait for the socket: it sees the end, and that there is no connection.
        let _ = shutdown(&**self.socket, Shutdown::Both);
        if let Some(timer) =
            self.partial_timer.get_mut().unwrap_or_else(PoisonError::into_inner).take()
        {
            self.driver.remove_timer(timer);
        }
        if let Some(explain) = self.handshake.take() {
            self.cleanup.run("the destructor of a function of the user's", move || drop(explain));
        }
        if self.ended().is_none() {
            // The last handle has gone: the peer learns of it by the end of the stream.
            let error = Error::disconnected("this side let the connection go");
            let core = self.core.get_mut().unwrap_or_else(PoisonError::into_inner);
            let _ = catch_unwind(AssertUnwindSafe(|| end_core(self.session, core, None, &error)));
            let followups = std::mem::take(&mut core.followups);
            self.run_end_hooks(&error);
            followups.run(&self.cleanup);
            self.disconnected.tell(&error);
        }
    }
}

/// Ends the engine and drops everything. Without a connection nobody is left who waits.
fn end_core(session: &dyn Session, core: &mut Core, conn: Option<&ArcConn>, error: &Error) {
    core.abort(error);
    let reason = error.reason().into_owned();
    core.engine.end(Failure::from(Exception::new(ExceptionKind::Disconnected, reason)));
    while let Some(effect) = core.engine.next_effect() {
        match (effect, conn) {
            (Effect::Write(message), _) => core.out.push(message),
            (Effect::WriteWith(carrying), _) => core.out.push_with(*carrying),
            (effect, Some(conn)) => session.effect(core, conn, effect, None),
            (_, None) => {}
        }
    }
    session.end(core, conn);
}
