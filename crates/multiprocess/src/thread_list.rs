//! The threads that the runtime has started, and others that call or serve, by numbers: for the dump of
//! what is under way, and the log.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

use crate::forked::is_forked;

static NEXT: AtomicU64 = AtomicU64::new(1);
static LIST: Mutex<BTreeMap<u64, Listed>> = Mutex::new(BTreeMap::new());

/// A thread as the list has it.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// With its number.
    pub(crate) name: String,
    /// The runtime has started it.
    pub(crate) own: bool,
    /// Its number in the system, where that is known.
    pub(crate) system_id: Option<u32>,
}

thread_local! {
    /// This thread's number; 0 before it is on the list, and where it ends.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    static ENTRY: Entry = const { Entry };
}

/// Takes the thread off the list when it ends.
struct Entry;

impl Drop for Entry {
    fn drop(&mut self) {
        let number = NUMBER.replace(0);
        // In a fork of the process the lock may be held for ever.
        if number >> FORK_BITS == u64::from(std::process::id()) {
            list().remove(&number);
        }
    }
}

/// A number has the process's id above these bits, so that a fork can tell its own threads.
const FORK_BITS: u32 = 32;
/// The bits that count the threads of a process.
const COUNTED: u64 = (1 << FORK_BITS) - 1;

fn list() -> MutexGuard<'static, BTreeMap<u64, Listed>> {
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This thread's number, which no other thread of the process has or had.
pub(crate) fn number() -> u64 {
    match NUMBER.get() {
        0 => add(None),
        number => number,
    }
}

/// This thread's name with its number, as peers and people are told it. That of a thread that serves a peer's
/// thread is the peer's name of it, and then this process's number.
pub(crate) fn name() -> String {
    let number = number();
    // One that ends is on the list no more, and in a fork of the process the lock may be held for ever.
    let listed = if is_forked() { None } else { list().get(&number).cloned() };
    listed.map_or_else(|| numbered(None, number), |listed| listed.name)
}

/// What the system calls a thread may be cut, and several may have it.
fn numbered(own: Option<&str>, number: u64) -> String {
    let current = thread::current();
    let name = own.or(current.name()).unwrap_or("thread");
    format!("{name}-{}", number & COUNTED)
}

/// Puts a thread that the runtime has started on the list. Called by that thread, first of all.
pub(crate) fn add_own(name: &str) {
    add(Some(name));
}

/// Puts this thread on the list. Without a name of the runtime's it is one of the program's.
#[cold]
fn add(own: Option<&str>) -> u64 {
    let counted = NEXT.fetch_add(1, Ordering::Relaxed) & COUNTED;
    let number = u64::from(std::process::id()) << FORK_BITS | counted;
    let name = numbered(own, number);
    // A thread that ends cannot be taken off any more: it gets a number and no place. Nor does one of a fork.
    if !is_forked() && ENTRY.try_with(|_| ()).is_ok() {
        list().insert(number, Listed { name, own: own.is_some(), system_id: system_id() });
        NUMBER.set(number);
    }
    number
}

#[cfg(target_os = "linux")]
fn system_id() -> Option<u32> {
    u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).ok()
}

#[cfg(not(target_os = "linux"))]
fn system_id() -> Option<u32> {
    None
}

/// All threads by their numbers, without waiting. None while another thread changes the list.
pub(crate) fn try_all() -> Option<BTreeMap<u64, Listed>> {
    match LIST.try_lock() {
        Ok(list) => Some(list.clone()),
        Err(TryLockError::Poisoned(list)) => Some(list.into_inner().clone()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Whether the list has the number, when it is to be had.
    fn has(number: u64) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(list) = try_all() {
                return list.contains_key(&number);
            }
            assert!(Instant::now() < end);
        }
    }

    #[test]
    fn names_tell_threads_apart() {
        let started = |own: Option<&'static str>| {
            let named = thread::Builder::new().name("same".to_owned());
            let run = move || {
                own.map(add_own);
                (number() & COUNTED, name())
            };
            named.spawn(run).unwrap().join().unwrap()
        };
        let names = [None, None, Some("same"), Some("of-a-peer-1")].map(started);
        for (number, name) in &names[..3] {
            assert_eq!(*name, format!("same-{number}"));
        }
        assert_eq!(names[3].1, format!("of-a-peer-1-{}", names[3].0));
        assert!(names[0] != names[1] && names[1] != names[2]);
    }

    #[test]
    fn a_thread_is_on_the_list_until_it_ends() {
        let thread = std::thread::spawn(|| {
            add_own("listed");
            let own = number();
            assert_eq!(number(), own);
            assert!(has(own));
            own
        });
        let theirs = thread.join().unwrap();
        assert_ne!(theirs, number());
        assert!(has(number()) && !has(theirs));
    }
}
