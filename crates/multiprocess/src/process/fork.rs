//! Starting a program as fork does, where there is no better way. On Linux [`vfork`](super::vfork) is
//! better: its cost does not depend on how much memory this process has, while fork copies the tables
//! of all of it. There this is compiled for tests only.

use std::io;
use std::os::unix::process::CommandExt;

use rustix::process::Pid;

use super::start::{Start, prepare_in_child};

/// Returns after exec, or with the errno of what failed; the child is reaped then.
pub(super) fn start(start: &Start) -> io::Result<Pid> {
    let mut command = std::process::Command::new(&start.program);
    if let [name, args @ ..] = &start.args[..] {
        command.arg0(name).args(args);
    }
    command.envs(start.env.iter().map(|(key, value)| (key, value)));
    let (socket, dies_with) = (start.socket, start.dies_with);
    // SAFETY: the closure runs after fork, where only async-signal-safe calls are allowed.
    // It makes system calls only, and allocates nothing: its errors are bare errno values.
    unsafe { command.pre_exec(move || prepare_in_child(socket, dies_with)) };
    // It has no pipes and nobody waits through this value, so the pid is all that is needed of it.
    let child = command.spawn()?;
    Ok(Pid::from_child(&child))
}
