//! What this process has: descriptors, threads, children, memory.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::mill::{HANGS, live};

/// What there is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct World {
    /// Open descriptors.
    pub(crate) descriptors: usize,
    /// Threads.
    pub(crate) threads: usize,
    /// Children, whether they run or are zombies.
    pub(crate) children: usize,
    /// Served objects.
    pub(crate) objects: usize,
}

impl World {
    /// As it is now.
    pub(crate) fn now() -> World {
        World {
            descriptors: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
            children: children(),
            objects: live(),
        }
    }

    /// As it is when the runtime's idle threads, dropped children and served objects have gone.
    ///
    /// # Errors
    /// What stays.
    pub(crate) fn at_rest() -> Result<World, String> {
        let until = Instant::now() + HANGS;
        loop {
            let now = World::now();
            if now.children == 0 && now.objects == 0 && pool_threads() == 0 {
                return Ok(now);
            }
            if Instant::now() > until {
                return Err(format!("{now:?} does not come to rest"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until there is exactly what was there before. Idle threads and children that were
    /// dropped need a while to go.
    ///
    /// # Errors
    /// What there is too much or too little of.
    pub(crate) fn wait_as_before(&self) -> Result<World, String> {
        let until = Instant::now() + HANGS;
        loop {
            let now = World::now();
            let left = self.left_in(&now);
            if left.is_empty() {
                return Ok(now);
            }
            if Instant::now() > until {
                return Err(left.join(", "));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn left_in(&self, now: &World) -> Vec<String> {
        let counts = [
            ("descriptors", self.descriptors, now.descriptors),
            ("threads", self.threads, now.threads),
            ("children", self.children, now.children),
            ("live objects", self.objects, now.objects),
        ];
        counts
            .iter()
            .filter(|(_, before, now)| now != before)
            .map(|(what, before, now)| format!("{now} {what} instead of {before}"))
            .collect()
    }
}

/// The memory that this process occupies, in KiB.
pub(crate) fn resident() -> u64 {
    memory("self", "VmRSS:")
}

/// The most memory that another process ever occupied, in KiB.
pub(crate) fn peak_of(process: u32) -> u64 {
    memory(&process.to_string(), "VmHWM:")
}

fn memory(process: &str, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

/// Idle threads of the runtime's pool, which end when they had nothing to do for a while.
fn pool_threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok())
        .filter(|name| name.trim_end() == "mp-pool")
        .count()
}

fn children() -> usize {
    let this = std::process::id();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| fs::read_to_string(process.path().join("stat")).ok())
        .filter(|stat| parent_in(stat) == Some(this))
        .count()
}

/// The parent's number, the second field after the name, which is in parentheses.
fn parent_in(stat: &str) -> Option<u32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_counted_until_it_is_reaped() {
        let before = children();
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        // Running or a zombie: it is there.
        assert_eq!(children(), before + 1);
        child.wait().unwrap();
        assert_eq!(children(), before);
    }
}
