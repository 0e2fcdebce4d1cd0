//! Ends and reaps children whose [`Child`](super::Child) was dropped, on one background thread that runs
//! while there are any.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::pid::Process;

/// How often the thread looks at its children.
const TICK: Duration = Duration::from_millis(20);

struct Reaper {
    /// Children that the thread has not taken over yet.
    adopted: Vec<Dying>,
    /// Whether there is a thread. It ends, under the lock, when it has nothing left to do.
    running: bool,
}

static REAPER: Mutex<Reaper> = Mutex::new(Reaper { adopted: Vec::new(), running: false });

fn reaper() -> MutexGuard<'static, Reaper> {
    REAPER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a child that still runs to the background thread: it ends the child in the steps of
/// [`Child::shutdown`](super::Child::shutdown) and reaps it. Never blocks.
pub(super) fn adopt(process: Arc<Process>, grace: Duration) {
    let mut reaper = reaper();
    reaper.adopted.push(Dying { process, grace, since: Instant::now(), step: Step::Waiting });
    if !reaper.running {
        match std::thread::Builder::new().name("mp-reaper".into()).spawn(run) {
            Ok(_) => reaper.running = true,
            // They stay in the list, for the thread that the next one starts.
            Err(error) => tracing::warn!(%error, "no thread to reap child processes"),
        }
    }
}

fn run() {
    let mut children = Vec::new();
    loop {
        {
            let mut reaper = reaper();
            children.append(&mut reaper.adopted);
            if children.is_empty() {
                reaper.running = false;
                return;
            }
        }
        children.retain_mut(Dying::is_alive);
        if !children.is_empty() {
            std::thread::sleep(TICK);
        }
    }
}

struct Dying {
    process: Arc<Process>,
    grace: Duration,
    /// When the present step began.
    since: Instant,
    step: Step,
}

enum Step {
    /// Until it sees that its socket is closed.
    Waiting,
    /// Until SIGTERM ends it.
    Terminated,
    /// Until the kernel has ended it.
    Killed,
}

impl Dying {
    /// Reaps the child if it has exited, and otherwise takes the next step if it is time.
    fn is_alive(&mut self) -> bool {
        // An error means that someone else has reaped it.
        if !matches!(self.process.try_wait(), Ok(None)) {
            return false;
        }
        if self.since.elapsed() >= self.grace {
            self.step = match self.step {
                Step::Waiting => {
                    self.process.terminate();
                    Step::Terminated
                }
                Step::Terminated | Step::Killed => {
                    self.process.kill();
                    Step::Killed
                }
            };
            self.since = Instant::now();
        }
        true
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
                adopt(Arc::new(Process::new(pid)), Duration::from_millis(100));
                child.id()
            })
            .collect();
        for id in ids {
            let path = format!("/proc/{id}");
            wait_until("the child is reaped", || !std::path::Path::new(&path).exists());
        }
    }
}
