//! What the programs do on signals: end at once on Ctrl-C, print what they are doing on SIGUSR1.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGUSR1};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::Failure;

/// The exit status of what Ctrl-C ended, as shells have it.
const INTERRUPTED: i32 = 130;

/// From now on Ctrl-C ends this process at once, whatever its threads wait for: the handler itself does
/// it. Children see the end of their sockets.
pub(super) fn end_on_interrupt() -> Result<(), Failure> {
    flag::register_conditional_shutdown(SIGINT, INTERRUPTED, Arc::new(AtomicBool::new(true)))?;
    Ok(())
}

/// The same from the second Ctrl-C on: the first is handled elsewhere.
pub(super) fn end_on_second_interrupt() -> Result<(), Failure> {
    let seen = Arc::new(AtomicBool::new(false));
    // In this order: the first signal finds the flag unset, and sets it.
    flag::register_conditional_shutdown(SIGINT, INTERRUPTED, Arc::clone(&seen))?;
    flag::register(SIGINT, seen)?;
    Ok(())
}

/// From now on SIGUSR1 prints the process's connections, calls and threads on stderr. A thread waits for
/// the signal.
pub(super) fn dump_on_usr1() -> Result<(), Failure> {
    let mut signals = Signals::new([SIGUSR1])?;
    let print = move || {
        for _ in signals.forever() {
            anstream::eprint!("{}", multiprocess::diagnostics::snapshot());
        }
    };
    std::thread::Builder::new().name("sigusr1".to_owned()).spawn(print)?;
    Ok(())
}
