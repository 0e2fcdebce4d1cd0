//! How the runtime starts its threads: counted, within a bound for the process, and so that a failure is
//! an error and never the end of the process. What has to have its thread asks for it again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::count::Count;
use crate::forked::{check_forked, watch_forks};
use crate::limits_met::Limit;
use crate::{Error, ProcessLimits, Result, thread_list};

/// Memory that a thread needs to start: its stack, and what the standard library maps for it.
///
/// The library aborts the process if that fails inside the new thread. So it is asked for here first.
const ROOM: usize = 4 << 20;

/// The threads that were started here and have not ended.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Counts a thread until it is dropped.
struct Counted;

impl Counted {
    fn claim() -> Result<Counted> {
        let limit = ProcessLimits::current().threads;
        let claim = |running: usize| (running < limit).then_some(running + 1);
        match RUNNING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim) {
            Ok(_) => Ok(Counted),
            Err(_) => {
                let threads = Count(limit, "thread");
                let message = format!(
                    "this process has {threads} for calls and cleanup \
                     (ProcessLimits::threads), and all are in use"
                );
                Limit::ProcessThreads.met(|| message.clone());
                Err(Error::Overloaded { message })
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts a thread. Of its name the system keeps 15 bytes.
///
/// # Errors
/// [`Error::Overloaded`] if the process has as many as it may have, or has no memory or no process
/// number left for one.
pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let counted = Counted::claim()?;
    start_uncounted(name, move || {
        let _counted = counted;
        run();
    })
}

/// The same for a thread that the program itself has need of, to look after what it started: no peer
/// decides how many there are, and peers that use all that are counted must not take these away.
///
/// # Errors
/// [`Error::Overloaded`] if the system has no memory or no process number left for one;
/// [`Error::ApiMisuse`] in a fork of a process that has such threads.
pub(crate) fn start_uncounted(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    check_forked()?;
    // Whoever has threads must not use in a fork what they do: they are not there.
    watch_forks();
    let refused = |why: &dyn std::fmt::Display| Error::Overloaded {
        message: format!("cannot start a thread: {why}"),
    };
    let mut room = Vec::<u8>::new();
    room.try_reserve_exact(ROOM).map_err(|error| refused(&error))?;
    drop(room);
    let full = name.to_owned();
    let name = short(name);
    let run = move || {
        thread_list::add_own(&full);
        run();
    };
    match std::thread::Builder::new().name(name).spawn(run) {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(&error)),
    }
}

/// The most bytes that the system keeps of a thread's name.
const NAME: usize = 15;

/// A name that the system keeps whole. The number at the end, which tells threads apart, stays.
fn short(name: &str) -> String {
    let name: String = name.chars().filter(|c| *c != '\0').collect();
    if name.len() <= NAME {
        return name;
    }
    let number = name.rsplit_once('-').map_or("", |(_, number)| number);
    let is_number =
        (1..NAME / 2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    let number = if is_number { &name[name.len() - number.len() - 1..] } else { "" };
    let end = (0..=NAME - number.len()).rev().find(|end| name.is_char_boundary(*end));
    format!("{}{number}", &name[..end.unwrap_or_default()])
}

/// After how long a thread that is missing is asked for again.
const AGAIN: Duration = Duration::from_millis(100);

/// Has a function called after a time, on the driver thread.
pub(crate) type Later = fn(Duration, fn());

/// Threads that could not be started and are needed all the same.
struct Missing {
    /// What starts them, by the threads' names. Each is called without any lock of this file.
    starts: BTreeMap<&'static str, fn()>,
    /// None before there is a driver.
    later: Option<Later>,
    /// It is about to call [`start_missing`].
    timed: bool,
}

static MISSING: Mutex<Missing> =
    Mutex::new(Missing { starts: BTreeMap::new(), later: None, timed: false });
/// Whether `MISSING` has any, for who looks without the lock.
static IS_MISSING: AtomicBool = AtomicBool::new(false);

fn missing() -> MutexGuard<'static, Missing> {
    MISSING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads of this name could not be started: has `start` called again soon, on the driver thread. Where
/// there is no driver, the next [`start_missing`] calls it. If it fails too, it is to come here again.
pub(crate) fn start_again(name: &'static str, start: fn()) {
    let mut missing = missing();
    missing.starts.insert(name, start);
    IS_MISSING.store(true, Ordering::Relaxed);
    missing.have_timed();
}

/// Starts the threads that are missing, if any are. To be called where one uses what they do. Costs nothing
/// where none is missing.
pub(crate) fn start_missing() {
    if !IS_MISSING.load(Ordering::Relaxed) {
        return;
    }
    let mut missing = missing();
    IS_MISSING.store(false, Ordering::Relaxed);
    let starts = std::mem::take(&mut missing.starts);
    drop(missing);
    for start in starts.into_values() {
        start();
    }
}

/// There is a driver now, which can call `later`.
pub(crate) fn retry_with(later: Later) {
    let mut missing = missing();
    missing.later = Some(later);
    missing.have_timed();
}

impl Missing {
    fn have_timed(&mut self) {
        let Some(later) = self.later else { return };
        if !self.timed && !self.starts.is_empty() {
            self.timed = true;
            later(AGAIN, || {
                missing().timed = false;
                start_missing();
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn long_names_keep_their_number() {
        assert_eq!(short("main-1"), "main-1");
        assert_eq!(short("b-httpworker.0-12"), "b-httpworker-12");
        assert_eq!(short("a-thread-with-a-very-long-name"), "a-thread-with-a");
        assert_eq!(short(&"x".repeat(40)), "x".repeat(15));
        assert_eq!(short("x-1234567890123456789"), "x-1234567890123");
        // Bytes count, and no character is cut.
        assert_eq!(short("häuserhäuser\0häuser-7"), "häuserhäuse-7");
    }
}
