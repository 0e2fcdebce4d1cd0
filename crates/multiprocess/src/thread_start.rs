//! How the runtime starts its threads: counted, within a bound for the process, and so that a failure is
//! an error and never the end of the process.

use std::sync::atomic::{AtomicUsize, Ordering};

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
                let message = format!(
                    "this process has {limit} threads for calls and cleanup \
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
/// [`Error::Overloaded`] if the system has no memory or no process number left for one.
pub(crate) fn start_uncounted(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let refused = |why: &dyn std::fmt::Display| Error::Overloaded {
        message: format!("cannot start a thread: {why}"),
    };
    let mut room = Vec::<u8>::new();
    room.try_reserve_exact(ROOM).map_err(|error| refused(&error))?;
    drop(room);
    let full = name.to_owned();
    let name: String = name.chars().filter(|c| *c != '\0').take(15).collect();
    let run = move || {
        thread_list::add_own(&full);
        run();
    };
    match std::thread::Builder::new().name(name).spawn(run) {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(&error)),
    }
}
