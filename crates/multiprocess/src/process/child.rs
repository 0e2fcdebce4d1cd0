//! A child process, as users hold it: waiting for it from any thread, and making sure that it ends.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::child_state::{ChildState, Serves};
use super::exit::Exit;
use super::exited::Exited;
use super::grace::Grace;
use super::pid::Process;
use super::reaper;
use crate::may_block::check_may_wait;
use crate::{Error, Result};

/// A process started with [`Command`](super::Command).
///
/// Every method can be called from several threads at once. A child that still runs when this is
/// dropped is ended from a background thread, with the [`Grace`] of its command: by default it gets 3
/// seconds to see that its socket is closed, 1 more after SIGTERM, and then SIGKILL. Dropping never
/// blocks and never leaves a zombie.
///
/// Its exit status can be lost: where other code of this program waits for any child (`waitpid(-1)`), and
/// where this program ignores SIGCHLD (`SIG_IGN` or `SA_NOCLDWAIT`, which a program inherits from the one
/// that starts it). The child has then exited with [`Exit::Unknown`]: waiting ends as ever, and the
/// methods that return an [`ExitStatus`] fail.
///
/// On Linux 5.4 and newer, signals reach this child or nobody. Elsewhere, if other code of this program
/// waits for any child at the same moment, another process that got the number could get one.
///
/// In a fork of this process the child is still this process's, and the fork can neither wait for it nor end
/// it: methods that return a [`Result`] fail with [`Error::ApiMisuse`](crate::Error::ApiMisuse), the state is
/// exited with [`Exit::Unknown`], hooks are dropped, and dropping it does nothing.
#[derive(Debug)]
#[must_use = "dropped, it ends the process"]
pub struct Child {
    process: Arc<Process>,
    program: PathBuf,
    grace: Grace,
    /// Shared with the connection that tells of it.
    serves: Arc<Serves>,
}

impl Child {
    pub(super) fn new(process: Process, program: &Path, grace: Grace) -> Child {
        Child {
            process: Arc::new(process),
            program: program.to_owned(),
            grace,
            serves: Arc::default(),
        }
    }

    /// The program: the child's `argv[0]`, which is the path of its command unless set.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// What the child is doing. Does not block.
    ///
    /// Whether it serves is told by who connects it:
    /// [`Connection::bootstrap_child`](crate::Connection::bootstrap_child) does, and
    /// [`Connection`](crate::Connection)s that are made for a child in other ways do not.
    ///
    /// ```
    /// use multiprocess::process::{ChildState, Command, Exit};
    ///
    /// let (child, socket) = Command::new("/bin/bash").arg("-c").arg("read x <&$0; exit 3").spawn()?;
    /// assert_eq!(child.state(), ChildState::Started);
    /// drop(socket);
    /// let status = child.wait()?;
    /// assert_eq!(child.state(), ChildState::Exited(Exit::Status(status)));
    /// # Ok::<(), multiprocess::Error>(())
    /// ```
    pub fn state(&self) -> ChildState {
        match self.process.try_wait() {
            Some(exit) => ChildState::Exited(exit),
            None => self.serves.state(),
        }
    }

    /// Says that the child has answered over its socket, for programs that speak another protocol with it.
    /// Does nothing once it is [lost](Child::set_lost).
    pub fn set_serving(&self) {
        self.serves.set_serving();
    }

    /// Says that the connection to the child has ended.
    pub fn set_lost(&self) {
        self.serves.set_lost();
    }

    pub(crate) fn serves(&self) -> &Arc<Serves> {
        &self.serves
    }

    /// The process id. Once the child has exited, it may be another process's.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The exit status, or `None` while the child runs.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) where the child has exited and its status is
    /// [unknown](Exit::Unknown), and [`Error::ApiMisuse`](crate::Error::ApiMisuse) in a fork of the process
    /// that started it, here and in the methods below. There is no other reason. Those that block are
    /// [`Error::ApiMisuse`](crate::Error::ApiMisuse) as well on a thread that polls a future for which waiting is
    /// refused (the crate `multiprocess-tokio` says which): there is [`exited`](Child::exited) for that.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.check_ours()?;
        self.process.try_wait().map(|exit| exit.known(self.id())).transpose()
    }

    /// Fails in a fork of the process that started it.
    fn check_ours(&self) -> Result<()> {
        if self.process.is_ours() {
            return Ok(());
        }
        let id = self.id();
        Err(Error::misuse(format!(
            "this process was forked from one that started child process {id}: only that one can wait \
             for it and end it"
        )))
    }

    /// Blocks until the child has exited. Later calls give the same status.
    ///
    /// A child that serves a connection of this process exits when that ends. Every handle keeps it,
    /// also one that was closed: drop them all before, or this waits for ever.
    ///
    /// # Errors
    ///
    /// As [`try_wait`](Child::try_wait).
    pub fn wait(&self) -> Result<ExitStatus> {
        self.check_ours()?;
        check_may_wait()?;
        self.wait_exit().known(self.id())
    }

    pub(super) fn wait_exit(&self) -> Exit {
        loop {
            if let Some(exit) = self.process.wait_until(None) {
                return exit;
            }
        }
    }

    /// Blocks until the child has exited or `timeout` has passed, when it gives `None`.
    ///
    /// # Errors
    ///
    /// As [`try_wait`](Child::try_wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<ExitStatus>> {
        self.check_ours()?;
        check_may_wait()?;
        self.wait_exit_timeout(timeout).map(|exit| exit.known(self.id())).transpose()
    }

    fn wait_exit_timeout(&self, timeout: Duration) -> Option<Exit> {
        // A time that is too far away for the clock means forever.
        self.process.wait_until(Instant::now().checked_add(timeout))
    }

    /// Runs `hook` once when the child has exited, or now if it has, on a thread of the runtime that runs
    /// nothing but this child's hooks: it may block. Several hooks run one after the other, in the
    /// order in which they came. A panic is logged, and the next one runs.
    ///
    /// The hook runs also if this is dropped meanwhile, and the child ended for that reason.
    /// A program that returns from `main` may end before it has run.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use multiprocess::process::Command;
    ///
    /// let (child, socket) = Command::new("/bin/sh").arg("-c").arg("exit 3").spawn()?;
    /// let (tell, exit) = mpsc::channel();
    /// child.on_exit(move |exit| tell.send(exit).unwrap());
    /// let status = exit.recv().unwrap().status().expect("nobody else waits for it");
    /// assert_eq!(status.code(), Some(3));
    /// # drop(socket);
    /// # Ok::<(), multiprocess::Error>(())
    /// ```
    pub fn on_exit(&self, hook: impl FnOnce(Exit) + Send + 'static) {
        if self.process.on_exit(Box::new(hook)) {
            reaper::watch(Arc::clone(&self.process));
        }
    }

    /// The exit as a future, for any executor. Several may wait at once; each can be dropped at any
    /// time.
    pub fn exited(&self) -> Exited {
        Exited::new(Arc::clone(&self.process))
    }

    /// How long the child gets for each step of its end: what its
    /// [command](super::Command::grace) says.
    pub fn grace(&self) -> Grace {
        self.grace
    }

    /// Makes the child end, in the times of its own [`grace`](Child::grace): waits for it to exit by
    /// itself, which it does when the parent's end of its socket is closed; then sends SIGTERM (and
    /// continues it, should it be stopped) and waits again; then sends SIGKILL. Returns when the child
    /// is reaped, by default within little more than 4 seconds.
    ///
    /// Close the socket before, or the first wait is lost time.
    ///
    /// # Errors
    ///
    /// As [`try_wait`](Child::try_wait); the child has exited then, too.
    pub fn end(&self) -> Result<ExitStatus> {
        self.check_ours()?;
        check_may_wait()?;
        self.end_within(self.grace).known(self.id())
    }

    /// The same with `grace` for each of both waits.
    ///
    /// # Errors
    ///
    /// As [`try_wait`](Child::try_wait); the child has exited then, too.
    pub fn shutdown(&self, grace: Duration) -> Result<ExitStatus> {
        self.check_ours()?;
        check_may_wait()?;
        self.end_within(Grace { exit: grace, terminate: grace }).known(self.id())
    }

    pub(super) fn end_within(&self, grace: Grace) -> Exit {
        if let Some(exit) = self.wait_exit_timeout(grace.exit) {
            return exit;
        }
        tracing::warn!(pid = self.id(), "child did not exit after its socket closed: SIGTERM");
        self.process.terminate();
        if let Some(exit) = self.wait_exit_timeout(grace.terminate) {
            return exit;
        }
        tracing::warn!(pid = self.id(), "child did not exit after SIGTERM: SIGKILL");
        self.process.kill();
        self.wait_exit()
    }

    /// The same in the background, as when this is dropped.
    pub(super) fn end_in_background(&self) {
        // In a fork of the process it is the parent's child.
        if self.process.is_ours() && self.process.try_wait().is_none() {
            reaper::adopt(Arc::clone(&self.process), self.grace);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end_in_background();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod lost_status;
#[cfg(all(test, target_os = "linux"))]
mod tests;
