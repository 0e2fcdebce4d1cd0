//! A program that is started again whenever it ends.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::backoff::{Backoff, Delays};
use super::child::Child;
use super::child_state::ChildState;
use super::exit::Exit;
use super::spawn::Command;
use crate::{Error, Result, panics, thread_start};

/// Keeps a program running: starts it, gives each new child with its socket to a function, and when the
/// child has exited starts it again, after the delays of a [`Backoff`].
///
/// The function runs on a thread of the supervisor's own and may block, for instance as long as it serves
/// the socket. There is no restart before it has returned, so it should return when the socket is at its
/// end. If it panics, the panic is logged and the child made to end.
///
/// A restart whose program cannot be started counts as a child that ended at once; it is logged.
///
/// Dropping the supervisor stops it without blocking: there is no further restart, and the present child
/// is ended in the background as a dropped [`Child`] is, even if others hold it. [`stop`](Supervisor::stop)
/// does so and waits.
///
/// In a fork of this process it is over and has no child, and stopping or dropping it does nothing: the
/// program goes on, for this process.
///
/// ```
/// use std::io::Read;
/// use std::sync::mpsc;
/// use std::time::Duration;
/// use multiprocess::process::{Backoff, Command, Supervisor};
///
/// # fn main() -> multiprocess::Result<()> {
/// // A program that says what its number is, and then waits until its socket is closed.
/// let command = Command::new("/bin/bash").arg("-c").arg("echo $$ >&$0; read x <&$0");
/// let backoff = Backoff { first: Duration::from_millis(1), ..Backoff::default() };
/// let (tell, started) = mpsc::channel();
/// let supervisor = Supervisor::start(command, backoff, move |_child, mut socket| {
///     let mut byte = [0];
///     let answered = socket.read(&mut byte).is_ok_and(|read| read > 0);
///     // A real program would make a connection of the socket, and hand out its bootstrap object.
///     let _ = tell.send((answered, socket));
/// })?;
///
/// let (answered, first) = started.recv().unwrap();
/// assert!(answered);
/// drop(first); // it exits, and is started again
/// let (answered, second) = started.recv().unwrap();
/// assert!(answered);
///
/// supervisor.disarm(); // from now on an exit is the last one
/// drop(second);
/// let exit = supervisor.stop();
/// assert!(exit.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropped, it ends the process"]
pub struct Supervisor {
    shared: Arc<Shared>,
    /// The process that supervises.
    made_by: u32,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// The state has changed.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// There is to be no further restart.
    disarmed: bool,
    /// The child that runs. None between two, and while one is being started.
    child: Option<Arc<Child>>,
    /// A child is being started, and is not in `child` yet.
    starting: bool,
    restarts: u64,
    /// How the last child ended.
    last_exit: Option<Exit>,
    /// There is no child and will be none.
    over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Blocks while `condition` holds.
    fn wait_while(&self, mut condition: impl FnMut(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_while(self.state(), |state| condition(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Supervisor {
    /// Starts the program for the first time, and keeps it running from then on. `started` gets each child
    /// and this process's end of its socket.
    ///
    /// # Errors
    ///
    /// [`Error::Spawn`] where the program cannot be started this first time, or there is no thread for
    /// the supervisor; nothing is left running then.
    pub fn start(
        command: Command,
        backoff: Backoff,
        started: impl FnMut(Arc<Child>, UnixStream) + Send + 'static,
    ) -> Result<Supervisor> {
        let begin = Instant::now();
        let (child, socket) = command.spawn()?;
        let child = Arc::new(child);
        let state = State { child: Some(Arc::clone(&child)), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let program = command.program().to_owned();
        let run = Run {
            command,
            delays: Delays::new(backoff),
            started: Box::new(started),
            shared: Arc::clone(&shared),
        };
        let run = move || run.run(begin, child, socket);
        match thread_start::start_uncounted("mp-supervisor", run) {
            Ok(()) => Ok(Supervisor { shared, made_by: std::process::id() }),
            Err(error) => {
                let problem = format!("there is no thread to supervise it: {error}");
                Err(Error::Spawn { program, problem })
            }
        }
    }

    /// Whether this process supervises, and is not a fork of the one that does. There another thread may
    /// have had the lock at the moment of the fork, so it is not taken.
    fn is_ours(&self) -> bool {
        self.made_by == std::process::id()
    }

    /// The child that runs, or `None` between two.
    pub fn child(&self) -> Option<Arc<Child>> {
        if !self.is_ours() {
            return None;
        }
        self.shared.state().child.clone()
    }

    /// What the present child is doing, or how the last one ended while there is none. Does not block.
    pub fn state(&self) -> ChildState {
        if !self.is_ours() {
            return ChildState::Exited(Exit::Unknown);
        }
        let state = self.shared.state();
        match (&state.child, state.last_exit) {
            (Some(child), _) => child.state(),
            (None, Some(exit)) => ChildState::Exited(exit),
            // There is a child from the start on.
            (None, None) => ChildState::Started,
        }
    }

    /// How many times the program was started again, in all. One that could not be started counts.
    pub fn restarts(&self) -> u64 {
        if self.is_ours() { self.shared.state().restarts } else { 0 }
    }

    /// Whether there is no child and will be none: the program ended too often, or ended after
    /// [`disarm`](Supervisor::disarm).
    pub fn is_over(&self) -> bool {
        !self.is_ours() || self.shared.state().over
    }

    /// Blocks until the last child has exited, which is when the program ended too often or, after
    /// [`disarm`](Supervisor::disarm), with the present child. Returns how it ended, if there was one.
    pub fn wait(&self) -> Option<Exit> {
        if !self.is_ours() {
            return None;
        }
        self.shared.wait_while(|state| !state.over).last_exit
    }

    /// From now on there is no restart. The present child goes on; close its socket now, so that it
    /// exits by itself.
    pub fn disarm(&self) {
        if self.is_ours() {
            self.shared.change(|state| state.disarmed = true);
        }
    }

    /// Makes the program end for good, as [`Child::end`] does, with SIGTERM and SIGKILL after the times
    /// of the command's [`grace`](Command::grace). Returns when the child is reaped, and tells how the
    /// last one ended. Does not wait for the function to return.
    ///
    /// To let the child exit by itself, [`disarm`](Supervisor::disarm) and close the socket before.
    pub fn stop(self) -> Option<Exit> {
        if !self.is_ours() {
            return None;
        }
        self.disarm();
        let state = self.shared.wait_while(|state| state.starting);
        let Some(child) = state.child.clone() else { return state.last_exit };
        drop(state);
        Some(child.end_within(child.grace()))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.disarm();
        // One that is being started is seen to by the thread that does so.
        if let Some(child) = self.child() {
            child.end_in_background();
        }
    }
}

/// What the supervisor's thread has.
struct Run {
    command: Command,
    delays: Delays,
    started: Box<dyn FnMut(Arc<Child>, UnixStream) + Send>,
    shared: Arc<Shared>,
}

impl Run {
    fn run(mut self, mut begin: Instant, child: Arc<Child>, socket: UnixStream) {
        let mut next = Some((child, socket));
        loop {
            if let Some((child, socket)) = next {
                self.serve(child, socket);
            }
            if !self.pause(begin.elapsed()) {
                break;
            }
            begin = Instant::now();
            next = self.start_again();
        }
        let Run { started, shared, .. } = self;
        // The user's code, too, and it may hold what others wait for.
        panics::run_hook("the drop of a supervisor's function", || drop(started));
        shared.change(|state| state.over = true);
    }

    /// Has the user's function take the child, and waits for its exit.
    fn serve(&mut self, child: Arc<Child>, socket: UnixStream) {
        let mut returned = false;
        panics::run_hook("the function of a supervisor", || {
            (self.started)(Arc::clone(&child), socket);
            returned = true;
        });
        let exit = match returned {
            true => child.wait_exit(),
            false => child.end_within(child.grace()),
        };
        tracing::info!(pid = child.id(), %exit, "supervised child ended");
        self.shared.change(|state| {
            state.child = None;
            state.last_exit = Some(exit);
        });
    }

    /// Waits for the next restart. Whether there is one.
    fn pause(&mut self, ran: Duration) -> bool {
        let Some(delay) = self.delays.next(ran) else {
            if !self.shared.state().disarmed {
                tracing::error!("a supervised program ended too often, it is not started again");
            }
            return false;
        };
        let state = self.shared.state();
        let waited = self.shared.changed.wait_timeout_while(state, delay, |state| !state.disarmed);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.starting = !state.disarmed;
        state.starting
    }

    /// None if the program could not be started, or the supervisor was stopped meanwhile.
    fn start_again(&mut self) -> Option<(Arc<Child>, UnixStream)> {
        let spawned = self.command.spawn().map(|(child, socket)| (Arc::new(child), socket));
        if let Err(error) = &spawned {
            tracing::warn!(%error, "a supervised program could not be started again");
        }
        let next = spawned.ok();
        let mut state = self.shared.state();
        state.restarts += 1;
        // Under the same lock as the child is put there for those who stop it.
        if !state.disarmed {
            state.starting = false;
            state.child = next.as_ref().map(|(child, _)| Arc::clone(child));
            drop(state);
            self.shared.changed.notify_all();
            return next;
        }
        drop(state);
        if let Some((child, socket)) = next {
            drop(socket);
            child.end_within(child.grace());
        }
        // `stop` has waited for this.
        self.shared.change(|state| state.starting = false);
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
