//! Starting a child that inherits one end of a socket pair.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::child::Child;
use super::descriptors;
#[cfg(not(target_os = "linux"))]
use super::fork::start;
use super::grace::Grace;
use super::pid::Process;
use super::start::{AtParentsDeath, EnvChange, InChild, Start};
use super::stdio::{Stdio, above_standard};
#[cfg(target_os = "linux")]
use super::vfork::start;
use crate::forked::check_forked;
use crate::{Error, Result, thread_start};

/// How the number of a child's descriptor is put on its command line.
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
/// The child has descriptors 0, 1 and 2 as they are here ([`stdin`](Command::stdin), [`stdout`](Command::stdout) and
/// [`stderr`](Command::stderr) give it others), its end of the socket, those that it is given by
/// [`fd`](Command::fd), and no other, whatever this process has open. See the [module](super) for an
/// example.
#[derive(Debug, Clone)]
#[must_use = "it does nothing before it is spawned"]
pub struct Command {
    program: PathBuf,
    arg0: Option<OsString>,
    args: Vec<Arg>,
    env: Vec<EnvChange>,
    dir: Option<PathBuf>,
    stdio: [Stdio; 3],
    at_parents_death: Option<AtParentsDeath>,
    grace: Grace,
}

#[derive(Debug, Clone)]
enum Arg {
    Text(OsString),
    /// The number of the socket.
    Socket(FdArgs),
    /// The number that this descriptor has in the child.
    Given(Arc<OwnedFd>, FdArgs),
}

impl Command {
    /// A command that runs `program`, looked up in `PATH` where it has no `/`.
    pub fn new(program: impl Into<PathBuf>) -> Command {
        Command {
            program: program.into(),
            arg0: None,
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            stdio: [const { Stdio::inherit() }; 3],
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
        self.args.push(Arg::Socket(form));
        self
    }

    /// Sets the child's `argv[0]`, which is the program's path otherwise.
    pub fn arg0(mut self, name: impl Into<OsString>) -> Command {
        self.arg0 = Some(name.into());
        self
    }

    /// Gives the child a further descriptor, such as a file, a pipe or another socket, and puts its number
    /// at this place among the arguments. The command keeps the descriptor open for each child that it starts.
    ///
    /// A program that uses this library takes a socket by [`inherited_socket`](super::inherited_socket), and
    /// anything else by [`inherited_fd`](super::inherited_fd).
    ///
    /// ```
    /// use std::io::Read;
    /// use multiprocess::process::{Command, FdArgs};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut told, theirs) = std::io::pipe()?;
    /// let script = "echo ready >/dev/fd/$1"; // $0 is -readyfd
    /// let command = Command::new("/bin/sh").arg("-c").arg(script);
    /// let (child, _socket) = command.fd(theirs, FdArgs::Flag("-readyfd")).spawn()?;
    /// let mut text = String::new();
    /// told.read_to_string(&mut text)?;
    /// assert_eq!(text, "ready\n");
    /// assert!(child.wait()?.success());
    /// # Ok(())
    /// # }
    /// ```
    pub fn fd(mut self, descriptor: impl Into<OwnedFd>, form: FdArgs) -> Command {
        self.args.push(Arg::Given(Arc::new(descriptor.into()), form));
        self
    }

    /// Sets an environment variable of the child, which inherits the others.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Command {
        self.env.push(EnvChange::Set(key.into(), value.into()));
        self
    }

    /// Leaves an environment variable out, whether this process has it or it was set before.
    pub fn env_remove(mut self, key: impl Into<OsString>) -> Command {
        self.env.push(EnvChange::Remove(key.into()));
        self
    }

    /// The child inherits no environment variables, and those that were set before are gone. A program without
    /// a `/` is looked up in `/bin` and `/usr/bin` then, unless `PATH` is set.
    pub fn env_clear(mut self) -> Command {
        self.env.push(EnvChange::Clear);
        self
    }

    /// The directory in which the child begins; that of this process unless set. A program that is given by
    /// a relative path with a `/` is looked for there.
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Command {
        self.dir = Some(dir.into());
        self
    }

    /// The child's standard input: see [`Stdio`].
    pub fn stdin(mut self, from: impl Into<Stdio>) -> Command {
        self.stdio[0] = from.into();
        self
    }

    /// The child's standard output: see [`Stdio`].
    pub fn stdout(mut self, to: impl Into<Stdio>) -> Command {
        self.stdio[1] = to.into();
        self
    }

    /// The child's standard error: see [`Stdio`].
    pub fn stderr(mut self, to: impl Into<Stdio>) -> Command {
        self.stdio[2] = to.into();
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
        descriptors::fill_standard()?;
        let (ours, theirs) = UnixStream::pair()?;
        let process = self.start_with(&theirs, start)?;
        Ok((Child::new(process, self.name(), self.grace), ours))
    }

    /// Starts the program in this way, with this socket.
    fn start_with(
        &self,
        socket: &UnixStream,
        start: impl FnOnce(&Start) -> io::Result<Process>,
    ) -> io::Result<Process> {
        // Copies that are this child's alone, until it has them.
        let mut copies = Vec::new();
        let mut stdio = [None; 3];
        for (place, to) in stdio.iter_mut().zip(&self.stdio) {
            let copy = to.open()?;
            *place = copy.as_ref().map(AsRawFd::as_raw_fd);
            copies.extend(copy);
        }
        let mut kept = vec![socket.as_raw_fd()];
        let mut args = vec![self.arg0.clone().unwrap_or_else(|| self.program.clone().into())];
        let at_end = [Arg::Socket(FdArgs::Bare)];
        let placed = self.args.iter().any(|arg| matches!(arg, Arg::Socket(_)));
        for arg in self.args.iter().chain(if placed { &[][..] } else { &at_end }) {
            let (number, form) = match arg {
                Arg::Text(text) => {
                    args.push(text.clone());
                    continue;
                }
                Arg::Socket(form) => (socket.as_raw_fd(), form),
                Arg::Given(descriptor, form) => {
                    let copy = above_standard(descriptor)?;
                    let number = copy.as_raw_fd();
                    kept.push(number);
                    copies.push(copy);
                    (number, form)
                }
            };
            if let FdArgs::Flag(flag) = form {
                args.push(flag.into());
            }
            args.push(number.to_string().into());
        }
        let dir = self.dir.as_ref().map(|dir| CString::new(dir.as_os_str().as_bytes()));
        start(&Start {
            program: self.program.clone(),
            args,
            env: self.env.clone(),
            in_child: InChild {
                dir: dir.transpose()?,
                stdio,
                kept,
                at_parents_death: self.at_parents_death.map(|what| (what, std::process::id())),
            },
        })
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
