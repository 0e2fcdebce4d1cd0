//! Starting a program as fork does, where there is no better way. On Linux [`vfork`](super::vfork) is
//! better: its cost does not depend on how much memory this process has, while fork copies the tables
//! of all of it. There this is compiled for tests only.
//!
//! Unlike vfork it cannot start a program while SIGCHLD is ignored.

use std::io;
use std::os::unix::process::CommandExt;

use rustix::process::Pid;

use super::pid::Process;
use super::start::{EnvChange, Start, prepare_in_child};

/// Returns after exec, or with the errno of what failed; the child is reaped then.
pub(super) fn start(start: &Start) -> io::Result<Process> {
    refuse_ignored_sigchld()?;
    let mut command = std::process::Command::new(&start.program);
    if let [name, args @ ..] = &start.args[..] {
        command.arg0(name).args(args);
    }
    for change in &start.env {
        match change {
            EnvChange::Set(key, value) => command.env(key, value),
            EnvChange::Remove(key) => command.env_remove(key),
            EnvChange::Clear => command.env_clear(),
        };
    }
    let in_child = start.in_child.clone();
    // SAFETY: the closure runs after fork, where only async-signal-safe calls are allowed.
    // It makes system calls only, and allocates nothing: its errors are bare errno values.
    unsafe { command.pre_exec(move || prepare_in_child(&in_child)) };
    // It has no pipes and nobody waits through this value, so the pid is all that is needed of it.
    let child = command.spawn()?;
    Ok(Process::new(Pid::from_child(&child)))
}

/// With SIGCHLD ignored the kernel reaps children itself, and `std::process` panics when exec fails: it
/// insists on waiting for the child.
fn refuse_ignored_sigchld() -> io::Result<()> {
    // SAFETY: sigaction is a plain C struct for which all zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only reads the present one, into a struct that lives here.
    let read = unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), &mut action) };
    if read == -1 {
        return Err(io::Error::last_os_error());
    }
    if action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0 {
        return Err(io::Error::other(
            "this process ignores SIGCHLD, and then this system cannot tell whether a program was \
             started; set SIGCHLD to its default first",
        ));
    }
    Ok(())
}
