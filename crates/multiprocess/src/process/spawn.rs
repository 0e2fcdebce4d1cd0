//! Starting a child that inherits one end of a socket pair.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};

use super::child::Child;
use super::descriptors;
#[cfg(not(target_os = "linux"))]
use super::fork::start;
use super::grace::Grace;
use super::start::{AtParentsDeath, Start};
#[cfg(target_os = "linux")]
use super::vfork::start;
use crate::forked::check_forked;
use crate::{Error, Result, thread_start};

/// How the number of the child's socket is put on its command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FdArgs {
    /// A flag and then the number: with `Flag("-ipcfd")`, `PROGRAM -ipcfd 5`.
    Flag(&'static str),
    /// The number alone: `PROGRAM 5`.
    Bare,
}

/// A program to run with one end of a socket pair.
///
/// The child has descriptors 0, 1 and 2 as they are here, its end of the socket, and no other,
/// whatever this process has open. See the [module](super) for an example.
#[derive(Debug, Clone)]
pub struct Command {
    program: PathBuf,
    arg0: Option<OsString>,
    args: Vec<Arg>,
    env: Vec<(OsString, OsString)>,
    at_parents_death: Option<AtParentsDeath>,
    grace: Grace,
}

#[derive(Debug, Clone)]
enum Arg {
    Text(OsString),
    Fd(FdArgs),
}

impl Command {
    /// A command that runs `program`, looked up in `PATH` where it has no `/`.
    pub fn new(program: impl Into<PathBuf>) -> Command {
        Command {
            program: program.into(),
            arg0: None,
            args: Vec::new(),
            env: Vec::new(),
            at_parents_death: None,
            grace: Grace::default(),
        }
    }

    /// The program as it was given.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// The program's name, as the child itself has it.
    pub(crate) fn name(&self) -> &Path {
        self.arg0.as_ref().map_or(&self.program, Path::new)
    }

    /// Adds an argument, after those added before.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Command {
        self.args.push(Arg::Text(arg.into()));
        self
    }

    /// Puts the socket's number at this place among the arguments. Without a call of this it is
    /// the last argument, [`FdArgs::Bare`].
    pub fn fd_args(mut self, form: FdArgs) -> Command {
        self.args.push(Arg::Fd(form));
        self
    }

    /// Sets the child's `argv[0]`, which is the program's path otherwise.
    pub fn arg0(mut self, name: impl Into<OsString>) -> Command {
        self.arg0 = Some(name.into());
        self
    }

    /// Sets an environment variable of the child, which inherits the others.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Command {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Whether the kernel kills the child (SIGKILL) when this process ends, even if the child is
    /// stuck and does not see its socket close. Off at first; on Linux and FreeBSD only, and
    /// ignored elsewhere.
    pub fn parent_death_signal(mut self, on: bool) -> Command {
        self.at_parents_death = on.then_some(AtParentsDeath::Kill);
        self
    }

    /// Whether the kernel continues the child (SIGCONT) when this process ends, should the child be
    /// stopped: it then sees its socket close, and can end in its own way. Another choice than
    /// [`parent_death_signal`](Command::parent_death_signal); what was chosen last holds. Off at first; on
    /// Linux and FreeBSD only, and ignored elsewhere.
    pub fn continue_orphan(mut self, on: bool) -> Command {
        self.at_parents_death = on.then_some(AtParentsDeath::Continue);
        self
    }

    /// How long the child gets for each step of its end, when its [`Child`] is dropped and in
    /// [`Child::end`]. By default it is gone after little more than 4 seconds: give a program more that
    /// has much to do before it exits, such as one that writes a database.
    pub fn grace(mut self, grace: Grace) -> Command {
        self.grace = grace;
        self
    }

    /// Starts the program, and gives the child and this process's end of the socket.
    ///
    /// # Errors
    ///
    /// [`Error::Spawn`], naming the program and the system's reason, where the program cannot be
    /// executed or a process or descriptor cannot be had. No process is left behind then.
    ///
    /// [`Error::ApiMisuse`] in a process that was forked from one that uses connections or children.
    ///
    /// A program that ignores SIGCHLD can start others, but cannot learn
    /// [how they exit](super::Exit::Unknown). On other systems than Linux it cannot start any: that is
    /// an error, too.
    pub fn spawn(&self) -> Result<(Child, UnixStream)> {
        check_forked()?;
        let spawned = if self.at_parents_death.is_some() {
            // The signal comes when the *thread* that forked ends: so one that never does.
            let this = self.clone();
            on_lasting_thread(move || this.spawn_here())
        } else {
            self.spawn_here()
        };
        spawned.map_err(|error| Error::Spawn {
            program: self.program.clone(),
            problem: error.to_string(),
        })
    }

    fn spawn_here(&self) -> io::Result<(Child, UnixStream)> {
        let filled = descriptors::fill_standard()?;
        let (ours, theirs) = UnixStream::pair()?;
        let process = start(&self.with_socket(theirs.as_raw_fd()))?;
        let child = Child::new(process, self.name(), self.grace);
        // Not before: the child's pidfd must not get the number of a closed standard input.
        drop(filled);
        Ok((child, ours))
    }

    fn with_socket(&self, socket: RawFd) -> Start {
        let mut args = vec![self.arg0.clone().unwrap_or_else(|| self.program.clone().into())];
        let at_end = [Arg::Fd(FdArgs::Bare)];
        let placed = self.args.iter().any(|arg| matches!(arg, Arg::Fd(_)));
        for arg in self.args.iter().chain(if placed { &[][..] } else { &at_end }) {
            match arg {
                Arg::Text(text) => args.push(text.clone()),
                Arg::Fd(FdArgs::Flag(flag)) => {
                    args.extend([flag.into(), socket.to_string().into()])
                }
                Arg::Fd(FdArgs::Bare) => args.push(socket.to_string().into()),
            };
        }
        Start {
            program: self.program.clone(),
            args,
            env: self.env.clone(),
            socket,
            at_parents_death: self.at_parents_death.map(|what| (what, std::process::id())),
        }
    }
}

/// The program `name` of the same installation as this one.
///
/// That is `argv[0]` with its file name replaced where it has a `/`, so that a symlink to this
/// program finds what is beside the symlink; otherwise `name` beside this program's file.
/// Whether it exists is not looked at.
///
/// # Errors
///
/// [`Error::Io`] where the system cannot tell this program's file.
pub fn sibling_executable(name: &str) -> Result<PathBuf> {
    sibling_of(std::env::args_os().next().as_deref(), name)
}

fn sibling_of(argv0: Option<&OsStr>, name: &str) -> Result<PathBuf> {
    match argv0 {
        Some(argv0) if argv0.as_encoded_bytes().contains(&b'/') => {
            Ok(Path::new(argv0).with_file_name(name))
        }
        _ => {
            let exe = std::env::current_exe()
                .map_err(|error| Error::io("find this program's own file", error))?;
            Ok(exe.with_file_name(name))
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Runs `job` on a thread that is started on first use and lives as long as this process.
pub(super) fn on_lasting_thread<T: Send + 'static>(
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    static THREAD: Mutex<Option<mpsc::Sender<Job>>> = Mutex::new(None);
    let (give, take) = mpsc::sync_channel(1);
    let job: Job = Box::new(move || drop(give.send(job())));
    {
        let mut thread = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = match &*thread {
            Some(jobs) => jobs,
            None => {
                let (jobs, queue) = mpsc::channel::<Job>();
                let run = move || queue.into_iter().for_each(|job| job());
                thread_start::start_uncounted("mp-spawn", run).map_err(io::Error::other)?;
                thread.insert(jobs)
            }
        };
        let _ = jobs.send(job);
    }
    // Fails only where the job could not be sent or panicked, and neither can be.
    take.recv().unwrap_or_else(|_| Err(io::Error::other("the spawning thread is gone")))
}

#[cfg(test)]
mod tests;
