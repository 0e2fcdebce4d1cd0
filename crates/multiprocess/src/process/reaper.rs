//! Watches children in the background, on one thread that runs while there are any to watch: those that
//! have hooks or futures, and those whose [`Child`](super::Child) was dropped, which it also ends.
//!
//! No code of the user's runs on this thread: see [`hooks`](super::hooks).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::grace::Grace;
use super::pid::Process;
use crate::{Result, thread_start};

/// How often the thread looks at children of which the kernel gives it no notice.
const TICK: Duration = Duration::from_millis(20);

/// Of the thread.
const NAME: &str = "mp-reaper";

struct Reaper {
    /// What the thread has not taken over yet.
    asked: Vec<Watched>,
    /// Whether there is a thread. It ends, under the lock, when it has nothing left to do.
    running: bool,
    /// Wakes the thread. None while there is no thread, or if no descriptor was left for it: then it
    /// looks every [`TICK`].
    bell: Option<UnixStream>,
}

static REAPER: Mutex<Reaper> = Mutex::new(Reaper { asked: Vec::new(), running: false, bell: None });

fn reaper() -> MutexGuard<'static, Reaper> {
    REAPER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the background thread find the child's exit, which tells those who wait for it. Never blocks.
pub(super) fn watch(process: Arc<Process>) {
    ask(Watched { process, ending: None, told: false });
}

/// Gives a child that still runs to the background thread: it ends the child in the steps of
/// [`Child::end`](super::Child::end) and reaps it. Never blocks.
pub(super) fn adopt(process: Arc<Process>, grace: Grace) {
    ask(Watched { process, ending: Some(Ending::begin(grace)), told: false });
}

fn ask(watched: Watched) {
    let mut reaper = reaper();
    reaper.asked.push(watched);
    if reaper.running {
        // Fails only where it was rung before and not heard yet.
        let _ = reaper.bell.as_mut().map(|bell| bell.write(&[0]));
        return;
    }
    if let Err(error) = reaper.start() {
        tracing::error!(%error, "no thread to watch child processes, which are looked at later");
    }
}

impl Reaper {
    /// If it fails, those who were asked for stay in the list, and it is tried again.
    fn start(&mut self) -> Result<()> {
        let bell = bell().map_or((None, None), |(ours, theirs)| (Some(ours), Some(theirs)));
        let (ours, theirs) = bell;
        let started = thread_start::start_uncounted(NAME, move || run(theirs));
        match &started {
            Ok(()) => {
                self.running = true;
                self.bell = ours;
            }
            Err(_) => thread_start::start_again(NAME, start_again),
        }
        started
    }
}

fn start_again() {
    let mut reaper = reaper();
    if !reaper.running && !reaper.asked.is_empty() {
        // A failure is in the log already.
        let _ = reaper.start();
    }
}

fn bell() -> std::io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    Ok((ours, theirs))
}

fn run(mut bell: Option<UnixStream>) {
    let mut children: Vec<Watched> = Vec::new();
    loop {
        {
            let mut reaper = reaper();
            for asked in reaper.asked.drain(..) {
                match children.iter_mut().find(|child| child.is_same(&asked)) {
                    Some(child) => child.ending = child.ending.take().or(asked.ending),
                    None => children.push(asked),
                }
            }
            if children.is_empty() {
                reaper.running = false;
                reaper.bell = None;
                return;
            }
        }
        children.retain_mut(Watched::is_alive);
        if !children.is_empty() {
            wait(bell.as_mut(), &mut children);
        }
    }
}

/// Blocks until a child has exited, it is time for the next step of one, or something was asked.
fn wait(bell: Option<&mut UnixStream>, children: &mut [Watched]) {
    let now = Instant::now();
    let mut timeout = children.iter().filter_map(|child| child.time_left(now)).min();
    if bell.is_none() || children.iter().any(|child| !child.is_noticed()) {
        timeout = Some(timeout.map_or(TICK, |timeout| timeout.min(TICK)));
    }
    let timespec = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let exits: Vec<bool> = {
        let rings = bell.as_deref().map(|bell| PollFd::new(bell, PollFlags::IN));
        let events = children.iter().filter(|child| child.is_noticed());
        let events = events.filter_map(|child| child.process.exit_event());
        let mut fds: Vec<_> =
            events.map(|event| PollFd::from_borrowed_fd(event, PollFlags::IN)).collect();
        let exits = fds.len();
        fds.extend(rings);
        match poll(&mut fds, timespec.as_ref()) {
            Ok(_) => fds[..exits].iter().map(|fd| !fd.revents().is_empty()).collect(),
            Err(rustix::io::Errno::INTR) => return,
            // No memory, or more children than this process may poll.
            Err(_) => return std::thread::sleep(TICK),
        }
    };
    let noticed = children.iter_mut().filter(|child| child.is_noticed());
    noticed.zip(exits).for_each(|(child, exited)| child.told = exited);
    if let Some(bell) = bell {
        while bell.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
    }
}

/// A child, as the thread has it.
struct Watched {
    process: Arc<Process>,
    /// The steps of its end, if it is to be ended.
    ending: Option<Ending>,
    /// The kernel gave notice of its exit, and yet there was nothing to reap: a debugger that traces it
    /// is told first. From then on it has to be looked at again and again.
    told: bool,
}

impl Watched {
    fn is_same(&self, other: &Watched) -> bool {
        Arc::ptr_eq(&self.process, &other.process)
    }

    /// Whether the kernel will wake the thread when the child exits.
    fn is_noticed(&self) -> bool {
        !self.told && self.process.exit_event().is_some()
    }

    /// Until the next step of its end.
    fn time_left(&self, now: Instant) -> Option<Duration> {
        let due = self.ending.as_ref()?.due?;
        Some(due.saturating_duration_since(now))
    }

    /// Reaps the child if it has exited, and otherwise takes the next step if it is time.
    fn is_alive(&mut self) -> bool {
        if self.process.try_wait().is_some() {
            return false;
        }
        if let Some(ending) = &mut self.ending {
            ending.advance(&self.process);
        }
        true
    }
}

struct Ending {
    grace: Grace,
    step: Step,
    /// When the next step is to be taken. None if there is no next one, or never.
    due: Option<Instant>,
}

enum Step {
    /// Until it sees that its socket is closed.
    Waiting,
    /// Until SIGTERM ends it.
    Terminated,
}

impl Ending {
    fn begin(grace: Grace) -> Ending {
        // A time that is too far away for the clock means never.
        Ending { grace, step: Step::Waiting, due: Instant::now().checked_add(grace.exit) }
    }

    fn advance(&mut self, process: &Process) {
        let now = Instant::now();
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        match self.step {
            Step::Waiting => {
                process.terminate();
                self.step = Step::Terminated;
                self.due = now.checked_add(self.grace.terminate);
            }
            Step::Terminated => {
                process.kill();
                self.due = None;
            }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::testing::wait_until;
    use super::*;

    #[test]
    #[expect(clippy::zombie_processes, reason = "the reaper waits for them")]
    fn children_are_terminated_then_killed_and_reaped_side_by_side() {
        let scripts = ["exec sleep 1000", "trap '' TERM; kill -STOP $$; exec sleep 1000"];
        let ids: Vec<u32> = (0..6)
            .map(|number| {
                let mut command = std::process::Command::new("/bin/sh");
                let child = command.args(["-c", scripts[number % 2]]).spawn().unwrap();
                let pid = rustix::process::Pid::from_child(&child);
                let short = Duration::from_millis(100);
                let grace = Grace { exit: short, terminate: short };
                adopt(Arc::new(Process::new(pid)), grace);
                child.id()
            })
            .collect();
        for id in ids {
            let path = format!("/proc/{id}");
            wait_until("the child is reaped", || !std::path::Path::new(&path).exists());
        }
    }
}
