//! What has to be known to start a program, and what has to be right between the new process and its
//! exec, whichever way the process is made: [`vfork`](super::vfork) on Linux, fork elsewhere.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;

use super::descriptors;

/// The program to run, and the properties of the child.
pub(super) struct Start {
    /// Looked up in the child's `PATH` where it has no `/`.
    pub(super) program: PathBuf,
    /// All of them, `argv[0]` first.
    pub(super) args: Vec<OsString>,
    /// The changes to this process's environment, in order.
    pub(super) env: Vec<EnvChange>,
    pub(super) in_child: InChild,
}

/// A change to the environment that a child inherits.
#[derive(Debug, Clone)]
pub(super) enum EnvChange {
    Set(OsString, OsString),
    Remove(OsString),
    Clear,
}

/// What is right between the new process and its exec: everything that takes memory is made before.
#[derive(Debug, Clone)]
pub(super) struct InChild {
    /// The directory to go to.
    pub(super) dir: Option<CString>,
    /// What becomes 0, 1 and 2, where that is not as in this process. The numbers are others than these three.
    pub(super) stdio: [Option<RawFd>; 3],
    /// The descriptors that the child has beside 0, 1 and 2.
    pub(super) kept: Vec<RawFd>,
    /// What the child gets when this process dies, and this process's number.
    pub(super) at_parents_death: Option<(AtParentsDeath, u32)>,
}

/// What the kernel does with a child when its parent dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtParentsDeath {
    Kill,
    /// Continues it, should it be stopped.
    Continue,
}

/// What the child does before exec, whichever way it was made. System calls only, see
/// [`descriptors`].
pub(super) fn prepare_in_child(start: &InChild) -> io::Result<()> {
    if let Some((what, parent)) = start.at_parents_death {
        set_death_signal_in_child(what, parent)?;
    }
    if let Some(dir) = &start.dir {
        rustix::process::chdir(dir)?;
    }
    for (number, descriptor) in (0..).zip(start.stdio) {
        if let Some(descriptor) = descriptor {
            descriptors::put_in_child(descriptor, number)?;
        }
    }
    descriptors::keep_only_in_child(&start.kept)
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn set_death_signal_in_child(what: AtParentsDeath, parent: u32) -> io::Result<()> {
    let signal = match what {
        AtParentsDeath::Kill => rustix::process::Signal::KILL,
        AtParentsDeath::Continue => rustix::process::Signal::CONT,
    };
    rustix::process::set_parent_process_death_signal(Some(signal))?;
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
fn set_death_signal_in_child(_what: AtParentsDeath, _parent: u32) -> io::Result<()> {
    Ok(())
}
