//! Starting a program, once all of its arguments are known: the work in the new process before its
//! exec, and starting it by fork where vfork is not available.
//!
//! On Linux [`vfork`](super::vfork) is used, whose cost does not depend on how much memory this
//! process has. Fork copies the page tables of all of it, and is compiled on Linux for tests only.

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;

use rustix::process::Pid;

use super::descriptors;

/// The program to run, and the properties of the child.
pub(super) struct Start {
    /// Looked up in the child's `PATH` where it has no `/`.
    pub(super) program: PathBuf,
    /// All of them, `argv[0]` first.
    pub(super) args: Vec<OsString>,
    /// The changes to this process's environment.
    pub(super) env: Vec<(OsString, OsString)>,
    /// The one descriptor that the child has beside 0, 1 and 2.
    pub(super) socket: RawFd,
    /// This process's number, if the child is to die with it.
    pub(super) dies_with: Option<u32>,
}

impl Start {
    /// Returns after exec, or with the errno of what failed; the child is reaped then.
    #[cfg(target_os = "linux")]
    pub(super) fn start(&self) -> io::Result<Pid> {
        super::vfork::start(self)
    }

    /// The same.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn start(&self) -> io::Result<Pid> {
        self.fork()
    }

    /// The same everywhere.
    #[cfg(any(not(target_os = "linux"), test))]
    pub(super) fn fork(&self) -> io::Result<Pid> {
        use std::os::unix::process::CommandExt;

        let mut command = std::process::Command::new(&self.program);
        if let [name, args @ ..] = &self.args[..] {
            command.arg0(name).args(args);
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        let (socket, dies_with) = (self.socket, self.dies_with);
        // SAFETY: the closure runs after fork, where only async-signal-safe calls are allowed.
        // It makes system calls only, and allocates nothing: its errors are bare errno values.
        unsafe { command.pre_exec(move || prepare_in_child(socket, dies_with)) };
        // The value has no pipes and is not used to wait, so only its pid is needed.
        let child = command.spawn()?;
        Ok(Pid::from_child(&child))
    }
}

/// The work of the child before exec, however it was started. System calls only, see
/// [`descriptors`].
pub(super) fn prepare_in_child(socket: RawFd, dies_with: Option<u32>) -> io::Result<()> {
    if let Some(parent) = dies_with {
        die_with_parent_in_child(parent)?;
    }
    descriptors::keep_only_in_child(socket)
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn die_with_parent_in_child(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // The parent may have died before that took effect. Its number is hidden (none) in a new
    // pid namespace.
    match rustix::process::getppid() {
        Some(now) if i64::from(now.as_raw_nonzero().get()) != i64::from(parent) => {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
        _ => Ok(()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn die_with_parent_in_child(_parent: u32) -> io::Result<()> {
    Ok(())
}

/// With SIGCHLD ignored the kernel reaps children itself: no exit status could ever be told, and
/// `std::process` panics when exec fails.
pub(super) fn refuse_ignored_sigchld() -> io::Result<()> {
    // SAFETY: sigaction is a plain C struct for which all zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only reads the present one, into a struct that lives here.
    let read = unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), &mut action) };
    if read == -1 {
        return Err(io::Error::last_os_error());
    }
    if action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0 {
        return Err(io::Error::other(
            "this process ignores SIGCHLD, so it cannot learn how a child exits; \
             set SIGCHLD to its default first",
        ));
    }
    Ok(())
}
